"""How late messages come, as a histogram of bounded size: its percentiles are right to one per cent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_SUB_BITS = 6
"""A bucket is 1/64 to 1/128 of its value wide, so its middle is within 1/128 of all that is in it."""
_HALF = 1 << _SUB_BITS


class LagHistogram:
    """Counts lags in ns by size; negative ones, where the local clock is behind, in buckets of their own.

    No lag of int64 makes more than about eight thousand buckets; those of a market fill a few hundred.
    """

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.total = 0

    def add(self, lag_ns: int) -> None:
        """Count one lag."""
        size = lag_ns if lag_ns >= 0 else -lag_ns
        shift = size.bit_length() - _SUB_BITS - 1
        bucket = size if shift <= 0 else (shift << _SUB_BITS) + (size >> shift)
        if lag_ns < 0:
            bucket = ~bucket
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.total += 1

    def add_all(self, other: LagHistogram) -> None:
        """Count all that another one has counted."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.total += other.total

    def percentiles(self, shares: Iterable[float]) -> list[int | None]:
        """Lags in ns that these shares of all messages do not exceed; None where nothing was counted."""
        if not self.total:
            return [None for _ in shares]
        ordered = sorted(self._counts.items())
        found: list[int | None] = []
        for share in shares:
            rank, below = max(1, -(-self.total * share // 1)), 0
            for bucket, count in ordered:
                below += count
                if below >= rank:
                    found.append(_middle(bucket) if bucket >= 0 else -_middle(~bucket))
                    break
        return found

    def told(self) -> Mapping[str, float | None]:
        """P50, P95 and P99 in ms, for JSON."""
        values = self.percentiles((0.50, 0.95, 0.99))
        names = ("p50_ms", "p95_ms", "p99_ms")
        return {
            name: None if value is None else round(value / 1e6, 3)
            for name, value in zip(names, values, strict=True)
        }


def _middle(bucket: int) -> int:
    """The middle of a bucket, in ns."""
    if bucket < 2 * _HALF:
        return bucket
    shift = (bucket >> _SUB_BITS) - 1
    low = (bucket - (shift << _SUB_BITS)) << shift
    return low + (1 << shift >> 1)


class RecentLag:
    """Lags since the start, and of the last one to two minutes.

    Parameters
    ----------
    turn_ns
        After so long, in ns, what is recent becomes what was.
    """

    __slots__ = ("_before", "_now", "_turn_ns", "_turned_ns", "whole")

    def __init__(self, turn_ns: int = 60_000_000_000) -> None:
        self.whole = LagHistogram()
        self._before, self._now = LagHistogram(), LagHistogram()
        self._turn_ns, self._turned_ns = turn_ns, 0

    def add(self, lag_ns: int) -> None:
        """Count one lag."""
        self._now.add(lag_ns)

    def turn(self, now_ns: int) -> None:
        """Let what is no longer recent go into the whole; to be called now and then."""
        if now_ns - self._turned_ns >= self._turn_ns:
            self._turned_ns = now_ns
            self.whole.add_all(self._before)
            self._before, self._now = self._now, LagHistogram()

    def recent(self) -> LagHistogram:
        """Lags of the last one to two turns."""
        joined = LagHistogram()
        joined.add_all(self._before)
        joined.add_all(self._now)
        return joined

    def all(self) -> LagHistogram:
        """Lags since the start."""
        joined = self.recent()
        joined.add_all(self.whole)
        return joined
