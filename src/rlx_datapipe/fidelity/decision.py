"""The decision rule: NOT IDENTIFIABLE, INCONCLUSIVE, PASS or FAIL, in this order, each with its reason."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from rlx_datapipe.core.errors import OptionError

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
    floor_factor: float = 1.0
    """Times that quantile; 1.5 in the rehearsal."""
    pairs_min: int = 40
    days_min: int = 1
    """Days that the golden windows must lie on; 2 for a verdict between different periods."""
    permutations: int = 1000
    rounds: int = 1000

    def __post_init__(self) -> None:
        for name in ("significance", "upper_share", "floor_share"):
            if not 0 < getattr(self, name) < 1:
                raise OptionError("a share lies between 0 and 1", field=name, found=getattr(self, name))
        for name in ("pairs_min", "days_min", "permutations", "rounds"):
            if getattr(self, name) < 1:
                raise OptionError("too few", field=name, found=getattr(self, name), expected="1 or more")


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rule looks at for one metric; distances in the unit of its statistic.

    Parameters
    ----------
    distance, upper
        Distance of recon from golden, and its upper bound with blocks resampled.
    floor
        Quantile of the golden distances, times the factor.
    pairs, days
        Pairs of disjoint matched golden windows behind the floor, and days that they lie on.
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
    """

    distance: float
    upper: float
    floor: float
    pairs: int
    p_adjusted: float
    engineering_floor: float = 0.0
    tolerable: float = float("inf")
    days: int = 1
    scale_ns: int = 0
    resolution_ns: int = 1
    missing: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of a metric, and why, in one sentence; with the numbers that it rests on."""

    standing: Standing
    reason: str
    margin: float | None = None
    numbers: dict[str, Any] = msgspec.field(default_factory=dict)


def decide(evidence: Evidence, settings: DecisionSettings | None = None) -> Verdict:
    """The verdict on one metric, compared between different windows (unpaired).

    In this order: not identifiable at the resolution of the stamps; too little data; golden itself too far
    from golden; equivalent; different; undecided. A small p-value alone never fails a metric, and a large one
    never passes it.
    """
    rule = settings or DecisionSettings()
    margin = max(evidence.floor, evidence.engineering_floor)
    rejects = evidence.p_adjusted <= rule.significance
    standing, reason = _first(evidence, rule, margin, rejects=rejects)
    numbers = {
        "distance": evidence.distance,
        "upper": evidence.upper,
        "ratio_to_floor": evidence.distance / evidence.floor if evidence.floor > 0 else None,
        "p_adjusted": evidence.p_adjusted,
        "pairs": evidence.pairs,
    }
    return Verdict(standing=standing, reason=reason, margin=margin, numbers=numbers)


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
    if evidence.pairs < rule.pairs_min:
        return Standing.INCONCLUSIVE, (
            f"too little data: {evidence.pairs} pairs of golden windows, {rule.pairs_min} needed for a floor"
        )
    if evidence.days < rule.days_min:
        return Standing.INCONCLUSIVE, (
            f"too little data: golden windows of {evidence.days} of {rule.days_min} days that a floor needs"
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
    golden: float, golden_error: float, recon: float, recon_error: float, tolerance: float
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
    """
    noise = 2 * (golden_error**2 + recon_error**2) ** 0.5
    allowed = tolerance * abs(golden)
    gap = abs(golden - recon)
    numbers = {"difference": gap, "noise": noise, "allowed": allowed}
    if not noise <= allowed:  # also where an error is NaN
        reason = f"too little data: two standard errors are {noise:.3g}, the tolerance is {allowed:.3g}"
        return Verdict(standing=Standing.INCONCLUSIVE, reason=reason, margin=allowed, numbers=numbers)
    margin = max(allowed, noise)
    standing = Standing.PASS if gap <= margin else Standing.FAIL
    reason = f"the fits differ by {gap:.3g}, allowed {margin:.3g}"
    return Verdict(standing=standing, reason=reason, margin=margin, numbers=numbers)
