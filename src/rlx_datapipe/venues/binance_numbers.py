"""Kernels that read numbers, times and truth values from bytes: exact, or refused.

Each gives the value, or REFUSED, and the place behind it. They may look some 70 bytes beyond a message, which
must be there; what they find is of no account, as a message that is read has to end where it ends.
"""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.compiled import helper
from rlx_datapipe.core.units import POWERS
from rlx_datapipe.venues.binance_columns import TIME_FROM_MS, TIME_TO_MS

REFUSED = -1
_DIGITS_MAX = 18
"""So many digits fit into int64, whatever they are."""
_FRACTION_MAX = 32
"""More zeros than anyone writes."""

_WORD_BYTES = 8
_POINT, _ZERO, _NINE, _SMALL_E = 46, 48, 57, 101
_TRUE, _FALS, _FOUR_BYTES = np.uint64(0x65757274), np.uint64(0x736C6166), np.uint64(0xFFFFFFFF)


@helper
def word_at(data, at):  # type: ignore[no-untyped-def]
    """Eight bytes, the first one lowest."""
    # Spelled so that it becomes one load: unsigned places are not looked at for being negative.
    place = np.uint64(at)
    word = np.uint64(data[place])
    for byte in range(1, _WORD_BYTES):
        word |= np.uint64(data[place + np.uint64(byte)]) << np.uint64(8 * byte)
    return word


@helper
def _append_digits(data, at, value, digits_max):  # type: ignore[no-untyped-def]
    # Digit by digit: most numbers have few, and then that is faster than eight at a time.
    place = np.uint64(at)
    stop = np.uint64(at + digits_max)
    while place < stop:
        character = data[place]
        if character < _ZERO or character > _NINE:
            break
        value = value * 10 + np.int64(character - _ZERO)
        place += np.uint64(1)
    return value, np.int64(place)


@helper
def read_whole(data, at):  # type: ignore[no-untyped-def]
    """A whole number as JSON has it: no leading zeros."""
    value, end = _append_digits(data, at, np.int64(0), _DIGITS_MAX)
    if end == at or (data[at] == _ZERO and end - at > 1):
        return np.int64(REFUSED), end
    return value, end


@helper
def read_time(data, at):  # type: ignore[no-untyped-def]
    """A time in ms or µs, told apart by magnitude, in ns."""
    value, end = read_whole(data, at)
    if TIME_FROM_MS <= value < TIME_TO_MS:
        return value * 1_000_000, end
    if TIME_FROM_MS * 1000 <= value < TIME_TO_MS * 1000:
        return value * 1_000, end
    return np.int64(REFUSED), end


@helper
def read_decimal(data, at, decimals):  # type: ignore[no-untyped-def]
    """A decimal number, scaled; digits behind the scale must be zeros."""
    value, end = _append_digits(data, at, np.int64(0), _DIGITS_MAX)
    if end == at or end - at + decimals > _DIGITS_MAX:
        return np.int64(REFUSED), end
    if data[end] != _POINT:
        return value * POWERS[decimals], end
    begin = end + 1
    value, end = _append_digits(data, begin, value, decimals)
    value *= POWERS[decimals - (end - begin)]
    while end - begin < _FRACTION_MAX and data[end] == _ZERO:
        end += 1
    return value if end > begin else np.int64(REFUSED), end


@helper
def read_truth(data, at):  # type: ignore[no-untyped-def]
    """``true`` as 1, ``false`` as 0."""
    letters = word_at(data, at) & _FOUR_BYTES
    if letters == _TRUE:
        return np.int64(1), at + 4
    if letters == _FALS and data[at + 4] == _SMALL_E:
        return np.int64(0), at + 5
    return np.int64(REFUSED), at
