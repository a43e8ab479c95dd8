"""What could not be read: counts by reason, and what refused times look like they were meant to be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from rlx_datapipe.core.breaks import Break, breaks_off
from rlx_datapipe.core.feed import Reject

_TIMES = {"timestamp", "origin_time", "received_time", "receipt_timestamp", "local_timestamp", "E", "T"}
_UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_EARLIEST_NS, _LATEST_NS = 1_483_228_800 * 10**9, 4_102_444_800 * 10**9
"""The years 2017 to 2100: within them no unit can be taken for another."""
_REASONS_MAX = 100
_OTHERS = "others"
_EMPTY = {"null", "none", "nan", ""}


class Refused:
    """Counts of rejects, in bounded memory.

    Attributes
    ----------
    reasons
        Rejects by field and reason; numbers in a reason are told as ``#``, and reasons beyond the first
        hundred as ``others``.
    times
        Refused times: ``missing``, ``zero``, ``out of range``, or the unit that would make them sound.
    breaks
        Where a file breaks off.
    """

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.times: Counter[str] = Counter()
        self.breaks: list[Break] = []

    @property
    def total(self) -> int:
        """All rejects."""
        return self.reasons.total()

    def add(self, rejects: Iterable[Reject]) -> None:
        """Take in the next rejects."""
        for reject in rejects:
            reason = re.sub(
                r"\d+", "#", f"{reject.field}: {reject.reason}" if reject.field else reject.reason
            )
            self._count(reason, 1)
            if reject.field in _TIMES:
                self.times[_meant(reject.found)] += 1
            if breaks_off(reject.reason):
                self.breaks.append(Break(reject.file, reject.row, reject.reason))

    def merge(self, later: Refused) -> None:
        """Take in what was counted later."""
        for reason, count in later.reasons.items():
            self._count(reason, count)
        self.times += later.times
        self.breaks += later.breaks

    def _count(self, reason: str, count: int) -> None:
        known = reason in self.reasons or len(self.reasons) < _REASONS_MAX
        self.reasons[reason if known else _OTHERS] += count


def _meant(found: str) -> str:
    """What a refused time is: nothing, zero, a time in another unit, or nonsense."""
    if found.lower() in _EMPTY:
        return "missing"
    try:
        value = float(found)
    except ValueError:
        return "out of range"
    if value == 0:
        return "zero"
    fitting = (unit for unit, ns in _UNITS.items() if _EARLIEST_NS <= value * ns < _LATEST_NS)
    return next(fitting, "out of range")
