"""Named points at which a crash proof may kill this process; nothing happens there unless armed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable

POINTS = (
    "file written",
    "file published",
    "files published",
    "checkpoint published",
    "entry written",
    "entry named",
    "table committed",
    "epoch committed",
    "checkpoint collected",
    "orphan removed",
    "chain recorded",
)
"""Of a reconstruction, roughly in the order in which a run first comes by them."""

CAPTURE_POINTS = (
    "log written",
    "log sealed",
    "log begun",
    "segment published",
    "segment counted",
    "log removed",
    "half-made removed",
)
"""Of a capture, which publishes its files as a reconstruction does."""

STAGING_POINTS = ("change written", "change recorded", "name given", "name taken")
"""Of a staging folder: each change is recorded, then the file gets its new name and loses the old one."""

TRANSFER_POINTS = ("piece written", "piece entered", "file fetched")
"""Of a download: bytes are written, entered in the journal, and the whole file is put on the disk."""

_reached: Counter[str] = Counter()
_armed: dict[str, int] = {}
_watchers: list[Callable[[str], None]] = []


def crash_point(name: str) -> None:
    """Pass a named point; if it is armed for this passing, the process is killed as by a power cut.

    Raises
    ------
    KeyError
        For a name that is in no list: a point that no proof knows is no point.
    """
    if not any(name in points for points in (POINTS, CAPTURE_POINTS, STAGING_POINTS, TRANSFER_POINTS)):
        raise KeyError(name)
    _reached[name] += 1
    for watcher in _watchers:
        watcher(name)
    if _armed.get(name) == _reached[name]:
        os.kill(os.getpid(), signal.SIGKILL)


def arm(name: str, passing: int) -> None:
    """Kill this process when it passes the point for the n-th time from now on, from 1; for proofs only."""
    _armed[name] = _reached[name] + passing


def watch(watcher: Callable[[str], None]) -> None:
    """Call a function with the name of each point that is passed; for proofs only."""
    _watchers.append(watcher)


def reached(points: tuple[str, ...] = POINTS) -> dict[str, int]:
    """How often each point was passed so far."""
    return {name: _reached[name] for name in points}
