"""Depth: how much rests at the best prices and behind them, how it leans, and how levels move together."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.batches import BATCH, Correlation, library, on_host
from rlx_datapipe.fidelity.blocks import BlockVectors, Statistic
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import DistributionMetric, Sample, VectorMetric
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.plot_data import HEAT_MAX, HeatMap
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult, Need

LADDERS_MIN = 50


def imbalance(bid: Int64Array, ask: Int64Array) -> FloatArray:
    """(bid - ask) / (bid + ask) of quantities above 0, float64 (n,), in [-1, 1]."""
    return (bid - ask) / (bid + ask)


def level_correlation(levels: Int64Array) -> FloatArray:
    """Correlation of the quantities of all levels of both sides, bids first, float64 (2 depth, 2 depth).

    Only samples in which every level is there count; NaN where a level never changes, or too few are whole.
    """
    sums = Correlation()
    take_levels(sums, levels)
    size = 2 * levels.shape[2]
    return on_host(sums.table()) if sums.rows > 1 else np.full((size, size), np.nan)


def take_levels(sums: Correlation, levels: Int64Array) -> None:
    """Take the quantities of sampled books into a correlation, in batches on the device that there is."""
    xp = library()
    for at in range(0, len(levels), BATCH):
        quantities = levels[at : at + BATCH, 1::2, :].reshape(-1, 2 * levels.shape[2])
        whole = quantities[(quantities != NONE).all(axis=1)].astype(np.float64)
        sums.update(xp.asarray(whole))


class TouchDepth(DistributionMetric):
    """What rests at the best prices of both sides together."""

    name = "touch_depth"
    severity = Severity.GATE
    category = "depth"
    purpose = "K-S distance of the quantity at the best prices, both sides, weighted by time"
    axis = "quantity"
    formula = "x = q_bid + q_ask at the best prices, weighted by time"
    reference = "definition; U-shaped in the day, so the distribution is compared, not the mean"
    requirements = frozenset({Need.QUOTES})

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Quantities in whole units with their times."""
        quotes = window.quotes
        stood = quotes.hold_ns > 0
        total = (quotes.bid_quantity + quotes.ask_quantity) / window.units
        return Sample(total[stood], quotes.hold_ns[stood])


