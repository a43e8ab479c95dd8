"""How an inventory looks: a line for each series; for few symbols a calendar of the days that are there."""

from __future__ import annotations

import calendar
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from rlx_datapipe.acquisition.amounts import size_text
from rlx_datapipe.cli.summary import console

if TYPE_CHECKING:
    from rlx_datapipe.acquisition.holdings import Inventory, Series, Wanted

_SYMBOLS_MAX = 4
"""Symbols that get a calendar each; of more, only the table is shown."""
_SERIES_MAX = 60
_STRETCHES_MAX = 6
_ALL, _SOME, _NONE = ("█", "green"), ("▄", "yellow"), ("·", "red")
_PLAIN = {"█": "#", "▄": "+", "·": "."}
_COUNT_AT = 42
_RULER = "1   5    10   15   20   25   30 "


def show_inventory(inventory: Inventory, wanted: Wanted) -> None:
    """What was found, on stdout."""
    screen = console()
    screen.print(Text.assemble((inventory.archive, "bold"), (_how(inventory), "dim")), soft_wrap=True)
    for sentence in inventory.told:
        screen.print(Text.assemble(("! ", "yellow"), sentence), soft_wrap=True)
    if not inventory.series:
        return
    ordered = sorted(inventory.series, key=lambda one: (one.exchange, one.symbol))
    screen.print(_overview(ordered[:_SERIES_MAX], wanted))
    if len(inventory.series) > _SERIES_MAX:
        rest = len(inventory.series) - _SERIES_MAX
        screen.print(f"and {rest:,} more: narrow it by --exchange and --symbols, or see --json")
    by_symbol: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for one in ordered:
        by_symbol[one.exchange, one.symbol].append(one)
    if len(by_symbol) > _SYMBOLS_MAX:
        return
    for (exchange, symbol), series in by_symbol.items():
        screen.print()
        for line in calendar_lines(f"{exchange} {symbol}", series, wanted):
            screen.print(_fitting(line, screen.encoding), soft_wrap=True)


def _how(inventory: Inventory) -> str:
    """By what the tables were found; which of them, where that differs."""
    tables: dict[str, list[str]] = defaultdict(list)
    for table, way in inventory.found_by.items():
        tables[way].append(table)
    named = {way: f" ({', '.join(names)})" if len(tables) > 1 else "" for way, names in tables.items()}
    return f"  found by {', '.join(way + which for way, which in named.items())}"


def _overview(series: Sequence[Series], wanted: Wanted) -> Table:
    """A line for each series; columns that say nothing are left out, so that names have room."""
    has_rows = any(one.rows is not None for one in series)
    has_more_files = any(len(one.files) != len(one.days) for one in series)
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("symbol", overflow="fold")
    table.add_column("table", no_wrap=True)
    shown = [("first", True), ("last", True), ("days", True), ("missing", True)]
    shown += [("files", has_more_files), ("size", True), ("rows", has_rows)]
    for name, is_shown in shown:
        if is_shown:
            table.add_column(name, justify="right", no_wrap=True)
    before = ""
    for one in series:
        name = f"{one.exchange} {one.symbol}"
        missing, size = len(one.missing(wanted.first, wanted.last)), one.size_bytes
        table.add_row(
            Text("" if name == before else name),
            Text(one.table),
            f"{one.days[0]}",
            f"{one.days[-1]}",
            f"{len(one.days):,}",
            Text(f"{missing:,}", style="yellow" if missing else ""),
            *([f"{len(one.files):,}"] if has_more_files else []),
            "?" if size is None else size_text(size),
            *(["?" if one.rows is None else f"{one.rows:,}"] if has_rows else []),
        )
        before = name
    return table


def calendar_lines(title: str, series: Sequence[Series], wanted: Wanted) -> list[Text]:
    """A row for each month, a cell for each day: all tables there, some of them, or none."""
    first = wanted.first or min(one.days[0] for one in series)
    last = wanted.last or max(one.days[-1] for one in series)
    there = [set(one.days) for one in series]
    lines = [Text.assemble((title, "bold"), (f"  {first} to {last}", "dim"))]
    lines.append(Text(f"         {_RULER}", style="dim"))
    for year, month in _months(first, last):
        cells = Text(f"{year}-{month:02d}  ")
        found = asked = 0
        for number in range(1, calendar.monthrange(year, month)[1] + 1):
            day = dt.date(year, month, number)
            if not first <= day <= last:
                cells.append(" ")
                continue
            count = sum(day in days for days in there)
            cells.append(*(_ALL if count == len(there) else _SOME if count else _NONE))
            found, asked = found + (count > 0), asked + 1
        cells.pad_right(_COUNT_AT - len(cells))
        cells.append(f"{found}/{asked}", style="dim" if found == asked else "yellow")
        lines.append(cells)
    legend = Text("         ")
    for (mark, style), words in ((_ALL, "there"), (_SOME, "some of the tables"), (_NONE, "missing")):
        legend.append(mark, style).append(f" {words}   ", style="dim")
    return [*lines, legend, *_lacks(series, first, last)]


def _lacks(series: Sequence[Series], first: dt.date, last: dt.date) -> list[Text]:
    """What each table lacks, as stretches of days."""
    lines = []
    for one in series:
        stretches = list(_stretches(one.missing(first, last)))
        if stretches:
            told = ", ".join(stretches[:_STRETCHES_MAX])
            more = f" and {len(stretches) - _STRETCHES_MAX} more" if len(stretches) > _STRETCHES_MAX else ""
            lines.append(Text.assemble((f"{one.table} lacks ", "yellow"), f"{told}{more}"))
    return lines


def _stretches(days: Sequence[dt.date]) -> Iterable[str]:
    at = 0
    while at < len(days):
        end = at
        while end + 1 < len(days) and (days[end + 1] - days[end]).days == 1:
            end += 1
        yield f"{days[at]}" if end == at else f"{days[at]} to {days[end]}"
        at = end + 1


def _months(first: dt.date, last: dt.date) -> Iterable[tuple[int, int]]:
    for month in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield month // 12, month % 12 + 1


def _fitting(line: Text, encoding: str) -> Text:
    """The line in characters that the terminal has."""
    if encoding.lower().replace("-", "").startswith("utf"):
        return line
    plain = Text("".join(_PLAIN.get(character, character) for character in line.plain))
    plain.spans = line.spans
    return plain
