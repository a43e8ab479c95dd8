"""`rlx replay`: a recording, or a dataset, as an exchange that bots can connect to."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rlx_datapipe.cli.terminal import (
    config_option,
    give,
    guarded,
    json_option,
    say,
    settings_from,
    tell_of_compilation,
)
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_STOPPED, OptionError
from rlx_datapipe.core.period import time_text

if TYPE_CHECKING:
    from rlx_datapipe.pipeline.serve import ServeProgress

_EVERY_S = 10.0
"""Seconds between the lines where no terminal is."""


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE|DATASET...")
@click.option("--serve", "place", required=True, metavar="HOST:PORT", help="Where to listen; port 0 is any.")
@click.option("--speed", default="max", show_default=True, help="Times as fast as recorded, or max.")
@click.option("--start", type=click.Choice(["subscribed", "now"]), default="subscribed", show_default=True)
@click.option("--wait-for", default=1, show_default=True, help="Connections that must have subscribed first.")
@click.option("--at-end", type=click.Choice(["hold", "close", "loop"]), default="hold", show_default=True)
@click.option(
    "--snapshots",
    type=click.Choice(["book", "recorded"]),
    default="book",
    show_default=True,
    help="Depth requests get the book of that moment, or the recording's own snapshot.",
)
@click.option("--limits/--no-limits", "has_limits", default=True, help="Keep the venue's limits.")
@click.option("--symbols", help="Only these symbols, with commas between them.")
@click.option("--faults", type=click.Path(dir_okay=False, path_type=Path), help="TOML file with faults.")
@click.option(
    "--fault", "given_faults", multiple=True, metavar="NAME=RATE", help="One fault; may be repeated."
)
@click.option("--seed", type=int, help="Seed of the faults.")
@click.option(
    "--truth", type=click.Path(dir_okay=False, path_type=Path), help="File for the faults that happen."
)
@config_option
@json_option
@guarded
def replay(
    sources: tuple[str, ...],
    place: str,
    speed: str,
    symbols: str | None,
    faults: Path | None,
    given_faults: tuple[str, ...],
    seed: int | None,
    truth: Path | None,
    config: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Serve recordings, or a dataset, by Binance's protocol: streams and depth requests on one port.

    A depth snapshot always fits the stream at that moment. Ctrl-C ends it.
    """
    from rlx_datapipe.simulation.exchange.fault_plan import read_plan
    from rlx_datapipe.simulation.exchange.options import ExchangeOptions

    # First what may be wrong with the command: loading the rest takes longer.
    (host, port), options = _place(place), ExchangeOptions(speed=_speed(speed), **given)
    plan, settings = read_plan(faults, given_faults, seed), settings_from(config)
    try:
        from rlx_datapipe.pipeline.serve import exchange_of, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "websockets":
            raise
        remedy = "Install it: pip install 'rlx-datapipe[capture]'"
        raise OptionError("rlx replay needs the package websockets", remedy=remedy) from error
    tell_of_compilation()
    exchange = exchange_of(
        sources,
        options,
        plan=plan,
        truth=truth,
        settings=settings,
        symbols=symbols.split(",") if symbols else (),
        host=host,
        port=port,
        on_notice=say,
    )
    with _progress_line() as on_progress:
        result = serve(exchange, on_progress)
    if as_json:
        give(result)
    else:
        say(f"{result['messages_played']:,} messages played, {result['messages_sent']:,} sent")
        for name, count in result["faults"].items():
            say(f"fault {name}: {count:,}")
    sys.exit(EXIT_DONE if result["complete"] else EXIT_STOPPED)


def _place(text: str) -> tuple[str, int]:
    """Host and port of a text."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise OptionError("no place to listen", found=text, expected="HOST:PORT, as 127.0.0.1:9443")
    return host.strip("[]"), int(port)


def _speed(text: str) -> float:
    """How many times as fast; 0 for max."""
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < float("inf"):
        raise OptionError("no speed", found=text, expected="a positive number, or max")
    return speed


@contextmanager
def _progress_line() -> Iterator[Callable[[ServeProgress], None]]:
    """Give a function that keeps one line on stderr; where that is no terminal, a line every ten seconds."""
    is_terminal, told_at, is_told, told = sys.stderr.isatty(), time.monotonic(), False, 0

    def show(progress: ServeProgress) -> None:
        nonlocal told_at, is_told, told
        if not is_told:
            is_told = True
            http = progress.url.replace("ws://", "http://", 1)
            say(f"serving on {progress.url} (streams) and {http} (requests)")
        if is_terminal:
            click.echo("\r\x1b[K" + _line(progress), nl=False, err=True)
        elif progress.messages > told and time.monotonic() - told_at >= _EVERY_S:
            told_at, told = time.monotonic(), progress.messages
            say(_line(progress))

    try:
        yield show
    finally:
        if is_terminal and is_told:
            click.echo(err=True)


def _line(progress: ServeProgress) -> str:
    rate = progress.messages / max(progress.elapsed_s, 1e-9)
    position = time_text(progress.time_ns) if progress.time_ns else "waiting for a subscription"
    state = ", at the end" if progress.is_ended else ""
    clients = f"{progress.clients} client{'' if progress.clients == 1 else 's'}"
    return f"{progress.messages:,} messages, {rate:,.0f}/s, {position}{state}, {clients}"
