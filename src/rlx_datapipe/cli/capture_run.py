"""`rlx capture run`: record a live market, byte for byte, until it is stopped."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.capture_key import keys_from
from rlx_datapipe.cli.span import Span
from rlx_datapipe.cli.terminal import config_option, give, guarded, json_option, say
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_VERDICT_FAILED


@click.command()
@click.option("--symbols", required=True, help="Such as BTCUSDT,ETHUSDT.")
@click.option(
    "--venue",
    default="binance-spot",
    show_default=True,
    type=click.Choice(["binance-spot", "binance-usdm"]),
    help="Which market.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the capture.")
@click.option(
    "--streams",
    default="trade,aggTrade,depth@100ms,bookTicker",
    show_default=True,
    help="What is recorded of each symbol.",
)
@click.option("--duration", type=Span(), help="Stop after this time, such as 15m; by default never.")
@click.option(
    "--snapshot-every", type=Span(), help="Pace of order-book snapshots; 0 for none but those needed."
)
@click.option("--rotate-every", type=Span(), help="Seal a segment at this age; 5m by default, or 64 MB.")
@click.option("--ws-url", help="Scheme and host in place of the venue's, such as ws://127.0.0.1:9443.")
@click.option("--rest-url", help="The same for REST, such as http://127.0.0.1:9443.")
@click.option("--ntp-server", help="Who is asked for the time; '' for nobody.")
@click.option(
    "--key-file", type=click.Path(path_type=Path, dir_okay=False), help="Encrypt; keys are in this file."
)
@click.option("--key-fd", type=click.IntRange(0), help="Encrypt; keys come from this open descriptor.")
@click.option(
    "--calendar", type=click.Path(path_type=Path, dir_okay=False), help="TOML file of special periods."
)
@config_option
@json_option
@guarded
def run(
    symbols: str,
    venue: str,
    out: Path,
    streams: str,
    duration: float | None,
    snapshot_every: float | None,
    rotate_every: float | None,
    key_file: Path | None,
    key_fd: int | None,
    calendar: Path | None,
    config: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Record live markets into --out until Ctrl-C, byte for byte.

    Every message is kept once, whatever connections come and go; what is missing is declared as a gap. Run
    it again with the same --out to go on: what was missed meanwhile is a gap, too. Exit status 1 if nothing
    came.
    """
    from rlx_datapipe.capture.regime import read_calendar
    from rlx_datapipe.capture.settings import capture_settings
    from rlx_datapipe.cli.capture_view import live_view, show_capture
    from rlx_datapipe.pipeline.capture import capture

    given |= {"snapshot_every_s": snapshot_every, "rotate_s": rotate_every}
    settings = capture_settings(config, os.environ, given)
    with live_view(venue) as view:
        result = capture(
            symbols.split(","),
            out,
            venue=venue,
            streams=streams.split(","),
            settings=settings,
            keys=keys_from(key_file, key_fd),
            calendar=read_calendar(calendar) if calendar is not None else (),
            duration_s=duration,
            on_progress=view.show,
            on_told=view.tell,
            on_stopping=lambda: view.tell("stopping", {}),
        )
    if as_json:
        give(result)
    else:
        show_capture(result)
    has_come = any(stream["messages"] for stream in result["streams"])
    if not has_come:
        say(f"rlx: nothing came from {venue}; check the symbols and the way to the venue")
    sys.exit(EXIT_DONE if has_come else EXIT_VERDICT_FAILED)
