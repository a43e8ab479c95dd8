"""`rlx reconstruct`: recordings become an exact event dataset."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.stages import show_stages
from rlx_datapipe.cli.summary import show_reconstruction
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
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_INCONCLUSIVE, EXIT_VERDICT_FAILED, OutputError

_FORMAT = "Layout of the sources: auto tells it by content, any other word says which it has to be."


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the new dataset.")
@click.option("--format", "format_", default="auto", show_default=True, help=_FORMAT)
@click.option(
    "--strategy",
    type=click.Choice(["auto", "full", "snapshot", "origin_time_sort"]),
    help="How events get their book: by deltas, by snapshots, or not at all; by what there is by default.",
)
@click.option("--symbols", help="Only these symbols, with commas between them.")
@click.option("--exchange", default="", help="Exchange of Crypto Lake files whose path does not tell it.")
@click.option("--price-decimals", type=int, help="Scale of prices; found from the data by default.")
@click.option("--quantity-decimals", type=int, help="Scale of quantities; found from the data by default.")
@click.option("--batch-rows", type=int, help="Messages read at a time; never changes the output.")
@click.option("--threads", type=int, help="1 works in turn, more overlap; never changes the output.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=lambda: os.cpu_count() or 1,
    envvar="RLX_WORKERS",
    help="Symbols at a time, a process for each; as many as cores by default. 0 starts no process.",
)
@click.option("--books-every-ms", type=int, help="Cadence of the books table; 0 is every update group.")
@click.option("--books-levels", type=int, help="Depth of the books table.")
@click.option("--resume", is_flag=True, help="Go on with a dataset that an earlier run left unfinished.")
@click.option("--follow", is_flag=True, help="Take in a capture as it is written, until it ends.")
@click.option(
    "--golden",
    type=click.Path(path_type=Path),
    help="Compare the new data with this dataset or capture; with --follow each batch.",
)
@key_option
@click.option("--uncertified", is_flag=True, help="Read what is ready in a staging folder uncertified.")
@click.option("--profile", is_flag=True, help="Show where the time went; --json has it always.")
@config_option
@json_option
@guarded
def reconstruct(
    sources: tuple[str, ...],
    out: Path,
    format_: str,
    symbols: str | None,
    exchange: str,
    price_decimals: int | None,
    quantity_decimals: int | None,
    resume: bool,
    follow: bool,
    key_file: Path | None,
    uncertified: bool,
    golden: Path | None,
    workers: int,
    profile: bool,
    config: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Turn recordings into a dataset: every event in order, the book after each, exact decimals.

    SOURCE is a file or folder: Binance captures (lines '<receive time> <JSON>', plain, gzip, zstd or xz),
    the folder of `rlx capture run`, Crypto Lake Parquet, or Tardis CSV (incremental_book_L2, trades, quotes,
    book_snapshot of any depth), recognised by content.
    """
    from rlx_datapipe.pipeline.reconstruct import reconstruct as run

    settings = settings_from(config, **given)
    if resume and not out.exists():
        remedy = "Check the path; for a new dataset leave --resume out"
        raise OutputError("does not exist: nothing to go on with", file=out, remedy=remedy)
    tell_of_compilation()
    with progress_bar() as on_progress:
        result = run(
            sources,
            out,
            settings,
            format=format_,
            exchange=exchange,
            symbols=symbols.split(",") if symbols else (),
            decimals=(price_decimals, quantity_decimals),
            resume=resume,
            follow=follow,
            key_file=key_file,
            uncertified=uncertified,
            golden=golden,
            workers=workers,
            on_progress=on_progress,
            on_notice=say,
        )
    if as_json:
        give(result)
    else:
        show_reconstruction(result, sources, out)
        if profile:
            show_stages(result)
    if golden is not None:
        sys.exit(fidelity_status(result["fidelity"]))


def fidelity_status(told: list[dict[str, Any]]) -> int:
    """Exit status as that of `rlx fidelity`, by the reports of the whole: the last ones."""
    last = [one.get("verdict", "") for one in told if one["name"] == told[-1]["name"]]
    if "FAIL" in last:
        return EXIT_VERDICT_FAILED
    return EXIT_DONE if set(last) == {"PASS"} else EXIT_INCONCLUSIVE
