"""Whether a dataset is what was committed: its chains of commits, its logs, the bytes of every file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.store.commits import Commit, compare_logs, read_commits, verify_files
from rlx_datapipe.store.files import FileRecord
from rlx_datapipe.store.manifest import ChainManifest, Manifest


@dataclass
class Verified:
    """What was verified, and what differs from what was committed, one sentence each."""

    epochs: int = 0
    files: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)


def verify_dataset(
    path: Path, manifest: Manifest, on_bytes: Callable[[str, int, int], None] = lambda *_: None
) -> Verified:
    """Read every commit and every committed file of a dataset, those of unfinished chains too.

    ``on_bytes`` is called behind each file with the chain, EXCHANGE/SYMBOL, and its bytes read and in all.
    """
    verified = Verified()
    finished = {chain_name(chain.instrument): chain for chain in manifest.chains}
    for name in dict.fromkeys([*finished, *manifest.unfinished]):
        try:
            commits = read_commits(path, *name.split("/", 1))
        except DatasetError as error:
            verified.problems.append(str(error))
            continue
        sizes = [record.size_bytes for commit in commits for record in _records(commit)]
        done, total = 0, sum(sizes)
        damaged: list[str] = []
        for commit in commits:
            damaged += verify_files(path, [commit])
            done += sum(record.size_bytes for record in _records(commit))
            on_bytes(name, done, total)
        verified.epochs += len(commits)
        verified.files += len(sizes)
        verified.bytes += total
        # Only where every file is there: the logs are not read past one that is gone.
        verified.problems += damaged or _log_problems(path, finished.get(name), commits)
    return verified


def _records(commit: Commit) -> list[FileRecord]:
    return [record for records in commit.files.values() for record in records]


def _log_problems(path: Path, chain: ChainManifest | None, commits: list[Commit]) -> list[str]:
    try:
        return compare_logs(path, commits) if chain is None else chain_problems(path, chain)
    except DatasetError as error:
        return [str(error)]


def chain_name(instrument: Instrument) -> str:
    """EXCHANGE/SYMBOL of a chain."""
    return f"{instrument.exchange}/{instrument.symbol}"


def chain_problems(path: Path, chain: ChainManifest) -> list[str]:
    """What in the logs of a finished chain is not as its last commit left it, one sentence each."""
    instrument = chain.instrument
    commits = read_commits(path, instrument.exchange, instrument.symbol)
    if not commits or not commits[-1].is_last:
        newest = f"the newest here is epoch {commits[-1].epoch}" if commits else "there is none"
        return [f"{chain_name(instrument)}: the last commit is missing ({newest})"]
    return compare_logs(path, commits)


@dataclass(frozen=True)
class Standing:
    """How far an unfinished chain, EXCHANGE/SYMBOL, has come: epochs committed, and events in them."""

    chain: str
    epochs: int
    events: int


def unfinished_chains(path: Path, manifest: Manifest) -> list[Standing]:
    """How far each chain has come that the run which made this dataset did not bring to its end.

    Raises
    ------
    DatasetError
        When a chain of commits is broken.
    """
    standings = []
    for name in manifest.unfinished:
        has_log = (path / "events" / "_delta_log").is_dir()
        commits = read_commits(path, *name.split("/", 1)) if has_log else []
        standings.append(Standing(name, len(commits), commits[-1].rows["events"] if commits else 0))
    return standings
