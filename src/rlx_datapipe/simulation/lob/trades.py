"""Aggregate trades as venues make them: by taker and price on spot, by 100 ms, side and price on USD-M."""

from __future__ import annotations

from typing import NamedTuple

from rlx_datapipe.simulation.config import NS_PER_MS

_BIN_NS = 100 * NS_PER_MS


class Fill(NamedTuple):
    """One execution; ``sold`` when the taker sold; ``taker`` is the number of its order."""

    time_ns: int
    trade_id: int
    price: int
    lots: int
    sold: bool
    taker: int


class Aggregate(NamedTuple):
    """Executions made one: sent at ``sent_ns``; ``time_ns`` is that of the last of them."""

    sent_ns: int
    time_ns: int
    aggregate_id: int
    first_id: int
    last_id: int
    price: int
    lots: int
    sold: bool


class Aggregator:
    """Joins neighbouring executions; no trade id is in two aggregates, and none in none.

    Parameters
    ----------
    first_id
        Id of the first aggregate.
    by_taker
        As on spot: one taker's executions at one price, sent at once. Else those of one price and side within
        100 ms of a start, sent at the end of that time.
    start_ns
        From when the 100 ms count.
    """

    def __init__(self, first_id: int, *, by_taker: bool, start_ns: int) -> None:
        self._next_id, self._by_taker, self._start_ns = first_id, by_taker, start_ns
        self._open: list[Fill] = []

    def add(self, fill: Fill) -> list[Aggregate]:
        """Take an execution in; the aggregate that it ends, if any."""
        done = [self._joined()] if self._open and self._key(fill) != self._key(self._open[0]) else []
        self._open.append(fill)
        return done

    def end(self, now_ns: int) -> list[Aggregate]:
        """The aggregate that is over by a time before which all executions are known, if any."""
        return [self._joined()] if self._open and self._sent_ns(self._open[0]) <= now_ns else []

    def _sent_ns(self, fill: Fill) -> int:
        if self._by_taker:
            return fill.time_ns
        return self._start_ns + ((fill.time_ns - self._start_ns) // _BIN_NS + 1) * _BIN_NS

    def _key(self, fill: Fill) -> tuple[int, ...]:
        rest = fill.taker if self._by_taker else self._sent_ns(fill)
        return fill.price, fill.sold, rest

    def _joined(self) -> Aggregate:
        fills, self._open = self._open, []
        self._next_id += 1
        first, last = fills[0], fills[-1]
        return Aggregate(
            self._sent_ns(first),
            last.time_ns,
            self._next_id - 1,
            first.trade_id,
            last.trade_id,
            first.price,
            sum(fill.lots for fill in fills),
            first.sold,
        )
