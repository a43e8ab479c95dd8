"""Spread: how far the best prices, and the levels behind them, lie apart, weighted by time."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import DistributionMetric, Sample
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.moments import Moments
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult, Need, State, StreamingMetric
from rlx_datapipe.fidelity.sketch import Sketch, ks_bounds

REFERENCE = "quoted spread, time-weighted: a mean over events is biased to busy times"


def level_spread(levels: Int64Array, level: int, tick: int) -> FloatArray:
    """Distance of the k-th best ask from the k-th best bid in ticks, float64 (k,); NaN where one is absent.

    Parameters
    ----------
    levels
        int64 (k, 4, depth), as `market.Ladders`.
    level
        1 for the best.
    tick
        Price step in scaled units.
    """
    if levels.shape[2] < level:
        return np.full(len(levels), np.nan)
    bid, ask = levels[:, 0, level - 1], levels[:, 2, level - 1]
    return np.where((bid != NONE) & (ask != NONE), (ask - bid) / tick, np.nan)


def standing_spread(window: Window) -> Sample:
    """Best spread in ticks with the nanoseconds for which each stood."""
    quotes = window.quotes
    stood = quotes.hold_ns > 0
    return Sample(((quotes.ask - quotes.bid) / window.tick)[stood], quotes.hold_ns[stood])


class SpreadL1(DistributionMetric):
    """Best ask less best bid."""

    name = "spread_l1"
    severity = Severity.GATE
    category = "spread"
    unit = ""
    purpose = "K-S distance of the best spread in ticks, weighted by the time for which it stood"
    axis = "ticks"
    formula = "x = (best ask - best bid) / tick, weighted by the time for which it stood"
    reference = REFERENCE
    requirements = frozenset({Need.QUOTES})

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Spreads in ticks with their times."""
        return standing_spread(window)


class _LadderSpread(DistributionMetric):
    """Spread at a level behind the best, from sampled tops of the book."""

    level: ClassVar[int]
    axis = "ticks"
    category = "spread"
    reference = REFERENCE
    requirements = frozenset({Need.LADDERS})

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Spreads in ticks of one level with their times."""
        ladders = window.ladders
        spread = level_spread(ladders.levels, self.level, window.tick)
        known = ~np.isnan(spread) & (ladders.hold_ns > 0)
        return Sample(spread[known], ladders.hold_ns[known])


class SpreadL5(_LadderSpread):
    """Fifth best ask less fifth best bid."""

    name, level = "spread_l5", 5
    purpose = "K-S distance of the spread between the fifth levels in ticks, weighted by time"
    formula = "x = (ask_5 - bid_5) / tick, weighted by time"


class SpreadL10(_LadderSpread):
    """Tenth best ask less tenth best bid."""

    name, level = "spread_l10", 10
    purpose = "K-S distance of the spread between the tenth levels in ticks, weighted by time"
    formula = "x = (ask_10 - bid_10) / tick, weighted by time"


class SpreadL15(_LadderSpread):
    """Fifteenth best ask less fifteenth best bid."""

    name, level = "spread_l15", 15
    purpose = "K-S distance of the spread between the fifteenth levels in ticks, weighted by time"
    formula = "x = (ask_15 - bid_15) / tick, weighted by time"


class SpreadL20(_LadderSpread):
    """Twentieth best ask less twentieth best bid."""

    name, level = "spread_l20", 20
    purpose = "K-S distance of the spread between the twentieth levels in ticks, weighted by time"
    formula = "x = (ask_20 - bid_20) / tick, weighted by time"


class SpreadStream(StreamingMetric):
    """The best spread in bounded memory: moments and a sketch, both weighted by time."""

    name = "spread_stream"
    category = "spread"
    bounds = (0.0, 1.0)
    purpose = "K-S distance of the time-weighted best spread, from sketches right to 1 %"
    formula = "D = max |F_golden(x) - F_recon(x)|, x the best spread weighted by time, F from sketches"
    reference = REFERENCE + "; Masson, Rim and Lee (2019)"
    requirements = frozenset({Need.QUOTES})

    def __init__(self) -> None:
        self.sketch, self.moments = Sketch(), Moments()

    def update(self, batch: Window) -> None:
        """Take in the spreads of a stretch with their times."""
        taken = standing_spread(batch)
        if taken.weights is not None:
            self.sketch.update(taken.values, taken.weights)
            self.moments.update(taken.values, taken.weights / 1e9)

    def merge(self, other: Self) -> None:
        """Add what another instance has."""
        self.sketch.merge(other.sketch)
        self.moments.merge(other.moments)

    def state(self) -> State:
        """Words of the sketch and of the moments."""
        return {"sketch": self.sketch.state(), "moments": self.moments.state()}

    def restore(self, state: State) -> None:
        """Both from their words."""
        self.sketch, self.moments = Sketch(state["sketch"]), Moments(state["moments"])

    def compare(self, recon: Self) -> MetricResult:
        """K-S distance at the edges of buckets, and both means in ticks."""
        low, high = ks_bounds(self.sketch, recon.sketch)
        return self.says(
            low,
            ks_at_most=high,
            golden_mean=self.moments.mean,
            recon_mean=recon.moments.mean,
            golden_deviation=self.moments.variance**0.5,
            recon_deviation=recon.moments.variance**0.5,
        )


METRICS: tuple[type[MetricPlugin], ...] = (SpreadL1, SpreadL5, SpreadL10, SpreadL15, SpreadL20, SpreadStream)
