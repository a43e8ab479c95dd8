"""What came when: counts of events over time in a bounded number of equal stretches, and by hour."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import NONE, Field, Int64Array, Kind

NS_PER_HOUR = 3_600_000_000_000
_FINEST_NS = 1_000_000_000
_BINS_MAX = 480
_NO_LAG = 2**62


class Timeline:
    """Counts by stretch of origin time; the stretches are doubled whenever there are too many.

    Their bounds depend on the first and last time alone, so that parts put together equal the whole.

    Attributes
    ----------
    width_ns, first
        Length of a stretch, and the number of the first one: it begins at ``first * width_ns``.
    counts
        int64 of shape (stretches, kinds): event rows.
    least_ns
        int64 of shape (stretches,): the least lag of a message in the stretch, a trace of the clocks' offset.
    hours
        Event rows of each kind, int64 of shape (kinds,), by hour since 1970.
    """

    def __init__(self) -> None:
        self.width_ns, self.first = _FINEST_NS, 0
        self.counts = np.zeros((0, len(Kind)), dtype=np.int64)
        self.least_ns = np.zeros(0, dtype=np.int64)
        self.hours: dict[int, Int64Array] = {}

    def add(self, events: Int64Array) -> None:
        """Take in events in any order, int64 (FIELDS, n)."""
        timed = events[Field.ORIGIN_TIME] != NONE
        events = events if timed.all() else events[:, timed]
        times = events[Field.ORIGIN_TIME]
        if not len(times):
            return
        self._reach(int(times.min()), int(times.max()))
        at = times // self.width_ns - self.first
        kinds = events[Field.KIND]
        self.counts += _counted(at, kinds, len(self.counts))
        # A snapshot's time may be that of the answer, or long before.
        lagging = (kinds != Kind.BOOK_SNAPSHOT) & (events[Field.RECEIVED_TIME] != NONE)
        np.minimum.at(self.least_ns, at[lagging], (events[Field.RECEIVED_TIME] - times)[lagging])
        first_hour = int(times.min()) // NS_PER_HOUR
        hours = times // NS_PER_HOUR - first_hour
        for hour, counts in enumerate(_counted(hours, kinds, int(hours.max()) + 1)):
            if counts.any():
                self._add_hour(first_hour + hour, counts)

    def merge(self, other: Timeline) -> None:
        """Take in what another one counted."""
        if len(other.counts):
            begin, end = other.first * other.width_ns, (other.first + len(other.counts)) * other.width_ns - 1
            self._reach(begin, end)
            while self.width_ns < other.width_ns:
                self._double()
            at = (other.first + np.arange(len(other.counts))) * other.width_ns // self.width_ns - self.first
            np.add.at(self.counts, at, other.counts)
            np.minimum.at(self.least_ns, at, other.least_ns)
        for hour, counts in other.hours.items():
            self._add_hour(hour, counts)

    def lags(self) -> list[int | None]:
        """The least lag of each stretch in ns; None where nothing has one."""
        return [lag if lag < _NO_LAG else None for lag in self.least_ns.tolist()]

    def _add_hour(self, hour: int, counts: Int64Array) -> None:
        self.hours[hour] = self.hours[hour] + counts if hour in self.hours else counts.copy()

    def _reach(self, begin: int, end: int) -> None:
        """Make room for times from ``begin`` to ``end``, ns."""
        if not len(self.counts):
            self.first = begin // self.width_ns
        while True:
            first = min(self.first, begin // self.width_ns)
            behind = max(self.first + len(self.counts), end // self.width_ns + 1)
            if behind - first <= _BINS_MAX:
                break
            if len(self.counts):
                self._double()
            else:
                self.width_ns *= 2
                self.first = begin // self.width_ns
        before, after = self.first - first, behind - self.first - len(self.counts)
        self.counts = np.pad(self.counts, ((before, after), (0, 0)))
        self.least_ns = np.pad(self.least_ns, (before, after), constant_values=_NO_LAG)
        self.first = first

    def _double(self) -> None:
        at = (self.first + np.arange(len(self.counts))) // 2 - self.first // 2
        counts = np.zeros((int(at[-1]) + 1, len(Kind)), dtype=np.int64)
        least_ns = np.full(len(counts), _NO_LAG, dtype=np.int64)
        np.add.at(counts, at, self.counts)
        np.minimum.at(least_ns, at, self.least_ns)
        self.counts, self.least_ns = counts, least_ns
        self.first //= 2
        self.width_ns *= 2


def _counted(at: Int64Array, kinds: Int64Array, count: int) -> Int64Array:
    """Rows by stretch and kind, int64 of shape (count, kinds)."""
    flat = np.bincount(at * len(Kind) + kinds, minlength=count * len(Kind))
    return flat.astype(np.int64, copy=False).reshape(count, len(Kind))
