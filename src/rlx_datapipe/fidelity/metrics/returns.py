"""Returns: how heavy their tails are, and what they and their size remember."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.dependence import autocorrelation
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import DistributionMetric, NumberMetric, Sample
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.moments import Moments
from rlx_datapipe.fidelity.plugin import MetricPlugin, Need

SECOND_NS = 1_000_000_000
RETURNS_MIN = 30


def excess_kurtosis(returns: FloatArray) -> float:
    """m4 / m2^2 - 3: 0 for the normal law; NaN without spread."""
    moments = Moments()
    moments.update(returns)
    return moments.excess_kurtosis


def tail_ratio(returns: FloatArray) -> float:
    """(q.975 - q.025) / (q.75 - q.25): 2.906 for the normal law, finite for any tails; NaN without spread."""
    low, first, third, high = np.quantile(returns, [0.025, 0.25, 0.75, 0.975])
    return float((high - low) / (third - first)) if third > first else float("nan")


def lag_correlation(values: FloatArray, lag: int) -> float:
    """Autocorrelation at one lag; NaN where the values are constant or too few."""
    return float(autocorrelation(values, lag)[lag]) if len(values) > lag + 1 else float("nan")


def garch_square_correlation(alpha: float, beta: float) -> float:
    """Autocorrelation of squares at lag 1 that a GARCH(1,1) has: its known answer."""
    product = alpha * beta
    return alpha * (1 - product - beta**2) / (1 - 2 * product - beta**2)


class ReturnDistribution(DistributionMetric):
    """Returns of the mid over a second."""

    name = "returns_1s"
    severity = Severity.GATE
    category = "returns"
    purpose = "K-S distance of the logarithmic returns of the mid over each second"
    axis = "logarithmic return"
    formula = "x = log mid(t + 1 s) - log mid(t)"
    reference = "Cont (2001), Empirical properties of asset returns"
    requirements = frozenset({Need.QUOTES})
    scale_ns = SECOND_NS

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Returns of one window."""
        return Sample(window.returns(SECOND_NS))


class _ReturnNumber(NumberMetric):
    """A number of the returns of each window."""

    category = "returns"
    requirements = frozenset({Need.QUOTES})
    scale_ns = SECOND_NS
    step_ns: ClassVar[int] = SECOND_NS

    def number(self, window: Window, data: Comparison) -> float:
        """The number of one window; NaN for too few returns."""
        returns = window.returns(self.step_ns)
        return self.of(returns) if len(returns) >= RETURNS_MIN else float("nan")

    def of(self, returns: FloatArray) -> float:
        """The number of these returns."""
        raise NotImplementedError


class Kurtosis(_ReturnNumber):
    """Heaviness of tails, by the fourth moment."""

    name = "kurtosis"
    severity = Severity.NOTE
    purpose = "difference of the excess kurtosis of returns over a second"
    formula = "x = m4 / m2^2 - 3 of the returns over a second of a window"
    reference = "Welford (1962), Pebay (2008); its variance is infinite if the tail index is below 8"

    def of(self, returns: FloatArray) -> float:
        """Excess kurtosis."""
        return excess_kurtosis(returns)


class TailRatio(_ReturnNumber):
    """Heaviness of tails, by quantiles."""

    name = "tail_ratio"
    purpose = "difference of (q.975 - q.025) / (q.75 - q.25) of returns over a second"
    formula = "x = (q.975 - q.025) / (q.75 - q.25) of the returns over a second of a window"
    reference = "definition; what to gate on where the fourth moment has no variance"

    def of(self, returns: FloatArray) -> float:
        """Ratio of the two ranges."""
        return tail_ratio(returns)


class ReturnMemory(_ReturnNumber):
    """Bounce of the mid."""

    name = "acf_returns"
    tolerable = 0.2
    bounds = (0.0, 2.0)
    engineering_floor = 0.03
    purpose = "difference of the lag-1 autocorrelation of returns over a second"
    formula = "x = corr(r_t, r_(t-1)) of a window, r the returns over a second"
    reference = "Cont (2001)"

    def of(self, returns: FloatArray) -> float:
        """Autocorrelation at lag 1."""
        return lag_correlation(returns, 1)


class VolatilityMemory(_ReturnNumber):
    """Clustering of volatility."""

    name = "acf_squares"
    tolerable = 0.3
    bounds = (0.0, 2.0)
    engineering_floor = 0.03
    purpose = "difference of the lag-1 autocorrelation of squared returns over a second"
    formula = "x = corr(r_t^2, r_(t-1)^2) of a window, r the returns over a second"
    reference = "Cont (2001)"

    def of(self, returns: FloatArray) -> float:
        """Autocorrelation of squares at lag 1."""
        return lag_correlation(returns**2, 1)


METRICS: tuple[type[MetricPlugin], ...] = (
    ReturnDistribution,
    Kurtosis,
    TailRatio,
    ReturnMemory,
    VolatilityMemory,
)
