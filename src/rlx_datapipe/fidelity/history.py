"""The history of runs: a folder of results, market by market, as trend lines and a table of what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.fidelity.comparison import RUN_HEAD, run_line
from rlx_datapipe.fidelity.meanings import title_of
from rlx_datapipe.fidelity.plot_data import Plots
from rlx_datapipe.fidelity.result import FidelityReport, MetricReport, read_report
from rlx_datapipe.fidelity.telling import STATES, WEIGHT, clipped, market, of_margin
from rlx_datapipe.report.drawing import WIDE, WIDTH
from rlx_datapipe.report.figures import moment, short
from rlx_datapipe.report.page import (
    Block,
    Figure,
    Figures,
    Fold,
    Line,
    Lines,
    Page,
    Remark,
    Remarks,
    Section,
    Words,
)
from rlx_datapipe.report.sides import spark, trend

FILES_MAX = 2_000
"""Most files that are read; the last ones by name."""
_LOG = "_delta_log"
"""Where the tables of a dataset keep theirs, if the folder is one of a dataset."""
_RUNS_MAX, _METRICS_MAX, _MARKETS_MAX = 120, 100, 24
_CHANGES_OPEN, _CHANGES_MAX = 6, 40
_METRIC_HEAD = ("value in margins, run by run", "latest", "failed")


@dataclass(frozen=True)
class Run:
    """One result of the folder: its file's name, and the result without what is drawn of it."""

    name: str
    report: FidelityReport


def read_history(folder: Path) -> tuple[list[Run], list[str]]:
    """All results below a folder, in the order of their datasets' periods; and what could not be read.

    Raises
    ------
    SourceError
        When there is no result in it.
    """
    runs: list[Run] = []
    problems: list[str] = []
    found = (path for path in folder.rglob("*.json") if _LOG not in path.parts)
    for path in sorted(found)[-FILES_MAX:]:
        try:
            one = read_report(path)
        except SourceError as error:
            problems.append(str(error))
            continue
        # Plots are the bulk of a result, and a history draws none of them.
        bare = [msgspec.structs.replace(metric, plots=Plots()) for metric in one.metrics]
        name = path.relative_to(folder).with_suffix("").as_posix()
        runs.append(Run(name, msgspec.structs.replace(one, metrics=bare)))
    if not runs:
        raise SourceError(
            "no fidelity results",
            file=folder,
            remedy="Write some with: rlx fidelity --report DIR --format json",
        )
    return sorted(runs, key=lambda run: (run.report.header.dataset.begins_ns or 0, run.name)), problems


def history_page(runs: Sequence[Run], problems: Sequence[str] = ()) -> Page:
    """The page of runs, in their order; one section for each market."""
    markets = {name: [run for run in runs if market(run.report.header) == name] for name in _markets(runs)}
    latest = [held[-1].report for held in markets.values()]
    worst = next(standing for standing in WEIGHT if standing in {one.verdict for one in latest})
    sections = []
    for name, held in list(markets.items())[:_MARKETS_MAX]:
        sections.append(Section(clipped(name, 120), [*_market(held)]))
    if len(markets) > _MARKETS_MAX:
        sections.append(
            Section("More", [Words(f"{len(markets) - _MARKETS_MAX} more markets are not shown.")])
        )
    if problems:
        told = [Remark("note", "Not read", clipped(problem)) for problem in problems[:_CHANGES_MAX]]
        sections.append(Section("Other files", [Remarks(told)], is_folded=True))
    passing = sum(one.verdict.value == "PASS" for one in latest)
    passed = f"{passing} of {len(latest)} market{'s' * (len(latest) > 1)}"
    return Page(
        title="History",
        state=STATES[worst],
        answer=f"{passed} pass in the latest run; {len(runs)} run{'s' * (len(runs) > 1)} in all.",
        sections=sections,
        kicker="Fidelity",
        foot="Runs are in the order of their datasets' periods. Made by rlx fidelity.",
        word=worst.value,
    )


def _markets(runs: Sequence[Run]) -> list[str]:
    return sorted({market(run.report.header) for run in runs})


def _market(runs: Sequence[Run]) -> Iterator[Block]:
    """Trend of the score, what changed, the runs, the metrics."""
    shown = runs[-_RUNS_MAX:]
    scores = [run.report.score.overall for run in shown]
    names = [moment(run.report.header.dataset.begins_ns)[:10] for run in shown]
    if len(shown) > 1:

        def drawn(width: int) -> str:
            states = [STATES[run.report.verdict] or "note" for run in shown]
            return trend("Score of each run", names, scores, states, full=1.0, width=width)

        meaning = "Of 1. The colour of a dot is the verdict of its run."
        yield Figures([Figure("Fidelity score", drawn(WIDTH), (), meaning, drawn(WIDE))])
        if changes := list(_changes(shown)):
            yield Remarks(changes[:_CHANGES_OPEN])
        if rest := changes[_CHANGES_OPEN:_CHANGES_MAX]:
            yield Fold("note", f"{len(rest)} MORE", "Other verdicts that changed", [Remarks(rest)])
    yield Lines(
        RUN_HEAD,
        [
            run_line(run.report, clipped(run.name, 80), note=moment(run.report.header.dataset.begins_ns))
            for run in reversed(shown)
        ],
    )
    yield Lines(
        _METRIC_HEAD, [*_metrics(shown)], "The dashed line is the margin: what lies above it is too much."
    )


def _changes(runs: Sequence[Run]) -> Iterator[Remark]:
    """Metrics whose verdict is another in the latest run than in the one before."""
    before, after = ({metric.name: metric for metric in run.report.metrics} for run in runs[-2:])
    both = [name for name in after if name in before and after[name].verdict is not before[name].verdict]
    for name in sorted(both, key=lambda name: (WEIGHT.index(after[name].verdict), name)):
        metric = after[name]
        told = f"{before[name].verdict.value} \u2192 {metric.verdict.value}: {clipped(metric.reason)}"
        yield Remark(STATES[metric.verdict], clipped(name, 80), told)


def _metrics(runs: Sequence[Run]) -> Iterator[Line]:
    """Each metric of the latest run over all runs."""
    held = [{metric.name: metric for metric in run.report.metrics} for run in runs]
    latest = sorted(held[-1].values(), key=lambda one: (WEIGHT.index(one.verdict), one.category, one.name))
    for metric in latest[:_METRICS_MAX]:
        over_runs = [one.get(metric.name) for one in held]
        values = [None if one is None else of_margin(one) for one in over_runs]
        failed = sum(_is_failed(one) for one in over_runs)
        yield Line(
            STATES[metric.verdict],
            metric.verdict.value,
            clipped(metric.name, 80),
            spark(values, 1.0),
            (short(values[-1]), f"{failed} of {len(runs)}"),
            clipped(title_of(metric.category).lower(), 60),
        )


def _is_failed(metric: MetricReport | None) -> bool:
    return metric is not None and metric.verdict.value == "FAIL"
