"""What a staging folder says of itself: zones, files by their keys, how each came, stands and was moved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec

from rlx_datapipe.core.errors import DatapipeError, DatasetError, SourceError
from rlx_datapipe.core.finding import Finding
from rlx_datapipe.store.layout import file_slug
from rlx_datapipe.store.linked_lines import read_linked
from rlx_datapipe.venues.crypto_lake import archive_folder

FORMAT_VERSION = 1
HEAD, MANIFEST = "staging.json", "manifest.jsonl"


class Zone(StrEnum):
    """Where a file stands: as it came, under examination, fit for use, or kept away from it."""

    RAW = "raw"
    VALIDATING = "validating"
    READY = "ready"
    QUARANTINE = "quarantine"


class ArchiveKey(msgspec.Struct, frozen=True, order=True):
    """One file of the archive: table, exchange, symbol, UTC day, and the name that it has there.

    Raises
    ------
    OptionError
        When table, exchange or symbol can't be a folder.
    """

    table: str
    exchange: str
    symbol: str
    date: dt.date
    name: str

    def __post_init__(self) -> None:
        archive_folder(self.table, self.exchange, self.symbol, self.date)

    @property
    def path(self) -> Path:
        """Its place below a zone: the archive's own; only an odd file name is replaced by a plain one."""
        folder = archive_folder(self.table, self.exchange, self.symbol, self.date)
        return Path(folder, file_slug(self.name))


class Transfer(msgspec.Struct, frozen=True):
    """How a file came: from where, its size, the store's ETag, its SHA-256, how many bytes were fetched."""

    url: str
    size_bytes: int
    etag: str
    sha256: str
    fetched_bytes: int


class Standing(msgspec.Struct, frozen=True):
    """One file as the manifest tells it: its zone, how it came, and what was said when it was last moved."""

    key: ArchiveKey
    zone: Zone
    transfer: Transfer
    findings: tuple[Finding, ...] = ()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the manifest: a file arrived, was moved, was removed on purpose, or is found to be gone."""

    kind: Literal["arrived", "moved", "removed", "gone"]
    key: ArchiveKey
    before: Zone | None = None
    zone: Zone | None = None
    transfer: Transfer | None = None
    findings: tuple[Finding, ...] = ()


def read_head(root: Path) -> int:
    """Version of a staging folder.

    Raises
    ------
    DatasetError
        When it is none.
    """
    try:
        return int(msgspec.json.decode((root / HEAD).read_bytes(), type=dict[str, int])["format_version"])
    except (OSError, msgspec.MsgspecError, KeyError) as error:
        remedy = "Give the folder that rlx acquire download --staging made"
        raise DatasetError(
            "is no staging folder (no readable staging.json)", file=root, remedy=remedy
        ) from error


def is_staging(path: Path) -> bool:
    """Whether a path looks like a staging folder of ours."""
    return (path / HEAD).is_file()


def read_standings(root: Path) -> dict[ArchiveKey, Standing]:
    """How all files of a staging folder stand, read without holding it, while another process may write.

    Raises
    ------
    DatasetError
        When it is no staging folder, or its manifest is damaged.
    SourceError
        When the manifest can't be read.
    """
    read_head(root)
    path = root / MANIFEST
    try:
        contents = read_linked(path)[0] if path.exists() else []
    except OSError as error:
        raise SourceError(f"can't be read ({error.strerror or error})", file=path) from error
    return standings_after(read_changes(root, contents))


def read_changes(root: Path, contents: Sequence[bytes]) -> list[Change]:
    """The lines of a manifest; `DatasetError` where one is not of this kind."""
    try:
        return [msgspec.json.decode(content, type=Change) for content in contents]
    except (msgspec.MsgspecError, DatapipeError) as error:
        raise DatasetError("is no manifest of ours", file=root / MANIFEST, found=str(error)) from error


def standings_after(changes: Sequence[Change]) -> dict[ArchiveKey, Standing]:
    """How all files stand after these changes."""
    standings: dict[ArchiveKey, Standing] = {}
    for change in changes:
        standings = applied(standings, change)
    return standings


def applied(standings: dict[ArchiveKey, Standing], change: Change) -> dict[ArchiveKey, Standing]:
    """The same dictionary after a change."""
    before = standings.pop(change.key, None)
    if change.zone is not None:
        transfer = change.transfer or (before.transfer if before else None)
        if transfer is None:
            raise DatasetError("its manifest moves a file that never arrived", file=change.key.path)
        standings[change.key] = Standing(change.key, change.zone, transfer, change.findings)
    return standings
