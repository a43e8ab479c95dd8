"""The chain of commits: what each epoch put into the log of ``events``, linked by digests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.store.files import FileRecord, file_digest
from rlx_datapipe.store.layout import table_folder
from rlx_datapipe.store.log import TableLog, log_damaged
from rlx_datapipe.store.manifest import SourceFile
from rlx_datapipe.store.tables import data_files, last_epoch


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of one chain: the only moment that counts is the one in which this entered the log.

    Attributes
    ----------
    chain
        Exchange and symbol, with a slash between them.
    epoch
        From 0, without a hole.
    previous
        Digest of the commit before, empty for the first.
    sources
        The input files, pinned by size and SHA-256.
    input
        How far the input was read when the epoch ended, in the terms of its stage.
    files
        Data files of each table in this epoch.
    rows
        Rows of each table so far, this epoch included.
    checkpoint
        State of all stages after this epoch; None after the last one, and where it is kept in memory.
    config
        Digest of the settings that shape the output.
    writer
        Program and version.
    skips
        Stretches of the input that are passed over by policy.
    summary
        What the whole chain came to; only in the last commit, which it marks.
    """

    chain: str
    epoch: int
    previous: str
    sources: tuple[SourceFile, ...]
    input: dict[str, Any]
    files: dict[str, tuple[FileRecord, ...]]
    rows: dict[str, int]
    checkpoint: FileRecord | None
    config: str
    writer: str
    skips: tuple[Skip, ...] = ()
    summary: dict[str, Any] | None = None

    @property
    def is_last(self) -> bool:
        """Whether the chain is complete with this epoch."""
        return self.summary is not None

    def encoded(self) -> str:
        """What enters the log: canonical JSON, and its digest, for nothing later vouches for the newest."""
        told = {**msgspec.to_builtins(self), "sha256": self.digest()}
        return msgspec.json.encode(told, order="sorted").decode()

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class _Own(msgspec.Struct, frozen=True):
    sha256: str


def read_commits(dataset: Path, exchange: str, symbol: str) -> list[Commit]:
    """All commits of a chain, oldest first, each checked against the one before.

    Raises
    ------
    DatasetError
        When a commit is missing, doubled or changed, or the log can't be read.
    """
    commits: list[Commit] = []
    for text in (entry.told for entry in TableLog(table_folder(dataset, "events")).entries if entry.told):
        try:
            commit = msgspec.json.decode(text, type=Commit)
            own = msgspec.json.decode(text, type=_Own)
        except msgspec.MsgspecError as error:
            raise log_damaged(table_folder(dataset, "events"), str(error)) from error
        if commit.digest() != own.sha256:
            raise _broken(dataset, commit, f"epoch {commit.epoch} changed")
        if commit.chain != f"{exchange}/{symbol}":
            continue
        previous = commits[-1].digest() if commits else ""
        if (commit.epoch, commit.previous) != (len(commits), previous):
            raise _broken(dataset, commit, f"epoch {commit.epoch} behind {len(commits)} epochs")
        commits.append(commit)
    return commits


def _broken(dataset: Path, commit: Commit, found: str) -> DatasetError:
    return DatasetError(
        "the chain of commits is broken",
        file=dataset,
        chain=commit.chain,
        found=found,
        remedy="Restore the dataset from a backup, or reconstruct it",
    )


def verify_files(dataset: Path, commits: list[Commit]) -> list[str]:
    """Which committed files are gone or differ from what was committed, one sentence each."""
    problems = []
    for commit in commits:
        for record in (record for records in commit.files.values() for record in records):
            path = dataset / record.path
            if not path.is_file():
                problems.append(f"{record.path}: gone")
            elif file_digest(path)[1] != record.sha256:
                problems.append(f"{record.path}: not the bytes that were committed")
    return problems


def compare_logs(dataset: Path, commits: list[Commit]) -> list[str]:
    """Where the logs of the tables contradict the commits of a chain, one sentence each.

    A table may be ahead of the commits, never behind, and holds the files that they name and no others.

    Raises
    ------
    DatasetError
        When a table or a committed file is gone, or a log can't be read.
    """
    if not commits:
        return []
    exchange, _, symbol = commits[-1].chain.partition("/")
    problems = []
    for table in TABLES:
        files = data_files(dataset, table)
        reached = last_epoch(dataset, table, exchange, symbol)
        if reached < commits[-1].epoch:
            problems.append(
                f"{exchange}/{symbol}: the log of table {table!r} is older than the commits "
                f"(it knows epochs to {reached}, committed are those to {commits[-1].epoch})"
            )
            continue
        named = {record.path for commit in commits for record in commit.files[table]}
        held = {
            f"{table}/{file.path.relative_to(table_folder(dataset, table)).as_posix()}"
            for file in files
            if file[:2] == (exchange, symbol)
        }
        if named != held:
            problems.append(
                f"{exchange}/{symbol}: the log of table {table!r} names other files than the commits "
                f"({len(named - held)} missing, {len(held - named)} too many; {min(named ^ held)})"
            )
    return problems
