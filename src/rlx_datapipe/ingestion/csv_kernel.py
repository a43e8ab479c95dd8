"""Kernel on lines of CSV: each cell read exactly, or the first one that can't be is told with the reason."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.core.cells import Column, Words
from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.feed import Bytes
from rlx_datapipe.core.units import INT64_MAX, POWERS, REASONS, parse_span
from rlx_datapipe.ingestion.line_kernel import TIME_FROM_NS, TIME_TO_NS


class Fault(IntEnum):
    """What is wrong with a cell, below `NO_VALUE` as in `Exactness`. Kernels name them by number."""

    NO_VALUE = 6
    ZERO = 7
    TIME_OUTSIDE = 8
    WORD = 9
    CELLS = 10


TOLD = {
    **{int(code): reason for code, reason in REASONS.items()},
    int(Fault.NO_VALUE): "no value",
    int(Fault.ZERO): "zero",
    int(Fault.TIME_OUTSIDE): "outside 2017 to 2100 when read as microseconds since the epoch, UTC",
}
"""Reasons in words; those of `Fault.WORD` and `Fault.CELLS` name what was expected."""

_COMMA, _POINT, _ZERO, _NINE, _MINUS, _PLUS = 44, 46, 48, 57, 45, 43
_SMALL_E, _LARGE_E, _RETURN = 101, 69, 13
_EXPONENT_CHARACTERS = 5
_TIME_DIGITS_MAX = 16
_ID_DIGITS_MAX = 18
_DIGITS_MAX = 18
_NS_PER_US = 1000


@helper
def _digits(data, start, stop, digits_max):  # type: ignore[no-untyped-def]
    """A whole number of ASCII digits; NONE if it is none, or too long."""
    if stop == start or stop - start > digits_max:
        return np.int64(NONE)
    value = np.int64(0)
    for at in range(start, stop):
        if data[at] < _ZERO or data[at] > _NINE:
            return np.int64(NONE)
        value = value * 10 + np.int64(data[at] - _ZERO)
    return value


@helper
def _exponent_at(data, start, stop):  # type: ignore[no-untyped-def]
    """Where the exponent of a number stands; ``stop`` if it has none."""
    for at in range(max(start, stop - _EXPONENT_CHARACTERS), stop):
        if data[at] in (_SMALL_E, _LARGE_E):
            return at
    return stop


@helper
def read_number(data, start, stop, decimals):  # type: ignore[no-untyped-def]
    """A number with or without exponent (``1.5e-7``) as scaled integer, and its `Exactness`."""
    mark = _exponent_at(data, start, stop)
    if mark == stop:
        return parse_span(data, start, stop, decimals)
    sign_at = mark + 1
    is_negative = sign_at < stop and data[sign_at] == _MINUS
    if sign_at < stop and data[sign_at] in (_MINUS, _PLUS):
        sign_at += 1
    exponent = _digits(data, sign_at, stop, 3)
    if exponent == NONE or mark == start:
        return np.int64(0), 1
    if data[start] == _MINUS:
        return np.int64(0), 5
    # The digits as a whole number, and how far its point has to move.
    value, digits, fraction = np.int64(0), 0, -1
    for at in range(start, mark):
        character = data[at]
        if character == _POINT and fraction < 0 and digits > 0:
            fraction = 0
            continue
        if character < _ZERO or character > _NINE:
            return np.int64(0), 1
        digits += 1
        if digits > _DIGITS_MAX:
            return np.int64(0), 3
        fraction += fraction >= 0
        value = value * 10 + np.int64(character - _ZERO)
    if digits == 0 or fraction == 0:
        return np.int64(0), 1
    move = decimals - max(fraction, 0) + (-exponent if is_negative else exponent)
    if value == 0:
        return value, 0
    if move < 0:
        if -move > _DIGITS_MAX or value % POWERS[-move] != 0:
            return np.int64(0), 2
        return value // POWERS[-move], 0
    if move > _DIGITS_MAX or value > INT64_MAX // POWERS[move]:
        return np.int64(0), 3
    return value * POWERS[move], 0


@helper
def _word(data, start, stop, texts, bounds, column):  # type: ignore[no-untyped-def]
    """Which of two words a cell is: 0, 1, or NONE; an empty second word is none."""
    for number in range(2):
        first, last = bounds[column, number], bounds[column, number + 1]
        if last - first != stop - start or last == first:
            continue
        is_same = True
        for at in range(stop - start):
            if data[start + at] != texts[first + at]:
                is_same = False
                break
        if is_same:
            return np.int64(number)
    return np.int64(NONE)


@helper
def _cell(data, start, stop, kind, texts, bounds, column, decimals):  # type: ignore[no-untyped-def]
    """The value of one cell, and what is wrong with it (0 if nothing is)."""
    if kind == Column.NAME:
        value = _word(data, start, stop, texts, bounds, column)
        return value, 9 if value == NONE else 0
    if kind == Column.ID:
        return _digits(data, start, stop, _ID_DIGITS_MAX), 0
    if start == stop:
        may_lack = kind == Column.LEVEL_PRICE or kind == Column.LEVEL_AMOUNT  # noqa: PLR1714 (compiles)
        return np.int64(NONE), 0 if may_lack else 6
    if kind == Column.TIME_US:
        value = _digits(data, start, stop, _TIME_DIGITS_MAX)
        if value == NONE:
            return value, 1 if _digits(data, start, stop, 30) == NONE else 8
        value *= _NS_PER_US
        return value, 0 if TIME_FROM_NS <= value < TIME_TO_NS else 8
    is_price = kind == Column.PRICE or kind == Column.LEVEL_PRICE  # noqa: PLR1714 (compiles)
    value, status = read_number(data, start, stop, decimals[0] if is_price else decimals[1])
    if status == 0 and value == 0 and kind != Column.QUANTITY and kind != Column.LEVEL_AMOUNT:  # noqa: PLR1714
        return value, 7
    return value, status


@kernel
def read_cells(
    data: Bytes,
    starts: Int64Array,
    stops: Int64Array,
    places: Int64Array,
    kinds: Int64Array,
    texts: Bytes,
    bounds: Int64Array,
    decimals: Int64Array,
    values: Int64Array,
    faults: Int64Array,
) -> None:
    """Read the cells of some lines: strict, never lenient.

    Parameters
    ----------
    data
        uint8 (b,).
    starts, stops
        int64 (n,): where each line lies.
    places, kinds
        int64 (k,): for each column in our order where it stands in a line, and its `Column`.
    texts, bounds
        uint8 (c,) and int64 (k, 3): the two words of each column, and where they begin and end.
    decimals
        int64 (2,): scales of prices and quantities.
    values
        int64 (k, n), filled: times in ns, numbers scaled, words by number; NONE where nothing can be told.
    faults
        int64 (2, n), filled: the first column that is not as it should be, from 1, or 0; and its `Fault`.
    """
    columns = places.shape[0]
    cells = np.empty(columns + 1, dtype=np.int64)
    for i in range(starts.shape[0]):
        stop = stops[i]
        cells[0] = starts[i]
        count = 1
        for at in range(starts[i], stop):
            if data[at] == _COMMA:
                if count <= columns:
                    cells[count] = at + 1
                count += 1
        faults[0, i] = faults[1, i] = 0
        if count != columns:
            faults[0, i], faults[1, i] = 1, 10
            for k in range(columns):
                values[k, i] = NONE
            continue
        cells[columns] = stop + 1
        for k in range(columns):
            place = places[k]
            value, fault = _cell(
                data, cells[place], cells[place + 1] - 1, kinds[k], texts, bounds, k, decimals
            )
            values[k, i] = value if fault == 0 else NONE
            if fault != 0 and faults[0, i] == 0:
                faults[0, i], faults[1, i] = k + 1, fault


def reason_of(fault: int, words: Words, cells: int) -> str:
    """What is wrong with a cell, in words."""
    if fault == Fault.CELLS:
        return f"not the {cells} cells that the header names"
    if fault == Fault.WORD:
        return f"neither {words[0]!r} nor {words[1]!r}" if words[1] else f"not {words[0]!r}"
    return TOLD[fault]
