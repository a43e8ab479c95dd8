"""The book of nautilus_trader: `OrderBook` of its Rust core, fed with objects from Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlx_datapipe.book.layout import BID, IntArray
from rlx_datapipe.pipeline.bench.peers.stream import (
    LOT,
    PRICE_DECIMALS,
    QUANTITY_DECIMALS,
    TICK,
    Asked,
    Stream,
    in_units,
    whole_book,
)
from rlx_datapipe.simulation.updates import Updates


class NautilusBook:
    """One call of `apply_deltas` for each message, its objects made before the clock runs."""

    def __init__(self, stream: Stream, asked: Asked) -> None:
        from nautilus_trader.core import nautilus_pyo3

        if asked is Asked.ROW:
            raise ValueError("asked for the best after each row; it is given whole messages")
        self.core: Any = nautilus_pyo3
        self.instrument = self.core.InstrumentId.from_str("BTCUSDT.BINANCE")
        self.book = self.core.OrderBook(self.instrument, self.core.BookType.L2_MBP)
        self.book.apply_deltas(self._message(_values(stream.opening)))
        self._take(stream)
        self.run = self._end if asked is Asked.END else self._messages
        self.told: list[tuple[Any, Any, Any, Any]] = []

    def _take(self, stream: Stream) -> None:
        rows = _values(stream.rows)
        self.messages: list[Any] = [self._message(rows[begin:end]) for begin, end in stream.spans()]

    def _message(self, rows: list[tuple[bool, float, float]]) -> Any:
        """The objects of one message."""
        core, instrument = self.core, self.instrument
        delta, order, price_of, quantity_of = (
            core.OrderBookDelta,
            core.BookOrder,
            core.Price,
            core.Quantity,
        )
        buy, sell = core.OrderSide.BUY, core.OrderSide.SELL
        update, delete = core.BookAction.UPDATE, core.BookAction.DELETE
        deltas = [
            delta(
                instrument,
                update if quantity else delete,
                order(
                    buy if is_bid else sell,
                    price_of(price, PRICE_DECIMALS),
                    quantity_of(quantity, QUANTITY_DECIMALS),
                    0,
                ),
                0,
                0,
                0,
                0,
            )
            for is_bid, price, quantity in rows
        ]
        return core.OrderBookDeltas(instrument, deltas)

    def _messages(self) -> None:
        book, tell = self.book, self.told.append
        for message in self.messages:
            book.apply_deltas(message)
            tell((book.best_bid_price(), book.best_bid_size(), book.best_ask_price(), book.best_ask_size()))

    def _end(self) -> None:
        for message in self.messages:
            self.book.apply_deltas(message)

    def answer(self) -> IntArray:
        """What was told, or the levels of the book, in ticks and lots."""
        if self.told:
            units = (TICK, LOT, TICK, LOT)
            columns = zip(zip(*self.told, strict=True), units, strict=True)
            return np.stack([in_units([one.as_double() for one in each], unit) for each, unit in columns])
        sides = []
        for levels in (self.book.bids(), self.book.asks()):
            prices = in_units([level.price.as_double() for level in levels], TICK)
            sides.append((prices, in_units([level.size() for level in levels], LOT)))
        return whole_book(*sides)


class NautilusBuiltBook(NautilusBook):
    """The same, the objects of each message made from its numbers while the clock runs."""

    def _take(self, stream: Stream) -> None:
        rows = _values(stream.rows)
        self.messages = [rows[begin:end] for begin, end in stream.spans()]

    def _end(self) -> None:
        for message in self.messages:
            self.book.apply_deltas(self._message(message))


def _values(rows: Updates) -> list[tuple[bool, float, float]]:
    """Side, price and quantity of each row, as Python numbers."""
    columns = ((rows.sides == BID).tolist(), (rows.prices * TICK).tolist(), (rows.quantities * LOT).tolist())
    return list(zip(*columns, strict=True))
