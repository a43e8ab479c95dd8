"""Pressure: ladders of measures with hysteresis, for queues that fill and memory that runs short."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.memory import drop_caches, resident_bytes

THROTTLE, PAUSE, FLUSH = 1, 2, 3
SHRINK, DROP, SPILL = 1, 2, 3
_DROPS_SHARE = 0.02
"""Most of the time that may go into giving memory back: in a process of many objects it takes a second."""
_POLL_S = 0.1


class Rung(NamedTuple):
    """One measure: taken when the reading comes to ``enter``, kept until it has fallen to ``leave``."""

    name: str
    enter: float
    leave: float


class Ladder:
    """Rungs above one another; a reading in, the rung to stand on out. 0 is the ground: nothing is done.

    Pure: the rung depends on the readings alone, and a reading that wavers between the two marks of a rung
    changes nothing.

    Parameters
    ----------
    rungs
        From the lowest to the highest.

    Raises
    ------
    ValueError
        When a mark lies below that of the rung before it, or a rung would be left where it is entered.
    """

    def __init__(self, rungs: Sequence[Rung]) -> None:
        marks = [(rung.enter, rung.leave) for rung in rungs]
        enters, leaves = [enter for enter, _ in marks], [leave for _, leave in marks]
        rise = enters == sorted(enters) and leaves == sorted(leaves)
        if not rise or not all(leave < enter for enter, leave in marks):
            raise ValueError(f"rungs must rise, each left below where it is entered: {list(rungs)}")
        self._rungs = tuple(rungs)
        self.rung = 0
        self.entered = Counter({rung.name: 0 for rung in rungs})

    def read(self, value: float) -> int:
        """Take a reading; the rung that it leads to, counted from 1, or 0."""
        while self.rung and value <= self._rungs[self.rung - 1].leave:
            self.rung -= 1
        while self.rung < len(self._rungs) and value >= self._rungs[self.rung].enter:
            self.entered[self._rungs[self.rung].name] += 1
            self.rung += 1
        return self.rung

    @property
    def name(self) -> str:
        """Name of the present rung; empty on the ground."""
        return self._rungs[self.rung - 1].name if self.rung else ""


class Gate:
    """Tells the producer of one bounded queue whether to wait before it makes the next item.

    The reading is the fill of the queue, 0 to 1. While it holds its producer back it is 1, and the time since
    anything was taken out is added as a share of ``flush_ms``: at 2 it has stood still for that long.

    Parameters
    ----------
    settings
        Marks and waits.
    capacity
        Tells how many items may wait now; asked anew each time.
    flushes
        Whether there is something to flush behind this queue.
    """

    def __init__(self, settings: Settings, capacity: Callable[[], int], *, flushes: bool) -> None:
        low = settings.queue_low_percent / 100
        rungs = [Rung("throttle", (1 + low) / 2, low), Rung("pause", 1.0, low), Rung("flush", 2.0, 1.5)]
        self.ladder = Ladder(rungs if flushes else rungs[: FLUSH - 1])
        self._capacity, self._low = capacity, low
        self._flush_s = settings.flush_ms / 1_000
        self.throttle_s = settings.throttle_ms / 1_000
        self.poll_s = min(_POLL_S, self._flush_s)
        self.waiting_max = 0
        self._flush_asked = False

    def read(self, waiting: int, still_s: float) -> int:
        """Take the number of items that wait, and for how long none was taken; the rung to stand on."""
        self.waiting_max = max(self.waiting_max, waiting)
        before = self.ladder.rung
        fill = waiting / self._capacity()
        held_back = fill >= 1 or (before >= PAUSE and fill > self._low)
        rung = self.ladder.read(1 + still_s / self._flush_s if held_back else fill)
        self._flush_asked |= rung == FLUSH > before
        return rung

    def take_flush(self) -> bool:
        """Whether a flush was asked for since the last call."""
        asked, self._flush_asked = self._flush_asked, False
        return asked


class Pressure:
    """Both ladders of one chain, and what was done on them. No rung changes batches, epochs or rows.

    What it tells depends on the machine and the moment: it may be shown, but never written.

    Parameters
    ----------
    settings
        Marks and limits.
    read_memory
        Gives the bytes of memory in use.
    """

    def __init__(self, settings: Settings, read_memory: Callable[[], int] = resident_bytes) -> None:
        self._read_memory = read_memory
        self._queue_batches = settings.queue_batches
        self._limit_bytes = settings.memory_mb * 1_000_000
        first = settings.memory_percent / 100
        step = (1 - first) / 3
        self._memory = Ladder(
            [
                Rung(name, first + at * step, first + (at - 0.5) * step)
                for at, name in enumerate(("shrink", "drop", "spill"))
            ]
        )
        self._drops_again_s = 0.0
        self.reading = Gate(settings, self.read_ahead, flushes=False)
        self.writing = Gate(settings, self.read_ahead, flushes=True)
        self.memory_bytes_max = 0
        self.spilled_bytes = 0

    def read_ahead(self) -> int:
        """How many batches may wait in a queue now."""
        return max(1, self._queue_batches // 4) if self._memory.rung >= SHRINK else self._queue_batches

    def relieve(self, spill: Callable[[], int]) -> None:
        """Read the memory and do what its rung asks; ``spill`` puts rows on the disk, and tells their bytes.

        For the consumer of the last queue, after each batch: only there may the rows be touched.
        """
        flush = self.writing.take_flush()
        if self._limit_bytes:
            memory_bytes = self._read_memory()
            self.memory_bytes_max = max(self.memory_bytes_max, memory_bytes)
            self._memory.read(memory_bytes / self._limit_bytes)
        if flush or self._memory.rung >= SPILL:
            self.spilled_bytes += spill()
        if self._memory.rung >= DROP and (begun_s := now_s()) >= self._drops_again_s:
            drop_caches()
            self._drops_again_s = begun_s + (now_s() - begun_s) / _DROPS_SHARE

    @property
    def rungs(self) -> tuple[str, ...]:
        """Names of the rungs that are stood on now, those of the queues first; empty at rest."""
        queues = max(self.reading.ladder, self.writing.ladder, key=lambda ladder: ladder.rung)
        return tuple(name for name in (queues.name, self._memory.name) if name)

    def told(self) -> dict[str, int]:
        """How often each rung was entered, and the highest readings, for JSON."""
        entered = self.reading.ladder.entered + self.writing.ladder.entered + self._memory.entered
        names = (*self.writing.ladder.entered, *self._memory.entered)
        return {
            **{name: entered[name] for name in names},
            "queue_batches_max": max(self.reading.waiting_max, self.writing.waiting_max),
            "memory_bytes_max": self.memory_bytes_max,
            "spilled_bytes": self.spilled_bytes,
        }


def now_s() -> float:
    """The clock of stalls, in seconds: it never runs backwards."""
    return time.monotonic()
