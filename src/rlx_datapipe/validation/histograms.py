"""Distributions of one side in one pass: exact counts in bins of rising width, which add up."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.spread import count_values, no_spreads
from rlx_datapipe.core.state import State

NAMES = (
    "trade_quantity",
    "delta_quantity",
    "trade_interval_ns",
    "depth_interval_ns",
    "price_step",
    "second_return_ppb",
)
"""In the steps of the instrument's scale, in ns, or in parts of 10^9; of a return its magnitude."""
HELD = 65_536
"""Events that wait for others with an earlier time; one that comes later still counts where it came."""
_SECOND_NS = 1_000_000_000


class _ByTime:
    """Puts what comes nearly in order of time into that order; of equal times the first to come is first."""

    def __init__(self, rows: int) -> None:
        self.waiting: Int64Array = np.zeros((rows, 0), dtype=np.int64)

    def push(self, columns: Int64Array, held: int = HELD) -> Int64Array:
        """Take the next, int64 (rows, n) with times in row 0; give those that wait no longer."""
        joined = np.concatenate((self.waiting, columns), axis=1) if self.waiting.shape[1] else columns
        if joined.shape[1] > 1 and (joined[0, 1:] < joined[0, :-1]).any():
            joined = joined[:, np.argsort(joined[0], kind="stable")]
        ready = max(0, joined.shape[1] - held)
        self.waiting = joined[:, ready:].copy()
        return joined[:, :ready]


class Histograms:
    """What the sizes, intervals, price steps and returns of one side are distributed like.

    Both sides of a comparison fill one each, in any batches and nearly in order of time: the same market
    gives the same counts. Intervals are those between trades and between depth messages, steps those between
    the prices of trades, returns those between the last trades of two seconds that have any.
    """

    def __init__(self) -> None:
        self.counts: Int64Array = no_spreads(len(NAMES))
        self._trades, self._depth = _ByTime(2), _ByTime(1)
        self._last = [NONE, NONE, NONE, NONE]
        """Time and price of the last trade, time of the last message, close of the second before."""

    def add_trades(self, times: Int64Array, prices: Int64Array, quantities: Int64Array) -> None:
        """Take the next trades, int64 of shape (n,) each."""
        count_values(self.counts[0], np.ascontiguousarray(quantities))
        self._follow_trades(self._trades.push(np.stack((times, prices))))

    def add_levels(self, quantities: Int64Array) -> None:
        """Take the quantities of the next levels, int64 of shape (n,)."""
        count_values(self.counts[1], np.ascontiguousarray(quantities))

    def add_messages(self, times: Int64Array) -> None:
        """Take the times of the next depth messages, int64 of shape (n,)."""
        self._follow_messages(self._depth.push(times[None, :]))

    def finish(self) -> Int64Array:
        """All counts, int64 of shape (NAMES, BINS), with what was held back."""
        self._follow_trades(self._trades.push(np.zeros((2, 0), dtype=np.int64), held=0))
        self._follow_messages(self._depth.push(np.zeros((1, 0), dtype=np.int64), held=0))
        time, price, _, close = self._last
        if time != NONE and close > 0 and price > 0:
            count_values(self.counts[5], _returns(np.array([close, price], dtype=np.int64)))
        self._last[3] = NONE
        return self.counts

    def _follow_trades(self, ready: Int64Array) -> None:
        if not ready.shape[1]:
            return
        time, price, _, close = self._last
        first = time == NONE
        times = np.concatenate(([time], ready[0]))[int(first) :]
        prices = np.concatenate(([price], ready[1]))[int(first) :]
        count_values(self.counts[2], np.diff(times))
        count_values(self.counts[4], np.diff(prices))
        ends = np.flatnonzero(np.diff(times // _SECOND_NS))
        closes = np.concatenate(([close], prices[ends]))
        count_values(self.counts[5], _returns(closes[closes > 0]))
        self._last = [int(times[-1]), int(prices[-1]), self._last[2], int(closes[-1])]

    def _follow_messages(self, ready: Int64Array) -> None:
        if ready.shape[1]:
            times = np.concatenate(([self._last[2]], ready[0]))[int(self._last[2] == NONE) :]
            count_values(self.counts[3], np.diff(times))
            self._last[2] = int(times[-1])

    def state(self) -> State:
        """All of it."""
        flat = self.counts.reshape(-1)
        held = np.flatnonzero(flat)
        return State(
            {"last": list(self._last)},
            {
                "bins": held.astype(np.int64),
                "counts": flat[held],
                "trades": self._trades.waiting.copy(),
                "depth": self._depth.waiting.copy(),
            },
        )

    def restore(self, state: State) -> None:
        """Become the one that gave this state.

        Raises
        ------
        ValueError
            When it is not one of these.
        """
        bins, counts = state.array("bins", None), state.array("counts", None)
        last = state.values.get("last")
        if len(bins) != len(counts) or not isinstance(last, list) or len(last) != len(self._last):
            raise ValueError("not the state of histograms")
        self.counts = no_spreads(len(NAMES))
        self.counts.reshape(-1)[bins] = counts
        self._trades.waiting = state.array("trades", 2, None)
        self._depth.waiting = state.array("depth", 1, None)
        self._last = [int(value) for value in last]  # type: ignore[arg-type]


def _returns(prices: Int64Array) -> Int64Array:
    """Magnitudes of the log returns between prices in a row, in parts of 10^9, int64 of shape (n - 1,)."""
    logs = np.abs(np.diff(np.log(prices.astype(np.float64))))
    return np.rint(logs * 1e9).astype(np.int64)
