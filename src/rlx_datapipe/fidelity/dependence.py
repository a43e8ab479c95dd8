"""Dependence in time: how long a series remembers, and the blocks that may be shuffled because of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.bins import Bins
from rlx_datapipe.fidelity.distances import FloatArray

CORRELATION_TIMES = 5
"""Correlation times that a block must span; with one of them a test at 5 % rejects 25 % (phi .999)."""
BLOCKS_MIN = 20
"""Blocks that a side needs: fewer can't be shuffled into enough arrangements, nor show their own spread."""
POINTS_MAX = 100_000
"""Points on which a block length is estimated; a longer series is averaged down to that first."""


@dataclass(frozen=True)
class BlockLength:
    """How long blocks must be, in points of the series, and whether there are enough of them.

    ``needed`` is what the dependence asks for; ``length`` is that within the bounds of the series.
    """

    needed: int
    length: int
    correlation_time: float
    optimal: float
    blocks: int

    @property
    def is_enough(self) -> bool:
        """Whether the series is long enough for blocks of the length that it needs."""
        return self.length >= self.needed and self.blocks >= BLOCKS_MIN


def autocorrelation(values: FloatArray, lags: int) -> FloatArray:
    """Autocorrelation at lags 0 to ``lags``, divisor n, by FFT; NaN where the values are constant.

    Raises
    ------
    OptionError
        When the series is not longer than the lags.
    """
    count = len(values)
    if count <= lags:
        raise OptionError("a series shorter than its lags", found=count, expected=f"more than {lags} values")
    centred = values - values.mean()
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    products = np.fft.irfft(spectrum * spectrum.conj(), size)[: lags + 1]
    scale = float(centred @ centred)
    tiny = np.finfo(np.float64).eps ** 2 * count * float(np.abs(values).max()) ** 2
    return products / scale if scale > tiny else np.full(lags + 1, np.nan)


def correlation_time(values: npt.ArrayLike) -> float:
    """Sum of the autocorrelations from lag 0 on, in points: 1 if independent, 1 / (1 - phi) for AR(1).

    Summed over pairs of lags as long as these are positive and falling (Geyer's initial monotone sequence).
    Constant series remember for ever: infinity.

    References
    ----------
    Geyer (1992), "Practical Markov chain Monte Carlo".
    """
    series = np.asarray(values, dtype=np.float64)
    if len(series) < 4:
        return float("inf")
    rho = autocorrelation(series, len(series) // 2)
    if np.isnan(rho[0]):
        return float("inf")
    pairs = rho[: len(rho) // 2 * 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: ends[0]] if len(ends) else pairs)
    return max(1.0, float(pairs.sum()))


def block_length(values: npt.ArrayLike, *, least: int = 1, greatest: int | None = None) -> BlockLength:
    """Length of blocks: the greater of twice the optimal length and five correlation times, within bounds.

    A distribution has more memory than a mean: returns are uncorrelated, their size is not. So the length is
    that of the ranks or of their distance from the middle, whichever remembers longer; ranks because heavy
    tails hide correlation.

    Parameters
    ----------
    values
        The series in the order of time, evenly spaced or one per event.
    least, greatest
        Bounds in points; the greatest defaults to a twentieth of the series, so that there are 20 blocks.

    References
    ----------
    Politis and White (2004), Patton, Politis and White (2009), by ``arch.bootstrap.optimal_block_length``.
    """
    series = np.asarray(values, dtype=np.float64)
    greatest = len(series) // BLOCKS_MIN if greatest is None else greatest
    if len(series) < BLOCKS_MIN:
        return BlockLength(max(1, least), max(1, least), float("inf"), float("nan"), len(series))
    coarse = -(-len(series) // POINTS_MAX)
    ranks = _ranks(series)
    memory, optimal = 0.0, 0.0
    for looked in (ranks, np.abs(ranks - 0.5)):
        averaged = looked[: len(looked) // coarse * coarse].reshape(-1, coarse).mean(axis=1)
        if averaged.std() <= 1e-12:
            continue
        memory = max(memory, correlation_time(averaged) * coarse)
        optimal = max(optimal, _optimal(averaged) * coarse)
    if memory == 0.0:  # one value only: any block is like any other
        memory = optimal = 1.0
    needed = max(int(np.ceil(max(2 * optimal, CORRELATION_TIMES * memory))), least, 1)
    length = max(1, min(needed, greatest))
    return BlockLength(needed, length, memory, optimal, len(series) // length)


def neighbour_memory(levels: FloatArray) -> float:
    """Autocorrelation of neighbouring blocks where it is beyond chance, else 0.

    Blocks may be shuffled only if they are about independent. Beyond chance is above 0.2 and above three of
    the standard errors that independent blocks have.
    """
    known = levels[~np.isnan(levels)]
    if len(known) < 4:
        return 0.0
    memory = float(autocorrelation(known, 1)[1])
    return memory if memory > max(0.2, 3 / len(known) ** 0.5) else 0.0


def block_histograms(
    segments: Sequence[FloatArray],
    length: int,
    bins: Bins,
    weights: Sequence[Int64Array] | None = None,
) -> Int64Array:
    """Histogram of each block over golden bins, int64 of shape (blocks, bins).

    Parameters
    ----------
    segments
        Stretches of the series without a gap in them; no block reaches over the end of one.
    length
        Points of a block at least; a segment is cut into as many blocks of nearly one size as it has room
        for, and one that is shorter than a block is left out.
    bins
        Edges, from the golden side.
    weights
        Weight of each value in integers (say, nanoseconds), shaped as the segments.
    """
    if length < 1:
        raise OptionError("a block has at least one point", found=length)
    rows = []
    for number, segment in enumerate(segments):
        blocks = len(segment) // length
        if not blocks:
            continue
        index = bins.index(segment) + np.repeat(np.arange(blocks), _sizes(len(segment), blocks)) * len(bins)
        counts = np.zeros(blocks * len(bins), dtype=np.int64)
        if weights is None:
            counts += np.bincount(index, minlength=len(counts))
        else:
            np.add.at(counts, index, weights[number])
        rows.append(counts.reshape(blocks, len(bins)))
    return np.concatenate(rows) if rows else np.zeros((0, len(bins)), dtype=np.int64)


def _sizes(total: int, parts: int) -> npt.NDArray[np.int64]:
    """Sizes of parts that differ by one at most."""
    ends = np.arange(parts + 1, dtype=np.int64) * total // parts
    return np.diff(ends)


def _ranks(series: FloatArray) -> FloatArray:
    """Midranks in (0, 1)."""
    ordered = np.sort(series)
    low = np.searchsorted(ordered, series, side="left")
    high = np.searchsorted(ordered, series, side="right")
    return (low + high) / (2.0 * len(series))


def _optimal(series: FloatArray) -> float:
    from arch.bootstrap import optimal_block_length

    found = float(optimal_block_length(series)["circular"].iloc[0])
    return found if np.isfinite(found) else 1.0
