"""`rlx book`: the exact book at any moment, with depth bars."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.terminal import give, guarded, json_option

_BAR = 24


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--symbol", help="In any spelling; may be left out when there is one.")
@click.option("--at", help="Time, ISO 8601 (UTC) or nanoseconds: the book after the last event until then.")
@click.option("--event", type=int, help="Event id instead of a time.")
@click.option("--depth", type=int, help="Levels a side (20; all with --json).")
@json_option
@guarded
def book(
    dataset: Path, symbol: str | None, at: str | None, event: int | None, depth: int | None, as_json: bool
) -> None:
    """Rebuild the exact order book of DATASET at a moment."""
    from rlx_datapipe.pipeline.book import book_at

    state = book_at(dataset, symbol, at=at, event=event, depth=depth if as_json or depth else 20)
    if as_json:
        give(state.to_json())
    else:
        _show(state)


def _show(state: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from rlx_datapipe.cli.summary import console
    from rlx_datapipe.core.period import time_text

    screen = console()
    title = f"{state.exchange} {state.symbol}  {time_text(state.origin_time)}  event {state.event_id:,}"
    if not state.is_valid:
        screen.print(f"[bold]{title}[/]\nno valid book here: before the first snapshot, or after a gap")
        return
    table = Table(title=Text(title, style="bold"), box=None, pad_edge=False)
    for name, side in (
        ("", "right"),
        ("bid size", "right"),
        ("bid", "right"),
        ("ask", "left"),
        ("ask size", "left"),
        ("", "left"),
    ):
        table.add_column(name, justify=side, header_style="dim")  # type: ignore[arg-type]
    largest = max([quantity for _, quantity in (*state.bids, *state.asks)], default=Decimal(1))
    for row in range(max(len(state.bids), len(state.asks))):
        bid = state.bids[row] if row < len(state.bids) else None
        ask = state.asks[row] if row < len(state.asks) else None
        table.add_row(*_cells(bid, "green", largest)[::-1], *_cells(ask, "red", largest))
    screen.print(table)
    low, high = state.known_low_price, state.known_high_price
    known = f"whole from {_plain(low) if low else 'the bottom'} to {_plain(high) if high else 'the top'}"
    counts = f"{state.level_counts[0]:,} bid and {state.level_counts[1]:,} ask levels"
    screen.print(f"[dim]{counts}; {known}, beyond that only what deltas told[/]")


def _cells(level: tuple[Decimal, Decimal] | None, colour: str, largest: Decimal) -> tuple[str, str, str]:
    """Price, size and bar of one level, nearest the middle first."""
    if level is None:
        return "", "", ""
    price, quantity = level
    eighths = max(1, int(quantity * _BAR * 8 / largest))
    full, part = divmod(eighths, 8)
    bar = "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return f"[{colour}]{_plain(price)}[/]", _plain(quantity), f"[{colour}]{bar}[/]"


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
