"""Rows of a Crypto Lake table to events by strict kernels, where all of them are sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.core.event import FIELDS, Flag, Int64Array
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.ingestion.lake_kernel import fill_books, fill_deltas, fill_trades
from rlx_datapipe.venues.crypto_lake import (
    BOOK,
    DELTAS,
    EARLIEST_NS,
    LATEST_NS,
    LEVEL_NAMES,
    LEVELS,
    SCHEMAS,
    TRADES,
)

BoolArray: TypeAlias = npt.NDArray[np.bool_]
FloatArray: TypeAlias = npt.NDArray[np.float64]

_TIMES = np.array([EARLIEST_NS, LATEST_NS], dtype=np.int64)


def sound_rows(table: str, rows: pa.Table, first_row: int, instrument: Instrument) -> Parsed | None:
    """Events of rows of the usual form, all sound; None where anything is to be looked at one by one.

    Parameters
    ----------
    table, rows, first_row, instrument
        As in `lake_rows.rows_to_parsed`, which says what is wrong with rows that are refused here.
    """
    read: dict[str, Callable[[pa.Table, int, Instrument], tuple[Int64Array, int] | None]] = {
        TRADES: _trades,
        DELTAS: _deltas,
        BOOK: _books,
    }
    made = read[table](rows, first_row, instrument)
    return Parsed(events=made[0], counts=Counter({table: made[1]})) if made is not None else None


def trade_flags(instrument: Instrument) -> int:
    """Flags of the archive's trades: on Binance it listened to aggTrade; elsewhere nothing says so."""
    return Flag.AGGREGATE if instrument.exchange.upper().startswith("BINANCE") else 0


def floats(column: pa.ChunkedArray) -> FloatArray:
    """A double column as float64, nulls as NaN."""
    filled = pc.fill_null(column, float("nan")) if column.null_count else column
    values: FloatArray = filled.to_numpy()
    return values


def flags_of(mask: Any) -> BoolArray:
    """An Arrow mask as NumPy's, null as False."""
    values: BoolArray = pc.fill_null(mask, False).to_numpy()
    return values


def _deltas(rows: pa.Table, first_row: int, instrument: Instrument) -> tuple[Int64Array, int] | None:
    if any(column.null_count for column in rows.columns) or not pa.types.is_boolean(rows["side_is_bid"].type):
        return None
    origin, received, ids, is_bid, prices, sizes = (_view(rows[field.name]) for field in SCHEMAS[DELTAS])
    events, decimals = np.empty((FIELDS, rows.num_rows), dtype=np.int64), _decimals(instrument)
    messages = fill_deltas(origin, received, ids, is_bid, prices, sizes, decimals, _TIMES, first_row, events)
    return (events, messages) if messages >= 0 else None


def _trades(rows: pa.Table, first_row: int, instrument: Instrument) -> tuple[Int64Array, int] | None:
    if any(column.null_count for column in rows.columns):
        return None
    names = ("timestamp", "receipt_timestamp", "id", "price", "amount")
    origin, received, ids, prices, sizes = (_view(rows[name]) for name in names)
    bought, sold = (_sealed(flags_of(pc.equal(rows["side"], side))) for side in ("buy", "sell"))
    events, decimals = np.empty((FIELDS, rows.num_rows), dtype=np.int64), _decimals(instrument)
    told = np.array([first_row, trade_flags(instrument)], dtype=np.int64)
    is_sound = fill_trades(origin, received, ids, prices, sizes, bought, sold, decimals, _TIMES, told, events)
    return (events, rows.num_rows) if is_sound else None


def _books(rows: pa.Table, first_row: int, instrument: Instrument) -> tuple[Int64Array, int] | None:
    names = ("timestamp", "receipt_timestamp", "sequence_number")
    if any(rows[name].null_count for name in names):
        return None
    origin, received, ids = (_view(rows[name]) for name in names)
    cells = np.empty((len(LEVEL_NAMES), rows.num_rows))
    for i, name in enumerate(LEVEL_NAMES):
        cells[i] = floats(rows[name])
    events = np.empty((FIELDS, rows.num_rows * 2 * LEVELS), dtype=np.int64)
    count = fill_books(origin, received, ids, cells, _decimals(instrument), _TIMES, first_row, events)
    if count < 0:
        return None
    return events if count == events.shape[1] else np.ascontiguousarray(events[:, :count]), rows.num_rows


def _decimals(instrument: Instrument) -> Int64Array:
    return np.array([instrument.price_decimals, instrument.quantity_decimals], dtype=np.int64)


def _view(column: pa.ChunkedArray) -> Any:
    """A column as NumPy's, never writeable: some are what Arrow holds, and a kernel is to see one kind."""
    return _sealed(column.to_numpy())


def _sealed(values: Any) -> Any:
    values.flags.writeable = False
    return values
