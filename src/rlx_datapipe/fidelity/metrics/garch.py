"""GARCH(1,1): how volatility remembers, fitted to the returns of each side."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import Fit, FitMetric
from rlx_datapipe.fidelity.market import Comparison, MarketSide
from rlx_datapipe.fidelity.metrics.tails import pooled_returns
from rlx_datapipe.fidelity.plugin import MetricPlugin, Need

SECOND_NS = 1_000_000_000
RETURNS_MIN = 500


@dataclass(frozen=True)
class Garch:
    """A fitted GARCH(1,1) with standard errors; omega in squared units of the returns.

    Persistence is alpha + beta: it is known well from ten thousand returns, each by itself only from a
    hundred thousand.
    """

    omega: float
    alpha: float
    beta: float
    alpha_error: float
    beta_error: float
    persistence_error: float

    @property
    def persistence(self) -> float:
        """Alpha and beta together."""
        return self.alpha + self.beta


def garch(returns: FloatArray) -> Garch:
    """Fit a GARCH(1,1) with normal errors and mean 0 by quasi maximum likelihood; NaN without convergence.

    References
    ----------
    Bollerslev (1986), "Generalized autoregressive conditional heteroskedasticity", by ``arch.univariate``.
    """
    from arch import arch_model

    deviation = float(returns.std())
    nothing = Garch(*[float("nan")] * 6)
    if len(returns) < RETURNS_MIN or not deviation > 0:
        return nothing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of, convergence, is looked at below
        fitted = arch_model(returns / deviation, mean="Zero", vol="GARCH", p=1, q=1).fit(
            disp="off", show_warning=False
        )
        if fitted.convergence_flag:
            return nothing
        covariance = np.asarray(fitted.param_cov)
    omega, alpha, beta = (float(value) for value in fitted.params)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    together = float(covariance[1, 1] + covariance[2, 2] + 2 * covariance[1, 2])
    return Garch(
        omega=omega * deviation**2,
        alpha=alpha,
        beta=beta,
        alpha_error=float(errors[1]),
        beta_error=float(errors[2]),
        persistence_error=max(0.0, together) ** 0.5,
    )


class GarchPersistence(FitMetric):
    """How long a burst of volatility lasts."""

    name = "garch_persistence"
    category = "returns"
    tolerance = 0.1
    is_jackknifed = True
    stretches = 4
    severity = Severity.NOTE
    purpose = "difference of alpha + beta of a GARCH(1,1) fitted to returns over a second"
    formula = "alpha + beta: h_t = omega + alpha r_(t-1)^2 + beta h_(t-1)"
    reference = "Bollerslev (1986)"
    requirements = frozenset({Need.QUOTES})
    scale_ns = SECOND_NS

    def fit(self, side: MarketSide, data: Comparison) -> Fit:
        """Alpha + beta of all returns of a side."""
        returns = pooled_returns(side, SECOND_NS)
        if len(returns) < RETURNS_MIN:
            return Fit(float("nan"), float("nan"), f"{len(returns)} returns, {RETURNS_MIN} needed")
        found = garch(returns)
        if np.isnan(found.alpha):
            return Fit(float("nan"), float("nan"), "the fit does not converge")
        return Fit(found.persistence, found.persistence_error)


METRICS: tuple[type[MetricPlugin], ...] = (GarchPersistence,)
