"""A seeded archive in the layout of Crypto Lake: updates of a full-depth book, its top 20, its trades."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.book import kernels
from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.layout import ASK, BID, OK
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.updates import Updates, UpdatesConfig, updates
from rlx_datapipe.venues import crypto_lake as lake

EXCHANGE = "BINANCE"
_START_NS = 1_723_161_600 * 10**9
_NS_PER_S = 10**9
_DAY_NS = 86_400 * _NS_PER_S
_TICK, _LOT = 0.01, 0.00001
_TRADE_LOTS_MAX = 100_000
_ROW_GROUP_ROWS = 100_000
_LAG_NS, _JITTER_NS = 1_000_000, 300_000
_IDS_A_MESSAGE = 10


@dataclass(frozen=True)
class ArchiveConfig:
    """One archive: the same config gives the same rows.

    The defaults are those of a busy market: per second 2,260 rows in some 305 messages, 100 trades and ten
    snapshots of the 20 best levels, with about 2,000 levels a side.

    Attributes
    ----------
    rows
        Rows of ``book_delta_v2`` behind the first message, which sets every level.
    rows_per_s, trades_per_s, books_per_s
        Rows of each table in a second of market; 0 for no trades, or for no snapshot but the first.
    message_rows, levels
        As in `UpdatesConfig`.
    symbol
        As the archive writes it.
    day
        How many days behind the usual one it begins.
    """

    seed: int = 7
    rows: int = 2_000_000
    rows_per_s: int = 2_260
    trades_per_s: int = 100
    books_per_s: int = 10
    message_rows: float = 7.4
    levels: int = 2_700
    symbol: str = "BTC-USDT"
    day: int = 0

    @property
    def start_ns(self) -> int:
        """When it begins, ns UTC."""
        return _START_NS + self.day * _DAY_NS


def write_archive(config: ArchiveConfig, folder: Path) -> Path:
    """Write the three tables below a folder; the folder.

    The tables agree with each other: a snapshot states the book after its message, and a trade prints at the
    best price before it. Memory is bounded, whatever the number of rows.
    """
    stream = updates(
        UpdatesConfig(
            seed=config.seed, rows=config.rows, levels=config.levels, message_rows=config.message_rows
        )
    )
    with ExitStack() as opened:
        tables = {
            name: opened.enter_context(_Table(folder, name, config))
            for name in (lake.BOOK, lake.DELTAS, lake.TRADES)
        }
        market = _Market(config)
        for block in stream:
            for name, columns in market.play(block).items():
                tables[name].append(columns)
    return folder


class _Moment(NamedTuple):
    """When the last message was sent and received, and its update id."""

    time: int
    received: int
    update_id: int


class _Market:
    """The book behind the archive: plays updates and tells what the three tables have of them."""

    def __init__(self, config: ArchiveConfig) -> None:
        self._config = config
        self._engine = OrderBookEngine()
        self._dice = np.random.default_rng([config.seed, 1])
        self._gap_us = 10**6 * config.message_rows / config.rows_per_s
        self._last_best = np.full(4, -1, dtype=np.int64)
        self._last = _Moment(config.start_ns, config.start_ns + _LAG_NS, 1)
        self._trades = 0

    def play(self, block: Updates) -> dict[str, dict[str, Any]]:
        """Columns of each table for a block of whole messages."""
        before = self._last
        times, received, ids = self._moments(block.messages)
        ends = np.flatnonzero(np.diff(block.messages, append=block.messages[-1] + 1))
        opens = int(block.messages[0]) == 0
        stated = ends if opens else _due(before.time, times, ends, self._config.books_per_s)
        best, tops = self._apply(block, stated)
        deltas = {
            **_heads(times, received, ids),
            "side_is_bid": block.sides == BID,
            "price": _prices(block.prices),
            "size": _sizes(block.quantities),
        }
        books = {**_heads(times[stated], received[stated], ids[stated]), **_levels(tops)}
        if opens:
            # The book begins with a snapshot before the first message; of this one, its first row.
            books = {**_heads(*(np.array([value]) for value in before)), **_levels(tops[:1])}
        due = _due(before.time, times, ends, self._config.trades_per_s)
        trades = self._trade(times[due], received[due], due, ends, best) if not opens else _no_trades()
        self._last_best = best[:, -1].copy()
        return {lake.BOOK: books, lake.DELTAS: deltas, lake.TRADES: trades}

    def _moments(self, messages: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Origin time, receive time and update id of each row: random, rising, one of each a message."""
        at = messages - messages[0]
        count = int(at[-1]) + 1
        gaps_us = 2 + self._dice.exponential(max(self._gap_us - 2.5, 0.5), count).astype(np.int64)
        times = self._last.time + 1_000 * np.cumsum(gaps_us)
        lags_ns = _LAG_NS + self._dice.exponential(_JITTER_NS, count).astype(np.int64)
        received = np.maximum.accumulate(np.maximum(times + lags_ns, self._last.received))
        ids = self._last.update_id + np.cumsum(1 + self._dice.poisson(_IDS_A_MESSAGE - 1, count))
        self._last = _Moment(int(times[-1]), int(received[-1]), int(ids[-1]))
        return times[at], received[at], ids[at]

    def _apply(self, block: Updates, stated: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Best prices and quantities after each row, (4, n); the 20 best levels after the rows ``stated``.

        The latter are int64 of shape (k, 4, 20): bid prices, bid quantities, ask prices, ask quantities.
        """
        best = np.empty((4, len(block.prices)), dtype=np.int64)
        tops = np.zeros((len(stated), 4, lake.LEVELS), dtype=np.int64)
        at = 0
        for number, end in enumerate([*stated.tolist(), len(block.prices) - 1]):
            while at <= end:
                at, status = kernels.apply_rows_with_best(
                    self._engine.state, block.sides, block.prices, block.quantities, at, end + 1, *best
                )
                if status != OK:
                    self._engine.make_room(status, int(block.prices[at]))
            if number < len(stated):
                for side, part in ((BID, 0), (ASK, 2)):
                    kernels.top_levels(
                        self._engine.state, side, lake.LEVELS, tops[number, part], tops[number, part + 1]
                    )
        return best, tops

    def _trade(
        self, times: Int64Array, received: Int64Array, due: Int64Array, ends: Int64Array, best: Int64Array
    ) -> dict[str, Any]:
        """Trades just before the messages that end with the rows ``due``, at the best price until then."""
        count = len(due)
        # The row behind the message before, counted from the one that ended the last block.
        before = np.searchsorted(ends, due)
        prices = np.concatenate([self._last_best[[0, 2], None], best[::2, ends]], axis=1)[:, before]
        bought = self._dice.random(count) < 0.5
        ids = self._trades + 1 + np.arange(count)
        self._trades += count
        return {
            "side": np.where(bought, "buy", "sell"),
            "amount": _sizes(self._dice.integers(1, _TRADE_LOTS_MAX, count)),
            "price": _prices(np.where(bought, prices[1], prices[0])),
            "id": ids,
            "timestamp": times - 1_000,
            "receipt_timestamp": received,
        }


class _Table:
    """One file of the archive in the making."""

    def __init__(self, folder: Path, table: str, config: ArchiveConfig) -> None:
        day = dt.datetime.fromtimestamp(config.start_ns / _NS_PER_S, dt.UTC).date()
        path = folder / lake.archive_path(table, EXCHANGE, config.symbol, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = lake.SCHEMAS[table]
        self._writer = pq.ParquetWriter(path, self._schema, compression="snappy")

    def append(self, columns: dict[str, Any]) -> None:
        """Write a block of rows."""
        rows = pa.table({name: columns[name] for name in self._schema.names}, schema=self._schema)
        if rows.num_rows:
            self._writer.write_table(rows, row_group_size=_ROW_GROUP_ROWS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


def _due(last_time: int, times: Int64Array, ends: Int64Array, per_s: int) -> Int64Array:
    """Last rows of the messages with which a cadence of so many a second comes due."""
    if not per_s:
        return ends[:0]
    ticks = times[ends] * per_s // _NS_PER_S
    return ends[np.diff(ticks, prepend=last_time * per_s // _NS_PER_S) > 0]


def _heads(times: Int64Array, received: Int64Array, ids: Int64Array) -> dict[str, Any]:
    return {"timestamp": times, "receipt_timestamp": received, "sequence_number": ids}


def _levels(tops: Int64Array) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for part, side in ((0, "bid"), (2, "ask")):
        for i in range(lake.LEVELS):
            columns[f"{side}_{i}_price"] = _prices(tops[:, part, i])
            columns[f"{side}_{i}_size"] = _sizes(tops[:, part + 1, i])
    return columns


def _no_trades() -> dict[str, Any]:
    return {name: [] for name in lake.SCHEMAS[lake.TRADES].names}


def _prices(ticks: Int64Array) -> npt.NDArray[np.float64]:
    return np.round(ticks * _TICK, 2)


def _sizes(lots: Int64Array) -> npt.NDArray[np.float64]:
    return np.round(lots * _LOT, 5)
