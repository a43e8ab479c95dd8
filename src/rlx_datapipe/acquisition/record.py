"""What a staging folder remembers of its latest download: what was wanted, how it ended, what failed."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import msgspec

from rlx_datapipe.acquisition.holdings import Wanted
from rlx_datapipe.acquisition.plan import TO_FETCH, Plan
from rlx_datapipe.acquisition.staged import ArchiveKey
from rlx_datapipe.store.files import unwritable

_NAME = ".download.json"


class PlannedKey(msgspec.Struct, frozen=True):
    """One file that a download was to fetch."""

    key: ArchiveKey
    url: str
    etag: str
    size_bytes: int


class DownloadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The latest download of a staging folder. ``ended`` is empty while it runs, and after it was killed."""

    archive: str
    wanted: Wanted
    begun: str
    files: tuple[PlannedKey, ...]
    ended: str = ""
    fetched_bytes: int = 0
    retries: int = 0
    failed: dict[str, str] = msgspec.field(default_factory=dict)
    problem: str = ""
    """Why it ended before its end."""


def begun_record(plan: Plan, wanted: Wanted) -> DownloadRecord:
    """The record of a download that begins now."""
    files = tuple(
        PlannedKey(file.key, f"{plan.archive}/{file.path}", file.etag, file.size_bytes)
        for file in (one.file for one in plan.files if one.state in TO_FETCH)
    )
    return DownloadRecord(archive=plan.archive, wanted=wanted, begun=_now(), files=files)


def ended_record(
    record: DownloadRecord,
    *,
    fetched_bytes: int = 0,
    retries: int = 0,
    failed: dict[str, str] | None = None,
    problem: str = "",
) -> DownloadRecord:
    """The record of a download that ends now."""
    return msgspec.structs.replace(
        record,
        ended=_now(),
        fetched_bytes=fetched_bytes,
        retries=retries,
        failed=failed or {},
        problem=problem,
    )


def write_record(staging: Path, record: DownloadRecord) -> None:
    """Put the record in place of the one before; whole or not at all.

    Raises
    ------
    UnwritableError
        When the system refuses.
    """
    path = staging / _NAME
    try:
        temporary = path.with_name(f"{_NAME}.new")
        temporary.write_bytes(msgspec.json.encode(record) + b"\n")
        os.replace(temporary, path)  # noqa: PTH105 (the one call that replaces)
    except OSError as error:
        raise unwritable(path, error) from error


def read_record(staging: Path) -> DownloadRecord | None:
    """The record of a staging folder; None if there is none that can be read."""
    try:
        return msgspec.json.decode((staging / _NAME).read_bytes(), type=DownloadRecord)
    except (OSError, msgspec.MsgspecError):
        return None


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
