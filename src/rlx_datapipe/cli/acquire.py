"""`rlx acquire`: its own commands, each loaded when it is used."""

from __future__ import annotations

import importlib

import click

_HOMES = {
    "test-connection": "can the archive be read? says what is wrong, and how to mend it",
    "list-inventory": "what the archive holds: symbols, days, sizes; missing days as a calendar",
    "download": "fetch files as published, gone on with at the byte after any interruption",
    "validate": "is every file whole? each goes to ready or to quarantine, with its reason",
    "status": "what of a download is planned, here, in which zone, and what failed",
    "certify": "a certificate of what is ready, which `rlx reconstruct` holds the bytes to",
}


class _Lazy(click.Group):
    """Lists commands without importing them; ``list-inventory`` is in `cli.acquire_list_inventory`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order of their use."""
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now."""
        if cmd_name not in _HOMES:
            return None
        name = cmd_name.replace("-", "_")
        home = importlib.import_module(f"rlx_datapipe.cli.acquire_{name}")
        command: click.Command = getattr(home, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands with one line each, from the list above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_HOMES.items()))


@click.group(cls=_Lazy)
def acquire() -> None:
    """Bring archives home: found, downloaded, validated, certified."""
