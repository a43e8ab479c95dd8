"""Arrivals: the time between events, and how much more they cluster than chance would have it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.blocks import Statistic
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import DistributionMetric, NumberMetric, Sample
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.plugin import MetricPlugin, Need

SECOND_NS = 1_000_000_000


def log_gaps(times_ns: Int64Array) -> FloatArray:
    """Decimal logarithm of the seconds between neighbours that do not share their time, float64."""
    gaps = np.diff(times_ns)
    return np.asarray(np.log10(gaps[gaps > 0] / 1e9), dtype=np.float64)


def fano(times_ns: Int64Array, start_ns: int, end_ns: int, step_ns: int) -> float:
    """Fano factor, variance over mean of the counts in steps of a window: 1 for Poisson, NaN for none."""
    steps = (end_ns - start_ns) // step_ns
    if steps < 2:
        return float("nan")
    at = (times_ns - start_ns) // step_ns
    counts = np.bincount(at[(at >= 0) & (at < steps)], minlength=steps)
    mean = float(counts.mean())
    return float(counts.var(ddof=1)) / mean if mean > 0 else float("nan")


class TradeGaps(DistributionMetric):
    """Time between trades."""

    name = "trade_gaps"
    severity = Severity.GATE
    category = "arrivals"
    statistic = Statistic.ANDERSON_DARLING
    bounds = (0.0, float("inf"))
    engineering_floor = 0.01
    tolerable = 0.15
    purpose = "Anderson-Darling distance (per pair) of the logarithm of times between trades, above 0"
    axis = "log10 of seconds"
    formula = "x = log10 of the seconds between trades of different times"
    reference = "LOB-Bench (arXiv 2502.09172), log inter-arrival times"
    requirements = frozenset({Need.TRADES})

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Logarithms of gaps; trades at one time are an atom of their own (`trade_ties`)."""
        return Sample(log_gaps(data.trades(window).time_ns))


class QuoteGaps(DistributionMetric):
    """Time between changes of the best quotes."""

    name = "quote_gaps"
    severity = Severity.GATE
    category = "arrivals"
    statistic = Statistic.ANDERSON_DARLING
    bounds = (0.0, float("inf"))
    engineering_floor = 0.01
    tolerable = 0.15
    purpose = (
        "Anderson-Darling distance (per pair) of the logarithm of times between changes of the best quotes"
    )
    axis = "log10 of seconds"
    formula = "x = log10 of the seconds between changes of price or quantity at the best prices"
    reference = "LOB-Bench (arXiv 2502.09172), log inter-arrival times"
    requirements = frozenset({Need.QUOTES})

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Logarithms of gaps between quotes that differ."""
        quotes = window.quotes
        rows = np.stack([quotes.bid, quotes.bid_quantity, quotes.ask, quotes.ask_quantity])
        changed = np.concatenate([[False], (rows[:, 1:] != rows[:, :-1]).any(axis=0)])[: len(quotes.time_ns)]
        return Sample(log_gaps(quotes.time_ns[changed]))


class TradeTies(NumberMetric):
    """Share of trades at the very time of the one before."""

    name = "trade_ties"
    tolerable = 0.1
    category = "arrivals"
    tier = 2
    bounds = (0.0, 1.0)
    engineering_floor = 0.01
    purpose = "difference of the shares of trades that bear the time of the trade before"
    formula = "x = #{t_i = t_(i-1)} / (n - 1) of a window"
    reference = "definition; P(dt = 0) is an atom, compared apart"
    requirements = frozenset({Need.TRADES})

    def number(self, window: Window, data: Comparison) -> float:
        """Share of one window."""
        gaps = np.diff(data.trades(window).time_ns)
        return float((gaps == 0).mean()) if len(gaps) else float("nan")


class TradeFano(NumberMetric):
    """Clustering of trades over a second."""

    name = "trade_fano"
    category = "arrivals"
    tier = 2
    purpose = "difference of the Fano factors of trade counts per second"
    formula = "x = Var N / E N, N the trades in each second of a window"
    reference = "Fano (1947); 1 for Poisson, 1 / (1 - n)^2 in the long run for Hawkes of branching ratio n"
    requirements = frozenset({Need.TRADES})
    scale_ns = SECOND_NS
    step_ns: ClassVar[int] = SECOND_NS

    def number(self, window: Window, data: Comparison) -> float:
        """Factor of one window."""
        return fano(data.trades(window).time_ns, window.start_ns, window.end_ns, self.step_ns)


METRICS: tuple[type[MetricPlugin], ...] = (TradeGaps, QuoteGaps, TradeTies, TradeFano)
