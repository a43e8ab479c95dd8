"""`rlx capture`: its own commands, each loaded when it is used."""

from __future__ import annotations

import importlib

import click

_HOMES = {
    "run": "record a live market, byte for byte, until it is stopped",
    "inspect": "what a capture holds: counts, rates, gaps, latency, clock, regimes",
    "seal": "seal what a capture left open that died, so that it can be read",
    "unseal": "decrypt a capture into files that any zstd reader opens",
    "key": "make a key file, or add a new key to it",
}


class _Lazy(click.Group):
    """Lists commands without importing them; ``run`` is `rlx_datapipe.cli.capture_run.run`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order of their use."""
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now."""
        if cmd_name not in _HOMES:
            return None
        home = importlib.import_module(f"rlx_datapipe.cli.capture_{cmd_name}")
        command: click.Command = getattr(home, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands with one line each, from the list above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_HOMES.items()))


@click.group(cls=_Lazy)
def capture() -> None:
    """Record live markets: raw, whole, exactly timed."""
