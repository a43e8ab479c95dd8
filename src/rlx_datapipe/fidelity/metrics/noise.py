"""Noise in the mid: Hausman's test of whether its returns are those of an efficient price alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import NumberMetric
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.plugin import MetricPlugin, Need

SECOND_NS = 1_000_000_000
CRITICAL = 3.841458820694124
"""95 % quantile of chi-squared with one degree of freedom."""
RETURNS_MIN = 30


@dataclass(frozen=True)
class Hausman:
    """Hausman's test of noise: the statistic is chi-squared(1) without noise, and grows with it."""

    statistic: float

    @property
    def rejects(self) -> bool:
        """Whether there is noise, at 5 %."""
        return self.statistic > CRITICAL


def hausman_fast(returns: FloatArray) -> Hausman:
    """The test by its asymptotic form, (sum r_i r_(i-1))^2 / sum r_i^2 r_(i-1)^2; NaN without moves in a row.

    References
    ----------
    Ait-Sahalia and Xiu (2019), "A Hausman test for the presence of market microstructure noise in high
    frequency data", Journal of Econometrics 211; the form is derived, not taken from the text.
    """
    products = returns[1:] * returns[:-1]
    squares = float(products @ products)
    return Hausman(float(products.sum()) ** 2 / squares if squares > 0 else float("nan"))


def hausman(returns: FloatArray) -> Hausman:
    """The test by the likelihood, (QMLE - RV)^2 / (4 Q dt); NaN where the returns have no spread.

    QMLE is the integrated variance under an MA(1) whose noise variance may have either sign. The covariance
    matrix of n such returns is diagonal under the sine transform, with eigenvalues proportional to
    1 + 2 ratio (1 - cos(pi j / (n + 1))); so the likelihood is that of one ratio.
    """
    from scipy.fft import dst
    from scipy.optimize import minimize_scalar

    count = len(returns)
    realised, quarticity = float(returns @ returns), float((returns**4).sum()) / 3
    if count < 3 or not quarticity > 0:
        return Hausman(float("nan"))
    squares = np.asarray(dst(returns, type=1, norm="ortho"), dtype=np.float64) ** 2
    waves = 2 * (1 - np.cos(np.pi * np.arange(1, count + 1) / (count + 1)))

    def cost(log_ratio: float) -> float:
        shape = 1 + (np.exp(log_ratio) - 0.25) * waves
        return float(np.log((squares / shape).mean()) + np.log(shape).mean())

    found = minimize_scalar(
        cost, bounds=(np.log(1e-6), np.log(1e4)), method="bounded", options={"xatol": 1e-9}
    )
    integrated = float((squares / (1 + (np.exp(found.x) - 0.25) * waves)).sum())
    return Hausman((integrated - realised) ** 2 / (4 * quarticity))


class NoiseShare(NumberMetric):
    """How often there is noise in the mid at one second."""

    name = "noise_share"
    tolerable = 0.4
    severity = Severity.NOTE
    category = "returns"
    bounds = (0.0, 1.0)
    tier = 2
    purpose = (
        "difference of the shares of windows in which Hausman's test finds noise in returns over a second"
    )
    formula = (
        "x = 1 where H = (sum r_i r_(i-1))^2 / sum r_i^2 r_(i-1)^2 exceeds the 95 % quantile of chi^2(1)"
    )
    reference = "Ait-Sahalia and Xiu (2019)"
    requirements = frozenset({Need.QUOTES})
    scale_ns = SECOND_NS

    def number(self, window: Window, data: Comparison) -> float:
        """1 where the test rejects, 0 where it does not."""
        returns = window.returns(SECOND_NS)
        test = hausman_fast(returns)
        if len(returns) < RETURNS_MIN or np.isnan(test.statistic):
            return float("nan")
        return float(test.rejects)


METRICS: tuple[type[MetricPlugin], ...] = (NoiseShare,)