class Imbalance(DistributionMetric):
    """How the quantity at the best prices leans to the bid."""

    name = "imbalance"
    severity = Severity.GATE
    category = "depth"
    statistic = Statistic.ANDERSON_DARLING
    bounds = (0.0, float("inf"))
    engineering_floor = 0.01
    tolerable = 0.15
    purpose = "Anderson-Darling distance (per pair) of the imbalance at the best prices, weighted by time"
    axis = "imbalance, -1 to 1"
    formula = "x = (q_bid - q_ask) / (q_bid + q_ask) at the best prices, weighted by time"
    reference = "LOB-Bench (arXiv 2502.09172); U-shaped, so the tails are what is compared"
    requirements = frozenset({Need.QUOTES})

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Imbalances with their times."""
        quotes = window.quotes
        stood = (quotes.hold_ns > 0) & (quotes.bid_quantity + quotes.ask_quantity > 0)
        return Sample(
            imbalance(quotes.bid_quantity[stood], quotes.ask_quantity[stood]), quotes.hold_ns[stood]
        )


class DepthCorrelation(VectorMetric):
    """How the quantities of levels move together."""

    name = "depth_correlation"
    category = "depth"
    bounds = (0.0, 2.0)
    engineering_floor = 0.05
    tolerable = 0.3
    purpose = (
        "greatest difference between the mean correlations of level quantities, over all pairs of levels"
    )
    formula = "d = max over i, j of |mean corr_golden(q_i, q_j) - mean corr_recon(q_i, q_j)| of the windows"
    reference = "definition; gate 0.05"
    requirements = frozenset({Need.LADDERS})
    levels: ClassVar[int] = 50

    def calculate(self, data: Comparison) -> MetricResult:
        """The greatest difference, and all of them as a table to draw."""
        result = super().calculate(data)
        if not isinstance(result.blocks, BlockVectors):
            return result
        return replace(result, heat_map=_drawn(result.blocks, self.levels))

    def numbers(self, window: Window, data: Comparison) -> FloatArray:
        """Correlations of one window, each pair of levels once; NaN for levels that are not always there."""
        count = 2 * self.levels
        table = np.full((2, self.levels, 2, self.levels), np.nan)
        known = _standing_levels(window.samples, self.levels)
        if len(window.samples) >= LADDERS_MIN and known:
            found = level_correlation(window.samples[:, :, :known]).reshape(2, known, 2, known)
            table[:, :known, :, :known] = found
        return np.asarray(table.reshape(count, count)[np.triu_indices(count, k=1)], dtype=np.float64)


class DepthProfile(VectorMetric):
    """How much rests at each level."""

    name = "depth_profile"
    formula = "max over levels k of |mean over windows of ln E_t q_k, golden less recon|"
    category = "depth"
    engineering_floor = 0.02
    tolerable = 0.3
    purpose = "greatest difference, over levels, of the logarithm of the mean quantity of both sides"
    reference = "definition; about the relative difference, gate 2 %"
    requirements = frozenset({Need.LADDERS})
    levels: ClassVar[int] = 50

    def numbers(self, window: Window, data: Comparison) -> FloatArray:
        """Natural logarithm of the mean at each level, weighted by time; NaN for one that is not there."""
        out = np.full(self.levels, np.nan)
        ladders = window.ladders
        known = min(self.levels, ladders.levels.shape[2])
        quantity = ladders.levels[:, 1::2, :known]
        weight = np.where(quantity > 0, ladders.hold_ns[:, None, None], 0).astype(np.float64)
        held, total = weight.sum(axis=(0, 1)), (weight * quantity).sum(axis=(0, 1))
        out[:known] = np.log(np.where(held > 0, total / np.where(held > 0, held, 1.0), np.nan) / window.units)
        return out


class BookLevels(DistributionMetric):
    """How many levels are known."""

    name = "book_levels"
    axis = "levels"
    formula = "sup |F - G|; F, G distributions in time of min(levels of bids, levels of asks)"
    category = "depth"
    purpose = "K-S distance of the number of levels that the thinner side has, 50 at most, weighted by time"
    reference = "definition; a level beyond the known depth is missing, not empty"
    requirements = frozenset({Need.LADDERS})
    most: ClassVar[int] = 50

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Levels of each sampled book with its time."""
        ladders = window.ladders
        stood = ladders.hold_ns > 0
        count = (ladders.levels[stood][:, ::2, : self.most] != NONE).sum(axis=2).min(axis=1)
        return Sample(count.astype(np.float64), ladders.hold_ns[stood])


def _standing_levels(samples: Int64Array, most: int) -> int:
    """How many of the best levels both sides have in each sample, ``most`` at most."""
    whole = (samples[:, 1::2] != NONE).all(axis=(0, 1)) if len(samples) else np.zeros(0, dtype=np.bool_)
    return int(min(most, np.cumprod(whole).sum()))


def _known_mean(rows: FloatArray) -> FloatArray:
    """Mean of each column over the rows in which it is a number; NaN where it is none in any."""
    held = (~np.isnan(rows)).sum(axis=0)
    return np.asarray(np.where(np.isnan(rows), 0.0, rows).sum(axis=0) / np.where(held > 0, held, np.nan))


def _drawn(blocks: BlockVectors, levels: int) -> HeatMap | None:
    """Differences of the correlations, from the deepest bid over the touch to the deepest ask."""
    golden, recon = (_known_mean(side) for side in (blocks.golden, blocks.recon))
    table = np.zeros((2 * levels, 2 * levels))
    table[np.triu_indices(2 * levels, k=1)] = recon - golden
    table += table.T
    known = np.asarray((~np.isnan(np.where(np.eye(2 * levels), np.nan, table))).any(axis=0))
    depth = min(HEAT_MAX // 2, int(known[:levels].sum()))
    if not depth:
        return None
    order = np.concatenate([np.arange(depth)[::-1], levels + np.arange(depth)])
    names = [*(f"b{level}" for level in range(depth, 0, -1)), *(f"a{level + 1}" for level in range(depth))]
    ordered = table[np.ix_(order, order)]
    values = [[None if np.isnan(gap) else float(gap) for gap in row] for row in ordered]
    told = "correlation in recon less that in golden, by level of the bids (b) and asks (a)"
    return HeatMap(told=told, rows=names, columns=names, values=values)


METRICS: tuple[type[MetricPlugin], ...] = (TouchDepth, Imbalance, DepthProfile, BookLevels, DepthCorrelation)
