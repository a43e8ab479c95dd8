"""`rlx book`: the exact book at any moment, with depth bars."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from rlx_datapipe.cli.terminal import give, guarded, json_option

if TYPE_CHECKING:
    from rich.table import Table

    from rlx_datapipe.pipeline.book import BookState

_BAR = 24
_DEPTH = 20


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

    if depth is None and not as_json:
        depth = _DEPTH
    state = book_at(dataset, symbol, at=at, event=event, depth=depth)
    if as_json:
        give(state.to_json())
    else:
        _show(state)


def _show(state: BookState) -> None:
    from rlx_datapipe.cli.summary import console
    from rlx_datapipe.core.period import time_text

    screen = console()
    title = f"{state.exchange} {state.symbol}  {time_text(state.origin_time)}  event {state.event_id:,}"
    if not state.is_valid:
        screen.print(title, style="bold", markup=False)
        screen.print("no valid book here: before the first snapshot, or after a gap")
        return
    screen.print(book_table(state, title))
    low, high = state.known_low_price, state.known_high_price
    bids = f"bids whole down to {_plain(low)}" if low else "all bids known"
    asks = f"asks up to {_plain(high)}" if high else "all asks known"
    screen.print(
        f"[dim]{state.level_counts[0]:,} bid and {state.level_counts[1]:,} ask levels; {bids}, {asks}[/]"
    )


def book_table(state: BookState, title: str) -> Table:
    """The ladder with bars, best prices in the middle."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, pad_edge=False)
    sides: tuple[Literal["left", "right"], ...] = ("right", "right", "right", "left", "left", "left")
    for name, justify in zip(("", "quantity", "bid", "ask", "quantity", ""), sides, strict=True):
        table.add_column(name, justify=justify, header_style="dim", no_wrap=True)
    levels = (*state.bids, *state.asks)
    largest = max((quantity for _, quantity in levels), default=Decimal(1))
    places = max((_places(price) for price, _ in levels), default=0)
    for row in range(max(len(state.bids), len(state.asks))):
        bid = _cells(state.bids, row, "green", largest, places)
        ask = _cells(state.asks, row, "red", largest, places)
        table.add_row(*reversed(bid), *ask)
    return table


def _cells(
    side: list[tuple[Decimal, Decimal]], row: int, colour: str, largest: Decimal, places: int
) -> tuple[str, str, str]:
    """Price, quantity and bar of one level, nearest the middle first."""
    if row >= len(side):
        return "", "", ""
    price, quantity = side[row]
    full, part = divmod(max(1, int(quantity * _BAR * 8 / largest)), 8)
    if colour == "green":
        bar = ("▐" if part >= 4 or not full else "") + "█" * full
    else:
        bar = "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return f"[{colour}]{price:.{places}f}[/]", _plain(quantity), f"[{colour}]{bar}[/]"


def _places(value: Decimal) -> int:
    return max(0, -int(value.normalize().as_tuple().exponent))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
