"""What a metric is, told to a reader: definition, formula, reference, threshold and why it is that."""

from __future__ import annotations

import msgspec

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.blocks import Statistic
from rlx_datapipe.fidelity.decision import RESOLUTIONS_MIN, DecisionSettings, Standing
from rlx_datapipe.fidelity.families import DistributionMetric, FitMetric, NumberMetric, VectorMetric
from rlx_datapipe.fidelity.meanings import meaning_of
from rlx_datapipe.fidelity.plugin import Goal, MetricPlugin, Need

_DISTANCES = {
    Statistic.KS: "D = max |F_golden(x) - F_recon(x)| at the edges of 1,024 golden-quantile bins",
    Statistic.ANDERSON_DARLING: "A = integral of (F_golden - F_recon)^2 / (H (1 - H)) dH, H of both sides",
    Statistic.ENERGY: "E = 2 integral of (F_golden - F_recon)^2 dx",
    Statistic.WASSERSTEIN: "W = integral of |F_golden - F_recon| dx",
}
_SEVERITIES = {
    Severity.GATE: "gate: without its PASS the whole does not pass, and its FAIL fails the whole",
    Severity.WARN: "its FAIL fails the whole; undecided, it does not hold the whole up",
    Severity.NOTE: "note: told, but it does not enter the verdict on the whole",
}


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A metric in words."""

    name: str
    category: str
    tier: int
    severity: str
    unit: str
    best: float
    purpose: str
    formula: str
    reference: str
    requirements: list[str]
    threshold: str
    why: str
    weight: str
    if_it_fails: str


def explained(plugin: type[MetricPlugin], settings: DecisionSettings | None = None) -> Explained:
    """All that there is to say of a metric before it is run."""
    rule = settings or DecisionSettings()
    threshold, why = _threshold(plugin, rule)
    return Explained(
        name=plugin.name,
        category=plugin.category,
        tier=plugin.tier,
        severity=plugin.severity.value,
        unit=plugin.unit,
        best=plugin.bounds[0] if plugin.goal is Goal.MINIMISE else plugin.bounds[1],
        purpose=plugin.purpose,
        formula=_formula(plugin),
        reference=plugin.reference,
        requirements=sorted(need.value for need in plugin.requirements),
        threshold=threshold,
        why=why,
        weight=_SEVERITIES[plugin.severity],
        if_it_fails=meaning_of(plugin, Standing.FAIL),
    )


def _formula(plugin: type[MetricPlugin]) -> str:
    """What is computed of each side, then how the sides are compared."""
    compared = ""
    if issubclass(plugin, DistributionMetric):
        compared = _DISTANCES[plugin.statistic]
    elif issubclass(plugin, VectorMetric):
        compared = "the greatest |mean over golden windows - mean over recon windows| of several numbers"
    elif issubclass(plugin, NumberMetric):
        compared = "d = |mean over golden windows - mean over recon windows|"
    elif issubclass(plugin, FitMetric):
        compared = "d = |estimate of golden - estimate of recon|, each fitted to its side as a whole"
    return "; ".join(part for part in (plugin.formula, compared) if part) or plugin.purpose


def _threshold(plugin: type[MetricPlugin], rule: DecisionSettings) -> tuple[str, str]:
    unit = f" {plugin.unit}" if plugin.unit else ""
    floor = f"{plugin.engineering_floor:g}{unit}"
    if issubclass(plugin, FitMetric):
        return (
            f"the greater of {_percent(plugin.tolerance)} of golden's estimate and two standard errors",
            "Both fits are noisy: a tolerance is only tested where two standard errors are smaller than it, "
            "else the verdict is INCONCLUSIVE.",
        )
    paired = f"sides of one time: {floor}"
    paired_why = "Sides of one time share the market's noise, so only what engineering tolerates is allowed."
    scale = ""
    if plugin.scale_ns:
        scale = (
            f" It speaks of {plugin.scale_ns / 1e9:g} s: where {RESOLUTIONS_MIN} steps of the stamps "
            "are more than that it is NOT IDENTIFIABLE."
        )
    if Need.SAME_TIME in plugin.requirements:
        census = " Each moment is compared, none is drawn: the value itself is held against it."
        return paired, f"{paired_why}{census if plugin.is_fact else ''}{scale}"
    quantile = f"{rule.floor_factor:g} times the {_percent(rule.floor_share)} quantile"
    margin = f"the greater of {floor} and {quantile} of golden's distances from itself"
    why = (
        f"{paired_why} Sides of different times differ by chance, too: their margin is what random halves of "
        "golden, split by windows, differ by, with a factor from rehearsals in which the truth is known. "
        f"PASS if the upper {_percent(rule.upper_share)} bound of the distance is within it; FAIL if it is "
        f"not and a permutation of whole blocks of windows rejects at {_percent(rule.significance)}, "
        "adjusted for all metrics."
    )
    return f"{paired}; of different times: {margin}", f"{why}{scale}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
