"""`rlx acquire`: its own commands, each loaded when it is used."""

from __future__ import annotations

import importlib

import click

_HOMES = {
    "validate": "is every file whole? each goes to ready or to quarantine, with its reason",
    "certify": "a certificate of what is ready, which `rlx reconstruct` holds the bytes to",
}


class _Lazy(click.Group):
    """Lists commands without importing them; ``certify`` is `rlx_datapipe.cli.acquire_certify.certify`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order of their use."""
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now."""
        if cmd_name not in _HOMES:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"rlx_datapipe.cli.acquire_{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands with one line each, from the list above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_HOMES.items()))


@click.group(cls=_Lazy)
def acquire() -> None:
    """Bring archives home: downloaded, validated, certified."""
