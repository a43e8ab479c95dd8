"""`rlx acquire certify`: a certificate of what is ready, which `rlx reconstruct` holds the bytes to."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.terminal import give, guarded, json_option

_NAMED = 20
"""Gaps that are shown; the certificate and --json have all."""


@click.command()
@click.option(
    "--staging",
    required=True,
    type=click.Path(path_type=Path),
    help="Staging folder of rlx acquire download.",
)
@json_option
@guarded
def certify(staging: Path, as_json: bool) -> None:
    """Certify what is ready: which files, to the byte, what was checked, and which gaps are known.

    Every file is read once more. The same files make the same certificate.
    """
    from rlx_datapipe.acquisition.certifying import certify as run
    from rlx_datapipe.pipeline.watching import Progress

    done = 0

    with progress_bar() as on_progress:

        def on_file(path: Path, size: int, total: int) -> None:
            nonlocal done
            on_progress(Progress("archive", "certify", done, max(total, 1), 0, state=path.name))
            done += size

        result = run(staging, on_file)
    if as_json:
        give(result)
    else:
        from rlx_datapipe.cli.summary import show_commands

        _show(result)
        show_commands(f"reconstruct {shlex.quote(str(staging))} --out DATASET")


def _show(result: dict[str, Any]) -> None:
    from rich.text import Text

    from rlx_datapipe.cli.summary import console

    screen = console()
    totals = result["totals"]
    screen.print(
        f"{totals['files']:,} files, {totals['bytes'] / 1e6:,.1f} MB, {totals['rows']:,} rows certified by "
        f"{len(result['checks'])} kinds of checks",
        soft_wrap=True,
    )
    for gap in result["gaps"][:_NAMED]:
        told = (
            f"{gap['exchange']} {gap['symbol']} {gap['table']} {gap['date']}: {gap['kind']}, {gap['detail']}"
        )
        screen.print(Text(f"! {told}", style="yellow"))
    if len(result["gaps"]) > _NAMED:
        screen.print(f"  and {len(result['gaps']) - _NAMED:,} more gaps, all named in the certificate")
    screen.print(
        f"certificate  {result['path']}{'' if result['is_new'] else '  (as it stood)'}", soft_wrap=True
    )
    screen.print(f"digest       {result['sha256']}", soft_wrap=True)
