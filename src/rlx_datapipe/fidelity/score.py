"""The fidelity score: how far what was decided lies within its margin; beside the verdict, never instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.decision import Standing, Verdict
from rlx_datapipe.fidelity.plugin import MetricPlugin
from rlx_datapipe.fidelity.result import Score

TIER_WEIGHTS = {1: 3.0, 2: 2.0, 3: 1.0}
"""What a cost tier counts: what is seen at every event says more than what is fitted to few."""
SEVERITY_WEIGHTS = {Severity.GATE: 3.0, Severity.WARN: 2.0, Severity.NOTE: 1.0}

Verdicts = Mapping[str, Verdict]
Plugins = Mapping[str, type[MetricPlugin]]


def weight(plugin: type[MetricPlugin]) -> float:
    """What a metric counts in a score: by its cost tier and its severity."""
    return TIER_WEIGHTS[plugin.tier] * SEVERITY_WEIGHTS[plugin.severity]


def likeness(verdict: Verdict) -> float | None:
    """1 for what passes, else the margin over the bound of the distance; None for what is undecided.

    The bound is what the verdict rests on: the upper one of a distance, that of a mean difference of paired
    windows, or the difference of two fits.
    """
    if verdict.standing is Standing.PASS:
        return 1.0
    if verdict.standing is not Standing.FAIL or verdict.margin is None:
        return None
    bound = bound_of(verdict)
    return max(0.0, min(1.0, verdict.margin / bound)) if bound else 0.0


def bound_of(verdict: Verdict) -> float | None:
    """The upper bound of the distance that a verdict rests on; None where there is none."""
    numbers = verdict.numbers
    if "low" in numbers and "high" in numbers:
        return float(max(abs(numbers["low"]), abs(numbers["high"])))
    return next((float(numbers[name]) for name in ("upper", "difference") if name in numbers), None)


def scored(verdicts: Verdicts, plugins: Plugins) -> Score:
    """The weighted mean of the likenesses of all metrics that were decided.

    What can't be asked of these data (`overall.asked`) should not be among them: nobody could decide it.
    """
    names = sorted(verdicts)
    total = sum(weight(plugins[name]) for name in names)
    decided = sum(weight(plugins[name]) for name in names if likeness(verdicts[name]) is not None)
    return Score(
        overall=_mean(names, verdicts, plugins),
        decided=decided / total if total else 0.0,
        by_category=_parted(verdicts, plugins, lambda plugin: plugin.category),
        by_tier=_parted(verdicts, plugins, lambda plugin: str(plugin.tier)),
    )


def _parted(
    verdicts: Verdicts, plugins: Plugins, key: Callable[[type[MetricPlugin]], str]
) -> dict[str, float | None]:
    parts: dict[str, list[str]] = {}
    for name in sorted(verdicts):
        parts.setdefault(key(plugins[name]), []).append(name)
    return {part: _mean(names, verdicts, plugins) for part, names in sorted(parts.items())}


def _mean(names: list[str], verdicts: Verdicts, plugins: Plugins) -> float | None:
    told = [
        (weight(plugins[name]), alike) for name in names if (alike := likeness(verdicts[name])) is not None
    ]
    return sum(one * alike for one, alike in told) / sum(one for one, _ in told) if told else None
