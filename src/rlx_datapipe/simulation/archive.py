"""A seeded archive in the layout of Crypto Lake: a book of full depth and random updates, for benchmarks."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.venues import crypto_lake as lake

EXCHANGE, SYMBOL = "BINANCE", "BTC-USDT"
_START_NS = 1_723_161_600 * 10**9
_TICK, _LOT = 0.01, 0.00001
_MID_TICKS = 6_000_000
_NEAR = 0.7
_DELETED = 0.23


@dataclass(frozen=True)
class ArchiveConfig:
    """One archive: the same config gives the same rows.

    Attributes
    ----------
    rows
        Rows of ``book_delta_v2`` behind the first message, which sets every level.
    rows_per_s, message_rows
        Rows in a second of market, and in a message.
    levels
        Levels a side at first, of which three quarters stay: two thirds at neighbouring ticks, the rest far
        out, in the deep store of the book.
    """

    seed: int = 7
    rows: int = 2_400_000
    rows_per_s: int = 4_000
    message_rows: int = 7
    levels: int = 8_000


def write_archive(config: ArchiveConfig, folder: Path) -> Path:
    """Write the three tables below a folder; the folder."""
    dice = np.random.default_rng(config.seed)
    near = np.arange(1, config.levels * 2 // 3 + 1)
    far = 70_000 + np.cumsum(dice.integers(1, 400, config.levels - len(near)))
    offsets = np.concatenate([near, far])
    _write(folder, lake.BOOK, _book(offsets))
    _write(folder, lake.DELTAS, _deltas(config, dice, offsets))
    _write(folder, lake.TRADES, _trades(config))
    return folder


def _book(offsets: npt.NDArray[np.int64]) -> dict[str, Any]:
    """One snapshot of the 20 best levels, from which the book begins."""
    columns: dict[str, Any] = _heads(np.array([_START_NS]), np.array([1]))
    for side, sign in (("bid", -1), ("ask", 1)):
        for i in range(lake.LEVELS):
            columns[f"{side}_{i}_price"] = _prices(sign, offsets[i : i + 1])
            columns[f"{side}_{i}_size"] = np.array([1.0])
    return columns


def _deltas(
    config: ArchiveConfig, dice: np.random.Generator, offsets: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """First every level at once, then updates: most of them near the touch, some of them deletions."""
    count, levels = config.rows, config.levels
    near = np.minimum(dice.geometric(0.12, count) - 1, 19)
    index = np.where(dice.random(count) < _NEAR, near, dice.integers(0, levels, count))
    is_bid = np.concatenate([np.repeat([True, False], levels), dice.random(count) < 0.5])
    offset = np.concatenate([offsets, offsets, offsets[index]])
    lots = np.concatenate([np.full(2 * levels, 100_000), dice.integers(1, 1_000_000, count)])
    lots[2 * levels :][dice.random(count) < _DELETED] = 0
    message = np.concatenate(
        [np.zeros(2 * levels, dtype=np.int64), 1 + np.arange(count) // config.message_rows]
    )
    step_ns = 10**9 * config.message_rows // config.rows_per_s
    return {
        **_heads(_START_NS + 10**6 + message * step_ns, message + 2),
        "side_is_bid": is_bid,
        "price": np.round((_MID_TICKS + np.where(is_bid, -offset, offset)) * _TICK, 2),
        "size": np.round(lots * _LOT, 5),
    }


def _trades(config: ArchiveConfig) -> dict[str, Any]:
    """Ten trades a second at the touch."""
    count = max(1, 10 * config.rows // config.rows_per_s)
    times = _START_NS + 2 * 10**6 + np.arange(count) * 10**8
    bought = np.arange(count) % 2 == 0
    return {
        "side": np.where(bought, "buy", "sell"),
        "amount": np.full(count, 0.001),
        "price": np.round((_MID_TICKS + np.where(bought, 1, -1)) * _TICK, 2),
        "id": np.arange(count) + 1,
        "timestamp": times,
        "receipt_timestamp": times + 10**6,
    }


def _heads(times_ns: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]) -> dict[str, Any]:
    return {"timestamp": times_ns, "receipt_timestamp": times_ns + 10**6, "sequence_number": ids}


def _prices(sign: int, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.round((_MID_TICKS + sign * offsets) * _TICK, 2)


def _write(folder: Path, table: str, columns: dict[str, Any]) -> None:
    day = dt.datetime.fromtimestamp(_START_NS / 1e9, dt.UTC).date()
    path = folder / lake.archive_path(table, EXCHANGE, SYMBOL, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = lake.SCHEMAS[table]
    rows = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    pq.write_table(rows, path, row_group_size=100_000, compression="snappy")
