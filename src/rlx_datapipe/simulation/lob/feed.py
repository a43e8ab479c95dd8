"""Order events as the venue's streams: depth by windows, trades, aggregates, tickers, snapshots, by time."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.config import NS_PER_MS
from rlx_datapipe.simulation.lob.layout import Action, Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.trades import Aggregate, Aggregator, Fill
from rlx_datapipe.simulation.wire import Sides, messages_of

REST_NS = 25 * NS_PER_MS
"""How long after the end of its depth window the answer to a snapshot request is there."""
_CHANGES = np.array([Action.ADD, Action.FILL, Action.CANCEL, Action.REFILL, Action.EXPIRE])
_FIRST_AGGREGATE = 3_100_000_000
# Of one nanosecond: first what ends a window, then executions, then the best prices after them.
_DEPTH, _SNAPSHOT, _TRADE, _AGGREGATE, _TICKER = range(5)


class TimedMessage(NamedTuple):
    """One message of the exchange: time of sending in ns UTC, name of its stream, and its data.

    A snapshot's stream is ``<symbol>@snapshot``; its data are the answer of the REST request.
    """

    time_ns: int
    stream: str
    data: bytes


class _Waiting(NamedTuple):
    """A message that may be overtaken by one not known yet."""

    time_ns: int
    rank: int
    number: int
    text: str


class _Quotes(NamedTuple):
    best: tuple[int, int]
    sizes: tuple[dict[int, int], dict[int, int]]


class _Ladders(NamedTuple):
    sides: tuple[list[tuple[int, int]], list[tuple[int, int]]]

    def ladder(self, side: int, levels: int) -> list[tuple[int, int]]:
        return self.sides[side][:levels]


class Feed:
    """Turns order events into timed messages; the same whatever the batches in which it gets them.

    Each change of a level has an update id. A depth message tells the levels that changed within its window,
    at the window's end; a ticker the best prices after an event that changed them, at once.

    Parameters
    ----------
    market
        At its opening; only its settings and its opening are read.

    Attributes
    ----------
    last_update_ids
        Update id of each order event given last to `add`, shape (n,): that of the latest change so far.
    """

    def __init__(self, market: LobMarket) -> None:
        config, wire = market.wire_config, market.wire
        self._messages = messages_of(config)
        self._levels = config.snapshot_levels
        self._symbol = config.symbol.lower()
        self._interval_ns = wire.depth_interval_ms * NS_PER_MS
        self._start_ns, self._stride = config.start_ns, wire.update_id_stride
        self._random = np.random.Generator(np.random.PCG64(market.wire_seed))
        self._update_id = self._sent_id = wire.first_update_id - 1
        self._trade_id = wire.first_trade_id
        is_spot = config.venue == "binance-spot"
        self._aggregator = Aggregator(_FIRST_AGGREGATE, by_taker=is_spot, start_ns=config.start_ns)
        self._best = tuple(market.opening[-1, Column.BID : Column.ASK_LOTS + 1].tolist())
        self._window = 0
        self._sides: Sides = ({}, {})
        self._first_id = self._last_id = self._changed_ns = 0
        self._snapshots: list[tuple[int, str]] = []
        self._ready: list[_Waiting] = []
        self._count = 0
        self.last_update_ids = np.zeros(0, np.int64)

    def add(self, rows: Int64Array) -> list[TimedMessage]:
        """Take in order events that follow those before; the messages that nothing can overtake any more."""
        is_change = np.isin(rows[:, Column.ACTION], _CHANGES)
        steps = is_change.astype(np.int64)
        if self._stride > 1:
            draws = self._random.random(int(is_change.sum())) * (2 * (self._stride - 1))
            steps[is_change] += draws.astype(np.int64)
        ids = self._update_id + np.cumsum(steps)
        self.last_update_ids = ids
        times = rows[:, Column.TIME]
        windows = (times - self._start_ns) // self._interval_ns
        self._tell_trades(rows[rows[:, Column.ACTION] == Action.FILL])
        self._tell_tickers(rows, ids)
        cuts = np.flatnonzero(np.diff(windows, prepend=self._window)).tolist()
        bounds = [0, *(cut for cut in cuts if cut), len(rows)]
        for begin, end in pairwise(bounds):
            self._end_windows(int(windows[begin]))
            self._change(rows[begin:end], ids[begin:end], is_change[begin:end])
        self._update_id = int(ids[-1])
        return self._released(int(times[-1]))

    def snapshot(
        self, now_ns: int, bids: tuple[Int64Array, Int64Array], asks: tuple[Int64Array, Int64Array]
    ) -> None:
        """Have a snapshot answered with the book of a time, all events before which were given."""
        self._end_windows((now_ns - self._start_ns) // self._interval_ns)
        ladders = _Ladders((_pairs(*bids), _pairs(*asks)))
        text = self._messages.snapshot(
            sent_ms=now_ns // NS_PER_MS,
            matched_ms=(self._changed_ns or now_ns) // NS_PER_MS,
            update_id=self._update_id,
            book=ladders,
            levels=self._levels,
        )
        self._snapshots.append((self._window, text))

    def finish(self, end_ns: int) -> list[TimedMessage]:
        """The last messages: the window that is open, and what waits."""
        self._end_windows((end_ns - self._start_ns - 1) // self._interval_ns + 1)
        return self._released(end_ns + (1 << 40))

    def _put(self, time_ns: int, rank: int, text: str) -> None:
        self._count += 1
        self._ready.append(_Waiting(time_ns, rank, self._count, text))

    def _released(self, now_ns: int) -> list[TimedMessage]:
        """Everything before a time, by time; events of that very time may still come."""
        for aggregate in self._aggregator.end(now_ns):
            self._tell_aggregate(aggregate)
        self._ready.sort()
        # What is at the time itself waits: something of a lower rank might still belong before it.
        given = next((at for at, one in enumerate(self._ready) if one.time_ns >= now_ns), len(self._ready))
        ready, self._ready = self._ready[:given], self._ready[given:]
        return [self._timed(one) for one in ready]

    def _timed(self, one: _Waiting) -> TimedMessage:
        if one.rank == _SNAPSHOT:
            return TimedMessage(one.time_ns, f"{self._symbol}@snapshot", one.text.encode())
        # The wire writes combined envelopes: {"stream":"<name>","data":<data>}.
        name, _, data = one.text[11:].partition('","data":')
        return TimedMessage(one.time_ns, name, data[:-1].encode())

    def _tell_trades(self, fills: Int64Array) -> None:
        columns = [Column.TIME, Column.PRICE, Column.LOTS, Column.SIDE, Column.TAKER]
        for time_ns, price, lots, side, taker in fills[:, columns].tolist():
            fill = Fill(time_ns, self._trade_id, price, lots, side == 0, taker)
            self._trade_id += 1
            time_ms = time_ns // NS_PER_MS
            text = self._messages.trade(
                sent_ms=time_ms,
                matched_ms=time_ms,
                trade_id=fill.trade_id,
                price=price,
                lots=lots,
                sold=fill.sold,
            )
            self._put(time_ns, _TRADE, text)
            for aggregate in self._aggregator.add(fill):
                self._tell_aggregate(aggregate)

    def _tell_aggregate(self, one: Aggregate) -> None:
        text = self._messages.aggregate(
            sent_ms=one.sent_ns // NS_PER_MS,
            matched_ms=one.time_ns // NS_PER_MS,
            ids=(one.aggregate_id, one.first_id, one.last_id),
            price=one.price,
            lots=one.lots,
            sold=one.sold,
        )
        self._put(one.sent_ns, _AGGREGATE, text)

    def _tell_tickers(self, rows: Int64Array, ids: Int64Array) -> None:
        """One for each event after which the best prices or their sizes are others than before."""
        times = rows[:, Column.TIME]
        last = np.flatnonzero(np.append(np.diff(times) != 0, True))
        best = rows[last, Column.BID : Column.ASK_LOTS + 1]
        before = np.vstack([np.array(self._best), best[:-1]])
        changed = np.any(best != before, axis=1)
        self._best = tuple(best[-1].tolist())
        told = zip(
            times[last[changed]].tolist(), ids[last[changed]].tolist(), best[changed].tolist(), strict=True
        )
        for time_ns, update_id, (bid, bid_lots, ask, ask_lots) in told:
            time_ms = time_ns // NS_PER_MS
            quotes = _Quotes((bid, ask), ({bid: bid_lots}, {ask: ask_lots}))
            text = self._messages.ticker(
                sent_ms=time_ms, matched_ms=time_ms, update_id=update_id, book=quotes
            )
            self._put(time_ns, _TICKER, text)

    def _change(self, rows: Int64Array, ids: Int64Array, is_change: npt.NDArray[np.bool_]) -> None:
        """Take in the changes of one window."""
        rows, ids = rows[is_change], ids[is_change]
        if not len(rows):
            return
        if not any(self._sides):
            self._first_id = int(ids[0])
        self._last_id, self._changed_ns = int(ids[-1]), int(rows[-1, Column.TIME])
        for side in (0, 1):
            own = rows[rows[:, Column.SIDE] == side]
            self._sides[side].update(
                zip(own[:, Column.PRICE].tolist(), own[:, Column.LEVEL_LOTS].tolist(), strict=True)
            )

    def _end_windows(self, window: int) -> None:
        """End all windows before one; only the first of them can have changes."""
        if window <= self._window:
            return
        end_ns = self._start_ns + (self._window + 1) * self._interval_ns
        if any(self._sides):
            text = self._messages.depth(
                sent_ms=end_ns // NS_PER_MS,
                matched_ms=self._changed_ns // NS_PER_MS,
                ids=(self._first_id, self._last_id, self._sent_id),
                sides=self._sides,
            )
            self._put(end_ns, _DEPTH, text)
            self._sent_id, self._sides = self._last_id, ({}, {})
        for at, text in self._snapshots:
            self._put(self._start_ns + (at + 1) * self._interval_ns + REST_NS, _SNAPSHOT, text)
        self._snapshots.clear()
        self._window = window


def _pairs(prices: Int64Array, sizes: Int64Array) -> list[tuple[int, int]]:
    return list(zip(prices.tolist(), sizes.tolist(), strict=True))


def envelope(message: TimedMessage) -> bytes:
    """A message as a combined connection brings it; a snapshot as it is."""
    if message.stream.endswith("@snapshot"):
        return message.data
    return b'{"stream":"%b","data":%b}' % (message.stream.encode(), message.data)
