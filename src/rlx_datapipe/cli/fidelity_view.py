"""How a fidelity report looks in a terminal: the verdict first, then each metric against its margin."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rlx_datapipe.cli.summary import console
from rlx_datapipe.fidelity.decision import Standing
from rlx_datapipe.fidelity.explain import Explained
from rlx_datapipe.fidelity.meanings import title_of
from rlx_datapipe.fidelity.result import FidelityReport, MetricReport, Problem, Side
from rlx_datapipe.fidelity.telling import capital, same_rows
from rlx_datapipe.report.figures import count, duration, moment, share, short

_MARKS = {
    Standing.PASS: ("✓", "green"),
    Standing.FAIL: ("✗", "red"),
    Standing.INCONCLUSIVE: ("?", "yellow"),
    Standing.NOT_IDENTIFIABLE: ("·", "dim"),
}
_CELLS, _WORDS, _TIMES_MAX = 12, 26, 99
_DUST = 1e-12
"""Below this a number is what rounding leaves of 0."""
_NARROW, _WIDE = 76, 110
"""Columns from which figures have room, and both sides, too."""
_SIDES, _FIGURES = ("golden", "dataset"), ("distance", "at most", "margin")
_NS_PER_H = 3_600_000_000_000


def show_fidelity(one: FidelityReport) -> None:
    """The screen of `rlx fidelity` for one symbol."""
    show_verdict(one)
    screen = console()
    screen.print()
    screen.print(Padding(_table(one.metrics, screen.width), (0, 0, 0, 2)))
    for scope in dict.fromkeys(metric.scope for metric in one.metrics if metric.scope):
        screen.print(Padding(Text(scope, style="dim"), (1, 0, 0, 2)))
    _show_problems(screen, one.problems)
    for name, side in (("golden", one.header.golden), ("dataset", one.header.dataset)):
        if side.replayed is not None and side.replayed.alerts:
            told = "; ".join(side.replayed.told)
            words = f"! {name}: {count(side.replayed.alerts)} alerts while it was replayed: {told}"
            screen.print(Text(words, style="yellow"), soft_wrap=True)
    for finding in one.findings:
        screen.print(Text(f"! {finding.message}", style="yellow"), soft_wrap=True)
    screen.print()


def show_verdict(one: FidelityReport) -> None:
    """What was compared with what, the verdict on the whole, and the score."""
    screen = console()
    header = one.header
    screen.print(
        Text.assemble(
            (f"{header.dataset.exchange} {header.dataset.symbol}", "bold"),
            f"  {header.dataset.source}",
            (" against ", "dim"),
            _named(header.golden, header.dataset),
        ),
        soft_wrap=True,
    )
    screen.print(Text(_compared(one), style="dim"))
    mark, colour = _MARKS[one.verdict]
    verdict = Table(show_header=False, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    verdict.add_column(no_wrap=True)
    verdict.add_column(overflow="fold")
    verdict.add_row(Text(f"{mark} {one.verdict.value}", f"bold {colour}"), Text(one.reason, style=colour))
    verdict.add_row(Text("  score", style="dim"), _score(one))
    screen.print(verdict)
    if said := same_rows(header):
        screen.print(Text(said, style="dim"))


def _named(golden: Side, dataset: Side) -> str:
    other = (
        "" if (golden.exchange, golden.symbol) == (dataset.exchange, dataset.symbol) else f" {golden.symbol}"
    )
    return f"{golden.source}{other}"


def _compared(one: FidelityReport) -> str:
    header = one.header
    length = duration(header.window_ns)
    if header.is_paired:
        windows = f"{count(header.golden.windows)} windows of {length}, each against the same time of golden"
        begin = header.golden.begins_ns
        return windows if begin is None else f"{moment(begin)} UTC, {windows}"
    sides = (f"{count(side.windows)} windows ({_hours(side)})" for side in (header.dataset, header.golden))
    return f"{' against '.join(sides)} of {length} each, of different times or markets"


def _hours(side: Side) -> str:
    return duration(side.data_hours * _NS_PER_H)


def _score(one: FidelityReport) -> Text:
    """The score, beside the verdict and never instead of it."""
    score = one.score
    if score.overall is None:
        return Text("none: nothing was decided", style="dim")
    return Text(f"{score.overall:.3f} of 1, over the {share(score.decided)} of the weight that was decided")


def _table(metrics: Sequence[MetricReport], width: int) -> Table:
    """A line for each metric under its category: what was found, and where it lies against the margin."""
    figures = {} if width < _NARROW else dict.fromkeys(_FIGURES if width < _WIDE else (*_SIDES, *_FIGURES))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(Text("against the margin"), overflow="fold")
    for category, members in groupby(metrics, key=lambda metric: metric.category):
        table.add_row("", Text(title_of(category), style="bold"))
        for metric in members:
            mark, colour = _MARKS[metric.verdict]
            told = {
                "golden": metric.golden,
                "dataset": metric.recon,
                "distance": metric.value,
                "at most": _most(metric),
                "margin": metric.margin,
            }
            table.add_row(
                Text(mark, style=colour),
                Text(metric.name, style="bold" if metric.severity == "gate" else ""),
                *(_figure(told[name]) for name in figures),
                _against(metric),
            )
    return table


def _most(metric: MetricReport) -> float | None:
    """The bound that is held against the margin."""
    if metric.high is None:
        return None
    return max(abs(metric.high), abs(metric.low or 0.0)) if metric.p.adjusted is None else metric.high


def _figure(value: float | None) -> Text:
    if value is None:
        return Text(count(None), style="dim")
    return Text(short(value) if abs(value) >= _DUST else "0")


def _against(metric: MetricReport) -> Text:
    """A bar: the margin is its middle, what lies beyond is beyond it."""
    most, margin = _most(metric), metric.margin
    _, colour = _MARKS[metric.verdict]
    if metric.verdict is Standing.NOT_IDENTIFIABLE:
        return Text("stamps too coarse", style="dim")
    is_within = most is None or margin is None or most <= margin
    if metric.value is None or (is_within and metric.verdict is Standing.INCONCLUSIVE):
        head = metric.reason.partition(":")[0]
        return Text(head if len(head) <= _WORDS else "undecided", style="dim")
    if metric.verdict is Standing.PASS and (most == 0 or abs(metric.value) < _DUST):
        return Text("equal", style=colour)
    if most is None or margin is None:
        return Text("within the margin" if metric.verdict is Standing.PASS else "", style=colour)
    half = _CELLS // 2
    ratio = most / margin if margin else (0.0 if not most else 2.0)
    filled = min(_CELLS, round(half * ratio)) if ratio else 0
    filled = max(filled, 1) if most else 0
    cells = "━" * filled + "╌" * (_CELLS - filled)
    times = f" {ratio:.2g}x" if ratio < _TIMES_MAX else f" >{_TIMES_MAX}x"
    beyond = Text(times if ratio > 1 and margin else "", style="dim")
    return Text.assemble((cells[:half], colour), ("┃", "bold"), (cells[half:], colour), beyond)


def _show_problems(screen: Console, problems: Sequence[Problem]) -> None:
    told = [one for one in problems if one.standing is Standing.FAIL] or list(problems[:3])
    if not told:
        return
    screen.print()
    said: set[str] = set()
    for problem in told:
        mark, colour = _MARKS[problem.standing]
        table = Table(show_header=False, box=None, padding=(0, 1, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        words: list[Text] = [Text.assemble((problem.title, "bold"), f"  {problem.text}")]
        for style, label, sentences in (
            ("", "why", problem.causes[:2]),
            ("cyan", "try", problem.remedies[:2]),
        ):
            fresh = [one for one in sentences if one not in said]
            words += [Text.assemble((f"{label}  ", "dim"), (one, style)) for one in fresh]
            said.update(fresh)
        table.add_row(Text(mark, style=colour), Group(*words))
        screen.print(Padding(table, (0, 0, 0, 2)))


def show_catalogue(metrics: Sequence[Explained], problems: Sequence[str]) -> None:
    """The list of metrics, by category."""
    screen = console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("metric", no_wrap=True)
    table.add_column("tier", justify="right", no_wrap=True)
    table.add_column("weight", no_wrap=True)
    table.add_column("what", overflow="fold")
    ordered = sorted(metrics, key=lambda one: (one.category, one.name))
    for category, members in groupby(ordered, key=lambda one: one.category):
        table.add_row(Text(title_of(category), style="bold"))
        for one in members:
            table.add_row(
                f"  {one.name}", str(one.tier), Text(one.severity, style="dim"), Text(capital(one.purpose))
            )
    screen.print(table)
    for problem in problems:
        screen.print(Text(f"! {problem}", style="yellow"), soft_wrap=True)


def show_metric(one: Explained) -> None:
    """One metric in words."""
    screen = console()
    screen.print(
        Text.assemble((one.name, "bold"), (f"  {title_of(one.category)}, cost tier {one.tier}", "dim"))
    )
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, vertical="top")
    table.add_column(overflow="fold")
    rows = {
        "what": one.purpose,
        "formula": one.formula,
        "best": f"{one.best:g}{' ' + one.unit if one.unit else ''}",
        "needs": ", ".join(one.requirements) or "nothing",
        "margin": one.threshold,
        "why": one.why,
        "weight": one.weight,
        "if it fails": one.if_it_fails,
        "reference": one.reference,
    }
    for name, words in rows.items():
        table.add_row(name, Text(capital(words) if name == "what" else words))
    screen.print(Padding(table, (0, 0, 0, 2)))
