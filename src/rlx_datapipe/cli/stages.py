"""Where the time of a run went, on the terminal: the stages of each chain side by side."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from rlx_datapipe.cli.summary import console


def show_stages(result: dict[str, Any]) -> None:
    """The seconds of each stage, and processor time by the event; stages overlap, so walls don't add up."""
    screen = console()
    for chain in result["chains"]:
        # A chain that was complete before has done nothing now.
        if not chain.get("stages"):
            continue
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column(f"{chain['exchange']} {chain['symbol']}")
        for name in ("wall s", "CPU s", "ns an event"):
            table.add_column(name, justify="right")
        done = max(1, chain["events"] - chain.get("resumed_events", 0))
        for stage, spent in chain["stages"].items():
            each_ns = 1e9 * spent["cpu_s"] / done
            table.add_row(Text(stage), f"{spent['wall_s']:.2f}", f"{spent['cpu_s']:.2f}", f"{each_ns:,.0f}")
        screen.print()
        screen.print(table)
