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
    key_option,
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
@click.argument("sources", nargs=-1, metavar="[SOURCE|DATASET]...")
@click.option("--serve", "place", metavar="HOST:PORT", help="Where to listen; port 0 is any.")
@click.option(
    "--market",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with a seeded market, instead of a source.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the market's capture, and the truth beside it."
)
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
@key_option
@config_option
@json_option
@guarded
def replay(
    sources: tuple[str, ...],
    place: str | None,
    market: Path | None,
    out: Path | None,
    speed: str,
    symbols: str | None,
    faults: Path | None,
    given_faults: tuple[str, ...],
    seed: int | None,
    truth: Path | None,
    key_file: Path | None,
    config: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Serve recordings, a dataset or a market by Binance's protocol: streams and depth requests on one port.

    A depth snapshot always fits the stream at that moment. Ctrl-C ends it. A market can be written to a
    folder as well, or instead.
    """
    from rlx_datapipe.simulation.exchange.fault_plan import read_plan
    from rlx_datapipe.simulation.exchange.options import ExchangeOptions

    # First what may be wrong with the command: loading the rest takes longer.
    _check(sources, place, market, out, symbols)
    if market is not None and out is not None:
        written = _write(market, out)
        if place is None:
            if as_json:
                give(written)
            sys.exit(EXIT_DONE)
    assert place is not None  # noqa: S101 (checked above)
    (host, port), options = _place(place), ExchangeOptions(speed=_speed(speed), **given)
    plan, settings = read_plan(faults, given_faults, seed), settings_from(config)
    try:
        from rlx_datapipe.pipeline.serve import exchange_of, serve
        from rlx_datapipe.pipeline.serve_market import market_exchange
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "websockets":
            raise
        remedy = "Install it: pip install 'rlx-datapipe[capture]' (or: uv run --extra capture rlx ...)"
        raise OptionError("rlx replay needs the package websockets", remedy=remedy) from error
    tell_of_compilation()
    if market is not None:
        exchange = market_exchange(market, options, plan=plan, truth=truth, host=host, port=port)
    else:
        exchange = exchange_of(
            sources,
            options,
            plan=plan,
            truth=truth,
            settings=settings,
            symbols=symbols.split(",") if symbols else (),
            key_file=key_file,
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


def _check(
    sources: tuple[str, ...], place: str | None, market: Path | None, out: Path | None, symbols: str | None
) -> None:
    """Refuse what does not go together."""
    if market is None and not sources:
        raise OptionError("nothing to replay", remedy="Name a SOURCE, or a market with --market FILE.toml")
    if market is not None and (sources or symbols):
        raise OptionError("a market is played alone", remedy="Leave out SOURCE and --symbols")
    if market is None and out is not None:
        raise OptionError("only a market is written", remedy="Give --market FILE.toml, or leave out --out")
    if place is None and out is None:
        raise OptionError("nowhere to listen", expected="--serve HOST:PORT")


def _write(market: Path, out: Path) -> dict[str, Any]:
    """Write a market into a folder, with a line that tells how far it is."""
    from rlx_datapipe.pipeline.market import write_market

    tell_of_compilation("run_market")
    is_terminal = sys.stderr.isatty()

    def show(share: float) -> None:
        if is_terminal:
            click.echo(f"\r\x1b[Kmarket: {share:.0%}", nl=False, err=True)

    written = write_market(market, out, on_time=show)
    if is_terminal:
        click.echo(err=True)
    say(f"capture: {written['capture']} ({written['messages']:,} messages)")
    say(f"truth: {written['truth']} ({written['episodes']:,} episodes)")
    return written


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
