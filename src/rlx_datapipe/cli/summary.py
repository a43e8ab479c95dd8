"""How results look in a terminal: summaries of runs and of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rlx_datapipe.core.event import NONE
from rlx_datapipe.core.period import time_text

if TYPE_CHECKING:
    from rlx_datapipe.validation.result import ValidationReport

_NAMED = 10
_GOOD, _ODD = "[green]✓[/]", "[yellow]![/]"


def console() -> Console:
    """The console for results that people read, on stdout."""
    return Console(highlight=False)


def show_reconstruction(result: dict[str, Any]) -> None:
    """The summary of `rlx reconstruct`."""
    screen = console()
    for chain in result["chains"]:
        screen.print(chain_table(chain))
    memory_mb = result["peak_memory_bytes"] / 1e6
    screen.print(
        f"{result['events']:,} events in {result['elapsed_seconds']:.1f} s "
        f"({result['events_per_second']:,} events/s), peak memory {memory_mb:,.0f} MB"
    )
    screen.print(f"digest   {result['digest']}")
    screen.print(f"dataset  {result['dataset']}", markup=False, soft_wrap=True)
    if result["quarantined"]:
        where = escape(f"{result['dataset']}/quarantine")
        told = f"{_ODD} {result['quarantined']:,} messages could not be read: see {where}"
        screen.print(told, soft_wrap=True)


def chain_table(chain: dict[str, Any]) -> Table:
    """One exchange and symbol: what was found, and what is not perfect."""
    table = Table(
        title=Text(f"{chain['exchange']} {chain['symbol']}", style="bold"), show_header=False, box=None
    )
    table.title_justify = "left"
    table.add_column(justify="left", style="dim")
    table.add_column(justify="right")
    table.add_column(justify="left")
    by_type = chain["events_by_type"]
    table.add_row("trades", f"{by_type['TRADE']:,}", "")
    table.add_row("book deltas", f"{by_type['BOOK_DELTA']:,}", "rows, one a level")
    table.add_row("snapshot levels", f"{by_type['BOOK_SNAPSHOT']:,}", "")
    if chain["first_time"] != NONE:
        table.add_row("from", "", time_text(chain["first_time"]))
        table.add_row("to", "", time_text(chain["last_time"]))
    for name, words in (
        ("gaps", "update ids that are missing"),
        ("crossed", "stretches with best bid above best ask"),
        ("locked", "stretches with best bid equal to best ask"),
        ("late", "events too late to be put in their place"),
        ("duplicates", "dropped"),
        ("quarantined", "messages that could not be read"),
    ):
        count = chain[name]
        table.add_row(name, f"{count:,}", _GOOD if not count else f"{_ODD} {words}")
    drift = chain["drift"]
    if drift["samples"]:
        exact = drift["samples"] == drift["exact"]
        table.add_row(
            "drift samples", f"{drift['samples']:,}", f"{_GOOD if exact else _ODD} {drift['exact']:,} exact"
        )
    without = chain["events_without_book"]
    if without:
        share = without / chain["events"]
        words = (
            "before the first snapshot or after a gap"
            if share < 1
            else "no snapshot came: the book is not valid"
        )
        table.add_row("without book", f"{without:,}", f"{share:.2%} of events, {words}")
    return table


def source_table(chain: dict[str, Any]) -> Table:
    """One exchange and symbol of a recording: its files and messages."""
    table = Table(
        title=Text(f"{chain['exchange']} {chain['symbol']}", style="bold"), show_header=False, box=None
    )
    table.title_justify = "left"
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    for file in chain["files"]:
        told = Text(f"{file['name']}  sha256 {file['sha256'][:16]}…", overflow="fold")
        table.add_row("file", f"{file['bytes']:,}", told)
    for name, count in chain["messages"].items():
        table.add_row(name, f"{count:,}", "messages")
    for name, count in chain["events_by_type"].items():
        table.add_row(name, f"{count:,}", "event rows")
    if chain["first_time"] != NONE:
        table.add_row("from", "", time_text(chain["first_time"]))
        table.add_row("to", "", time_text(chain["last_time"]))
    table.add_row("unreadable", f"{chain['quarantined']:,}", "messages")
    return table


_MARKS = {
    "pass": "[green]✓ pass[/]",
    "note": "[green]✓ pass[/]",
    "warn": "[yellow]! warn[/]",
    "fail": "[red]✗ fail[/]",
    "skipped": "[dim]· skipped[/]",
}


def show_validation(report: ValidationReport) -> None:
    """The verdict of `rlx validate`, rule by rule, with the differences by name."""
    screen = console()
    for one in report.chains or [report]:
        against = one.golden or "its own quotes"
        title = Text(f"{one.exchange} {one.symbol} against {against}", style="bold")
        table = Table(title=title, title_justify="left", show_header=False, box=None)
        for _ in range(3):
            table.add_column(vertical="top")
        for rule in one.rules:
            table.add_row(_MARKS[rule.verdict], rule.name, rule.headline)
        screen.print(table)
    for differing in report.oracle["differing"][:_NAMED]:
        screen.print(f"  [yellow]differs[/] {_difference(differing)}")
    more = len(report.oracle["differing"]) - _NAMED
    if more > 0:
        screen.print(f"  … and {more} more: see --json or --report")
    colour = "green" if report.verdict == "pass" else "red"
    screen.print(f"verdict  [bold {colour}]{report.verdict}[/]")


def _difference(differing: dict[str, Any]) -> str:
    fields = "; ".join(
        f"{name} {differing['found'][name] or 'none'}, the venue says {differing['expected'][name] or 'none'}"
        for name in differing["fields"]
    )
    behind = differing["quote_ids_behind"]
    return f"update id {differing['update_id']}: {fields} (in a quote {behind:,} ids older)"
