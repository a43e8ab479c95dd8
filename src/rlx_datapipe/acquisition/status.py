"""How a staging folder stands: files by zone, the latest download and what became of it."""

from __future__ import annotations

import fcntl
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import msgspec

from rlx_datapipe.acquisition.partial import Origin, held_bytes
from rlx_datapipe.acquisition.record import DownloadRecord, read_record
from rlx_datapipe.acquisition.staged import Zone, read_standings
from rlx_datapipe.acquisition.staging import StagingManager

Course = Literal["none", "running", "ended", "stopped", "cut off"]


class ZoneCount(msgspec.Struct, frozen=True):
    """Files of one zone."""

    files: int
    size_bytes: int


class StagingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a staging folder stands.

    ``quarantined`` has the reasons by file; ``begun`` the bytes that are here of each file that is not whole.
    """

    staging: str
    zones: dict[str, ZoneCount]
    quarantined: dict[str, str]
    course: Course
    latest: DownloadRecord | None
    waiting: dict[str, int]
    """Files of the latest download that are not here -> bytes of them that are."""

    def as_facts(self) -> dict[str, Any]:
        """The status for JSON."""
        latest = self.latest
        return {
            "staging": self.staging,
            "zones": {zone: msgspec.to_builtins(count) for zone, count in self.zones.items()},
            "quarantined": self.quarantined,
            "course": self.course,
            "waiting": self.waiting,
            "latest": None
            if latest is None
            else {
                "archive": latest.archive,
                "begun": latest.begun,
                "ended": latest.ended or None,
                "planned_files": len(latest.files),
                "planned_bytes": sum(one.size_bytes for one in latest.files),
                "fetched_bytes": latest.fetched_bytes,
                "retries": latest.retries,
                "failed": latest.failed,
                "problem": latest.problem or None,
            },
        }


def staging_status(root: Path) -> StagingStatus:
    """Look at a staging folder without holding it, so also while it is written.

    Raises
    ------
    DatasetError
        When it is none, or its manifest is damaged.
    """
    standings = read_standings(root)
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for standing in standings.values():
        counts[standing.zone] += 1
        sizes[standing.zone] += standing.transfer.size_bytes
    latest = read_record(root)
    manager = StagingManager(root)
    waiting = {}
    for one in latest.files if latest else ():
        if one.key not in standings:
            whole = manager.place(Zone.RAW, one.key)
            partial = whole.with_name(f".{whole.name}.partial")
            waiting[str(one.key.path)] = held_bytes(partial, Origin(one.url, one.etag, one.size_bytes))
    return StagingStatus(
        staging=str(root),
        zones={zone: ZoneCount(counts[zone], sizes[zone]) for zone in Zone},
        quarantined={
            str(standing.key.path): "; ".join(finding.message for finding in standing.findings)
            for standing in standings.values()
            if standing.zone is Zone.QUARANTINE
        },
        course=_course(root, latest),
        latest=latest,
        waiting=waiting,
    )


def _course(root: Path, latest: DownloadRecord | None) -> Course:
    if latest is None:
        return "none"
    if latest.ended:
        return "stopped" if latest.problem else "ended"
    return "running" if _is_held(root) else "cut off"


def _is_held(root: Path) -> bool:
    """Whether a process holds the folder; a shared lock is let go at once, so nobody is kept out by it."""
    try:
        with (root / ".lock").open("rb") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
