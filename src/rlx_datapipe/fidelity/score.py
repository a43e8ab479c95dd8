"""The fidelity score: how much of what was decided lies within its margin, beside the verdict, never instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.decision import Standing, Verdict
from rlx_datapipe.fidelity.plugin import MetricPlugin

TIER_WEIGHTS = {1: 3.0, 2: 2.0, 3: 1.0}
"""What a cost tier counts: what is seen at every event says more than what is fitted to few."""
SEVERITY_WEIGHTS = {Severity.GATE: 3.0, Severity.WARN: 2.0, Severity.NOTE: 1.0}
_BOUNDS = ("upper", "difference", "distance")


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A weighted mean of likenesses, 0 to 1, and the share of the weight that was decided at all.

    ``value`` is None where nothing was decided.
    """

    value: float | None
    decided: float
    metrics: int


def weight(plugin: type[MetricPlugin]) -> float:
    """What a metric counts in a score: by its cost tier and its severity."""
    return TIER_WEIGHTS[plugin.tier] * SEVERITY_WEIGHTS[plugin.severity]


def likeness(verdict: Verdict) -> float | None:
    """1 for what lies within its margin, else the margin over the bound of the distance; None if undecided.

    The bound is the upper one of the distance, of paired windows that of the mean difference, of two fits
    their difference: what the verdict rests on.
    """
    if verdict.standing is Standing.PASS:
        return 1.0
    if verdict.standing is not Standing.FAIL or verdict.margin is None:
        return None
    bound = _bound(verdict)
    return max(0.0, min(1.0, verdict.margin / bound)) if bound and bound > 0 else 0.0


def score(verdicts: Mapping[str, Verdict], plugins: Mapping[str, type[MetricPlugin]]) -> Score:
    """The score of some metrics together.

    What is not identifiable at the stamps' resolution, or can't be asked of these data, should not be
    among them: nobody could decide it.
    """
    told = [(weight(plugins[name]), likeness(verdict)) for name, verdict in sorted(verdicts.items())]
    whole = sum(one for one, _ in told)
    decided = sum(one for one, alike in told if alike is not None)
    value = sum(one * alike for one, alike in told if alike is not None) / decided if decided else None
    share = decided / whole if whole else 0.0
    return Score(value=value, decided=share, metrics=sum(alike is not None for _, alike in told))


def by_category(
    verdicts: Mapping[str, Verdict], plugins: Mapping[str, type[MetricPlugin]]
) -> dict[str, Score]:
    """A score for each category, in alphabetical order."""
    return {
        category: score(
            {name: one for name, one in verdicts.items() if plugins[name].category == category}, plugins
        )
        for category in _categories(plugins[name] for name in verdicts)
    }


def _categories(plugins: Iterable[type[MetricPlugin]]) -> list[str]:
    return sorted({plugin.category for plugin in plugins})


def _bound(verdict: Verdict) -> float | None:
    """The upper bound of the distance that a verdict rests on."""
    numbers = verdict.numbers
    if "low" in numbers and "high" in numbers:
        return max(abs(numbers["low"]), abs(numbers["high"]))
    return next((numbers[name] for name in _BOUNDS if name in numbers), None)
