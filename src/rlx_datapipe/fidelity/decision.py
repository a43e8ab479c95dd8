"""The decision rule: NOT IDENTIFIABLE, FAIL, INCONCLUSIVE, PASS: the first condition that holds, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from rlx_datapipe.core.errors import OptionError

DEGREES = 9
"""Degrees of freedom of the errors of fits."""
RESOLUTIONS_MIN = 3
"""A scale in time below this many steps of the stamps can't be told from their rounding."""


class Standing(StrEnum):
    """What comes of a metric."""

    NOT_IDENTIFIABLE = "NOT IDENTIFIABLE"
    INCONCLUSIVE = "INCONCLUSIVE"
    PASS = "PASS"  # noqa: S105 (no password)
    FAIL = "FAIL"


class DecisionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of the decision; the same for all metrics of a run.

    Raises
    ------
    OptionError
        For a share outside (0, 1), or counts below 1.
    """

    significance: float = 0.05
    upper_share: float = 0.95
    floor_share: float = 0.95
    """Quantile of the golden distances that makes the margin, .95 to .99."""
    floor_factor: float = 1.3
    """Times that quantile: so that one market held against itself passes in about 95 %."""
    pairs_min: int = 40
    """Pairs of golden windows, as many independent ones as they are worth, that a floor needs."""
    days_min: int = 2
    """Days that golden windows must lie on for a verdict that speaks of other days too. With fewer the
    verdict is a weaker claim, and says so (`Verdict.scope`)."""
    fits_share: float = 0.2
    """Share of the significance that fitted parameters have among them; what is permuted has the rest."""
    permutations: int = 1000
    rounds: int = 1000

    def __post_init__(self) -> None:
        for name in ("significance", "upper_share", "floor_share", "fits_share"):
            if not 0 < getattr(self, name) < 1:
                raise OptionError("a share lies between 0 and 1", field=name, found=getattr(self, name))
        for name in ("pairs_min", "days_min", "permutations", "rounds"):
            if getattr(self, name) < 1:
                raise OptionError("too few", field=name, found=getattr(self, name), expected="1 or more")


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rule looks at for one metric; distances in the unit of its statistic.

    Parameters
    ----------
    distance, lower, upper
        Distance of recon from golden, and its bounds with blocks resampled.
    floor
        Quantile of the golden distances, times the factor.
    pairs, days
        Pairs of golden windows behind the floor, as many independent ones as they are worth, and days that
        they lie on.
    engineering_floor
        A distance that is always tolerable.
    tolerable
        The largest margin that a verdict may rest on.
    p_adjusted
        Max-T adjusted p-value of the block permutation.
    scale_ns, resolution_ns
        Time scale that the metric speaks of (0: none), and the step of the stamps.
    missing
        Why there is no number at all; empty where there is one.
    inflation
        How many times the memory between blocks inflates the variance; the bounds, the floor and the
        p-value have it in them.
    """

    distance: float
    upper: float
    floor: float
    pairs: int
    p_adjusted: float
    lower: float = 0.0
    engineering_floor: float = 0.0
    tolerable: float = float("inf")
    days: int = 1
    scale_ns: int = 0
    resolution_ns: int = 1
    missing: str = ""
    inflation: float = 1.0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of a metric, and why, in one sentence; with the numbers that it rests on.

    ``scope`` is a sentence on what it does not speak of, empty where there is no such limit.
    """

    standing: Standing
    reason: str
    scope: str = ""
    margin: float | None = None
    numbers: dict[str, Any] = msgspec.field(default_factory=dict)


def decide(evidence: Evidence, settings: DecisionSettings | None = None) -> Verdict:
    """The verdict on one metric, compared between different windows (unpaired).

    In this order: not identifiable at the resolution of the stamps; no number; wholly beyond the margin and
    beyond chance; too few golden windows for a floor; golden itself too far from golden; equivalent;
    different; undecided. A small p-value alone never fails a metric, and a large one never passes it. What
    golden lacks keeps it from vouching for likeness, not from showing a difference that is gross.
    """
    rule = settings or DecisionSettings()
    margin = max(evidence.floor, evidence.engineering_floor)
    rejects = evidence.p_adjusted <= rule.significance
    standing, reason = _first(evidence, rule, margin, rejects=rejects)
    numbers = {
        "distance": evidence.distance,
        "lower": evidence.lower,
        "upper": evidence.upper,
        "floor": evidence.floor,
        "ratio_to_floor": evidence.distance / evidence.floor if evidence.floor > 0 else None,
        "p_adjusted": evidence.p_adjusted,
        "pairs": evidence.pairs,
        "inflation": evidence.inflation,
    }
    return Verdict(
        standing=standing,
        reason=reason,
        scope=_scope(standing, evidence, rule),
        margin=margin,
        numbers=numbers,
    )


def _scope(standing: Standing, evidence: Evidence, rule: DecisionSettings) -> str:
    """What a decision does not speak of."""
    if standing not in (Standing.PASS, Standing.FAIL) or evidence.days >= rule.days_min:
        return ""
    days = "1 day" if evidence.days == 1 else f"{evidence.days} days"
    return f"golden is of {days}, {rule.days_min} are needed to speak of others: said of these hours only"


def _first(
    evidence: Evidence, rule: DecisionSettings, margin: float, *, rejects: bool
) -> tuple[Standing, str]:
    """The first row of the table that holds."""
    if 0 < evidence.scale_ns < RESOLUTIONS_MIN * evidence.resolution_ns:
        return Standing.NOT_IDENTIFIABLE, (
            f"speaks of {evidence.scale_ns:,} ns, and the stamps step by {evidence.resolution_ns:,} ns"
        )
    if evidence.missing:
        return Standing.INCONCLUSIVE, f"too little data: {evidence.missing}"
    if rejects and evidence.lower > margin:
        return Standing.FAIL, (
            f"distance at least {evidence.lower:.4g}, margin {margin:.4g}; differs beyond chance, "
            f"p {evidence.p_adjusted:.3g}"
        )
    if evidence.pairs < rule.pairs_min:
        remember = f" (they remember each other: variance x{evidence.inflation:.2g})"
        return Standing.INCONCLUSIVE, (
            f"too little data: golden windows worth {evidence.pairs} pairs of independent ones"
            f"{remember if evidence.inflation > 1.5 else ''}, {rule.pairs_min} needed for a floor"
        )
    if evidence.floor > evidence.tolerable:
        return Standing.INCONCLUSIVE, (
            f"golden differs from itself by {evidence.floor:.4g}, more than the {evidence.tolerable:.4g} "
            "that a verdict may rest on"
        )
    within = f"distance at most {evidence.upper:.4g}, margin {margin:.4g}"
    if evidence.upper <= margin:
        return Standing.PASS, within
    if rejects:
        return Standing.FAIL, f"{within}; differs beyond chance, p {evidence.p_adjusted:.3g}"
    return (
        Standing.INCONCLUSIVE,
        f"{within}; no difference shown either, p {evidence.p_adjusted:.3g}: more hours",
    )


def two_fits(
    golden: float,
    golden_error: float,
    recon: float,
    recon_error: float,
    tolerance: float,
    beyond: float = 2.0,
) -> Verdict:
    """The verdict on a fitted parameter (GARCH, Hawkes, a tail): both fits are noisy.

    Parameters
    ----------
    golden, recon
        The two estimates.
    golden_error, recon_error
        Their standard errors.
    tolerance
        Tolerated difference relative to the golden estimate, say 0.1.
    beyond
        Standard errors of the difference beyond which it is not chance; more than 2 where many fits are
        looked at.
    """
    error = (golden_error**2 + recon_error**2) ** 0.5
    noise, allowed = 2 * error, tolerance * abs(golden)
    gap = abs(golden - recon)
    numbers = {"difference": gap, "noise": noise, "allowed": allowed}
    told = f"the fits differ by {gap:.3g}, allowed {allowed:.3g}"
    if gap > max(allowed, beyond * error):
        standing, reason = Standing.FAIL, f"{told}; beyond {beyond:.2g} standard errors ({error:.3g})"
    elif not noise <= allowed:  # also where an error is NaN
        standing = Standing.INCONCLUSIVE
        reason = f"too little data: two standard errors are {noise:.3g}, the tolerance is {allowed:.3g}"
    elif gap <= allowed:
        standing, reason = Standing.PASS, told
    else:
        standing = Standing.INCONCLUSIVE
        reason = f"{told}; no more than {beyond:.2g} standard errors ({error:.3g}): more hours"
    return Verdict(standing=standing, reason=reason, margin=allowed, numbers=numbers)


def errors_allowed(rule: DecisionSettings, fits: int) -> float:
    """Standard errors beyond which one of so many fits differs, two-sided, by Bonferroni on their share.

    A quantile of Student's t: an error that comes from ten stretches is itself known by nine differences.
    """
    from scipy.stats import t

    return float(t.isf(rule.significance * rule.fits_share / (2 * max(1, fits)), DEGREES))
