"""Strengths and problems of a comparison: what agrees, what does not, why, and what to try."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.causes import Cause
from rlx_datapipe.fidelity.decision import Standing
from rlx_datapipe.fidelity.meanings import TITLES, title_of
from rlx_datapipe.fidelity.overall import told
from rlx_datapipe.fidelity.plugin import Need
from rlx_datapipe.fidelity.result import MetricReport, Problem, Strength

TOO_LITTLE = "too little data"
"""How the reason begins of what is undecided for want of data."""
_NAMED = 4
_WEIGHT = {Severity.GATE.value: 0, Severity.WARN.value: 1, Severity.NOTE.value: 2}


def strengths_of(metrics: Sequence[MetricReport]) -> list[Strength]:
    """Categories in which nothing fails and something passes, those with most passes first."""
    found = []
    for category, members in _categories(metrics).items():
        passed = [one.name for one in members if one.verdict is Standing.PASS]
        if passed and not any(one.verdict is Standing.FAIL for one in members):
            whole = "all" if len(passed) == len(members) else f"{len(passed)} of {len(members)}"
            text = f"{TITLES.get(category, (category, ''))[1] or category}: {whole} equivalent to golden."
            found.append(Strength(title=title_of(category), text=text[0].upper() + text[1:], metrics=passed))
    return sorted(found, key=lambda one: (-len(one.metrics), one.title))


def problems_of(
    metrics: Sequence[MetricReport], causes: Sequence[Cause], *, is_paired: bool
) -> list[Problem]:
    """What fails by category, then what could not be told; gates and many failures first.

    What is undecided for want of data is one problem, whatever the category: more hours mend it all.
    """
    can_tell = [one for one in metrics if is_paired or Need.SAME_TIME.value not in one.requirements]
    parts: dict[tuple[Standing, str], list[MetricReport]] = {}
    for one in can_tell:
        if one.verdict in (Standing.FAIL, Standing.INCONCLUSIVE):
            is_short = one.verdict is Standing.INCONCLUSIVE and one.reason.startswith(TOO_LITTLE)
            parts.setdefault((one.verdict, "" if is_short else one.category), []).append(one)
    problems: list[tuple[tuple[int, int, int, str], Problem]] = []
    for (standing, category), fitting in parts.items():
        weight = min(_WEIGHT[one.severity] for one in fitting)
        problem = _problem(category, standing, fitting, causes)
        problems.append(((standing is not Standing.FAIL, weight, -len(fitting), category), problem))
    return [problem for _, problem in sorted(problems, key=lambda pair: pair[0])]


def _problem(
    category: str, standing: Standing, members: Sequence[MetricReport], causes: Sequence[Cause]
) -> Problem:
    names = [one.name for one in members]
    heaviest = min(
        members, key=lambda one: (_WEIGHT[one.severity], one.score if one.score is not None else 1)
    )
    fitting = [cause for cause in causes if not cause.moves or cause.moves & set(names)]
    reason = heaviest.reason if len(names) == 1 else f"{heaviest.name}: {heaviest.reason}"
    if standing is Standing.FAIL:
        text = f"{told(names)} differ{'s' if len(names) == 1 else ''} beyond the margin; {reason}."
    elif category:
        text, fitting = f"{told(names)} could not be decided; {reason}.", []
    else:
        fields = told(sorted({title_of(one.category).lower() for one in members}))
        reason = heaviest.reason.removeprefix(f"{TOO_LITTLE}: ")
        which = told(names) if len(names) <= _NAMED else f"{len(names)} metrics ({fields})"
        reason = reason if len(names) == 1 else f"{heaviest.name}: {reason}"
        text, fitting = f"{which} could not be decided; {reason}.", []
    remedies = [cause.remedy for cause in fitting] or [heaviest.remedy]
    return Problem(
        title=title_of(category) if category else TOO_LITTLE.capitalize(),
        text=text,
        standing=standing,
        metrics=names,
        causes=[cause.told for cause in fitting],
        remedies=[one for one in remedies if one],
    )


def _categories(metrics: Iterable[MetricReport]) -> dict[str, list[MetricReport]]:
    parts: dict[str, list[MetricReport]] = {}
    for one in metrics:
        parts.setdefault(one.category, []).append(one)
    return dict(sorted(parts.items()))
