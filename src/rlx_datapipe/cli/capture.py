"""`rlx capture`: its own commands, each loaded when it is used."""

from __future__ import annotations

import click

from rlx_datapipe.cli.groups import LazyGroup

_HOMES = {
    "run": "record a live market, byte for byte, until it is stopped",
    "inspect": "what a capture holds: counts, rates, gaps, latency, clock, regimes",
    "seal": "seal what a capture left open that died, so that it can be read",
    "unseal": "decrypt a capture into files that any zstd reader opens",
    "key": "make a key file, or add a new key to it",
}


@click.group(cls=LazyGroup, homes=_HOMES, stem="capture_")
def capture() -> None:
    """Record live markets: raw, whole, exactly timed."""
