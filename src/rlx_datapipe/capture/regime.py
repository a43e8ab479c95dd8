"""Market regimes: each stretch of a capture is high, normal or low beside those before it, or special.

A fidelity figure of a calm night says little of a crash. So each sealed segment tells its market's temper.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.period import parse_time
from rlx_datapipe.core.told_settings import read_toml
from rlx_datapipe.store.capture_market import Measures, Regime

TRAILING = 288
"""Stretches that are looked back on; of five minutes each, a day."""
_MAJORITY = 2


class Special(msgspec.Struct, frozen=True):
    """A period that is not to be judged by quantiles: a release of figures, a fork, a listing."""

    name: str
    from_ns: int
    to_ns: int


class RegimeDetector:
    """Tells the regime of one symbol's stretches, one after the other.

    A stretch is ``high`` when at least two of volume rate, volatility and spread lie above the upper quantile
    of the trailing stretches, ``low`` when two lie below the lower one, and ``normal`` else. It is compared
    with what came before it only, so that its regime never changes afterwards. ``special`` when it touches a
    period of the calendar; ``unknown`` until there is enough to compare with.

    Parameters
    ----------
    trailing
        Stretches that are looked back on, at most.
    least
        Stretches without which nothing is told.
    low, high
        Quantiles, in 0 to 1.
    calendar
        Special periods.

    Raises
    ------
    OptionError
        When the quantiles are not in order, or fewer stretches are kept than are needed.
    """

    def __init__(
        self,
        *,
        trailing: int = TRAILING,
        least: int = 12,
        low: float = 0.1,
        high: float = 0.9,
        calendar: Sequence[Special] = (),
    ) -> None:
        if not 0 <= low < high <= 1:
            raise OptionError("quantiles of a regime lie in 0 to 1, the lower one first", found=(low, high))
        if not 1 <= least <= trailing:
            raise OptionError("a regime needs at least one stretch to compare with", found=(least, trailing))
        self._least, self._quantiles, self._calendar = least, (low, high), tuple(calendar)
        self._seen: deque[tuple[float, ...]] = deque(maxlen=trailing)

    def judge(self, measures: Measures, from_ns: int, to_ns: int) -> Regime:
        """The regime of a stretch that lies at these times in ns UTC, beside those that were added."""
        is_special = any(from_ns < period.to_ns and period.from_ns <= to_ns for period in self._calendar)
        return "special" if is_special else self._compared(_values(measures))

    def add(self, measures: Measures) -> None:
        """Let those that follow be compared with a stretch."""
        self._seen.append(_values(measures))

    def _compared(self, values: tuple[float, ...]) -> Regime:
        known = above = below = 0
        for value, before in zip(values, np.array(self._seen).T, strict=False):
            held = before[~np.isnan(before)]
            if math.isnan(value) or len(held) < self._least:
                continue
            low, high = np.quantile(held, self._quantiles)
            known, above, below = known + 1, above + (value > high), below + (value < low)
        if known < _MAJORITY:
            return "unknown"
        return "high" if above >= _MAJORITY else "low" if below >= _MAJORITY else "normal"


def _values(measures: Measures) -> tuple[float, ...]:
    told = (measures.volume_per_s, measures.volatility_bps, measures.spread_bps)
    return tuple(math.nan if value is None else value for value in told)


def read_calendar(path: Path) -> tuple[Special, ...]:
    """Special periods of a TOML file, in order of time.

    It has a list ``period``, each with ``name``, ``from`` and ``to``: ISO 8601, UTC where no zone is given.

    Raises
    ------
    OptionError
        When it can't be read, or a period has no name, no time, or ends before it begins.
    """
    told = read_toml(path, "the calendar")
    periods = []
    for number, row in enumerate(told.get("period", []), start=1):
        if not {"name", "from", "to"} <= set(row):
            raise OptionError(
                "a period needs name, from and to", file=path, row=number, found=", ".join(sorted(row))
            )
        period = Special(str(row["name"]), parse_time(row["from"]), parse_time(row["to"]))
        if period.to_ns <= period.from_ns:
            raise OptionError("a period ends before it begins", file=path, row=number, found=period.name)
        periods.append(period)
    return tuple(sorted(periods, key=lambda period: (period.from_ns, period.to_ns, period.name)))
