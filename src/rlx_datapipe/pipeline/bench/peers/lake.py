"""The book of lakeapi: `OrderBookUpdater`, floating-point prices in two typed dicts of Numba."""

from __future__ import annotations

import tempfile
from contextlib import chdir
from typing import Any

import numpy as np

from rlx_datapipe.book.layout import BID, IntArray
from rlx_datapipe.pipeline.bench.peers.stream import (
    LOT,
    TICK,
    Asked,
    Stream,
    in_units,
    whole_book,
)
from rlx_datapipe.simulation.updates import Updates


class LakeBook:
    """One call of `process_next_update` for each message, as its own loop over a frame of deltas does.

    Rows of one ``received_time`` are one update, so the best after each row can't be asked for without
    another stream.
    """

    def __init__(self, stream: Stream, asked: Asked) -> None:
        import pandas as pd

        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            # It makes a folder for its cache where it is imported.
            from lakeapi.orderbook import OrderBookUpdater
        if asked is Asked.ROW:
            raise ValueError("asked for the best after each row; it applies whole messages")
        frame = pd.DataFrame(_columns(stream))
        self.updater: Any = OrderBookUpdater(frame)
        self.updater.process_next_update()
        self.run = self._end if asked is Asked.END else self._messages
        self.prices: list[tuple[float, float]] = []
        self.quantities: list[tuple[float, float]] = []

    def _messages(self) -> None:
        updater, bids, asks = self.updater, self.updater.bid, self.updater.ask
        while updater.process_next_update():
            best = updater.get_bests()
            self.prices.append(best)
            self.quantities.append((bids[best[0]], asks[best[1]]))

    def _end(self) -> None:
        while self.updater.process_next_update():
            pass

    def answer(self) -> IntArray:
        """What was told, or what its dicts hold, in ticks and lots."""
        if self.prices:
            prices, quantities = in_units(self.prices, TICK), in_units(self.quantities, LOT)
            return np.stack([prices[:, 0], quantities[:, 0], prices[:, 1], quantities[:, 1]])
        bids, asks = (
            (in_units(list(side.keys()), TICK), in_units(list(side.values()), LOT))
            for side in (self.updater.bid, self.updater.ask)
        )
        return whole_book(bids, asks)


def _columns(stream: Stream) -> dict[str, Any]:
    """A frame as lakeapi loads it, the opening message first."""
    rows = Updates(*(np.concatenate(parts) for parts in zip(stream.opening, stream.rows, strict=True)))
    return {
        "received_time": rows.messages,
        "sequence_number": rows.messages,
        "side_is_bid": rows.sides == BID,
        "price": rows.prices * TICK,
        "size": rows.quantities * LOT,
    }
