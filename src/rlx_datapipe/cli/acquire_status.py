"""`rlx acquire status`: what of a download is planned, here, in which zone, and what failed."""

from __future__ import annotations

from pathlib import Path

import click

from rlx_datapipe.cli.terminal import give, guarded, json_option


@click.command()
@click.option("--staging", required=True, type=click.Path(path_type=Path), help="The staging folder.")
@json_option
@guarded
def status(staging: Path, as_json: bool) -> None:
    """Show how the files of a staging folder stand, also while a download runs."""
    from rlx_datapipe.acquisition.status import staging_status
    from rlx_datapipe.cli.acquire_view import show_status

    found = staging_status(staging)
    if as_json:
        give(found.as_facts())
    else:
        show_status(found)
