"""`rlx selftest`: crash proofs on a small seeded input, counted in a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from rlx_datapipe.cli.terminal import give, guarded, json_option, tell_of_compilation
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_VERDICT_FAILED

_NAMED = 10


@click.command()
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=1,
    show_default=True,
    help="Makes the input and throws all dice.",
)
@click.option(
    "--soak", "soak_hours", default=0.0, metavar="HOURS", help="Go on with more seeds for so many hours."
)
@click.option("--only", multiple=True, metavar="ID", help="Play only this scenario, as a failure names it.")
@click.option("--workers", type=click.IntRange(1), help="Processes; as many as there are cores if not given.")
@json_option
@guarded
def selftest(seed: int, soak_hours: float, only: tuple[str, ...], workers: int | None, as_json: bool) -> None:
    """Kill runs at every point, cut their power at every moment, and see that nothing is lost.

    Exit status 1 if anything is lost, doubled or different; each failure is told with what reproduces it.
    """
    from rlx_datapipe.pipeline.selftest import selftest as run

    tell_of_compilation()
    with _progress_bar() as on_progress:
        result = run(seed, soak_hours=soak_hours, only=only, workers=workers, on_progress=on_progress)
    if as_json:
        give(result)
    else:
        _show(result)
    sys.exit(EXIT_DONE if result["verdict"] == "pass" else EXIT_VERDICT_FAILED)


def _show(result: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from rlx_datapipe.cli.summary import console

    screen = console()
    seeds = (
        f"seed {result['seed']}"
        if result["rounds"] == 1
        else f"{result['rounds']} seeds from {result['seed']}"
    )
    title = Text(f"self-test of {result['writer']}, {seeds}", style="bold")
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    hit = sum(1 for kills in result["points"].values() if kills)
    missed = ", ".join(result["points_missed"])
    table.add_row(
        "kill points hit", str(hit), f"of {len(result['points'])}{', not ' + missed if missed else ''}"
    )
    table.add_row("kills", f"{result['kills']:,}", f"{result['chains']:,} chains of several among them")
    table.add_row("power cuts", f"{result['power_states']:,}", "states of the disk after one")
    for name, words in (
        ("lost", "event and trade ids"),
        ("doubled", "event and trade ids"),
        ("differing", "rows"),
        ("acknowledged_lost", "commits that a power cut took back"),
        ("stuck", "runs that did not come to an end"),
        ("wrong", f"of {result['scenarios']:,} scenarios"),
    ):
        count = result[name]
        mark = "[green]✓[/]" if not count else "[red]✗[/]"
        table.add_row(name.replace("_", " "), f"{count:,}", f"{mark} [dim]{words}[/]")
    screen.print(table)
    for failure in result["failures"][:_NAMED]:
        again = f"rlx selftest --seed {failure['seed']} --only {failure['id']}"
        screen.print(Text.assemble(("wrong", "red"), f"  {'; '.join(failure['by'])}"), soft_wrap=True)
        screen.print(Text(f"  {again}", style="cyan"), soft_wrap=True)
    if len(result["failures"]) > _NAMED:
        screen.print(f"and {len(result['failures']) - _NAMED} more: see --json")
    colour = "green" if result["verdict"] == "pass" else "red"
    screen.print(f"verdict  [bold {colour}]{result['verdict']}[/] in {result['elapsed_seconds']:.0f} s")


@contextmanager
def _progress_bar() -> Iterator[Callable[[int, int, int], None]]:
    """Give a function to call with scenarios done, to do, and failures; the bar is drawn on stderr."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("[bold]self-test"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TextColumn("[cyan]{task.fields[rate]:.1f} runs/s"),
        TextColumn("{task.fields[wrong]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )
    task = bar.add_task("", total=1, rate=0.0, wrong="")

    def show(done: int, total: int, failures: int) -> None:
        rate = done / (bar.tasks[task].elapsed or 1e-9)
        wrong = f"[red]{failures} wrong[/]" if failures else ""
        bar.update(task, completed=done, total=max(total, 1), rate=rate, wrong=wrong)

    with bar:
        yield show
