"""Power-law tails: Hill's tail index, and the exponent of Clauset, Shalizi and Newman."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import Fit, FitMetric
from rlx_datapipe.fidelity.market import Comparison, MarketSide
from rlx_datapipe.fidelity.plugin import MetricPlugin, Need

SECOND_NS = 1_000_000_000
TAIL_SHARE = 0.05
TAIL_MIN = 30
THRESHOLDS = 200


@dataclass(frozen=True)
class PowerLaw:
    """A power law fitted to a tail.

    ``alpha`` is the exponent of the density, which is the tail index plus 1; ``threshold`` the value above
    which it holds; ``count`` how many values lie there; ``distance`` their K-S distance from it.
    """

    alpha: float
    threshold: float
    count: int
    distance: float

    @property
    def error(self) -> float:
        """Standard error of alpha for independent values."""
        return (self.alpha - 1) / float(self.count**0.5)


def hill(values: FloatArray, count: int) -> float:
    """Hill's tail index from the ``count`` greatest magnitudes; the standard error is that over its root.

    NaN when there are not more values than that, or the threshold is 0.

    References
    ----------
    Hill (1975), "A simple general approach to inference about the tail of a distribution".
    """
    if count < 1 or len(values) <= count:
        return float("nan")
    tail = np.sort(np.abs(values))[-count - 1 :]
    mean = float(np.log(tail[1:] / tail[0]).mean()) if tail[0] > 0 else 0.0
    return 1.0 / mean if mean > 0 else float("nan")


def power_law(values: FloatArray, thresholds: int = THRESHOLDS, least: int = TAIL_MIN) -> PowerLaw:
    """The power law that fits the tail best, its threshold chosen by the K-S distance.

    Parameters
    ----------
    values
        Magnitudes above 0; others are left out.
    thresholds
        How many thresholds are tried, evenly spaced by rank.
    least
        How many values a tail has at least.

    References
    ----------
    Clauset, Shalizi and Newman (2009), "Power-law distributions in empirical data", SIAM Review 51(4).
    """
    ordered = np.sort(values[values > 0])
    if len(ordered) <= least:
        return PowerLaw(float("nan"), float("nan"), 0, float("nan"))
    starts = np.unique(np.linspace(0, len(ordered) - least - 1, thresholds).astype(np.int64))
    starts = np.unique(np.searchsorted(ordered, ordered[starts], side="left"))
    logs = np.log(ordered)
    alphas, distances = np.zeros(len(starts)), np.zeros(len(starts))
    fit_tails(logs, starts, alphas, distances)
    best = int(np.argmin(distances))
    start = int(starts[best])
    return PowerLaw(float(alphas[best]), float(ordered[start]), len(ordered) - start, float(distances[best]))


@kernel
def fit_tails(logs, starts, alphas, distances):  # type: ignore[no-untyped-def]
    """Fill exponent and K-S distance of the tail from each start on; ``logs`` ascending, float64 (n,)."""
    for k in range(starts.shape[0]):
        start = starts[k]
        count = logs.shape[0] - start
        total = 0.0
        for i in range(start, logs.shape[0]):
            total += logs[i] - logs[start]
        if total <= 0.0:
            alphas[k], distances[k] = np.nan, np.inf
            continue
        alphas[k] = 1.0 + count / total
        worst = 0.0
        for i in range(start, logs.shape[0]):
            model = 1.0 - np.exp((1.0 - alphas[k]) * (logs[i] - logs[start]))
            below, above = (i - start) / count, (i - start + 1) / count
            worst = max(worst, abs(model - below), abs(model - above))
        distances[k] = worst


def pooled_returns(side: MarketSide, step_ns: int) -> FloatArray:
    """Returns of all windows of a side."""
    every = [window.returns(step_ns) for window in side.windows]
    return np.concatenate(every) if every else np.zeros(0)


class TailIndex(FitMetric):
    """Hill's index of returns."""

    name = "tail_index"
    category = "returns"
    tolerance = 0.1
    is_jackknifed = True
    purpose = "difference of Hill's tail indices of returns over a second, at the same share of the tail"
    formula = "1 / alpha = mean of log(|r| / u) over the k greatest |r|, u the next smaller one"
    reference = "Hill (1975); in [2, 5] for returns of 1 s or more (Cont 2001), which is a sanity check only"
    requirements = frozenset({Need.QUOTES})
    scale_ns = SECOND_NS

    def fit(self, side: MarketSide, data: Comparison) -> Fit:
        """The index from the same number of greatest magnitudes on both sides."""
        fewest = min(len(pooled_returns(one, SECOND_NS)) for one in data.sides)
        count = int(fewest * TAIL_SHARE)
        if count < TAIL_MIN:
            return Fit(float("nan"), float("nan"), f"{fewest} returns, {int(TAIL_MIN / TAIL_SHARE)} needed")
        index = hill(pooled_returns(side, SECOND_NS), count)
        return Fit(index, index / count**0.5, "" if np.isfinite(index) else "no spread in the tail")


class TradeSizeTail(FitMetric):
    """The power law of trade sizes."""

    name = "trade_size_tail"
    category = "trades"
    tolerance = 0.1
    is_jackknifed = True
    purpose = "difference of the exponents of the density of trade quantities in their tail"
    formula = "alpha = 1 + n / sum of log(x / x_min), x_min where the tail lies closest to a power law (K-S)"
    reference = "Clauset, Shalizi and Newman (2009)"
    requirements = frozenset({Need.TRADES})

    def fit(self, side: MarketSide, data: Comparison) -> Fit:
        """The exponent with a threshold of its own."""
        sizes = np.concatenate([data.trades(window).quantity for window in side.windows]).astype(np.float64)
        found = power_law(sizes)
        if not found.count or not np.isfinite(found.alpha):
            return Fit(float("nan"), float("nan"), f"{len(sizes)} trades")
        return Fit(found.alpha, found.error)


METRICS: tuple[type[MetricPlugin], ...] = (TailIndex, TradeSizeTail)
