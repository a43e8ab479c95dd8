"""How results look in a terminal: summaries of runs and of datasets."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rlx_datapipe.core.event import NONE
from rlx_datapipe.core.period import time_text
from rlx_datapipe.store.dataset import DAMAGED, GO_ON

if TYPE_CHECKING:
    from pathlib import Path

    from rlx_datapipe.validation.result import ValidationReport

_NAMED = 10
_DETAILED_MAX = 2
"""More chains than this share one table, a line each; `rlx inspect` has the details."""
_GOOD, _ODD = "[green]✓[/]", "[yellow]![/]"


class _Screen(Console):
    """Leaves it to the door of the command what it means that the reader has gone."""

    def on_broken_pipe(self) -> None:
        """As any other stream: an error, which `terminal.steady` understands."""
        self.quiet = True
        raise BrokenPipeError


def console() -> Console:
    """The console for results that people read, on stdout."""
    return _Screen(highlight=False)


def show_reconstruction(result: dict[str, Any], sources: Sequence[str], out: Path) -> None:
    """The summary of `rlx reconstruct`, and what to do with the dataset."""
    from rlx_datapipe.ingestion.source import holds_messages
    from rlx_datapipe.store.manifest import read_manifest

    show_run(result)
    # Rows of an archive can't judge a dataset: they hold no quotes by update id.
    can_judge = all(holds_messages(chain.source_format) for chain in read_manifest(out).chains)
    show_next(result, sources if can_judge else [])


def show_next(result: dict[str, Any], golden: Sequence[str], more: Sequence[str] = ()) -> None:
    """Commands to paste that show more of a dataset: its book, its counts, its verdict; and ``more``."""
    dataset = shlex.quote(result["dataset"])
    first = result["chains"][0]
    symbol = shlex.quote(f"{first['exchange']}/{first['symbol']}")
    chosen = f" --symbol {symbol}" if len(result["chains"]) > 1 else ""
    show_commands(
        f"book {dataset}{chosen} --event {first['events'] // 2}",
        f"inspect {dataset}",
        f"validate {dataset}" + (f" --golden {shlex.join(golden)}" if golden else ""),
        *more,
    )


def show_commands(*commands: str) -> None:
    """What to try next: commands to paste, without the name of the program."""
    screen = console()
    screen.print("\n[bold]Try next[/]")
    for command in commands:
        screen.print(f"  [cyan]{escape(f'{rlx()} {command}')}[/]", soft_wrap=True)


def rlx(extras: Sequence[str] = ()) -> str:
    """How our program is called from where the user is, with extras that are not installed yet."""
    # `uv run` leaves no command on the path: show what can be pasted.
    if "UV_RUN_RECURSION_DEPTH" in os.environ:
        return " ".join(["uv run", *(f"--extra {extra}" for extra in extras), "rlx"])
    return f"pip install 'rlx-datapipe[{','.join(extras)}]' && rlx" if extras else "rlx"


def show_run(result: dict[str, Any], *, with_rate: bool = True) -> None:
    """What a run found, per chain, and what it took."""
    screen = console()
    if len(result["chains"]) > _DETAILED_MAX:
        screen.print(overview_table(result["chains"]))
        for one in result["findings"]:
            told = f"! {one['exchange']} {one['symbol']} {one['rule']}: {one['message']}"
            screen.print(Text(told, style="yellow"), soft_wrap=True)
    else:
        for chain in result["chains"]:
            screen.print(chain_table(chain))
    memory_mb = result["peak_memory_bytes"] / 1e6
    rate = f" ({result['events_per_second']:,} events/s)" if with_rate else ""
    took = f"{result['elapsed_seconds']:.1f} s{rate}, peak memory {memory_mb:,.0f} MB"
    before = result["resumed_events"]
    for chain in result["chains"]:
        _show_course(screen, chain)
    if before == result["events"]:
        screen.print(f"{before:,} events, all of them there before: nothing was left to do")
    else:
        screen.print(f"{result['events'] - before:,} {'more ' if before else ''}events in {took}")
    screen.print(f"digest   {result['digest']}", soft_wrap=True)
    screen.print(f"dataset  {result['dataset']}", markup=False, soft_wrap=True)
    for sentence in result.get("repaired", []):
        screen.print(f"{_ODD} {escape(sentence)}", soft_wrap=True)
    if result["quarantined"]:
        where = escape(f"{result['dataset']}/quarantine")
        unread = _plural(result["quarantined"], "message")
        told = f"{_ODD} {unread} could not be read: see {where}"
        screen.print(told, soft_wrap=True)


def show_verified(result: dict[str, Any]) -> None:
    """What `rlx inspect --deep` verified, what is damaged, and what to do then."""
    screen, verified, problems = console(), result["verified"], result["problems"]
    counted = f"{_plural(verified['files'], 'file')}, {_plural(verified['epochs'], 'epoch')}"
    if not problems:
        screen.print(f"verified {_GOOD} {counted}, {verified['bytes']:,} bytes: each is what was committed")
        return
    for problem in problems:
        screen.print(Text.assemble(("damaged", "red"), f"  {problem}"), soft_wrap=True)
    told = f"{_plural(len(problems), 'problem')} in {counted}: this dataset is not what was committed."
    screen.print(f"verified [red]✗[/] {told}", soft_wrap=True)
    screen.print(f"{DAMAGED}, then verify it again.", soft_wrap=True)


def show_unfinished(result: dict[str, Any]) -> None:
    """That symbols of a dataset are not finished, how far they are, and how to go on."""
    unfinished = result["unfinished"]
    if not unfinished:
        return
    screen = console()
    count = len(unfinished) + len(result["chains"])
    verb = "is" if len(unfinished) == 1 else "are"
    told = f"{len(unfinished)} of {_plural(count, 'symbol')} {verb} unfinished, and not in what stands above:"
    screen.print(Text(f"! {told}", style="yellow"), soft_wrap=True)
    for one in unfinished:
        came = f"{_plural(one['epochs'], 'epoch')} with {one['events']:,} events committed"
        screen.print(
            Text(f"  {one['chain']}: {came if one['epochs'] else 'nothing committed'}"), soft_wrap=True
        )
    screen.print(f"{GO_ON}.", soft_wrap=True)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _show_course(screen: Console, chain: dict[str, Any]) -> None:
    """How the writing of a chain went: where it went on, how often its process died."""
    name, epoch = f"{chain['exchange']} {chain['symbol']}", chain["resumed_from_epoch"]
    if chain["was_complete"]:
        screen.print(Text(f"{name} was complete already"), soft_wrap=True)
    elif epoch is not None:
        there = f"{chain['resumed_events']:,} events were there"
        screen.print(Text(f"{name} went on behind epoch {epoch} ({there})"), soft_wrap=True)
    if restarts := chain["restarts"]:
        reasons = ", ".join(dict.fromkeys(restarts))
        told = f"! {name}: its process was started again {_plural(len(restarts), 'time')}, for it {reasons}"
        screen.print(Text(told, style="yellow"), soft_wrap=True)


def overview_table(chains: Sequence[dict[str, Any]]) -> Table:
    """Several chains, a line each: how much there is, and what is not perfect."""
    all_faults = ("gaps", "crossed", "late", "quarantined")
    # A column of noughts is a sentence below instead: names and counts have the room.
    faults = [name for name in all_faults if any(chain[name] for chain in chains)]
    clean = [name for name in all_faults if name not in faults]
    exchanges = {chain["exchange"] for chain in chains}
    title = Text(exchanges.pop(), style="bold") if len(exchanges) == 1 else None
    caption = Text(f"no symbol with any {' or '.join(clean)}", style="dim")
    table = Table(title=title, title_justify="left", box=None, header_style="dim", padding=(0, 1, 0, 0))
    if clean:
        table.caption, table.caption_justify = caption, "left"
    table.add_column("symbol", overflow="fold")
    for name in ("events", "trades", *faults, "drift samples"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column()
    for chain in chains:
        drift = chain["drift"]
        is_good = drift["samples"] == drift["exact"] and not any(chain[name] for name in faults)
        counts = (chain["events"], chain["events_by_type"]["TRADE"], *(chain[name] for name in faults))
        table.add_row(
            Text(chain["symbol"] if title else f"{chain['exchange']} {chain['symbol']}"),
            *(f"{count:,}" for count in counts),
            f"{drift['samples']:,}",
            _GOOD if is_good else _ODD,
        )
    return table


def chain_table(chain: dict[str, Any]) -> Table:
    """One exchange and symbol: what was found, and what is not perfect."""
    table = _named_table(chain)
    by_type = chain["events_by_type"]
    table.add_row("trades", f"{by_type['TRADE']:,}", "")
    table.add_row("book deltas", f"{by_type['BOOK_DELTA']:,}", "rows, one a level")
    table.add_row("snapshot levels", f"{by_type['BOOK_SNAPSHOT']:,}", "")
    _add_strategy(table, chain)
    _add_times(table, chain)
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
    if chain.get("capture_gaps"):
        told = "stretches that the live capture lacks, by its own word"
        table.add_row("capture gaps", f"{chain['capture_gaps']:,}", f"{_ODD} {told}")
    for reason in chain.get("skipped", ()):
        table.add_row("skipped", "", f"{_ODD} {escape(reason)}")
    for digest in chain.get("certificates", ()):
        table.add_row("certificate", "", f"{_GOOD} {digest}")
    if chain.get("uncertified"):
        table.add_row("certificate", "", f"{_ODD} none: the sources were read uncertified")
    drift = chain["drift"]
    if drift["samples"]:
        mark = _GOOD if drift["samples"] == drift["exact"] else _ODD
        table.add_row("drift samples", f"{drift['samples']:,}", f"{mark} {drift['exact']:,} exact")
    _add_shares(table, chain)
    _add_findings(table, chain)
    return table


def _add_strategy(table: Table, chain: dict[str, Any]) -> None:
    """Which strategy it was, and why; datasets of earlier versions do not say."""
    if "strategy" not in chain:
        return
    reason = (chain.get("strategy_reasons") or [""])[0]
    told = f"{chain['strategy']}{': ' if reason else ''}{reason}"
    table.add_row("strategy", "", Text(told, style="" if chain["strategy"] == "full" else "yellow"))
    inferred = chain["quality"].get("inferred", 0)
    if inferred:
        table.add_row("inferred", f"{inferred:,}", "book deltas that nothing recorded: flag INFERRED")


def _add_findings(table: Table, chain: dict[str, Any]) -> None:
    for finding in chain.get("findings", []):
        table.add_row("alarm", "", Text(f"! {finding['rule']}: {finding['message']}", style="yellow"))


def _add_shares(table: Table, chain: dict[str, Any]) -> None:
    """Events that are not as they should be, for a reason that lies outside."""
    without, early = chain["events_without_book"], chain["quality"].get("clock_skew", 0)
    if without:
        share = without / chain["events"]
        words = (
            "before the first snapshot or after a gap"
            if share < 1
            else "no snapshot came: the book is not valid"
        )
        table.add_row("without book", f"{without:,}", f"{share:.2%} of events, {words}")
    if early:
        share = early / chain["events"]
        table.add_row("clock", f"{early:,}", f"{share:.2%} of events early: recorder's clock behind")


def source_table(chain: dict[str, Any]) -> Table:
    """One exchange and symbol of a recording: its files and messages."""
    table = _named_table(chain)
    for file in chain["files"]:
        told = Text(f"bytes  {file['name']}  sha256 {file['sha256'][:16]}…", overflow="fold")
        table.add_row("file", f"{file['bytes']:,}", told)
    for name, count in chain["messages"].items():
        table.add_row(escape(name), f"{count:,}", "messages")
    for name, count in chain["events_by_type"].items():
        table.add_row(name, f"{count:,}", "event rows")
    _add_times(table, chain)
    table.add_row("unreadable", f"{chain['quarantined']:,}", "messages")
    _add_findings(table, chain)
    return table


def _named_table(chain: dict[str, Any]) -> Table:
    """An empty table of name, number and words, under exchange and symbol."""
    title = Text(f"{chain['exchange']} {chain['symbol']}", style="bold")
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(style="dim", overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _add_times(table: Table, chain: dict[str, Any]) -> None:
    if chain["first_time"] != NONE:
        table.add_row("from", "", time_text(chain["first_time"]))
        table.add_row("to", "", time_text(chain["last_time"]))


_MARKS = {
    "pass": "[green]✓ pass[/]",
    "note": "[dim]· note[/]",
    "warn": "[yellow]! warn[/]",
    "fail": "[red]✗ fail[/]",
    "skipped": "[dim]· skipped[/]",
}


def show_validation(report: ValidationReport) -> None:
    """The verdict of `rlx validate`: rule by rule, with the differences by name under their chain."""
    screen = console()
    chains = report.chains or [report]
    for one in chains:
        against = one.golden or "its own quotes"
        title = Text(f"{one.exchange} {one.symbol} against {against}", style="bold")
        table = Table(title=title, title_justify="left", show_header=False, box=None)
        for can_wrap in (False, False, True):
            table.add_column(vertical="top", no_wrap=not can_wrap, overflow="fold")
        for rule in one.rules:
            table.add_row(_MARKS[rule.verdict], rule.name, Text(rule.headline))
        screen.print(table)
        differing = one.oracle["differing"]
        for each in differing[:_NAMED]:
            told = Text.assemble(("differs", "yellow"), f" {_difference(each)}")
            screen.print(Padding(told, (0, 0, 0, 2), expand=False))
        if len(differing) > _NAMED:
            screen.print(f"  and {len(differing) - _NAMED} more: see --json or --report")
    colour = "green" if report.verdict == "pass" else "red"
    warnings = sum(rule.verdict == "warn" for one in chains for rule in one.rules)
    told_warnings = f", {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    for broken in _broken(report):
        screen.print(Text(f"! {broken}", style="bold yellow"), soft_wrap=True)
    screen.print(f"verdict  [bold {colour}]{report.verdict}[/]{told_warnings}")


def _broken(report: ValidationReport) -> list[str]:
    """Sentences on files that break off, once each: no verdict on what is there speaks of what is not."""
    told = [one.measures.get("broken", []) for one in report.findings if one.rule == "everything_read"]
    return list(dict.fromkeys(sentence for sentences in told for sentence in sentences))


def _difference(differing: dict[str, Any]) -> str:
    fields = "; ".join(
        f"{name} {differing['found'][name] or 'none'}, the venue says {differing['expected'][name] or 'none'}"
        for name in differing["fields"]
    )
    behind = differing["quote_ids_behind"]
    return f"update id {differing['update_id']}: {fields} (in a quote {behind:,} ids older)"
