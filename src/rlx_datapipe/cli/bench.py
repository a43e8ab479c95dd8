"""`rlx bench`: the measured claims, figure, target and ratio side by side."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rlx_datapipe.cli.terminal import give, guarded, json_option, say, tell_of_compilation
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_VERDICT_FAILED
from rlx_datapipe.pipeline.bench.suite import BENCHMARKS, measurer

if TYPE_CHECKING:
    from rich.console import Console

_MILLION = 1_000_000


def _sizes(_context: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(sorted({round(float(one) * _MILLION) for one in text.split(",")}))
    except (ValueError, OverflowError):
        sizes = ()
    if not sizes or sizes[0] < 1:
        raise click.BadParameter(f"{text!r} is no list of millions of rows, such as 1,10,100")
    return sizes


_OPTIONS: dict[str, Callable[..., Any]] = {
    "rows": click.option(
        "--rows",
        type=click.IntRange(1_000, 1_000_000_000),
        help="Rows of the archive, or updates of the book, that are made; if not given, some millions.",
    ),
    "messages": click.option(
        "--messages",
        default=240_000,
        show_default=True,
        type=click.IntRange(1_000, 100_000_000),
        help="Messages of the capture that is made.",
    ),
    "sizes": click.option(
        "--sizes", default="1,10", show_default=True, callback=_sizes, help="Millions of rows to compare."
    ),
    "seed": click.option(
        "--seed", default=7, show_default=True, type=click.IntRange(0), help="Seed of the data."
    ),
    "repeats": click.option(
        "--repeats",
        default=3,
        show_default=True,
        type=click.IntRange(1, 100),
        help="Times of which the median is told.",
    ),
    "source": click.option(
        "--source",
        type=click.Path(exists=True, path_type=Path),
        help="Your own files of one symbol, in place of those that are made.",
    ),
    "report": click.option(
        "--report",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the page to this file, such as docs/claims.md.",
    ),
    "quick": click.option("--quick", is_flag=True, help="Fewer trials: under a minute, and less certain."),
    "folder": click.option(
        "--folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Where input and output lie while it runs, such as /dev/shm; a temporary folder if not given.",
    ),
}


class _Benchmarks(click.Group):
    """One command for each benchmark, made when it is called: listing them loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Benchmarks in the order in which they are told."""
        return list(BENCHMARKS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The benchmark with the options that mean something to it."""
        return _command(cmd_name) if cmd_name in BENCHMARKS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Benchmarks with one line each."""
        with formatter.section("Benchmarks"):
            formatter.write_dl([(name, one.told) for name, one in BENCHMARKS.items()])


def _command(name: str) -> click.Command:
    @guarded
    def run(as_json: bool, **given: Any) -> None:
        _run([name], given, as_json)

    run.__doc__ = inspect.getdoc(measurer(name))
    command: Callable[..., Any] = json_option(run)
    for option in reversed(BENCHMARKS[name].takes):
        command = _OPTIONS[option](command)
    return click.command(name)(command)


@click.group(cls=_Benchmarks, invoke_without_command=True)
@_OPTIONS["rows"]
@_OPTIONS["messages"]
@_OPTIONS["sizes"]
@_OPTIONS["seed"]
@_OPTIONS["repeats"]
@_OPTIONS["folder"]
@json_option
@click.pass_context
@guarded
def bench(context: click.Context, as_json: bool, **given: Any) -> None:
    """Measure what is claimed of speed, memory, checkpoints and recovery, on seeded data, offline.

    Without a name all quick benchmarks run; `rlx bench NAME --help` says what one measures, and on what. Each
    figure comes with a ratio to something that the same run has measured, so that machines can be compared.
    """
    name = context.invoked_subcommand
    if name is None:
        _run([], given, as_json)
    elif any(context.get_parameter_source(option) is not ParameterSource.DEFAULT for option in given):
        raise click.UsageError(f"Options of a benchmark stand behind its name: rlx bench {name} ...", context)
    else:
        context.default_map = {name: {"as_json": as_json}}


def _run(names: list[str], given: dict[str, Any], as_json: bool) -> None:
    from rlx_datapipe.pipeline.bench.figure import Options
    from rlx_datapipe.pipeline.bench.suite import bench as run

    tell_of_compilation()
    options = Options(**{name: value for name, value in given.items() if value is not None})
    result = run(names, options, on_step=say)
    if as_json:
        give(result)
    else:
        _show(result, names)
    sys.exit(EXIT_VERDICT_FAILED if result["wrong"] else EXIT_DONE)


def _show(result: dict[str, Any], names: list[str]) -> None:
    from rlx_datapipe.cli.peers_table import show_peers
    from rlx_datapipe.cli.summary import console

    screen = console()
    if names == ["peers"]:
        show_peers(result, screen)
    else:
        _show_claims(result, screen)
    machine = f"{result['cpus']} cores, {result['machine']}, Python {result['python']}"
    screen.print(f"\n{machine}, load {result['load']:.1f}; --json has what lies behind each", style="dim")
    for sentence in result["wrong"]:
        screen.print(f"\nwrong answer: {sentence}", style="red", markup=False, highlight=False)


def _show_claims(result: dict[str, Any], screen: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from rlx_datapipe.cli.stages import show_profile

    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("claim", overflow="fold")
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("")
    table.add_column("", no_wrap=True)
    table.add_column("target", overflow="fold")
    table.add_column("ratio", overflow="fold")
    previous = ""
    for one in result["figures"]:
        if previous not in ("", one["benchmark"]):
            table.add_row()
        previous = one["benchmark"]
        mark = {None: Text(""), True: Text("✓", "green"), False: Text("✗", "red")}[one["is_met"]]
        table.add_row(
            Text(one["claim"]),
            _short(one["figure"]),
            Text(one["unit"]),
            mark,
            Text(one["target"]),
            Text(_ratio(one)),
        )
    screen.print(table)
    measured = result.get("benchmarks", {}).get("reconstruct", result)
    for kind, of in (("archive", "event"), ("capture", "message")):
        if "profile" in measured.get(kind, {}):
            show_profile(measured[kind]["profile"], kind, of, screen)


def _short(number: float) -> str:
    """Three digits that count; all before the point."""
    size = abs(number)
    return f"{number:,.0f}" if size >= 100 else f"{number:,.1f}" if size >= 10 else f"{number:,.2f}"


def _ratio(one: dict[str, Any]) -> str:
    return "" if one["ratio"] is None else f"{_short(one['ratio'])}x {one['ratio_to']}"
