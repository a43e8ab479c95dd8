"""Any book state of a dataset, by time or by event, in decimals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.period import parse_time, time_text
from rlx_datapipe.core.units import to_decimal
from rlx_datapipe.replay.rebuild import RebuiltBook, event_before, is_lost_after, rebuild, without_book
from rlx_datapipe.store.dataset import Dataset, open_dataset

Side = list[tuple[Decimal, Decimal]]


@dataclass(frozen=True)
class BookState:
    """The book after an event: ``bids`` and ``asks`` as (price, quantity), best first.

    ``requested_time`` is what was asked for, None if an event was; ``origin_time`` is that of the event.
    ``is_valid`` is False where there is no trustworthy book. Bids are whole down to ``known_low_price``, asks
    up to ``known_high_price`` (None: the whole side); beyond, levels that no delta touched are missing.
    By the strategy ``snapshot`` that is said of the last full book in the dataset, and moves with the market.
    ``level_counts`` are the levels of each side in full, whatever depth was asked for.
    """

    exchange: str
    symbol: str
    event_id: int
    origin_time: int
    requested_time: int | None
    is_valid: bool
    bids: Side
    asks: Side
    level_counts: tuple[int, int]
    known_low_price: Decimal | None
    known_high_price: Decimal | None

    @property
    def age_ns(self) -> int:
        """How long before the requested time the last event was; 0 if an event was asked for."""
        return 0 if self.requested_time is None else self.requested_time - self.origin_time

    def __repr__(self) -> str:
        bid, ask = (_text(side[0][0]) if side else "none" for side in (self.bids, self.asks))
        state = f"bid {bid}, ask {ask}" if self.is_valid else "no valid book"
        when = f"{time_text(self.origin_time)}, event {self.event_id}"
        return f"<BookState {self.exchange} {self.symbol} {when}: {state}; {self.level_counts} levels>"

    def to_json(self) -> dict[str, Any]:
        """The state for JSON; decimals as strings, the time also as ISO 8601."""

        def texts(side: Side) -> list[list[str | None]]:
            return [[_text(price), _text(quantity)] for price, quantity in side]

        return {
            "exchange": self.exchange,
            "symbol": self.symbol,
            "event_id": self.event_id,
            "origin_time": self.origin_time,
            "requested_time": self.requested_time,
            "age_ns": self.age_ns,
            "time": time_text(self.origin_time),
            "valid": self.is_valid,
            "bids": texts(self.bids),
            "asks": texts(self.asks),
            "bid_levels": self.level_counts[0],
            "ask_levels": self.level_counts[1],
            "known_low_price": _text(self.known_low_price),
            "known_high_price": _text(self.known_high_price),
        }


def book_at(
    dataset: Dataset | str | Path,
    symbol: str | None = None,
    *,
    at: str | int | datetime | None = None,
    event: int | None = None,
    depth: int | None = None,
) -> BookState:
    """Rebuild the exact book at a moment.

    Parameters
    ----------
    dataset
        A dataset or its folder.
    symbol
        In any spelling; may be left out when the dataset holds one.
    at
        ISO 8601 time, datetime, or integer ns UTC: the book after the last event not later than this. Not
        valid between the last event before a gap and the first behind it.
    event
        Event id instead of a time.
    depth
        Levels a side; all if None.

    Raises
    ------
    OptionError
        Unless exactly one of ``at`` and ``event`` is given, and readable.
    DatasetError
        When the dataset has no such symbol or moment.
    """
    if (at is None) == (event is None):
        expected = "exactly one of --at and --event; in Python at= and event="
        raise OptionError("give a time or an event", expected=expected)
    if depth is not None and depth < 1:
        raise OptionError("depth must be at least 1", found=depth)
    held = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    chain = held.manifest.chain(symbol)
    if event is not None:
        return _state(rebuild(held, chain, event), depth, None)
    assert at is not None  # noqa: S101 (for the type checker)
    time_ns = parse_time(at)
    book = rebuild(held, chain, event_before(held, chain, time_ns))
    if time_ns > book.origin_time and book.is_valid and is_lost_after(held, chain, book.event_id):
        book = without_book(book)
    return _state(book, depth, time_ns)


def _state(book: RebuiltBook, depth: int | None, requested_time: int | None) -> BookState:
    instrument, levels = book.instrument, book.levels

    def side(prices: Int64Array, quantities: Int64Array) -> Side:
        return [
            (Decimal(p).scaleb(-instrument.price_decimals), Decimal(q).scaleb(-instrument.quantity_decimals))
            for p, q in zip(prices[:depth].tolist(), quantities[:depth].tolist(), strict=True)
        ]

    return BookState(
        exchange=instrument.exchange,
        symbol=instrument.symbol,
        event_id=book.event_id,
        origin_time=book.origin_time,
        requested_time=requested_time,
        is_valid=book.is_valid,
        bids=side(levels.bid_prices, levels.bid_quantities),
        asks=side(levels.ask_prices, levels.ask_quantities),
        level_counts=(len(levels.bid_prices), len(levels.ask_prices)),
        known_low_price=to_decimal(book.known_low, instrument.price_decimals),
        known_high_price=to_decimal(book.known_high, instrument.price_decimals),
    )


def _text(value: Decimal | None) -> str | None:
    if value is None:
        return None
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
