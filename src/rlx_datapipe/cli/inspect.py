"""`rlx inspect`: what a dataset or a recording holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.terminal import (
    config_option,
    give,
    guarded,
    json_option,
    key_option,
    say,
    settings_from,
)
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_STOPPED, EXIT_VERDICT_FAILED


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="DATASET|SOURCE...")
@click.option("--deep", is_flag=True, help="First verify every commit and file of the dataset.")
@key_option
@config_option
@json_option
@guarded
def inspect(
    paths: tuple[str, ...], deep: bool, key_file: Path | None, config: Path | None, as_json: bool
) -> None:
    """Show counts, time range, quality and digest of a dataset or of recordings.

    With --deep the exit status is 1 if any file or commit is not what was committed. It is 3 for a dataset
    that is unfinished: rlx reconstruct goes on with it by the same command with --resume.
    """
    from rlx_datapipe.pipeline.inspect import inspect as run

    with progress_bar() as on_progress:
        result = run(
            paths,
            settings_from(config),
            deep=deep,
            key_file=key_file,
            on_progress=on_progress,
            on_notice=say,
        )
    if as_json:
        give(result)
    else:
        _show(result)
    unfinished = EXIT_STOPPED if result.get("unfinished") else EXIT_DONE
    sys.exit(EXIT_VERDICT_FAILED if result.get("problems") else unfinished)


def _show(result: dict[str, Any]) -> None:
    from rlx_datapipe.cli.summary import chain_table, console, show_unfinished, show_verified, source_table

    screen = console()
    if result.get("problems"):
        show_verified(result)
        return
    for chain in result["chains"]:
        if result["kind"] == "dataset":
            table = chain_table(chain)
            table.add_row("rows", "", _counts(chain["rows"]))
            table.add_row("quality", "", _counts(chain["quality_rows"]))
        else:
            table = source_table(chain)
        screen.print(table)
    if result["kind"] == "dataset":
        of = " (of the finished symbols only)" if result["unfinished"] else ""
        screen.print(f"writer   {result['writer']}\ndigest   {result['digest']}{of}", soft_wrap=True)
        if "verified" in result:
            show_verified(result)
        show_unfinished(result)


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in rows.items()) or "nothing"
