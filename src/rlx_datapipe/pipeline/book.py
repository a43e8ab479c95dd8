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
from rlx_datapipe.replay.rebuild import RebuiltBook, event_before, rebuild
from rlx_datapipe.store.dataset import Dataset, open_dataset

Side = list[tuple[Decimal, Decimal]]


@dataclass(frozen=True)
class BookState:
    """The book after an event: ``bids`` and ``asks`` as (price, quantity), best first.

    ``is_valid`` is False where there is no trustworthy book. Bids are whole down to ``known_low_price``, asks
    up to ``known_high_price`` (None: the whole side); beyond, levels that no delta touched are missing.
    ``level_counts`` are the levels of each side in full, whatever depth was asked for.
    """

    exchange: str
    symbol: str
    event_id: int
    origin_time: int
    is_valid: bool
    bids: Side
    asks: Side
    level_counts: tuple[int, int]
    known_low_price: Decimal | None
    known_high_price: Decimal | None

    def to_json(self) -> dict[str, Any]:
        """The state for JSON; decimals as strings, the time also as ISO 8601."""

        def texts(side: Side) -> list[list[str | None]]:
            return [[_text(price), _text(quantity)] for price, quantity in side]

        return {
            "exchange": self.exchange,
            "symbol": self.symbol,
            "event_id": self.event_id,
            "origin_time": self.origin_time,
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
        ISO 8601 time, datetime, or integer ns UTC: the book after the last event not later than this.
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
        raise OptionError("give a time or an event", expected="exactly one of --at and --event")
    if depth is not None and depth < 1:
        raise OptionError("depth must be at least 1", found=depth)
    held = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    chain = held.manifest.chain(symbol)
    if event is None:
        assert at is not None  # noqa: S101 (for the type checker)
        event = event_before(held, chain, parse_time(at))
    return _state(rebuild(held, chain, event), depth)


def _state(book: RebuiltBook, depth: int | None) -> BookState:
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
