"""What a metric says block by block, and how far two weighings of the blocks lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.distances import FloatArray

_ROWS = 256
_EXACT = 2**53


class Statistic(StrEnum):
    """Which distance is taken between two histograms over the same bins."""

    KS = "ks"
    ANDERSON_DARLING = "anderson_darling"
    ENERGY = "energy"
    WASSERSTEIN = "wasserstein"
    TOTAL_VARIATION = "total_variation"
    """Half the sum of the differences of shares: for values without an order."""


class Blocks(Protocol):
    """What one metric says of both sides: golden blocks, then recon blocks, each in the order of time."""

    @property
    def golden_blocks(self) -> int:
        """Number of golden blocks."""

    @property
    def recon_blocks(self) -> int:
        """Number of recon blocks."""

    @property
    def levels(self) -> tuple[FloatArray, FloatArray]:
        """A number that tells where each golden and each recon block lies; NaN where nothing is in it."""

    @property
    def courses(self) -> Sequence[tuple[FloatArray, FloatArray]]:
        """Numbers of each block whose memory the distance shares: where it lies, how wide it is."""

    @property
    def order(self) -> int:
        """1 for a distance that grows with deviations, 2 for one that grows with their squares."""

    def apart(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """Distance of two weighings of all blocks in each row, float64 (rows,).

        ``first`` and ``second`` are whole numbers in float64 of shape (rows, golden_blocks + recon_blocks):
        how often each block counts. A permutation, a resampling with replacement and a split of golden into
        halves are all of this form.
        """


@dataclass(frozen=True)
class _TwoSides:
    """Rows of both sides, one a block; what most kinds of blocks share."""

    golden: npt.NDArray[Any]
    recon: npt.NDArray[Any]

    @property
    def golden_blocks(self) -> int:
        """Number of golden blocks."""
        return len(self.golden)

    @property
    def recon_blocks(self) -> int:
        """Number of recon blocks."""
        return len(self.recon)

    @property
    def levels(self) -> tuple[FloatArray, FloatArray]:
        """The numbers themselves."""
        return self.golden, self.recon

    @property
    def courses(self) -> Sequence[tuple[FloatArray, FloatArray]]:
        """Where each block lies."""
        return (self.levels,)

    @property
    def order(self) -> int:
        """See `Blocks`."""
        return 1

    def _require(self, dimensions: int) -> None:
        """See that both sides are arrays of numbers with as many dimensions, and rows of one length."""
        for side in (self.golden, self.recon):
            if not isinstance(side, np.ndarray) or side.dtype.kind not in "iuf":
                raise OptionError("blocks are arrays of numbers", found=type(side).__name__)
            if side.ndim != dimensions or side.shape[1:] != self.golden.shape[1:]:
                raise OptionError("blocks of another shape", found=(self.golden.shape, side.shape))


@dataclass(frozen=True)
class BlockCounts(_TwoSides):
    """A distribution in each block.

    Parameters
    ----------
    golden, recon
        Histogram of each block, int64 of shape (blocks, bins).
    centres
        Value that stands for each bin, float64 of shape (bins,), ascending.
    statistic
        The distance that decides.
    """

    golden: Int64Array
    recon: Int64Array
    centres: FloatArray
    statistic: Statistic = Statistic.KS

    def __post_init__(self) -> None:
        self._require(2)
        if self.golden.shape[1:] != np.shape(self.centres):
            raise OptionError("block histograms over other bins", found=self.golden.shape)
        if not np.isfinite(self.centres).all() or (np.diff(self.centres) <= 0).any():
            raise OptionError("centres of bins are finite, and each above the one before")
        if min(self.golden.min(initial=0), self.recon.min(initial=0)) < 0:
            raise OptionError("a histogram has no counts below 0")
        if int(self.golden.sum()) + int(self.recon.sum()) >= _EXACT // 8:
            raise OptionError("histograms too heavy for exact sums; weigh in a coarser unit")

    @property
    def levels(self) -> tuple[FloatArray, FloatArray]:
        """Mean number of the bin in each block: a rank, so that heavy tails do not hide the rest."""
        bins = np.arange(len(self.centres))
        held = [np.where(side.any(axis=1), side.sum(axis=1), np.nan) for side in (self.golden, self.recon)]
        return self.golden @ bins / held[0], self.recon @ bins / held[1]

    @property
    def courses(self) -> Sequence[tuple[FloatArray, FloatArray]]:
        """Mean bin, and mean distance from the middle of the golden sample: returns remember their size."""
        total = self.golden.sum(axis=0).cumsum()
        wide = np.abs(np.arange(len(self.centres)) - int(np.searchsorted(total, total[-1] / 2)))
        held = [np.where(side.any(axis=1), side.sum(axis=1), np.nan) for side in (self.golden, self.recon)]
        return self.levels, (self.golden @ wide / held[0], self.recon @ wide / held[1])

    @property
    def order(self) -> int:
        """See `Blocks`."""
        return 2 if self.statistic in (Statistic.ANDERSON_DARLING, Statistic.ENERGY) else 1

    def apart(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """See `Blocks`; 0 where a weighing is empty.

        Sums of integers below 2^53 are exact in float64, so the outcome does not depend on the number of
        threads of the matrix product.
        """
        blocks = np.concatenate([self.golden, self.recon]).astype(np.float64)
        rows = [
            self._rows(first[at : at + _ROWS] @ blocks, second[at : at + _ROWS] @ blocks)
            for at in range(0, len(first), _ROWS)
        ]
        return np.concatenate(rows)

    def _rows(self, first: FloatArray, second: FloatArray) -> FloatArray:
        gap = _distribution(first) - _distribution(second)
        if self.statistic is Statistic.KS:
            return np.asarray(np.abs(gap).max(axis=1), dtype=np.float64)
        if self.statistic is Statistic.TOTAL_VARIATION:
            return np.asarray(np.abs(np.diff(gap, axis=1, prepend=0.0)).sum(axis=1) / 2, dtype=np.float64)
        if self.statistic is Statistic.ANDERSON_DARLING:
            share = _distribution(first + second)
            inside = share * (1 - share)
            steps = np.diff(share, axis=1, prepend=0.0)
            squares = np.where(inside > 0, gap**2 * steps / np.where(inside > 0, inside, 1.0), 0.0)
            return np.asarray(squares.sum(axis=1), dtype=np.float64)
        widths = np.diff(self.centres)
        if self.statistic is Statistic.WASSERSTEIN:
            return np.asarray((np.abs(gap[:, :-1]) * widths).sum(axis=1), dtype=np.float64)
        return np.asarray(2 * (gap[:, :-1] ** 2 * widths).sum(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class BlockNumbers(_TwoSides):
    """One number in each block, float64 (blocks,), NaN where it is not defined; means are compared."""

    golden: FloatArray
    recon: FloatArray

    def __post_init__(self) -> None:
        self._require(1)

    def apart(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """See `Blocks`: the absolute difference of the means of the blocks in which the number is defined.

        NaN where a weighing has no such block.
        """
        values = np.concatenate([self.golden, self.recon])
        known = ~np.isnan(values)
        values = np.where(known, values, 0.0)
        means = []
        for weights in (first, second):
            held = (weights * known).sum(axis=1)
            means.append((weights * values).sum(axis=1) / np.where(held > 0, held, np.nan))
        return np.asarray(np.abs(means[0] - means[1]), dtype=np.float64)


@dataclass(frozen=True)
class BlockVectors(_TwoSides):
    """Several numbers in each block, float64 (blocks, numbers), NaN where one is not defined.

    The distance is the greatest difference between the means of a number over the blocks that have it.
    """

    golden: FloatArray
    recon: FloatArray

    def __post_init__(self) -> None:
        self._require(2)

    @property
    def levels(self) -> tuple[FloatArray, FloatArray]:
        """Mean of the numbers of each block."""
        return _row_means(self.golden), _row_means(self.recon)

    def apart(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """See `Blocks`; NaN where no number is defined under both weighings."""
        values = np.concatenate([self.golden, self.recon])
        values = values[:, ~np.isnan(values).all(axis=0)]
        if not values.shape[1]:
            return np.full(len(first), np.nan)
        known = (~np.isnan(values)).astype(np.float64)
        values = np.where(known > 0, values, 0.0)
        means = []
        for weights in (first, second):
            held = weights @ known
            means.append((weights @ values) / np.where(held > 0, held, np.nan))
        gaps = np.abs(means[0] - means[1])
        some = ~np.isnan(gaps).all(axis=1)
        greatest = np.where(np.isnan(gaps), -np.inf, gaps).max(axis=1)
        return np.where(some, greatest, np.nan)


def distance(blocks: Blocks) -> float:
    """Distance of golden and recon as they are."""
    golden = np.zeros((1, blocks.golden_blocks + blocks.recon_blocks))
    golden[:, : blocks.golden_blocks] = 1.0
    return float(blocks.apart(golden, 1.0 - golden)[0])


def window_distances(blocks: Blocks) -> FloatArray:
    """Distance of each recon block from the golden block of the same number, float64 (blocks,)."""
    count = blocks.golden_blocks
    if count != blocks.recon_blocks:
        raise OptionError("paired blocks differ in number", found=(count, blocks.recon_blocks))
    one, none = np.eye(count), np.zeros((count, count))
    return blocks.apart(np.concatenate([one, none], axis=1), np.concatenate([none, one], axis=1))


def _distribution(histograms: FloatArray) -> FloatArray:
    """Distribution function of each row; 0 throughout where a row is empty."""
    summed = histograms.cumsum(axis=1)
    return np.asarray(summed / np.maximum(summed[:, -1:], 1), dtype=np.float64)


def _row_means(values: FloatArray) -> FloatArray:
    known = ~np.isnan(values)
    held = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.asarray(sums / np.where(held > 0, held, np.nan), dtype=np.float64)
