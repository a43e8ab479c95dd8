"""Jumps: three tests that tell them from volatility, and how many there are."""

from __future__ import annotations

from math import gamma, log, pi, sqrt

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import NumberMetric
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.plugin import MetricPlugin, Need

STEP_NS = 5_000_000_000
LEE_MYKLAND_1 = 4.600149226776579
"""-log(-log(0.99)): what the greatest of all returns stays below in 99 % of samples without a jump."""
WINDOW = 270
RETURNS_MIN = 50


def barndorff_nielsen_shephard(returns: FloatArray) -> float:
    """Z of the ratio test, standard normal without jumps, great with them; NaN without spread.

    z = (1 - BV / RV) / sqrt((pi^2 / 4 + pi - 5) / n max(1, TQ / BV^2)). Invalid where many returns are 0.

    References
    ----------
    Barndorff-Nielsen and Shephard (2006), "Econometrics of testing for jumps in financial economics using
    bipower variation", Journal of Financial Econometrics 4(1).
    """
    count = len(returns)
    sizes = np.abs(returns)
    realised = float(returns @ returns)
    if count < 4 or not realised > 0:
        return float("nan")
    bipower = pi / 2 * float(sizes[1:] @ sizes[:-1]) * count / (count - 1)
    power = sizes ** (4 / 3)
    third = 2 ** (2 / 3) * gamma(7 / 6) / gamma(1 / 2)
    quarticity = count * third**-3 * float((power[2:] * power[1:-1] * power[:-2]).sum()) * count / (count - 2)
    if not bipower > 0:
        return float("nan")
    spread = (pi**2 / 4 + pi - 5) / count * max(1.0, quarticity / bipower**2)
    return (1 - bipower / realised) / sqrt(spread)


def lee_mykland(
    returns: FloatArray, window: int = WINDOW, threshold: float = LEE_MYKLAND_1
) -> npt.NDArray[np.bool_]:
    """Which returns are jumps at 1 % over all of them, bool (n,); never one of the first ``window``.

    Each return is held against the bipower volatility of the ``window - 1`` before it.

    References
    ----------
    Lee and Mykland (2008), "Jumps in financial markets: a new nonparametric test and jump dynamics", RFS
    21(6).
    """
    count = len(returns)
    found = np.zeros(count, dtype=np.bool_)
    if count <= window or window < 3:
        return found
    products = np.abs(returns[1:] * returns[:-1])
    sums = np.concatenate([[0.0], np.cumsum(products)])
    at = np.arange(window, count)
    # Products of returns i-K+1 .. i-1: product j joins returns j and j+1.
    local = (sums[at - 1] - sums[at - window + 1]) / (window - 2)
    scaled = np.abs(returns[at]) / np.sqrt(np.where(local > 0, local, np.nan))
    c = sqrt(2 / pi)
    root = sqrt(2 * log(count))
    centre = root / c - (log(pi) + log(log(count))) / (2 * c * root)
    found[at] = (scaled - centre) * (c * root) > threshold
    return found


def ait_sahalia_jacod(returns: FloatArray) -> float:
    """S(4, 2): 2 without jumps, 1 with some, below 1 with noise; NaN without spread.

    References
    ----------
    Ait-Sahalia and Jacod (2009), "Testing for jumps in a discretely observed process", Annals of Statistics
    37(1).
    """
    fine = float((returns**4).sum())
    pairs = returns[: len(returns) // 2 * 2].reshape(-1, 2).sum(axis=1)
    return float((pairs**4).sum()) / fine if fine > 0 else float("nan")


class JumpStatistic(NumberMetric):
    """The ratio test of jumps."""

    name = "jump_ratio"
    category = "returns"
    purpose = "difference of the mean z of the ratio test for jumps, over returns of five seconds"
    formula = "x = (1 - BV / RV) / sqrt((pi^2 / 4 + pi - 5) / n max(1, TQ / BV^2)) of a window"
    reference = "Barndorff-Nielsen and Shephard (2006)"
    requirements = frozenset({Need.QUOTES})
    scale_ns = STEP_NS

    def number(self, window: Window, data: Comparison) -> float:
        """Z of one window; NaN for too few returns, or too many that are 0."""
        returns = window.returns(STEP_NS)
        if len(returns) < RETURNS_MIN or (returns == 0).mean() > 0.05:
            return float("nan")
        return barndorff_nielsen_shephard(returns)


class JumpActivity(NumberMetric):
    """Whether moves add up as those of a diffusion do."""

    name = "jump_activity"
    severity = Severity.NOTE
    category = "returns"
    purpose = "difference of the mean S(4, 2) over returns of five seconds: 2 without jumps, 1 with"
    formula = "x = S(4, 2): sum of |r over two steps|^4 / sum of |r over one step|^4 of a window"
    reference = "Ait-Sahalia and Jacod (2009)"
    requirements = frozenset({Need.QUOTES})
    scale_ns = STEP_NS

    def number(self, window: Window, data: Comparison) -> float:
        """S(4, 2) of one window."""
        returns = window.returns(STEP_NS)
        return ait_sahalia_jacod(returns) if len(returns) >= RETURNS_MIN else float("nan")


class JumpCount(NumberMetric):
    """How many jumps there are."""

    name = "jumps_per_hour"
    category = "returns"
    unit = "1/h"
    purpose = "difference of the jumps per hour in returns of five seconds"
    formula = "x = returns per hour whose |r| / local volatility exceeds the 1 % bound of its maximum"
    reference = "Lee and Mykland (2008)"
    requirements = frozenset({Need.QUOTES})
    scale_ns = STEP_NS

    def number(self, window: Window, data: Comparison) -> float:
        """Jumps of one window by the hours in which they could be found."""
        returns = window.returns(STEP_NS)
        if len(returns) <= WINDOW:
            return float("nan")
        hours = (len(returns) - WINDOW) * STEP_NS / 3.6e12
        return float(lee_mykland(returns).sum()) / hours


METRICS: tuple[type[MetricPlugin], ...] = (JumpStatistic, JumpActivity, JumpCount)
