"""The `rlx` command: its commands in the order of the line of data, each loaded when it is used."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from rlx_datapipe.cli.groups import LazyGroup
from rlx_datapipe.cli.terminal import heeding_sigterm, steady
from rlx_datapipe.core.program import without_guests

_HOMES = {
    "demo": "the whole line on a simulated market, offline, in about a minute",
    "acquire": "archives such as Crypto Lake: found, downloaded, validated, certified",
    "capture": "record a live market: raw, whole, exactly timed",
    "assess": "what a recording holds, its quality, and what it takes to reconstruct it",
    "reconstruct": "recordings become an exact event dataset",
    "inspect": "what a dataset or a recording holds",
    "book": "the exact book at any moment",
    "validate": "is the dataset correct? rules give findings",
    "fidelity": "is the dataset like the market? metrics against golden, with verdicts",
    "replay": "a recording as an exchange: Binance's protocol on a port of this machine",
    "export": "a dataset in the layout of a vendor",
    "bench": "the measured claims: target and figure side by side",
    "selftest": "crash proofs: killed and without power anywhere, nothing is lost",
}
_WITH_GUESTS = {"bench", "demo", "fidelity"}
"""Commands that run what others wrote, which may need pandas and scipy."""


class _Door(LazyGroup):
    """All commands; `rlx --help` must load neither Numba nor Arrow."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click does; also here, a reader that goes away is no error."""
        with steady():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; a stop while a command is still being loaded is a stop like any other."""
        with steady(), heeding_sigterm():
            return super().invoke(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now."""
        if cmd_name in _HOMES and cmd_name not in _WITH_GUESTS:
            without_guests()
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=_Door,
    homes=_HOMES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="rlx-datapipe", prog_name="rlx")
def main() -> None:
    """Exact, chronological market events with the full order book at every one of them.

    Start with `rlx demo`, or with your own file: `rlx reconstruct FILE --out DATASET`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that can't show a character shows a question mark; no run fails at its end for that.
            stream.reconfigure(errors="replace")
