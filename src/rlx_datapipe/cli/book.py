"""`rlx book`: the exact book at any moment, with depth bars."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rlx_datapipe.cli.terminal import give, guarded, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.text import Text

    from rlx_datapipe.pipeline.book import BookState, Side

_BAR, _BAR_LEAST = 24, 2
"""Cells of the longest bar: at most, and the least for which bars are drawn at all."""
_SPACE = "  "
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
        from rlx_datapipe.cli.summary import console

        show_book(state, console())


def show_book(state: BookState, screen: Console) -> None:
    """Print the ladder with its title and what is known of the book, as wide as the screen."""
    from rich.text import Text

    from rlx_datapipe.core.period import time_text

    title = f"{state.exchange} {state.symbol}  {time_text(state.origin_time)}  event {state.event_id:,}"
    screen.print(Text(title, style="bold"))
    if state.age_ns:
        asked = time_text(state.origin_time + state.age_ns)
        screen.print(Text(f"the last event before {asked}, by {state.age_ns / 1e9:,.3f} s", style="dim"))
    if not state.is_valid:
        screen.print("no valid book here: before the first snapshot, or after a gap")
        return
    for line in _ladder(state, screen.width):
        # Not cut and not wrapped, however narrow the screen is: the numbers are the point.
        screen.print(line, soft_wrap=True)
    low, high = state.known_low_price, state.known_high_price
    bids = f"bids whole down to {_plain(low)}" if low else "all bids known"
    asks = f"asks up to {_plain(high)}" if high else "all asks known"
    counts = f"{state.level_counts[0]:,} bid and {state.level_counts[1]:,} ask levels"
    screen.print(Text(f"{counts}; {bids}, {asks}", style="dim"))


def _ladder(state: BookState, width: int) -> Iterator[Text]:
    """A heading and the levels, best first: bids to the left, asks to the right, bars outside."""
    from rich.text import Text

    bids, asks = _texts(state.bids, state.asks)
    levels = [("bid", "quantity"), ("ask", "quantity"), *bids, *asks]
    wide = [max(len(level[column]) for level in levels) for column in (0, 1)]
    room = (width - 2 * sum(wide) - 5 * len(_SPACE)) // 2
    bar = min(_BAR, room) if room >= _BAR_LEAST else 0
    largest = max((quantity for _, quantity in (*state.bids, *state.asks)), default=Decimal(1))
    head = [name.rjust(size) for name, size in zip(("quantity", "bid"), reversed(wide), strict=True)]
    head += [name.rjust(size) for name, size in zip(("ask", "quantity"), wide, strict=True)]
    margin = " " * bar + _SPACE if bar else ""
    yield Text(margin + _SPACE.join(head), style="dim")
    for row in range(max(len(bids), len(asks))):
        cells = []
        for side, texts in ((state.bids, bids), (state.asks, asks)):
            price, quantity = texts[row] if row < len(texts) else ("", "")
            halves = _halves(side[row][1], largest, bar) if row < len(side) else 0
            cells.append((price.rjust(wide[0]), quantity.rjust(wide[1]), halves))
        (bid, bid_quantity, bid_bar), (ask, ask_quantity, ask_bar) = cells
        left = ("▐" * (bid_bar % 2) + "█" * (bid_bar // 2)).rjust(bar) + _SPACE if bar else ""
        right = "█" * (ask_bar // 2) + "▌" * (ask_bar % 2)
        line = Text.assemble((left, "green"), bid_quantity, _SPACE, (bid, "green"), _SPACE, (ask, "red"))
        line.append(f"{_SPACE}{ask_quantity}{_SPACE}").append(right, style="red").rstrip()
        yield line


def _texts(*sides: Side) -> tuple[list[tuple[str, str]], ...]:
    """Prices and quantities of both sides, each with as many decimals as the longest of its kind."""
    levels = [level for side in sides for level in side]
    prices, quantities = (max((_places(level[i]) for level in levels), default=0) for i in (0, 1))
    return tuple([(f"{p:.{prices}f}", f"{q:.{quantities}f}") for p, q in side] for side in sides)


def _halves(quantity: Decimal, largest: Decimal, bar: int) -> int:
    """Length of a bar in half cells, to the nearest: both sides are drawn alike."""
    return int(quantity * bar * 2 / largest + Decimal("0.5"))


def _places(value: Decimal) -> int:
    return max(0, -int(value.normalize().as_tuple().exponent))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
