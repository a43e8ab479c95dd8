"""What a benchmark is asked for and what it tells: options, figures, ratios that no machine changes."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One claim: what was measured beside what is aimed for.

    ``is_met`` is None where there is no target. ``ratio`` is how many times as much as the same run gave for
    ``ratio_to``, which makes the figure independent of the machine; ``detail`` says what lies behind it.
    """

    claim: str
    figure: float
    unit: str
    target: str = ""
    is_met: bool | None = None
    ratio: float | None = None
    ratio_to: str = ""
    detail: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What one benchmark told: its figures, what else its JSON has by name, and what was wrong.

    ``wrong`` has a sentence for each answer that is not what it must be; the command then ends with status 1.
    """

    figures: list[Figure]
    told: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a benchmark measures on; each takes those of these that mean something to it.

    Attributes
    ----------
    seed
        Of all data that are made.
    rows
        Rows of the archive or updates of the book that are made; 0 for the benchmark's own number.
    messages
        Messages of the capture that is made.
    repeats
        Times of which the median is told.
    sizes
        Rows of the archives of ``scale``, rising.
    source
        A user's own files in place of those that are made.
    folder
        Where input and output lie while it runs; a temporary one if None.
    report
        File for the page of ``claims`` or ``verdict``; none is written if None.
    quick
        Whether ``verdict`` makes do with fewer trials.
    """

    seed: int = 7
    rows: int = 0
    messages: int = 240_000
    repeats: int = 3
    sizes: tuple[int, ...] = (1_000_000, 10_000_000)
    source: Path | None = None
    folder: Path | None = None
    report: Path | None = None
    quick: bool = False


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median wall time of a piece of work, in seconds."""
    return statistics.median(_once(work, time.perf_counter) for _ in range(max(1, repeats)))


def cpu_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median processor time of a piece of work in this process, in seconds: for kernels, one core of work."""
    return statistics.median(_once(work, time.process_time) for _ in range(max(1, repeats)))


def _once(work: Callable[[], Any], clock: Callable[[], float]) -> float:
    begun = clock()
    work()
    return max(clock() - begun, 1e-9)


def middle(values: Iterable[float]) -> float:
    """The median; 0 if there are none."""
    given = list(values)
    return statistics.median(given) if given else 0.0


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
