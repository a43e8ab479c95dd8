"""Books of plain Python: two dicts with max and min, and two sorted dicts of sortedcontainers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rlx_datapipe.book.layout import IntArray
from rlx_datapipe.pipeline.bench.peers.stream import NONE, Asked, Stream
from rlx_datapipe.simulation.updates import Updates

Level = tuple[int, int]


class DictBook:
    """Two dicts from price to quantity, in ticks and lots; the best by max and min over all prices."""

    def __init__(self, stream: Stream, asked: Asked) -> None:
        if asked is not Asked.MESSAGE:
            raise ValueError(f"asked for the {asked.value}; it tells the best after each message")
        self.bids, self.asks = self._sides()
        both = (self.bids, self.asks)
        for side, price, quantity in _levels(stream.opening):
            both[side][price] = quantity
        rows = [(both[side], price, quantity) for side, price, quantity in _levels(stream.rows)]
        self.messages = [rows[begin:end] for begin, end in stream.spans()]
        self.told: list[tuple[Level, Level]] = []

    def _sides(self) -> tuple[Any, Any]:
        return {}, {}

    def run(self) -> None:
        """Apply message by message; a quantity of 0 removes the level, known or not."""
        bids, asks, tell = self.bids, self.asks, self.told.append
        for message in self.messages:
            for side, price, quantity in message:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
            bid, ask = max(bids, default=-1), min(asks, default=-1)
            tell(((bid, bids.get(bid, 0)), (ask, asks.get(ask, 0))))

    def answer(self) -> IntArray:
        """What was told, in columns."""
        return np.array(self.told, dtype=np.int64).reshape(-1, 4).T


class SortedBook(DictBook):
    """Two `SortedDict`; the best is the last of the bids and the first of the asks."""

    def _sides(self) -> tuple[Any, Any]:
        from sortedcontainers import SortedDict

        return SortedDict(), SortedDict()

    def run(self) -> None:
        """Apply message by message; a quantity of 0 removes the level, known or not."""
        bids, asks, tell = self.bids, self.asks, self.told.append
        for message in self.messages:
            for side, price, quantity in message:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
            tell((bids.peekitem(-1) if bids else NONE, asks.peekitem(0) if asks else NONE))


def _levels(rows: Updates) -> Iterator[tuple[int, int, int]]:
    """Side, price, quantity of each row, as Python integers."""
    return zip(rows.sides.tolist(), rows.prices.tolist(), rows.quantities.tolist(), strict=True)
