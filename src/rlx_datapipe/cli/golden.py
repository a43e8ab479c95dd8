"""The option `--golden`, which takes several files in a row, as shells expand them."""

from __future__ import annotations

import click


class GoldenCommand(click.Command):
    """Lets `--golden` take several files in a row, as shells expand them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the option before each of the files."""
        spread: list[str] = []
        taking = False
        for arg in args:
            if taking and not arg.startswith("-") and spread[-1] != "--golden":
                spread.append("--golden")
            taking = arg == "--golden" or (taking and not arg.startswith("-"))
            spread.append(arg)
        return super().parse_args(ctx, spread)
