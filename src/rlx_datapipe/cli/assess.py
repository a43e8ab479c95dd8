"""`rlx assess`: what a source holds, how good it is, what it will need, and which strategy suits it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.terminal import (
    config_option,
    give,
    guarded,
    json_option,
    say,
    settings_from,
    tell_of_compilation,
)
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_VERDICT_FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlx_datapipe.assessment.result import Assessment


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--format", "format_", default="auto", show_default=True, help="Layout of the sources.")
@click.option("--symbols", help="Only these symbols, with commas between them.")
@click.option("--exchange", default="", help="Exchange of Crypto Lake files whose path does not tell it.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    envvar="RLX_KEY_FILE",
    help="Keys of a capture that is encrypted.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for pages: HTML and Markdown with plots, and JSON.",
)
@config_option
@json_option
@guarded
def assess(
    paths: tuple[str, ...],
    format_: str,
    symbols: str | None,
    exchange: str,
    key_file: Path | None,
    report: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Look at recordings before they are reconstructed; exit status 1 if one is not fit for it.

    One pass tells: times and clocks, gaps as far as they can be known, the book's depth, what snapshots would
    miss, memory and time that a reconstruction will need, and the strategy that suits.
    """
    from rlx_datapipe.pipeline.assess import assess as run

    tell_of_compilation("_look_at")
    with progress_bar() as on_progress:
        chains = run(
            paths,
            settings_from(config),
            format=format_,
            exchange=exchange,
            symbols=symbols.split(",") if symbols else (),
            key_file=key_file,
            on_progress=on_progress,
            on_notice=say,
        )
    if report is not None:
        from rlx_datapipe.pipeline.assess_report import write_pages

        say(f"report written to {write_pages(chains, report)}")
    if as_json:
        give(_told(chains))
    else:
        from rlx_datapipe.cli.assess_view import show_assessment

        for chain in chains:
            show_assessment(chain)
    is_unfit = any(chain.grade.value == "unfit" for chain in chains)
    sys.exit(EXIT_VERDICT_FAILED if is_unfit else EXIT_DONE)


def _told(chains: Sequence[Assessment]) -> dict[str, Any]:
    return {"schema_version": 1, "chains": [chain.told() for chain in chains]}
