"""Memory between windows: how many of them make a block, and how much of it is left between the blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.dependence import BLOCKS_MIN, block_length, neighbour_memory
from rlx_datapipe.fidelity.distances import FloatArray

Course = tuple[FloatArray, FloatArray]
"""A number of each golden and of each recon window, NaN where there is none."""
PERSISTENCE_MAX = 0.97
"""Correlation of neighbours that is reckoned with at most: blocks are then worth 1/66 of their number."""
KNOWN_MIN = 4
UPPER = 1.645
"""Standard errors by which the correlation of neighbours may be more than what is seen: its 95 % bound."""


@dataclass(frozen=True)
class Grouping:
    """Windows of both sides put together into blocks of neighbours, which are shuffled and drawn as wholes.

    Parameters
    ----------
    golden, recon
        Number of the block of each window, ascending from 0, int64 (windows,).
    length
        Windows of a block.
    """

    golden: Int64Array
    recon: Int64Array
    length: int

    @property
    def golden_blocks(self) -> int:
        """Number of golden blocks."""
        return int(self.golden[-1]) + 1

    @property
    def recon_blocks(self) -> int:
        """Number of recon blocks."""
        return int(self.recon[-1]) + 1

    def spread(self, weights: FloatArray) -> FloatArray:
        """Weights of blocks, float64 (rows, golden blocks + recon blocks), as weights of their windows."""
        return weights[:, np.concatenate([self.golden, self.golden_blocks + self.recon])]

    def means(self, course: Course) -> Course:
        """Mean of each block, NaN where none of its windows has a number."""
        return _means(course[0], self.golden), _means(course[1], self.recon)


def grouped(golden: int, recon: int, length: int) -> Grouping:
    """Blocks of neighbours of about ``length`` windows, sizes differing by one at most."""
    sides = [np.arange(count, dtype=np.int64) * max(1, count // length) // count for count in (golden, recon)]
    return Grouping(golden=sides[0], recon=sides[1], length=length)


def windows_per_block(courses: Iterable[Course], windows: int) -> int:
    """Windows that a block needs for the one metric that remembers longest, as far as there are enough.

    1 where neighbours are not correlated beyond chance; else what `dependence.block_length` says, but so few
    that `BLOCKS_MIN` blocks are left. What memory remains between blocks is for `inflation`.

    Parameters
    ----------
    windows
        Windows of the side that has fewer.
    """
    greatest = windows // BLOCKS_MIN
    if greatest < 2:
        return 1
    needed = 1
    for course in courses:
        for side in course:
            known = side[~np.isnan(side)]
            if len(known) >= BLOCKS_MIN and neighbour_memory(known):
                needed = max(needed, block_length(known).needed)
    return min(needed, greatest)


def inflation(courses: Iterable[Course]) -> float:
    """How many times the variance of a mean over blocks may exceed that over independent ones, at least 1.

    The greatest over the courses, each at the upper 95 % bound of what both sides together show: a short
    stretch can't show a long memory, and what it can't show is not taken for absent. Twice estimated, as that
    of an AR(1) and by the sum of autocorrelations (Geyer's), both freed of the bias of short series. A side
    of fewer than four blocks tells nothing, so the most is reckoned with.

    References
    ----------
    Kendall (1954), "Note on bias in the estimation of autocorrelation". Geyer (1992), "Practical Markov chain
    Monte Carlo".
    """
    told = [_inflation([side[~np.isnan(side)] for side in course]) for course in courses]
    return float(max(told, default=1.0))


def _inflation(sides: Sequence[FloatArray]) -> float:
    fewest = min(len(side) for side in sides)
    if fewest < KNOWN_MIN:
        return _of(PERSISTENCE_MAX)
    centred = [side - side.mean() for side in sides]
    squares = sum(float(side @ side) for side in centred)
    if not squares > 0:
        return 1.0
    rho = np.array(
        [sum(float(side[k:] @ side[: len(side) - k]) for side in centred) for k in range(fewest // 2)]
    )
    rho /= squares
    error = 1 / sum(len(side) for side in sides) ** 0.5
    neighbours = rho[1] + (1 + 3 * rho[1]) / fewest + UPPER * error
    rho[1:] += 1 / fewest
    pairs = rho[: len(rho) // 2 * 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    summed = 2 * float(np.minimum.accumulate(pairs[: ends[0]] if len(ends) else pairs).sum()) - 1
    return max(1.0, _of(min(max(neighbours, 0.0), PERSISTENCE_MAX)), min(summed, _of(PERSISTENCE_MAX)))


def _of(persistence: float) -> float:
    return (1 + persistence) / (1 - persistence)


def effective_pairs(blocks: int, inflated: float) -> int:
    """Pairs of independent blocks that so many dependent ones are worth."""
    worth = blocks / inflated
    return max(0, ceil(worth * (worth - 1) / 2 - 1e-9))


def _means(values: FloatArray, group: Int64Array) -> FloatArray:
    known = ~np.isnan(values)
    sums = np.bincount(group, np.where(known, values, 0.0))
    held = np.bincount(group, known)
    return np.where(held > 0, sums / np.maximum(held, 1), np.nan)
