"""Paired comparison: both sides saw the same windows, so their differences are what is judged."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing, Verdict
from rlx_datapipe.fidelity.dependence import block_length
from rlx_datapipe.fidelity.distances import FloatArray

WINDOWS_MIN = 10


@dataclass(frozen=True)
class Paired:
    """Differences of recon from golden over the same windows.

    ``low`` and ``high`` bound the mean difference at ``2 * upper_share - 1``, so that equivalence is two
    one-sided tests; ``wilcoxon_p`` is that of no shift at all, NaN where all differences are 0.
    """

    mean: float
    low: float
    high: float
    wilcoxon_p: float
    windows: int
    is_exact: bool


def paired(
    golden: FloatArray,
    recon: FloatArray,
    rng: np.random.Generator,
    *,
    rounds: int = 1000,
    share: float = 0.95,
) -> Paired:
    """Compare a number per window of both sides, float64 (windows,); windows with a NaN are left out.

    The mean difference is bounded by the stationary bootstrap, with the block length that the differences ask
    for; windows that follow each other may depend on each other.

    References
    ----------
    Politis and Romano (1994), "The stationary bootstrap", by ``arch.bootstrap``. Wilcoxon (1945).
    """
    if len(golden) != len(recon):
        raise OptionError("paired windows differ in number", found=(len(golden), len(recon)))
    differences = recon - golden
    differences = differences[~np.isnan(differences)]
    count = len(differences)
    if count < 2 or not differences.any():
        mean = float(differences.mean()) if count else float("nan")
        return Paired(mean, mean, mean, float("nan"), count, is_exact=bool(count) and not differences.any())
    from arch.bootstrap import StationaryBootstrap
    from scipy.stats import wilcoxon

    length = max(2, min(block_length(differences).length, count // 2))
    bootstrap = StationaryBootstrap(length, differences, seed=rng)
    means = bootstrap.apply(np.mean, rounds)[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # ties and zeros: it falls back to the normal approximation, as it must
        tested = float(wilcoxon(differences).pvalue)
    return Paired(
        mean=float(differences.mean()),
        low=float(np.quantile(means, 1 - share)),
        high=float(np.quantile(means, share)),
        wilcoxon_p=tested,
        windows=count,
        is_exact=False,
    )


def decide_paired(found: Paired, margin: float, settings: DecisionSettings | None = None) -> Verdict:
    """The verdict on a paired metric: the interval of its mean difference inside the margin, or outside.

    Both sides are the same market at the same time, so no noise floor is needed: the margin is what
    engineering tolerates. Equal in every window passes whatever their number.
    """
    rule = settings or DecisionSettings()
    numbers = {
        "mean_difference": found.mean,
        "low": found.low,
        "high": found.high,
        "wilcoxon_p": found.wilcoxon_p,
        "windows": found.windows,
    }
    interval = f"mean difference {found.mean:.4g} in [{found.low:.4g}, {found.high:.4g}], margin {margin:.4g}"
    if found.is_exact:
        standing, reason = Standing.PASS, f"equal in all {found.windows} windows"
    elif found.windows < WINDOWS_MIN:
        standing = Standing.INCONCLUSIVE
        reason = f"too little data: {found.windows} windows, {WINDOWS_MIN} needed"
    elif max(abs(found.low), abs(found.high)) <= margin:
        standing, reason = Standing.PASS, interval
    elif (found.low > margin or found.high < -margin) and found.wilcoxon_p <= rule.significance:
        standing, reason = Standing.FAIL, interval
    else:
        standing, reason = Standing.INCONCLUSIVE, f"{interval}: more windows"
    return Verdict(standing=standing, reason=reason, margin=margin, numbers=numbers)
