"""Equivalence: how far golden lies from golden, and how far recon may lie at most, with blocks drawn anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.blocks import Blocks
from rlx_datapipe.fidelity.distances import FloatArray

SPLITS = 200


@dataclass(frozen=True)
class Floor:
    """The noise floor: distances between golden windows themselves.

    Parameters
    ----------
    distances
        float64 of shape (k,), of disjoint groups of golden windows.
    pairs
        How many pairs of disjoint matched windows there are to draw them from: the evidence behind them.
    days
        On how many days the windows lie.
    """

    distances: FloatArray
    pairs: int
    days: int = 1

    def quantile(self, share: float) -> float:
        """A quantile of the golden distances, the next greater one; infinity when there are none."""
        return _quantile(self.distances, share) if len(self.distances) else float("inf")


def matched_pairs(hours: Int64Array, volatility: FloatArray, buckets: int = 3) -> Int64Array:
    """All pairs of windows of one hour of the day and one bucket of volatility, int64 of shape (pairs, 2).

    Parameters
    ----------
    hours
        Hour of the day of each window, int64 (windows,).
    volatility
        Realised volatility of each window, float64 (windows,); buckets are equal shares of the windows.
    """
    if len(hours) != len(volatility) or buckets < 1:
        raise OptionError("each window has an hour and a volatility", found=(len(hours), len(volatility)))
    rank = np.argsort(np.argsort(volatility, kind="stable"), kind="stable")
    stratum = hours * buckets + rank * buckets // max(1, len(hours))
    first, second = np.triu_indices(len(hours), k=1)
    same = stratum[first] == stratum[second]
    return np.stack([first[same], second[same]], axis=1).astype(np.int64)


def window_floor(blocks: Blocks, pairs: Int64Array, days: int = 1) -> Floor:
    """The floor for a comparison of one window with one window: distances of all matched golden pairs."""
    rows = np.arange(len(pairs))
    sides = np.zeros((2, len(pairs), blocks.golden_blocks + blocks.recon_blocks))
    sides[0, rows, pairs[:, 0]] = 1.0
    sides[1, rows, pairs[:, 1]] = 1.0
    return Floor(blocks.apart(sides[0], sides[1]), len(pairs), days)


def half_floor(
    blocks: Blocks,
    pairs: int,
    rng: np.random.Generator,
    *,
    splits: int = SPLITS,
    days: int = 1,
    group: Int64Array | None = None,
) -> Floor:
    """The floor for a comparison of all windows with all: golden split at random into halves, many times.

    Windows, not events, are split, or whole groups of neighbours (``group`` has the number of each golden
    window's, ascending from 0). A half has half of the data, so this floor is conservative: it lies above
    the distance of two whole golden sides.
    """
    group = np.arange(blocks.golden_blocks) if group is None else group
    count = int(group[-1]) + 1 if len(group) else 0
    if count < 2:
        return Floor(np.zeros(0), 0, days)
    first = np.zeros((splits, count))
    first[:, : count // 2] = 1.0
    first = rng.permuted(first, axis=1)[:, group]
    nothing = np.zeros((splits, blocks.recon_blocks))
    halves = [np.concatenate([side, nothing], axis=1) for side in (first, 1.0 - first)]
    return Floor(blocks.apart(halves[0], halves[1]), pairs, days)


def draw_matrix(blocks: int, rounds: int, rng: np.random.Generator) -> FloatArray:
    """How often each block is drawn in each round, with replacement, float64 of shape (rounds, blocks)."""
    if blocks < 1:
        raise OptionError("nothing to draw from: no blocks")
    return rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=rounds).astype(np.float64)


def resampled_distances(golden_draws: FloatArray, recon_draws: FloatArray, blocks: Blocks) -> FloatArray:
    """Distance of the two sides in each round, with the blocks of both drawn anew, float64 (rounds,)."""
    first = np.concatenate([golden_draws, np.zeros_like(recon_draws)], axis=1)
    second = np.concatenate([np.zeros_like(golden_draws), recon_draws], axis=1)
    return blocks.apart(first, second)


def lower_bound(distances: FloatArray, apart: float, share: float = 0.95) -> float:
    """The bound above which the distance lies: as far below it as this share lies below their middle.

    Not the quantile itself: a distance is never negative, so drawing anew adds to it.
    """
    if np.isnan(distances).any():
        return 0.0
    middle, low = np.quantile(distances, [0.5, 1 - share])
    return max(0.0, apart - float(middle - low))


def upper_bound(distances: FloatArray, share: float = 0.95) -> float:
    """The bound below which this share of the resampled distances lies; infinity if one is not defined."""
    return _quantile(distances, share)


def _quantile(distances: FloatArray, share: float) -> float:
    if np.isnan(distances).any():
        return float("inf")
    return float(np.quantile(distances, share, method="higher"))
