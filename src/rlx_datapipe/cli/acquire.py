"""`rlx acquire`: its own commands, each loaded when it is used."""

from __future__ import annotations

import click

from rlx_datapipe.cli.groups import LazyGroup

_HOMES = {
    "test-connection": "can the archive be read? says what is wrong, and how to mend it",
    "list-inventory": "what the archive holds: symbols, days, sizes; missing days as a calendar",
    "download": "fetch files as published, gone on with at the byte after any interruption",
    "validate": "is every file whole? each goes to ready or to quarantine, with its reason",
    "status": "what of a download is planned, here, in which zone, and what failed",
    "certify": "a certificate of what is ready, which `rlx reconstruct` holds the bytes to",
}


@click.group(cls=LazyGroup, homes=_HOMES, stem="acquire_")
def acquire() -> None:
    """Bring archives home: found, downloaded, validated, certified.

    \b
    From the free sample, which needs no key, to a dataset:
      rlx acquire list-inventory --sample
      rlx acquire download --sample --symbols BTC-USDT --staging staging
      rlx acquire validate --staging staging
      rlx acquire certify --staging staging
      rlx reconstruct staging --out dataset
    """  # noqa: D301 (click's own mark for lines to keep)
