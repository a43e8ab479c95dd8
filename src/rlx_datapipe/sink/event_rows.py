"""Rows of ``events`` in the making: replayed arrays become columns as they will be written, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Int64Array, Kind
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.schema import DECIMALS, PRICE
from rlx_datapipe.core.units import POWERS
from rlx_datapipe.store.columns import wide, written_schema

_SCHEMA = written_schema("events")
_TYPES = pa.array([kind.name for kind in Kind])
_SIDES = pa.array(["bid", "ask", "buy", "sell"])
# Places of the columns in the arrays that hold all of one type, in the order of the table.
_ID, _ORIGIN, _RECEIVED, _UPDATE, _TRADE, _FILED = range(6)
_TYPE, _SIDE, _FLAGS = range(3)
_DECIMALS = 6
_APART = 72
"""Columns stand so many rows further apart than they are long: at powers of two they would share one place in
the cache."""
_ONE, _TWO = np.uint64(1), np.uint64(2)
_NULLABLE = ("update_id", "trade_id", "side", *_SCHEMA.names[7:13])


class EventRows:
    """Gathers events until they make a table of so many rows; no row is copied on its way to the writer.

    Parameters
    ----------
    instrument
        The scales.
    capacity
        Rows of a table.
    """

    def __init__(self, instrument: Instrument, capacity: int) -> None:
        price, quantity = (
            POWERS[DECIMALS - decimals]
            for decimals in (instrument.price_decimals, instrument.quantity_decimals)
        )
        self._factors = np.array([price, quantity], dtype=np.uint64)
        self._capacity = capacity
        self.newest = 0
        """The newest origin time so far: a row that came late is filed with its neighbours."""
        self._begin()

    def _begin(self) -> None:
        self.rows = 0
        room = self._capacity + _APART
        self._numbers = np.empty((6, room), dtype=np.int64)
        self._codes = np.empty((3, room), dtype=np.int32)
        self._words = np.empty((_DECIMALS, 2 * room), dtype=np.uint64)
        self._valid = np.empty((len(_NULLABLE), room), dtype=np.bool_)

    def add(self, replayed: Replayed, start: int) -> int:
        """Take events from column ``start`` on, as many as there is room for; how many these are."""
        count = min(int(replayed.events.shape[1]) - start, self._capacity - self.rows)
        newest = fill_rows(
            replayed.events, replayed.best, replayed.flags, start, count, self.rows,
            np.array([replayed.first_event_id + start, self.newest]), self._factors,
            self._numbers, self._codes, self._words, self._valid,
        )  # fmt: skip
        self.newest = int(newest)
        self.rows += count
        return count

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another row."""
        return self.rows == self._capacity

    def take(self) -> tuple[pa.Table, Int64Array]:
        """The rows so far, in the table's `written_schema`, and the times by which they are filed, rising."""
        count = self.rows
        numbers, codes = self._numbers[:, :count], self._codes[:, :count]
        nulls = dict(zip(_NULLABLE, self._valid[:, :count], strict=True))
        columns = [pa.array(numbers[number]) for number in (_ID, _ORIGIN, _RECEIVED)]
        columns.insert(1, pa.DictionaryArray.from_arrays(pa.array(codes[_TYPE]), _TYPES, safe=False))
        for name, number in (("update_id", _UPDATE), ("trade_id", _TRADE)):
            columns.append(_nullable(pa.int64(), numbers[number], nulls[name]))
        sides = _nullable(pa.int32(), codes[_SIDE], nulls["side"])
        columns.append(pa.DictionaryArray.from_arrays(sides, _SIDES, safe=False))
        for words, name in zip(self._words, _NULLABLE[3:], strict=True):
            columns.append(_nullable(PRICE, words[: 2 * count], nulls[name]))
        columns.append(pa.array(codes[_FLAGS]))
        self._begin()
        return pa.Table.from_arrays(columns, schema=_SCHEMA), numbers[_FILED]


def event_rows(replayed: Replayed, instrument: Instrument) -> pa.Table:
    """Rows of ``events`` of one stretch, in its `written_schema`."""
    rows = EventRows(instrument, replayed.events.shape[1])
    rows.add(replayed, 0)
    return rows.take()[0]


def _nullable(kind: pa.DataType, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> pa.Array:
    """A column of plain values, null where they are not valid."""
    nulls = len(valid) - int(np.count_nonzero(valid))
    bits = pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None
    return pa.Array.from_buffers(kind, len(valid), [bits, pa.py_buffer(values)], nulls)


@kernel
def fill_rows(
    events: Int64Array,
    best: Int64Array,
    flags: Int64Array,
    start: int,
    count: int,
    at: int,
    known: Int64Array,
    factors: npt.NDArray[np.uint64],
    numbers: Int64Array,
    codes: npt.NDArray[np.int32],
    words: npt.NDArray[np.uint64],
    valid: npt.NDArray[np.bool_],
) -> int:
    """Fill columns of rows with events; the newest origin time so far.

    Parameters
    ----------
    events, best, flags
        int64 (FIELDS, n), (4, n) and (n,), of which ``count`` from column ``start`` on are taken.
    at
        Row that is filled first.
    known
        int64 (2,): id of the first of these events, and the newest origin time before it.
    factors
        uint64 (2,): what prices and quantities are multiplied by.
    numbers, codes, words, valid
        int64 (6, m), int32 (3, m), uint64 (6, 2 m) and bool (9, m), filled; zeros where nothing is valid.
    """
    newest = known[1]
    # Unsigned: else each index is asked for whether it counts from the end.
    for i in range(np.uint64(count)):
        column, row = np.uint64(start) + i, np.uint64(at) + i
        origin = events[Field.ORIGIN_TIME, column]
        newest = max(newest, origin)
        numbers[_ID, row], numbers[_FILED, row] = known[0] + np.int64(i), newest
        numbers[_ORIGIN, row] = origin
        numbers[_RECEIVED, row] = events[Field.RECEIVED_TIME, column]
        update, trade = events[Field.UPDATE_ID, column], events[Field.TRADE_ID, column]
        valid[0, row], valid[1, row] = update != NONE, trade != NONE
        numbers[_UPDATE, row] = update if update != NONE else 0
        numbers[_TRADE, row] = trade if trade != NONE else 0
        kind, side = events[Field.KIND, column], events[Field.SIDE, column]
        valid[2, row] = side != NONE
        codes[_TYPE, row], codes[_FLAGS, row] = kind, flags[column]
        codes[_SIDE, row] = 0 if side == NONE else side + 2 if kind == Kind.TRADE else side
        _widen(events[Field.PRICE, column], factors[0], 0, row, words, valid)
        _widen(events[Field.QUANTITY, column], factors[1], 1, row, words, valid)
        for part in range(4):
            _widen(best[part, column], factors[part % 2], 2 + part, row, words, valid)
    return newest  # type: ignore[no-any-return]


@helper
def _widen(
    value: int,
    factor: int,
    part: int,
    row: Any,
    words: npt.NDArray[np.uint64],
    valid: npt.NDArray[np.bool_],
) -> None:
    """Write one decimal."""
    valid[3 + part, row] = value >= 0
    words[part, _TWO * row], words[part, _TWO * row + _ONE] = wide(max(value, 0), factor)
