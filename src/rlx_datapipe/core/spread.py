"""How int64 values are spread: counts in bins of rising width; quantiles are right to two in a thousand."""

from __future__ import annotations

from math import frexp
from typing import Final

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import Int64Array

_SUB_BITS: Final = 9
_SUB: Final = 1 << _SUB_BITS
_EXACT: Final = 2 * _SUB
"""Values below this have a bin each."""
HALF: Final = (62 - _SUB_BITS) * _SUB + _EXACT
"""Bins of the values from 0 up; as many lie before them for those below 0."""
BINS: Final = 2 * HALF


@helper
def count_value(counts: Int64Array, value: int) -> None:
    """Count one value in ``counts``, int64 of shape (BINS,)."""
    size = value if value >= 0 else -1 - value
    at = size
    if size >= _EXACT:
        # The exponent of a float may be one too high next to a power of two.
        shift = frexp(float(size))[1] - _SUB_BITS - 1
        if size >> shift < _SUB:
            shift -= 1
        at = (shift << _SUB_BITS) + (size >> shift)
    if value >= 0:
        counts[HALF + at] += 1
    else:
        counts[HALF - 1 - at] += 1


@kernel
def count_values(counts: Int64Array, values: Int64Array) -> None:
    """Count values, int64 of shape (n,), in ``counts``, int64 of shape (BINS,)."""
    for i in range(values.shape[0]):
        count_value(counts, values[i])


def _lower_edges() -> Int64Array:
    """The least value of each bin, and behind them all the largest int64."""
    at = np.arange(HALF, dtype=np.int64)
    shift = np.maximum((at >> _SUB_BITS) - 1, 0)
    rising = (at - (shift << _SUB_BITS)) << shift
    top = np.append(rising[1:], np.iinfo(np.int64).max)
    edges = np.concatenate((-top[::-1], rising, top[-1:]))
    edges[0] -= 1
    return edges


EDGES: Final = _lower_edges()
"""Least value of each bin, and behind them all the largest int64: int64 of shape (BINS + 1,)."""


class Spread:
    """Reads what was counted.

    Parameters
    ----------
    counts
        int64 of shape (BINS,), as `count_value` fills them.
    """

    def __init__(self, counts: Int64Array) -> None:
        self._counts = counts
        self._cumulated = np.cumsum(counts)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self._cumulated[-1])

    def quantile(self, share: float) -> int | None:
        """The value that this share does not exceed, rounded towards nought; None without any."""
        if not self.total:
            return None
        at = int(np.searchsorted(self._cumulated, max(1.0, np.ceil(share * self.total))))
        return int(EDGES[at]) if at >= HALF else int(EDGES[at + 1]) - 1

    def told(self) -> dict[str, int | None]:
        """Count and quantiles, for JSON."""
        quantiles = {"p01": 0.01, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
        return {"count": self.total, **{name: self.quantile(share) for name, share in quantiles.items()}}

    def drawn(self, bars_max: int = 48) -> list[tuple[int, int, int]]:
        """Bars for a plot with a logarithmic axis: least value, value behind the last, count."""
        held = np.flatnonzero(self._counts)
        if not len(held):
            return []
        step = -(-(int(held[-1]) + 1 - int(held[0])) // bars_max)
        starts = np.arange(held[0], held[-1] + 1, step)
        sums = np.add.reduceat(self._counts[: held[-1] + 1], starts)
        stops = np.minimum(starts + step, held[-1] + 1)
        return _bars(EDGES[starts], EDGES[stops], sums)

    def drawn_evenly(self, bars_max: int = 48) -> list[tuple[int, int, int]]:
        """Bars for a plot with an even axis; the outermost hold what lies beyond, a thousandth each.

        None is narrower than the bins are there.
        """
        if not self.total:
            return []
        held = np.flatnonzero(self._counts)
        ends = np.searchsorted(self._cumulated, [max(1.0, share * self.total) for share in (0.001, 0.999)])
        first, behind = int(ends[0]), int(ends[1]) + 1
        low, high = int(EDGES[first]), int(EDGES[behind])
        widest = int(np.diff(EDGES[first : behind + 1]).max())
        step = -(-(high - low) // (bars_max * widest)) * widest
        count = -(-(high - low) // step)
        at = np.clip((EDGES[held] - low) // step, 0, count - 1)
        sums = np.bincount(at, weights=self._counts[held], minlength=count)
        starts = low + step * np.arange(count)
        return _bars(starts, starts + step, sums)


def _bars(lows: Int64Array, highs: Int64Array, counts: npt.NDArray[np.number]) -> list[tuple[int, int, int]]:
    return [
        (int(low), int(high), int(count))
        for low, high, count in zip(lows.tolist(), highs.tolist(), counts.tolist(), strict=True)
    ]


def no_spreads(*shape: int) -> Int64Array:
    """Counts of nothing yet, int64 of shape (*shape, BINS)."""
    return np.zeros((*shape, BINS), dtype=np.int64)
