"""Groups of commands that are listed without being imported: each is loaded when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

HOME = "rlx_datapipe.cli"


class LazyGroup(click.Group):
    """Knows its commands by name and one line each; a help text loads none of them.

    Parameters
    ----------
    homes
        One line for each command, in the order in which they are listed.
    stem
        What comes before their names where they live: ``acquire_`` for ``cli.acquire_download``.
    """

    def __init__(self, *args: Any, homes: Mapping[str, str], stem: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._homes, self._stem = homes, stem

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order of their use."""
        return list(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now; ``list-inventory`` is `cli.acquire_list_inventory.list_inventory`."""
        if cmd_name not in self._homes:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"{HOME}.{self._stem}{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands with one line each."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._homes.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a near miss for an unknown name."""
        if args and not args[0].startswith("-") and args[0] not in self._homes:
            import difflib

            near = difflib.get_close_matches(args[0], self._homes, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)
