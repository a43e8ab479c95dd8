"""`rlx acquire list-inventory`: what the archive holds, and the days that are missing, as a calendar."""

from __future__ import annotations

import os
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


@click.command("list-inventory")
@part_options
@click.option("--list", "by_list", is_flag=True, help="Believe no index: list all there is.")
@click.option(
    "--rows", "with_rows", is_flag=True, help="Count rows by the footer of each file (two small reads)."
)
@store_options
@door_option
@config_option
@json_option
@guarded
def list_inventory(
    by_list: bool, with_rows: bool, door: Any, config: Path | None, as_json: bool, **given: Any
) -> None:
    """Show what an archive holds: tables, symbols, days, sizes; missing days as a calendar.

    The archive's own index finds the files where it has one; it is compared with a list of what was asked
    for, and said to be stale where the two differ.
    """
    from rlx_datapipe.acquisition.acquire import look, open_door
    from rlx_datapipe.acquisition.footers import with_counts
    from rlx_datapipe.acquisition.holdings import as_facts
    from rlx_datapipe.cli.acquire_calendar import show_inventory

    url, settings = chosen_archive(given, config)
    wanted = chosen_part(given)
    archive = open_door(url, settings, os.environ, door)
    inventory = look(archive, wanted, settings, by_list=by_list)
    if with_rows:
        inventory = with_counts(archive, inventory, settings)
    if as_json:
        give(as_facts(inventory, wanted))
        return
    show_inventory(inventory, wanted)
    if not inventory.files:
        say("rlx: nothing of what was asked for is there")
