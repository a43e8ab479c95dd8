"""Rows of a Crypto Lake table to events and rejects, whole columns at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.core.event import Field, Flag, Int64Array, Kind, Side, empty_events
from rlx_datapipe.core.feed import Parsed, Reject
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.units import REASONS, scale_many
from rlx_datapipe.ingestion.faults import Faults
from rlx_datapipe.ingestion.lake_sound import (
    BoolArray,
    FloatArray,
    flags_of,
    floats,
    sound_rows,
    trade_flags,
)
from rlx_datapipe.venues.crypto_lake import BOOK, DELTAS, EARLIEST_NS, LATEST_NS, LEVEL_NAMES, LEVELS, TRADES

_NEAR_END = 1_024
_OUTSIDE = "outside 2017 to 2100 when read as nanoseconds since the epoch, UTC"
_NULL = "no value"
_NEGATIVE = "negative"


def rows_to_parsed(table: str, rows: pa.Table, first_row: int, file: str, instrument: Instrument) -> Parsed:
    """Events and rejects of whole groups of rows.

    Parameters
    ----------
    table
        Which table of the archive.
    rows
        Its rows with the archive's column names; a depth message must not be cut at the end.
    first_row
        Number of the first row in its file, from 1.
    file
        Name of the file for rejects.
    instrument
        The scales.
    """
    read: dict[str, Callable[[pa.Table, int, Instrument, Faults], tuple[Int64Array, int]]] = {
        TRADES: _trades,
        DELTAS: _deltas,
        BOOK: _books,
    }
    if (parsed := sound_rows(table, rows, first_row, instrument)) is not None:
        return parsed
    faults = Faults(rows.num_rows)
    events, messages = read[table](rows, first_row, instrument, faults)
    rejects = _rejects(rows, first_row, file, faults)
    return Parsed(events=events, rejects=rejects, counts=Counter({table: messages}))


def group_starts(ids: Int64Array) -> Int64Array:
    """Indices at which a new sequence number begins, int64."""
    if not ids.size:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1]))).astype(np.int64, copy=False)


def last_group_start(ids: Int64Array) -> int:
    """Index at which the last sequence number begins, sought near the end first."""
    for reach in (_NEAR_END, len(ids)):
        tail = ids[-reach:]
        others = np.flatnonzero(tail != tail[-1])
        if others.size:
            return len(ids) - len(tail) + int(others[-1]) + 1
    return 0


def integers(column: pa.ChunkedArray) -> Int64Array:
    """An integer column as int64, nulls as the least value."""
    filled = pc.fill_null(column, np.iinfo(np.int64).min) if column.null_count else column
    values: Int64Array = filled.to_numpy()
    return values


def _trades(rows: pa.Table, first_row: int, instrument: Instrument, faults: Faults) -> tuple[Int64Array, int]:
    times = _times(rows, faults)
    ids = _ids(rows, "id", faults)
    side = rows["side"]
    sold = flags_of(pc.equal(side, "sell"))
    faults.add(~(sold | flags_of(pc.equal(side, "buy"))), "side", "neither 'buy' nor 'sell'")
    price = _scaled(rows, "price", instrument.price_decimals, faults, positive=True)
    quantity = _scaled(rows, "amount", instrument.quantity_decimals, faults, positive=True)
    events = _events(Kind.TRADE, times, trade_flags(instrument))
    events[Field.TRADE_ID] = ids
    events[Field.SIDE] = sold
    events[Field.PRICE] = price
    events[Field.QUANTITY] = quantity
    events[Field.MESSAGE] = np.arange(first_row, first_row + rows.num_rows)
    return _kept(events, faults.good), rows.num_rows


def _deltas(rows: pa.Table, first_row: int, instrument: Instrument, faults: Faults) -> tuple[Int64Array, int]:
    times = _times(rows, faults)
    ids = _ids(rows, "sequence_number", faults)
    ask = _ask_side(rows["side_is_bid"], faults)
    price = _scaled(rows, "price", instrument.price_decimals, faults, positive=True)
    quantity = _scaled(rows, "size", instrument.quantity_decimals, faults, positive=False)
    starts = group_starts(ids)
    sizes = np.diff(starts, append=rows.num_rows)
    faults.spread(np.repeat(np.arange(len(starts)), sizes))
    events = _events(Kind.BOOK_DELTA, times, 0)
    events[Field.UPDATE_ID] = ids
    events[Field.SIDE] = ask
    events[Field.PRICE] = price
    events[Field.QUANTITY] = quantity
    events[Field.MESSAGE] = np.repeat(starts + first_row, sizes)
    return _kept(events, faults.good), len(starts)


def _ask_side(column: pa.ChunkedArray, faults: Faults) -> BoolArray:
    if pa.types.is_boolean(column.type):
        faults.add(flags_of(pc.is_null(column)), "side_is_bid", _NULL)
        return flags_of(pc.invert(column))
    ask = flags_of(pc.equal(column, "ask"))
    faults.add(~(ask | flags_of(pc.equal(column, "bid"))), "side", "neither 'bid' nor 'ask'")
    return ask


def _books(rows: pa.Table, first_row: int, instrument: Instrument, faults: Faults) -> tuple[Int64Array, int]:
    count = rows.num_rows
    times = _times(rows, faults)
    ids = _ids(rows, "sequence_number", faults)
    cells = np.empty((count, len(LEVEL_NAMES)))
    for i, name in enumerate(LEVEL_NAMES):
        cells[:, i] = floats(rows[name])
    levels = cells.reshape(count, 2, LEVELS, 2)
    exists = ~((np.isnan(levels) | (levels == 0.0)).any(axis=3))
    at, side, _ = place = np.nonzero(exists)
    price = _scaled_levels(levels[..., 0], place, instrument.price_decimals, "price", faults)
    quantity = _scaled_levels(levels[..., 1], place, instrument.quantity_decimals, "size", faults)
    _check_ladder(levels, exists, faults)
    events = empty_events(len(at))
    events[Field.KIND] = Kind.BOOK_SNAPSHOT
    events[Field.FLAGS] = Flag.SAMPLED
    events[Field.ORIGIN_TIME], events[Field.RECEIVED_TIME] = times[0][at], times[1][at]
    events[Field.UPDATE_ID] = ids[at]
    events[Field.SIDE] = side
    events[Field.PRICE] = price
    events[Field.QUANTITY] = quantity
    events[Field.MESSAGE] = at + first_row
    return _kept(events, faults.good[at]), count


def _check_ladder(levels: FloatArray, exists: BoolArray, faults: Faults) -> None:
    """Levels stand without holes from the first on, bids falling and asks rising."""
    for side, name in enumerate(("bid", "ask")):
        price, stands = levels[:, side, :, 0], exists[:, side]
        beyond = stands[:, 1:] & ~stands[:, :-1]
        for level in np.flatnonzero(beyond.any(axis=0)).tolist():
            faults.add(beyond[:, level], f"{name}_{level}_price", "no level here, but one behind it")
        with np.errstate(invalid="ignore"):
            rising = price[:, 1:] - price[:, :-1]
        wrong = stands[:, 1:] & stands[:, :-1] & ~(rising < 0.0 if side == Side.BID else rising > 0.0)
        for level in np.flatnonzero(wrong.any(axis=0)).tolist():
            faults.add(
                wrong[:, level], f"{name}_{level + 1}_price", "price not behind that of the level before"
            )
    faults.add(np.flatnonzero(~exists.any(axis=(1, 2))), "bid_0_price", "no level on either side")


def _scaled_levels(
    values: FloatArray, place: tuple[Any, ...], decimals: int, what: str, faults: Faults
) -> Int64Array:
    scaled, status = scale_many(values[place], decimals)
    wrong = np.flatnonzero(status)
    rows, side, level = (part[wrong] for part in place)
    kinds = np.stack([side, level, status[wrong]])
    for ask, depth, code in np.unique(kinds, axis=1).T.tolist():
        same = (kinds == np.array([[ask], [depth], [code]])).all(axis=0)
        faults.add(rows[same], f"{'ask' if ask else 'bid'}_{depth}_{what}", REASONS[code])
    return scaled


def _times(rows: pa.Table, faults: Faults) -> tuple[Int64Array, Int64Array]:
    origin, received = integers(rows["timestamp"]), integers(rows["receipt_timestamp"])
    for name, values in (("timestamp", origin), ("receipt_timestamp", received)):
        if rows[name].null_count:
            faults.add(flags_of(pc.is_null(rows[name])), name, _NULL)
        faults.add((values < EARLIEST_NS) | (values >= LATEST_NS), name, _OUTSIDE)
    return origin, received


def _ids(rows: pa.Table, name: str, faults: Faults) -> Int64Array:
    values = integers(rows[name])
    if rows[name].null_count:
        faults.add(flags_of(pc.is_null(rows[name])), name, _NULL)
    faults.add(values < 0, name, _NEGATIVE)
    return values


def _scaled(rows: pa.Table, name: str, decimals: int, faults: Faults, *, positive: bool) -> Int64Array:
    if rows[name].null_count:
        faults.add(flags_of(pc.is_null(rows[name])), name, _NULL)
    values = floats(rows[name])
    scaled, status = scale_many(values, decimals)
    if status.any():
        for code in np.unique(status[status != 0]).tolist():
            faults.add(status == code, name, REASONS[code])
    if positive:
        faults.add(values == 0.0, name, "zero")
    return scaled


def _events(kind: Kind, times: tuple[Int64Array, Int64Array], flags: int) -> Int64Array:
    events = empty_events(len(times[0]))
    events[Field.KIND] = kind
    events[Field.ORIGIN_TIME], events[Field.RECEIVED_TIME] = times
    events[Field.FLAGS] = flags
    return events


def _kept(events: Int64Array, good: BoolArray) -> Int64Array:
    return events if good.all() else np.ascontiguousarray(events[:, good])


def _rejects(rows: pa.Table, first_row: int, file: str, faults: Faults) -> list[Reject]:
    bad = np.flatnonzero(~faults.good)
    rejects = []
    for at, raw in zip(bad.tolist(), rows.take(bad).to_pylist(), strict=True):
        field, reason = faults.told(at, first_row.__add__)
        found = raw.get("side_is_bid" if field == "side" and field not in raw else field)
        rejects.append(
            Reject(
                file=file,
                row=first_row + at,
                reason=reason,
                field=field,
                found="" if not field else "null" if found is None else str(found),
                raw=_json(raw),
            )
        )
    return rejects


def _json(row: dict[str, Any]) -> bytes:
    """The row as JSON; NaN and infinity, which JSON has not, as text."""
    plain = {
        name: str(value) if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in row.items()
    }
    return msgspec.json.encode(plain)
