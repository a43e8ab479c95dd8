"""Depth: how much rests at the best prices and behind them, how it leans, and how levels move together."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.batches import BATCH, Correlation, library, on_host
from rlx_datapipe.fidelity.blocks import Statistic
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import DistributionMetric, Sample
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window
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
    formula = "x = q_bid + q_ask at the best prices, weighted by time"
    reference = "definition; U-shaped in the day, so the distribution is compared, not the mean"
    requirements = frozenset({Need.QUOTES})

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Quantities in scaled units with their times."""
        quotes = window.quotes
        stood = quotes.hold_ns > 0
        total = (quotes.bid_quantity + quotes.ask_quantity).astype(np.float64)
        return Sample(total[stood], quotes.hold_ns[stood])


class Imbalance(DistributionMetric):
    """How the quantity at the best prices leans to the bid."""

    name = "imbalance"
    severity = Severity.GATE
    category = "depth"
    statistic = Statistic.ANDERSON_DARLING
    bounds = (0.0, float("inf"))
    engineering_floor = 0.01
    purpose = "Anderson-Darling distance (per pair) of the imbalance at the best prices, weighted by time"
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


class DepthCorrelation(MetricPlugin):
    """How the quantities of levels move together."""

    name = "depth_correlation"
    category = "depth"
    tier = 2
    bounds = (0.0, 2.0)
    engineering_floor = 0.05
    purpose = "greatest difference between the correlations of level quantities, over all pairs of levels"
    formula = (
        "d = max over i, j of |corr_golden(q_i, q_j) - corr_recon(q_i, q_j)|, q the quantities of the levels"
    )
    reference = "definition; gate 0.05"
    requirements = frozenset({Need.LADDERS})

    def calculate(self, data: Comparison) -> MetricResult:
        """The greatest difference, over pairs of levels that both sides have."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        depth = min(_depth(side) for side in data.sides)
        tables = []
        for side in data.sides:
            held = sum(len(window.samples) for window in side.windows)
            if held < LADDERS_MIN:
                told = f"{held} sampled books on the {side.name} side"
                return self.lacks(f"too little data: {told}, {LADDERS_MIN} needed")
            sums = Correlation()
            for window in side.windows:
                take_levels(sums, window.samples[:, :, :depth])
            if sums.rows < 2:
                return self.lacks(f"too little data: no two whole books on the {side.name} side")
            tables.append(on_host(sums.table()))
        gaps = np.abs(tables[0] - tables[1])
        known = ~np.isnan(gaps)
        if not known.any():
            return self.lacks("too little data: no pair of levels that is whole on both sides")
        return self.says(
            min(2.0, float(gaps[known].max())),
            heat_map=_drawn(tables[1] - tables[0], depth),
            mean=float(gaps[known].mean()),
            frobenius=float(np.sqrt((gaps[known] ** 2).sum())),
            levels=depth,
            pairs_known=float(known.mean()),
        )


def _drawn(gaps: FloatArray, depth: int) -> HeatMap | None:
    """Differences of the correlations, from the deepest bid over the touch to the deepest ask."""
    if 2 * depth > HEAT_MAX:
        return None
    order = np.concatenate([np.arange(depth)[::-1], np.arange(depth, 2 * depth)])
    names = [*(f"b{level}" for level in range(depth, 0, -1)), *(f"a{level + 1}" for level in range(depth))]
    ordered = gaps[np.ix_(order, order)]
    values = [[None if np.isnan(gap) else float(gap) for gap in row] for row in ordered]
    told = "correlation in recon less that in golden, by level of the bids (b) and asks (a)"
    return HeatMap(told=told, rows=names, columns=names, values=values)


def _depth(side: MarketSide) -> int:
    return min(int(window.samples.shape[2]) for window in side.windows if len(window.samples))


METRICS: tuple[type[MetricPlugin], ...] = (TouchDepth, Imbalance, DepthCorrelation)
