"""`rlx inspect`: what a dataset or a recording holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.terminal import config_option, give, guarded, json_option, settings_from


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="DATASET|SOURCE...")
@config_option
@json_option
@guarded
def inspect(paths: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Show counts, time range, quality and digest of a dataset or of recordings."""
    from rlx_datapipe.pipeline.inspect import inspect as run

    with progress_bar() as on_progress:
        result = run(paths, settings_from(config), on_progress=on_progress)
    if as_json:
        give(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    from rlx_datapipe.cli.summary import chain_table, console, source_table

    screen = console()
    for chain in result["chains"]:
        if result["kind"] == "dataset":
            table = chain_table(chain)
            table.add_row("rows", "", _counts(chain["rows"]))
            table.add_row("quality", "", _counts(chain["quality_rows"]))
        else:
            table = source_table(chain)
        screen.print(table)
    if result["kind"] == "dataset":
        screen.print(f"writer   {result['writer']}\ndigest   {result['digest']}", soft_wrap=True)


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in rows.items()) or "nothing"
