"""The books of hftbacktest: its Rust market depths, driven over the events of its own backtest."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit

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

_STEP_NS = 1_000
_NEVER_NS = 1 << 60
_FEED = 2
"""Status of `wait_next_feed` when something has come."""


class HftBook:
    """A backtest of one asset whose events are for the local side only: no exchange, no orders.

    Timed is its event loop with the update of the book, called from compiled code: `wait_next_feed` and four
    reads for each row or message, or one `elapse` over all. Prices and quantities are floating point in the
    events, and turned into ticks by the book.
    """

    name = ""

    def __init__(self, stream: Stream, asked: Asked) -> None:
        import hftbacktest

        # The backtest reads this memory by its address: it must stay.
        self.events = _events(stream, asked)
        first, last = _price_range(stream)
        asset = (
            hftbacktest.BacktestAsset()
            .data(self.events)
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(TICK)
            .lot_size(LOT)
        )
        if self.name == "ROIVectorMarketDepthBacktest":
            asset = asset.roi_lb(first * TICK).roi_ub(last * TICK)
        self.backtest: Any = getattr(hftbacktest, self.name)([asset])
        self.range = first, last
        # The clock starts at the first event: one step takes in the opening message and nothing else.
        self.backtest.elapse(_STEP_NS // 2)
        self.run = self._end if asked is Asked.END else self._bests
        told = {Asked.ROW: len(stream), Asked.MESSAGE: len(stream.ends), Asked.END: 0}[asked]
        self.prices: IntArray = np.full((2, told), -1, dtype=np.int64)
        self.quantities = np.full((2, told), -1.0)
        self.told = told

    def _bests(self) -> None:
        self.told = _compiled().bests(self.backtest, *self.prices, *self.quantities)

    def _end(self) -> None:
        # The last event is one step behind those of the stream, and stays where it is.
        self.backtest.elapse(int(self.events["local_ts"][-1] - self.backtest.current_timestamp) - 1)

    def answer(self) -> IntArray:
        """What was told, or what its book holds, in ticks and lots; closes the backtest."""
        if self.prices.size:
            lots = in_units(self.quantities, LOT)
            best = np.stack([self.prices[0], lots[0], self.prices[1], lots[1]])[:, : self.told]
        else:
            first, last = self.range
            held = np.empty((2, last - first + 1))
            _compiled().levels(self.backtest, first, *held)
            best = whole_book(
                *((np.flatnonzero(side) + first, in_units(side[side > 0], LOT)) for side in held)
            )
        self.backtest.close()
        return best


class RoiVectorBook(HftBook):
    """Its book of one vector a side over a range of ticks; the range is that of the stream."""

    name = "ROIVectorMarketDepthBacktest"


class HashMapBook(HftBook):
    """Its book of one hash map a side, any price."""

    name = "HashMapMarketDepthBacktest"


def _price_range(stream: Stream) -> tuple[int, int]:
    prices = (stream.opening.prices, stream.rows.prices)
    return min(int(one.min()) for one in prices) - 1, max(int(one.max()) for one in prices) + 1


def _events(stream: Stream, asked: Asked) -> Any:
    """All rows as its events, the opening first; one more, a step behind, ends the last wait for a feed.

    The backtest stops at each new time: every row has its own, or every message.
    """
    from hftbacktest.types import BUY_EVENT, DEPTH_EVENT, LOCAL_EVENT, SELL_EVENT, event_dtype

    last = Updates(*(column[-1:] for column in stream.rows))
    sides, prices, quantities = (
        np.concatenate(parts) for parts in list(zip(stream.opening, stream.rows, last, strict=True))[1:]
    )
    step = np.arange(1, len(stream) + 1) if asked is Asked.ROW else stream.rows.messages
    steps = np.concatenate([np.zeros(len(stream.opening.prices), np.int64), step, step[-1:] + 1])
    events = np.zeros(len(prices), dtype=event_dtype)
    events["ev"] = DEPTH_EVENT | LOCAL_EVENT | np.where(sides == BID, BUY_EVENT, SELL_EVENT)
    events["exch_ts"] = events["local_ts"] = (steps + 1) * _STEP_NS
    events["px"] = prices * TICK
    events["qty"] = quantities * LOT
    return events


class _Loops:
    """The loops that call the backtest, compiled, as the users of hftbacktest write them."""

    def __init__(self) -> None:
        @njit
        def bests(
            backtest: Any, bid_prices: Any, ask_prices: Any, bid_quantities: Any, ask_quantities: Any
        ) -> int:
            depth = backtest.depth(0)
            for at in range(len(bid_prices)):
                if backtest.wait_next_feed(False, _NEVER_NS) != _FEED:
                    return at
                bid, ask = depth.best_bid_tick, depth.best_ask_tick
                bid_prices[at], ask_prices[at] = bid, ask
                # Not best_bid_qty: that of 2.4.4 gives the price in a book of vectors.
                bid_quantities[at] = depth.bid_qty_at_tick(bid)
                ask_quantities[at] = depth.ask_qty_at_tick(ask)
            return len(bid_prices)

        @njit
        def levels(backtest: Any, first: int, bids: Any, asks: Any) -> None:
            depth = backtest.depth(0)
            for at in range(len(bids)):
                bids[at] = depth.bid_qty_at_tick(first + at)
                asks[at] = depth.ask_qty_at_tick(first + at)

        self.bests, self.levels = bests, levels


@cache
def _compiled() -> _Loops:
    return _Loops()
