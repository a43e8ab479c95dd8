"""What a download will do before it does anything: files, bytes, time, quota, disk; and what it refuses."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any, Literal

import msgspec

from rlx_datapipe.acquisition.amounts import size_text
from rlx_datapipe.acquisition.archive import Archive
from rlx_datapipe.acquisition.holdings import Inventory, LakeFile
from rlx_datapipe.acquisition.ledger import Ledger
from rlx_datapipe.acquisition.partial import Origin, held_bytes
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.acquisition.staged import ArchiveKey, Standing, Zone, is_staging, read_standings
from rlx_datapipe.acquisition.staging import StagingManager
from rlx_datapipe.core.errors import OptionError, SourceError

State = Literal["new", "begun", "here", "quarantined", "changed"]
TO_FETCH: tuple[State, ...] = ("new", "begun")
_GB = 10**9


class PlannedFile(msgspec.Struct, frozen=True):
    """One file of a plan: how it stands here, and how many of its bytes are here already."""

    file: LakeFile
    state: State
    held_bytes: int = 0

    @property
    def left_bytes(self) -> int:
        """What is still to be fetched of it."""
        return self.file.size_bytes - self.held_bytes if self.state in TO_FETCH else 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a download will do. ``refusals`` are reasons why it can't, in sentences.

    ``bytes_per_s`` is 0 where nothing is known of the rate; ``rate_from`` says where it is from.
    """

    archive: str
    staging: str
    files: tuple[PlannedFile, ...]
    told: tuple[str, ...]
    bytes_per_s: float
    rate_from: str
    quota_bytes: int
    used_bytes: int
    free_bytes: int
    reserve_bytes: int
    refusals: tuple[str, ...] = ()

    @property
    def left_bytes(self) -> int:
        """What is still to be fetched."""
        return sum(one.left_bytes for one in self.files)

    @property
    def seconds(self) -> float | None:
        """How long that should take; None where nothing is known of the rate."""
        return self.left_bytes / self.bytes_per_s if self.bytes_per_s else None

    def count(self, *states: State) -> int:
        """Files in these states."""
        return sum(one.state in states for one in self.files)

    def as_facts(self) -> dict[str, Any]:
        """The plan for JSON."""
        return {
            "archive": self.archive,
            "staging": self.staging,
            "files": len(self.files),
            "bytes": sum(one.file.size_bytes for one in self.files),
            "states": dict(sorted(Counter(one.state for one in self.files).items())),
            "left_bytes": self.left_bytes,
            "seconds": self.seconds,
            "rate_from": self.rate_from,
            "quota_bytes": self.quota_bytes or None,
            "used_bytes": self.used_bytes,
            "free_bytes": self.free_bytes,
            "reserve_bytes": self.reserve_bytes,
            "refusals": list(self.refusals),
            "told": list(self.told),
        }

    def require_room(self) -> None:
        """See that it can be done.

        Raises
        ------
        OptionError
            When the quota or the disk does not allow it; the first reason.
        """
        if self.refusals:
            raise OptionError(
                self.refusals[0], remedy="Ask for fewer days or tables (--from, --to, --tables)"
            )


def make_plan(
    archive: Archive,
    inventory: Inventory,
    staging: Path,
    settings: AcquisitionSettings,
    ledger: Ledger,
    *,
    refresh: bool = False,
) -> Plan:
    """Look at what is wanted, what is here, and what room there is; change nothing.

    Parameters
    ----------
    inventory
        What is wanted; objects of which only the name is known are asked about here.
    refresh
        Whether files that changed at their source are fetched anew.

    Raises
    ------
    SourceError
        When nothing of what is wanted is there, or the store refuses.
    DatasetError
        When the manifest of the staging folder is damaged.
    """
    if not inventory.files:
        raise SourceError(
            "holds nothing of what is wanted",
            file=inventory.archive,
            remedy=f"See what there is: rlx acquire list-inventory --archive {quote(inventory.archive)}",
        )
    standings = read_standings(staging) if is_staging(staging) else {}
    manager = StagingManager(staging)
    known = [_known(archive, file) for file in inventory.files]
    files = tuple(_planned(file, manager, standings, archive, refresh=refresh) for file in known)
    rate, rate_from = _rate(settings, ledger)
    plan = Plan(
        archive=archive.address.url,
        staging=str(staging),
        files=files,
        told=inventory.told,
        bytes_per_s=rate,
        rate_from=rate_from,
        quota_bytes=0 if archive.address.is_local or settings.anonymous else int(settings.quota_gb * _GB),
        used_bytes=ledger.used_bytes(),
        free_bytes=_free_bytes(staging),
        reserve_bytes=int(settings.disk_reserve_gb * _GB),
    )
    return msgspec.structs.replace(plan, refusals=tuple(_refusals(plan)))


def origin_of(archive: Archive, file: LakeFile) -> Origin:
    """What a partial file of this is a copy of."""
    return Origin(f"{archive.address.url}/{file.path}", file.etag, file.size_bytes)


def _known(archive: Archive, file: LakeFile) -> LakeFile:
    if file.size_bytes >= 0 and file.etag:
        return file
    about = archive.head(file.path)
    return msgspec.structs.replace(file, size_bytes=about.size_bytes, etag=about.etag)


def _planned(
    file: LakeFile,
    manager: StagingManager,
    standings: Mapping[ArchiveKey, Standing],
    archive: Archive,
    *,
    refresh: bool,
) -> PlannedFile:
    standing = standings.get(file.key)
    if standing is not None:
        came = standing.transfer
        if (came.etag, came.size_bytes) != (file.etag, file.size_bytes):
            return PlannedFile(file, "new" if refresh else "changed")
        return PlannedFile(file, "quarantined" if standing.zone is Zone.QUARANTINE else "here")
    whole = manager.place(Zone.RAW, file.key)
    held = held_bytes(whole.with_name(f".{whole.name}.partial"), origin_of(archive, file))
    return PlannedFile(file, "begun" if held else "new", held)


def _rate(settings: AcquisitionSettings, ledger: Ledger) -> tuple[float, str]:
    """Bytes a second to expect, and where that is from."""
    rate, told = ledger.bytes_per_s(), "measured by the latest downloads"
    if not rate:
        rate, told = settings.expected_mb_s * 10**6, "as the settings say (expected_mb_s)"
    limit = settings.limit_mb_s * 10**6
    if limit and (not rate or limit < rate):
        return limit, "the limit (limit_mb_s)"
    return (rate, told) if rate else (0.0, "not known before the first download")


def _free_bytes(staging: Path) -> int:
    folder = staging.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _refusals(plan: Plan) -> list[str]:
    told, left = [], plan.left_bytes
    if left > plan.free_bytes - plan.reserve_bytes:
        told.append(
            f"does not fit on the disk: {size_text(left)} to fetch, {size_text(plan.free_bytes)} free, of "
            f"which {size_text(plan.reserve_bytes)} stay free (disk_reserve_gb)"
        )
    if plan.quota_bytes and left > plan.quota_bytes - plan.used_bytes:
        told.append(
            f"is more than the quota allows: {size_text(left)} to fetch, {size_text(plan.used_bytes)} of "
            f"{size_text(plan.quota_bytes)} used this month (quota_gb)"
        )
    return told
