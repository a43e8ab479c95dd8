"""`rlx acquire download`: files of an archive as published, planned first, gone on with after any death."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.acquire_options import (
    chosen_archive,
    chosen_part,
    door_option,
    part_options,
    store_options,
)
from rlx_datapipe.cli.terminal import config_option, give, guarded, json_option, say
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_STOPPED, OptionError


@click.command()
@part_options
@click.option("--staging", required=True, type=click.Path(path_type=Path), help="Folder for the files; made.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
@click.option("--refresh", is_flag=True, help="Fetch anew what has changed at its source since it came.")
@click.option("--parts", type=click.IntRange(1), help="Requests at a time; 8 by default.")
@click.option("--limit", "limit_mb_s", type=click.FloatRange(0), metavar="MB/S", help="Read no faster.")
@store_options
@door_option
@config_option
@json_option
@guarded
def download(
    staging: Path,
    dry_run: bool,
    refresh: bool,
    door: Any,
    config: Path | None,
    as_json: bool,
    parts: int | None,
    limit_mb_s: float | None,
    **given: Any,
) -> None:
    """Fetch files of an archive into --staging, byte for byte as published.

    Name at least --symbols; a folder that holds a single one needs none. What is here is not read again, and
    what was begun goes on at the byte, after a kill too: run the same command again. Refused, with status 2,
    is what the disk or the month's quota has no room for. Status 3: something did not come, or it was
    stopped; the same command goes on.
    """
    import msgspec

    from rlx_datapipe.acquisition.acquire import fetch, open_door, prepare
    from rlx_datapipe.acquisition.archive import parse_address
    from rlx_datapipe.acquisition.inventory import only_symbol
    from rlx_datapipe.cli.acquire_progress import transfer_bar
    from rlx_datapipe.cli.acquire_view import show_outcome, show_plan

    url, settings = chosen_archive(given, config, parts=parts, limit_mb_s=limit_mb_s)
    wanted = chosen_part(given)
    is_local = parse_address(url).is_local
    if not wanted.symbols and not is_local:
        raise OptionError("--symbols is missing", remedy="Name them, such as --symbols BTC-USDT")
    archive = open_door(url, settings, os.environ, door)
    if not wanted.symbols:
        symbol = only_symbol(archive, wanted)
        say(f"rlx: {symbol} is the only symbol there, and is taken")
        wanted = msgspec.structs.replace(wanted, symbols=(symbol,))
    prepared = prepare(archive, wanted, staging, settings, os.environ, refresh=refresh)
    plan = prepared.plan
    if not as_json:
        show_plan(plan)
    if dry_run:
        if as_json:
            give({"plan": plan.as_facts()})
        plan.require_room()
        return
    plan.require_room()
    with transfer_bar(is_shown=plan.left_bytes > 0) as on_progress:
        outcome = fetch(prepared, on_progress)
    if as_json:
        give({"plan": plan.as_facts(), "outcome": outcome.as_facts()})
    else:
        show_outcome(outcome, staging)
    sys.exit(EXIT_STOPPED if outcome.failed else EXIT_DONE)
