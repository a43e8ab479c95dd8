"""Our book, asked what the others are asked, in the same way."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.kernels import (
    apply_rows,
    apply_rows_with_best,
    best_price,
    best_quantity,
)
from rlx_datapipe.book.layout import ASK, BID, OK, IntArray
from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.pipeline.bench.peers.stream import Asked, Stream, whole_book


class OurBook:
    """The engine with its kernels, on int64 columns of ticks and lots."""

    def __init__(self, stream: Stream, asked: Asked) -> None:
        self.engine = OrderBookEngine()
        self.engine.apply(*stream.opening[1:])
        self.columns = stream.rows[1:]
        self.ends = stream.ends
        self.run = {Asked.ROW: self._rows, Asked.MESSAGE: self._messages, Asked.END: self._end}[asked]
        told = {Asked.ROW: len(stream), Asked.MESSAGE: len(stream.ends), Asked.END: 0}[asked]
        # Written once before the clock runs, so that no first touch of memory is timed.
        self.best: IntArray = np.full((4, told), -1, dtype=np.int64)

    def _rows(self) -> None:
        at, rows = 0, len(self.columns[0])
        while at < rows:
            at, status = apply_rows_with_best(self.engine.state, *self.columns, at, rows, *self.best)
            if status != OK:
                self.engine.make_room(status, int(self.columns[1][at]))

    def _messages(self) -> None:
        message, row, status = 0, 0, OK
        while message < len(self.ends):
            message, row, status = apply_messages(
                self.engine.state, *self.columns, self.ends, message, row, *self.best
            )
            if status != OK:
                self.engine.make_room(status, int(self.columns[1][row]))

    def _end(self) -> None:
        at, rows = 0, len(self.columns[0])
        while at < rows:
            at, status = apply_rows(self.engine.state, *self.columns, at, rows)
            if status != OK:
                self.engine.make_room(status, int(self.columns[1][at]))

    def answer(self) -> IntArray:
        """Best prices as they were written, or the levels as they are now."""
        if self.best.size:
            return self.best
        levels = self.engine.levels()
        return whole_book(
            (levels.bid_prices, levels.bid_quantities), (levels.ask_prices, levels.ask_quantities)
        )


@kernel
def apply_messages(
    state: IntArray,
    sides: IntArray,
    prices: IntArray,
    quantities: IntArray,
    ends: IntArray,
    message: int,
    row: int,
    bid_prices_out: IntArray,
    bid_quantities_out: IntArray,
    ask_prices_out: IntArray,
    ask_quantities_out: IntArray,
) -> tuple[int, int, int]:
    """Apply messages from ``row`` of ``message`` on; write the best after each, at that message's index.

    Returns the first message and row not applied, and the status there; as `apply_rows`.
    """
    for at in range(message, len(ends)):
        row, status = apply_rows(state, sides, prices, quantities, row, ends[at] + 1)
        if status != OK:
            return at, row, status
        bid_price, bid_quantity = best_price(state, BID), best_quantity(state, BID)
        ask_price, ask_quantity = best_price(state, ASK), best_quantity(state, ASK)
        bid_prices_out[at], bid_quantities_out[at] = bid_price, bid_quantity
        ask_prices_out[at], ask_quantities_out[at] = ask_price, ask_quantity
    return len(ends), row, OK
