"""How acquisition looks on a terminal: checks, plans, outcomes, staging folders."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from rlx_datapipe.acquisition.amounts import size_text, time_text
from rlx_datapipe.cli.summary import console, show_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlx_datapipe.acquisition.connection import Check
    from rlx_datapipe.acquisition.download import Outcome
    from rlx_datapipe.acquisition.plan import Plan, State
    from rlx_datapipe.acquisition.status import StagingStatus

_MARKS = {"good": ("✓", "green"), "odd": ("!", "yellow"), "bad": ("✗", "red"), "skipped": ("·", "dim")}
_STATES: dict[State, str] = {
    "new": "",
    "begun": "to go on with",
    "here": "here already, not read again",
    "quarantined": "here in quarantine, not read again",
    "changed": "here, but changed at their source since: --refresh fetches them anew",
}
_NAMED = 10


def show_checks(url: str, checks: Sequence[Check]) -> None:
    """The answers of `rlx acquire test-connection`, each with its remedy below it."""
    screen = console()
    screen.print(Text(url, style="bold"), soft_wrap=True)
    table = _plain_table()
    for check in checks:
        mark, style = _MARKS[check.verdict]
        told = Text(check.found, style="dim" if check.verdict == "skipped" else "")
        if check.remedy:
            told.append(f"\n→ {check.remedy}", style="yellow")
        table.add_row(Text(mark, style=style), check.name, told)
    screen.print(table)


def show_plan(plan: Plan) -> None:
    """What a download will do, before it does it; on stdout."""
    screen = console()
    screen.print(Text(f"{plan.archive} → {plan.staging}", style="bold"), soft_wrap=True)
    table = _plain_table()
    counts, sizes = Counter(one.state for one in plan.files), Counter[str]()
    for one in plan.files:
        sizes[one.state] += one.file.size_bytes
    for state, words in _STATES.items():
        if not counts[state]:
            continue
        held = sum(one.held_bytes for one in plan.files if one.state == state)
        told = f"{words}, {size_text(held)} of them are here" if state == "begun" else words
        files = f"{counts[state]:,} file{'' if counts[state] == 1 else 's'}"
        table.add_row(state, Text(f"{files:>10} {size_text(sizes[state]):>9}"), told)
    table.add_row("to fetch", Text(f"{'':>10} {size_text(plan.left_bytes):>9}"), _expected(plan))
    if plan.quota_bytes:
        after = plan.quota_bytes - plan.used_bytes - plan.left_bytes
        left = f"{size_text(after)} left after this" if after >= 0 else f"{size_text(-after)} too few"
        used = f"{size_text(plan.used_bytes):>9}"
        told = f"of {size_text(plan.quota_bytes)} read this month; {left}"
        table.add_row("quota", Text(f"{'':>10} {used}"), told)
    after = plan.free_bytes - plan.left_bytes
    free = f"{'':>10} {size_text(plan.free_bytes):>9}"
    table.add_row("disk", Text(free), f"free, {size_text(max(after, 0))} after this")
    screen.print(table)
    _show_told(plan.told)


def _expected(plan: Plan) -> str:
    if not plan.left_bytes:
        return "nothing is left to do"
    if plan.seconds is None:
        return f"time: {plan.rate_from}"
    roughly = "" if plan.seconds < 1 else "about "
    return f"{roughly}{time_text(plan.seconds)} at {size_text(plan.bytes_per_s)}/s ({plan.rate_from})"


def show_outcome(outcome: Outcome, staging: Path) -> None:
    """What a download came to, and what to do next."""
    screen = console()
    if not outcome.arrived and not outcome.failed:
        screen.print("[green]✓[/] nothing was left to do")
        return
    rate = outcome.fetched_bytes / max(outcome.seconds, 1e-9)
    count = len(outcome.arrived)
    took = f"{size_text(outcome.fetched_bytes)} in {time_text(outcome.seconds)} ({size_text(rate)}/s)"
    before = f", {size_text(outcome.resumed_bytes)} were here before" if outcome.resumed_bytes else ""
    screen.print(f"[green]✓[/] {count:,} file{'' if count == 1 else 's'} arrived: {took}{before}")
    if outcome.retries:
        screen.print(f"  asked again {outcome.retries:,} times, for answers that failed or broke off")
    _show_told(outcome.told)
    for path, reason in list(outcome.failed.items())[:_NAMED]:
        screen.print(Text.assemble(("✗ ", "red"), f"{path}: {reason}"), soft_wrap=True)
    if len(outcome.failed) > _NAMED:
        screen.print(f"  and {len(outcome.failed) - _NAMED:,} more: see rlx acquire status --staging")
    if outcome.failed:
        screen.print("  The same command goes on with what did not come.")
    show_commands(f"acquire validate --staging {shlex.quote(str(staging))}")


def show_status(status: StagingStatus) -> None:
    """How a staging folder stands."""
    screen = console()
    screen.print(Text(status.staging, style="bold"), soft_wrap=True)
    table = _plain_table()
    for zone, count in status.zones.items():
        files = f"{count.files:,} file{'' if count.files == 1 else 's'}"
        style = "red" if zone == "quarantine" and count.files else "" if count.files else "dim"
        table.add_row(zone, Text(f"{files:>10} {size_text(count.size_bytes):>9}", style=style), "")
    screen.print(table)
    for path, reason in list(status.quarantined.items())[:_NAMED]:
        screen.print(Text.assemble(("  quarantine ", "red"), f"{path}: {reason}"), soft_wrap=True)
    _show_latest(status)


def _show_latest(status: StagingStatus) -> None:
    screen, latest = console(), status.latest
    if latest is None:
        screen.print("no download yet")
        return
    how = {
        "running": "is running",
        "ended": f"ended {latest.ended}",
        "stopped": f"stopped {latest.ended}: {latest.problem}",
        "cut off": "was cut off by the death of its process",
    }.get(status.course, "")
    screen.print(Text(f"latest download, from {latest.archive}"), soft_wrap=True)
    screen.print(Text(f"  begun {latest.begun}, {how}"), soft_wrap=True)
    planned, total = len(latest.files), sum(one.size_bytes for one in latest.files)
    waiting = status.waiting
    files = f"{planned:,} file{'' if planned == 1 else 's'}"
    told = f"  planned {files}, {size_text(total)}; {planned - len(waiting):,} of them are here"
    if waiting:
        left = sum(one.size_bytes for one in latest.files if str(one.key.path) in waiting)
        told += f", {len(waiting):,} not, with {size_text(sum(waiting.values()))} of {size_text(left)}"
    screen.print(told)
    for path, reason in list(latest.failed.items())[:_NAMED]:
        screen.print(Text.assemble(("  ✗ ", "red"), f"{path}: {reason}"), soft_wrap=True)
    if waiting and status.course != "running":
        screen.print("  The same download command goes on with what did not come.")


def _show_told(told: Sequence[str]) -> None:
    for sentence in told[:_NAMED]:
        console().print(Text.assemble(("! ", "yellow"), sentence), soft_wrap=True)
    if len(told) > _NAMED:
        console().print(f"  and {len(told) - _NAMED:,} more: see --json")


def _plain_table() -> Table:
    table = Table(show_header=False, box=None, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table
