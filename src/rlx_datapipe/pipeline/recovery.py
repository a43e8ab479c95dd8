"""Where a chain goes on: from the start, behind its last commit, or not at all because it is complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.sink.datasink import Pins
from rlx_datapipe.store.checkpoints import PipelineStateProvider
from rlx_datapipe.store.commits import Commit, compare_logs, read_commits
from rlx_datapipe.store.orphans import remove_orphans


@dataclass
class Standing:
    """How far a chain has come: the commit to go on behind, and the states of all stages after it.

    ``commit`` is None for a chain that has none; one that is the last needs no ``states``.
    """

    commit: Commit | None = None
    states: dict[str, State] = field(default_factory=dict)


def recover(dataset: Path, source: Source, pins: Pins, provider: PipelineStateProvider) -> Standing:
    """Clear what a crash left of a chain and find where it goes on.

    Raises
    ------
    DatasetError
        When the input or the settings are not those of the commits, the chain of commits is broken, a log
        is older, or no checkpoint can be read.
    """
    instrument = source.instrument
    commits = read_commits(dataset, instrument.exchange, instrument.symbol)
    if commits:
        _refuse_change(dataset, commits[-1], pins, may_grow=source.capture is not None)
    # Nothing is removed before all is in order: a folder put back from an older backup can still be mended.
    for problem in compare_logs(dataset, commits):
        raise DatasetError(problem, file=dataset, remedy="Restore it whole from a backup, or reconstruct it")
    standing = _find_standing(dataset, commits, provider)
    remove_orphans(dataset, instrument.exchange, instrument.symbol)
    if standing.commit is None or standing.commit.is_last:
        # A complete chain needs no checkpoint; a crash may have come before they were collected.
        provider.collect(None)
    return standing


def _find_standing(dataset: Path, commits: list[Commit], provider: PipelineStateProvider) -> Standing:
    if not commits or commits[-1].is_last:
        return Standing(commits[-1] if commits else None)
    for commit in reversed(commits):
        try:
            return Standing(commit, provider.load(commit.epoch, commit.checkpoint))
        except DatasetError:
            # An older one will do: the epochs since are redone and must come out the same to the byte.
            provider.drop(commit.epoch)
    raise DatasetError("no checkpoint can be read", file=dataset, remedy="Reconstruct it in a new folder")


def _refuse_change(dataset: Path, commit: Commit, pins: Pins, *, may_grow: bool) -> None:
    # A capture that is not read to its end yet may have more segments now, behind those that it had.
    now = pins.sources[: len(commit.sources)] if may_grow and not commit.is_last else pins.sources
    if commit.sources != now:
        before = {file.name: file for file in commit.sources}
        changed = [file.name for file in pins.sources if before.get(file.name) != file]
        gone = [name for name in before if name not in {file.name for file in pins.sources}]
        raise DatasetError(
            "was begun from other input",
            file=dataset,
            changed=", ".join(changed) or "nothing",
            missing=", ".join(gone) or "nothing",
            remedy="Resume with the very same files, or reconstruct in a new folder",
        )
    if not set(commit.skips) <= set(pins.skips):
        raise DatasetError(
            "has lost the record of what it skips",
            file=dataset / "skipped",
            remedy="Restore it from a backup, or reconstruct in a new folder",
        )
    if commit.config != pins.config:
        raise DatasetError(
            "was begun with other settings",
            file=dataset,
            remedy="Resume with the same ones (see rlx.json), or reconstruct in a new folder",
        )
