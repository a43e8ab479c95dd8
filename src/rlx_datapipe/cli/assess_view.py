"""How an assessment looks in a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rlx_datapipe.assessment.result import Assessment, Contiguity, FeedReport
from rlx_datapipe.cli.summary import console
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.report.figures import count, duration, moment, share, short, size

_GRADES = {"ready": ("✓", "green"), "usable": ("!", "yellow"), "unfit": ("✗", "red")}
_WEIGHTS = {Severity.GATE: ("✗", "red"), Severity.WARN: ("!", "yellow"), Severity.NOTE: ("·", "dim")}
_STATED = {"never": "never stated", "anchored": "stated now and then", "sampled": "sampled"}
_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDE = 48


def show_assessment(one: Assessment) -> None:
    """The screen of `rlx assess` for one chain."""
    screen = console()
    mark, colour = _GRADES[one.grade.value]
    screen.print(Text.assemble((f"{one.exchange} {one.symbol}", "bold"), (f"  {_span(one)}", "dim")))
    screen.print(Text.assemble((f"{mark} ", f"bold {colour}"), (one.verdict, colour)), soft_wrap=True)
    screen.print()
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value, words in _rows(one):
        table.add_row(name, value, Text(words))
    screen.print(Padding(table, (0, 0, 0, 2)))
    for title, drawn in _sketches(one):
        screen.print(Text.assemble((f"  {title:<18}", "dim"), drawn), soft_wrap=True)
    screen.print()
    for finding in one.findings:
        mark, colour = _WEIGHTS[finding.severity]
        screen.print(_marked(mark, colour, finding.message))
    strategy = Text.assemble(("strategy  ", "dim"), (one.advice.strategy.value, "bold cyan"))
    screen.print(Padding(strategy, (1, 0, 0, 0)))
    for reason in one.advice.reasons:
        screen.print(_marked("·", "dim", reason))
    screen.print()


def _marked(mark: str, colour: str, words: str) -> Padding:
    """A mark, and words that stay in their column."""
    table = Table(show_header=False, box=None, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(mark, style=colour), Text(words))
    return Padding(table, (0, 0, 0, 2))


def _span(one: Assessment) -> str:
    if one.first_time is None or one.last_time is None:
        return "no events"
    return f"{moment(one.first_time)} UTC, {duration(one.last_time - one.first_time)}, {size(one.bytes)}"


def _rows(one: Assessment) -> Iterator[tuple[str, str, str]]:
    book, loss, clocks = one.book, one.loss, one.clocks
    yield "book changes", count(one.rows["BOOK_DELTA"]), f"in {count(one.depth.messages)} depth messages"
    yield "trades", count(one.rows["TRADE"]), ""
    levels = f", {count(book.bid_levels['p50'])} + {count(book.ask_levels['p50'])} levels"
    apart = f", {duration(book.apart_ns['p50'])} apart" if book.snapshots > 1 else ""
    yield (
        "snapshots",
        count(book.snapshots),
        f"the book is {_STATED[book.stated]}{apart}{levels if book.snapshots else ''}",
    )
    if one.depth.messages:
        most = f"at most {count(book.levels_most[0])} + {count(book.levels_most[1])}"
        held = f"{book.levels_mean[0]:,.0f} + {book.levels_mean[1]:,.0f}"
        yield "levels held", held, f"bids + asks, mean; {most}"
    yield "depth gaps", *_gaps(one.depth)
    yield "trade gaps", *_gaps(one.trades)
    for name, clock in clocks.items():
        if name != "snapshots":
            low, middle, high = (duration(clock.lag_ns[at]) for at in ("p01", "p50", "p99"))
            yield f"lag of {name}", middle, f"median; 1 % below {low}, 1 % above {high}"
    if loss.unseen_share is not None:
        changes = short(loss.changes / max(loss.windows, 1))
        yield "unseen", share(loss.unseen_share), f"of book changes, by {loss.looks} ({changes} changes each)"
    if one.refused:
        yield "unreadable", count(one.refused), "messages or rows"
    if one.cost:
        yield "memory", size(one.cost.memory_bytes), "peak of a reconstruction, estimated"
        yield "time", duration(one.cost.processor_s * 1e9), "of processors, estimated"


def _gaps(feed: FeedReport) -> tuple[str, str]:
    told = {
        Contiguity.PROVEN: "none",
        Contiguity.GAPS: count(feed.gaps),
        Contiguity.UNKNOWABLE: "?",
        Contiguity.ABSENT: "",
    }
    return told[feed.contiguity], feed.statement


def _sketches(one: Assessment) -> Iterator[tuple[str, str]]:
    """Rates over time and the lag as a line of blocks, where there is something to draw."""
    rate = one.rate
    rows = [sum(each) for each in zip(rate.trades, rate.snapshot_rows, rate.delta_rows, strict=True)]
    if len(rows) > 1:
        drawn = _sketch(_folded(rows, _WIDE))
        top = max(rows) / (rate.width_ns / 1e9)
        yield "events over time", f"{drawn}  at most {short(top)} a second"
    clock = one.clocks.get("deltas") or one.clocks.get("trades")
    if clock and len(clock.lag_bars) > 1:
        drawn = _sketch(_folded([bar[2] for bar in clock.lag_bars], _WIDE))
        ends = f"{duration(clock.lag_bars[0][0])} to {duration(clock.lag_bars[-1][1])}"
        yield "lag", f"{drawn}  {ends}"


def _folded(values: Sequence[int], most: int) -> list[int]:
    """Neighbours joined until there are few enough; each is the largest of its part."""
    step = -(-len(values) // most)
    return [max(values[at : at + step]) for at in range(0, len(values), step)]


def _sketch(values: Sequence[int]) -> str:
    top = max(1, *values)
    # What is not nought never looks like it.
    return "".join(_BLOCKS[-(-value * (len(_BLOCKS) - 1) // top)] for value in values)
