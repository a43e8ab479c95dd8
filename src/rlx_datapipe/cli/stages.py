"""Where the time of a run went, on the terminal: the stages of each chain side by side."""

from __future__ import annotations

from typing import Any

from rich.console import Console
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


def show_profile(profile: dict[str, Any], kind: str, of: str, screen: Console) -> None:
    """What limits a measured run: processor time of each stage by the event or message, and a sentence."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(f"{kind}: stage", overflow="fold")
    for heading in (f"CPU ns/{of}", "of all", "at work"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, one in profile["stages"].items():
        at_work = f"{one['wall_share']:.0%}" if one["wall_share"] else ""
        table.add_row(name, f"{one['cpu_ns']:,.0f}", f"{one['cpu_share']:.0%}", at_work)
    table.add_row("the run", f"{profile['cpu_ns']:,.0f}", "", "", style="bold")
    table.add_row("its floor", f"{profile['floor_cpu_ns']:,.0f}", "", "", style="dim")
    for part, cpu_ns in profile["least"].items():
        table.add_row(
            f"no run without: {part}", f"{cpu_ns:,.0f}", f"{cpu_ns / profile['cpu_ns']:.0%}", "", style="dim"
        )
    screen.print()
    screen.print(table)
    screen.print(f"limited by {profile['limit']}", style="dim", markup=False, highlight=False)
