"""Several fidelity results side by side: datasets or symbols in lines, metrics in a matrix of verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.decision import Standing
from rlx_datapipe.fidelity.meanings import title_of
from rlx_datapipe.fidelity.result import FidelityReport, MetricReport
from rlx_datapipe.fidelity.telling import (
    DASH,
    STATES,
    WEIGHT,
    WORDS,
    clipped,
    counts,
    hours,
    market,
    of_margin,
    score,
)
from rlx_datapipe.report.figures import short
from rlx_datapipe.report.page import Line, Lines, Matrix, Page, Section, State, Table, Words
from rlx_datapipe.report.sides import share_bar

COLUMNS_MAX, _ROWS_MAX, _LINES_MAX = 24, 200, 400
RUN_HEAD = ("share of metrics", "score", "passed", "golden")


def comparison_page(reports: Sequence[FidelityReport], links: Sequence[str] = ()) -> Page:
    """The page of several results, one for each dataset or symbol.

    Parameters
    ----------
    reports
        One at least.
    links
        Address of each one's own page; none where empty.
    """
    if not reports:
        raise OptionError("nothing to compare: no fidelity results")
    names = _names(reports)
    given = links or [""] * len(reports)
    lines = [run_line(*one) for one in zip(reports, names, given, strict=True)]
    verdicts = [one.verdict for one in reports]
    worst = next(standing for standing in WEIGHT if standing in verdicts)
    passed = verdicts.count(Standing.PASS)
    sections = [Section("Side by side", [Lines(RUN_HEAD, lines[:_LINES_MAX])])]
    shown, heads = reports[:COLUMNS_MAX], names[:COLUMNS_MAX]
    more = len(reports) - len(shown)
    left = [Words(f"{more} more are in the lines above.")] if more else []
    sections.append(Section("Score by category", [_scores(shown, heads), *left]))
    lead = "In each cell the verdict, and the value in multiples of its margin: up to 1 is inside."
    sections.append(Section("Metric by metric", [_matrix(shown, heads), *left], lead))
    return Page(
        title=f"{len(reports)} results side by side",
        state=STATES[worst],
        answer=f"{passed} of {len(reports)} pass.",
        sections=sections,
        kicker="Fidelity",
        foot="Each verdict is against the golden side of its own result. Made by rlx fidelity.",
        word=worst.value,
    )


def run_line(one: FidelityReport, name: str, link: str = "", note: str = "") -> Line:
    """One result in a list of them."""
    held = counts(one.metrics)
    parts = [(held[standing], STATES[standing] or "note") for standing in reversed(WEIGHT)]
    told = ", ".join(f"{held[standing]} {WORDS[standing]}" for standing in WEIGHT if held[standing])
    return Line(
        STATES[one.verdict],
        one.verdict.value,
        name,
        share_bar(told, parts),
        (score(one.score.overall), f"{held[Standing.PASS]} / {len(one.metrics)}", hours(one.header.golden)),
        note,
        link,
    )


def _names(reports: Sequence[FidelityReport]) -> list[str]:
    """The market of each; where several are of one, with its source, and then with that of golden."""
    names = [clipped(market(one.header), 60) for one in reports]
    for before, side in ((", ", "dataset"), (" against ", "golden")):
        told = [f"{before}{clipped(getattr(one.header, side).source, 60)}" for one in reports]
        names = [
            name if names.count(name) == 1 else f"{name}{more}"
            for name, more in zip(names, told, strict=True)
        ]
    return names


def _scores(reports: Sequence[FidelityReport], names: Sequence[str]) -> Table:
    categories = sorted({name for one in reports for name in one.score.by_category})
    rows = [["overall", *(score(one.score.overall) for one in reports)]]
    rows += [
        [clipped(title_of(name), 60), *(score(one.score.by_category.get(name)) for one in reports)]
        for name in categories[:_ROWS_MAX]
    ]
    return Table(["", *names], rows, right=tuple(range(1, len(names) + 1)))


def _matrix(reports: Sequence[FidelityReport], names: Sequence[str]) -> Matrix:
    """Metrics with most failures first."""
    held = [{metric.name: metric for metric in one.metrics} for one in reports]
    every = {name for metrics in held for name in metrics}

    def weight(name: str) -> tuple[tuple[int, ...], str]:
        """More failures first, then more that are undecided."""
        verdicts = [metrics[name].verdict for metrics in held if name in metrics]
        return tuple(-verdicts.count(standing) for standing in WEIGHT[:-1]), name

    rows = [
        (clipped(name, 60), [cell(metrics.get(name)) for metrics in held])
        for name in sorted(every, key=weight)[:_ROWS_MAX]
    ]
    return Matrix(["metric", *names], rows)


def cell(metric: MetricReport | None) -> tuple[State, str]:
    """The verdict of a metric as a colour, and its value in margins."""
    if metric is None:
        return "", ""
    share = of_margin(metric)
    return STATES[metric.verdict], DASH if share is None else short(share)
