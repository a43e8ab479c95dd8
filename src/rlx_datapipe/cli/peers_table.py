"""The table of `rlx bench peers`: theirs beside ours, the ratio, and whether the answers are equal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_MARKS = {None: Text(""), True: Text("✓", "green"), False: Text("✗", "red")}

_TELLS = {
    "best after each row": "each row",
    "best after each message": "each message",
    "whole book at the end": "at the end",
}
_LEGEND = """
Millions of rows a second of processor time, both in turns on the same rows;
ratio: ours to theirs. Each row, each message: best prices and quantities after
it; at the end: nothing before, then the whole book."""


def show_peers(result: dict[str, Any], screen: Console) -> None:
    """Print one row for each book of another package; one that told something else is red."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("peer", overflow="fold")
    table.add_column("tells", no_wrap=True)
    for heading in ("theirs", "ours", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("target", no_wrap=True)
    table.add_column("equal", no_wrap=True)
    previous = ""
    for one in result["figures"]:
        detail = one["detail"]
        name = f"{detail['peer']} {detail['version']}".strip()
        if name != previous:
            table.add_row(Text(name, "bold"))
        previous = name
        table.add_row(
            f"  {detail['what']}",
            _TELLS[detail["asked"]],
            _millions(detail["rows_per_second"]),
            _millions(one["figure"]),
            f"{one['ratio']:.3g}x",
            Text.assemble(one["target"], " ", _MARKS[one["is_met"]]),
            _MARKS[not detail["difference"]],
            style="red" if detail["difference"] else None,
        )
    screen.print(table)
    screen.print(_LEGEND, style="dim")
    for sentence in result["missing"].values():
        screen.print(f"\nleft out: {sentence}", style="yellow", markup=False, highlight=False)


def _millions(rate: float) -> str:
    return f"{rate / 1e6:.1f}" if rate >= 1e7 else f"{rate / 1e6:.2f}"
