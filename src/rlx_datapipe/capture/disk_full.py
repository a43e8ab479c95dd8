"""A full disk: room is given back, what can't be kept is told as gaps, and the capture goes on by itself."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec

from rlx_datapipe.capture.arrival import NO_ID, Arrival
from rlx_datapipe.store.frames import RecordKind

BALLAST = ".ballast"
_EVENTS_MAX = 100_000
_LOSABLE = (RecordKind.MESSAGE, RecordKind.SNAPSHOT)


class DiskFull:
    """What was lost while the disk was full, to be declared when there is room again.

    Messages and snapshots are lost, by stream and range of ids. What happened to the capture is not: it is
    kept in memory, the last 100,000 of it.

    Parameters
    ----------
    folder
        The capture; its ballast is a file in it.
    ballast_bytes
        Room that is kept back for the sealing of the log, whose segments shrink by it; 0: none.
    resume_bytes
        Free room at which the capture goes on.
    """

    def __init__(self, folder: Path, ballast_bytes: int, resume_bytes: int) -> None:
        self._folder, self._ballast_bytes, self._resume_bytes = folder, ballast_bytes, resume_bytes
        self.is_active = False
        self.lost_records = 0
        self._lost: dict[str, list[int]] = {}
        self._events: deque[Arrival] = deque(maxlen=_EVENTS_MAX)

    def make_ballast(self) -> None:
        """Keep room back, if there is so much."""
        if not self._ballast_bytes:
            return
        path = self._folder / BALLAST
        try:
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._ballast_bytes)
        except OSError:
            # Without it the capture is as good as it is with it, until the disk is full.
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def begin(self) -> None:
        """The disk is full: give the ballast back."""
        self.is_active = True
        with suppress(OSError):
            (self._folder / BALLAST).unlink(missing_ok=True)

    def lose(self, arrival: Arrival) -> None:
        """Take note of an arrival that can't be kept."""
        if arrival.kind not in _LOSABLE:
            self._events.append(arrival)
            return
        self.lost_records += 1
        lost = self._lost.setdefault(arrival.stream, [NO_ID, NO_ID, 0])
        if lost[0] == NO_ID:
            lost[0] = arrival.first_id
        lost[1] = max(lost[1], arrival.last_id)
        lost[2] += 1

    def has_room(self) -> bool:
        """Whether there is room enough to go on."""
        try:
            status = os.statvfs(self._folder)
        except OSError:
            return False
        return status.f_bavail * status.f_frsize >= self._resume_bytes

    def end(self, wall_ns: int, monotonic_ns: int) -> list[Arrival]:
        """What is to be recorded now that there is room: all that happened, and a gap for each stream."""
        records: list[Arrival] = list(self._events)
        for stream, (first, last, count) in sorted(self._lost.items()):
            told = {
                "stream": stream,
                "from_id": None if first == NO_ID else first,
                "to_id": None if last == NO_ID else last,
                "reason": "disk full",
                "records": count,
            }
            gap = msgspec.json.encode(told)
            records.append(Arrival(RecordKind.GAP, 0, "!gap", gap, wall_ns, monotonic_ns))
        self.is_active = False
        self._lost.clear()
        self._events.clear()
        return records
