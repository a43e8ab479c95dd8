"""`rlx export`: a dataset in the layout of a vendor."""

from __future__ import annotations

from pathlib import Path

import click

from rlx_datapipe.cli.terminal import give, guarded, json_option, say


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE|DATASET...")
@click.option("--to", default="crypto-lake", show_default=True, help="Layout to write.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--symbols", help="Only these symbols, with commas between them.")
@json_option
@guarded
def export(sources: tuple[str, ...], to: str, out: Path, symbols: str | None, as_json: bool) -> None:
    """Write a dataset, or recordings, as Crypto Lake trades, book and book_delta_v2 files.

    The files are derived, and say so in DERIVED.md.
    """
    from rlx_datapipe.pipeline.export import export as run

    result = run(sources, out, to=to, symbols=symbols.split(",") if symbols else ())
    if as_json:
        give(result)
        return
    for chain in result["chains"]:
        merged = chain["trades_merged"]
        say(f"{chain['exchange']} {chain['symbol']}")
        for table, rows in chain["rows"].items():
            say(f"  {table:<14} {rows:>12,} rows")
        if merged:
            rows = chain["rows"]["trades"]
            say(f"  {merged + rows:,} single trades became these {rows:,}: Crypto Lake has one row for those")
            say("  of equal time, price and side that follow each other (see DERIVED.md)")
    say(f"written to {result['out']}")
