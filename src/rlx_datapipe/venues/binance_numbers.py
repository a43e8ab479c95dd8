"""Kernels that read numbers, times and truth values from bytes, eight at a time: exact, or refused.

Each gives the value, or REFUSED, and the place behind it. They may look up to 32 bytes beyond a message.
"""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.units import POWERS
from rlx_datapipe.venues.binance_columns import TIME_FROM_MS, TIME_TO_MS

REFUSED = -1
_DIGITS_MAX = 18
"""So many digits fit into int64, whatever they are."""
_FRACTION_MAX = 40
"""More zeros than anyone writes."""

_WORD = 8
_POINT, _ZERO, _SMALL_E = 46, 48, 101
_TRUE, _FALS = np.uint64(0x65757274), np.uint64(0x736C6166)
_ONE, _BYTE = np.uint64(1), np.uint64(8)
_TEN, _HUNDRED, _MYRIAD = np.uint64(10), np.uint64(100), np.uint64(10_000)
_TWO_BYTES, _FOUR_BYTES = np.uint64(16), np.uint64(32)
_ZEROS = np.uint64(0x3030303030303030)
_ONES = np.uint64(0x0101010101010101)
_HIGH_BITS, _LOW_BITS = np.uint64(0x8080808080808080), np.uint64(0x7F7F7F7F7F7F7F7F)
_BEYOND_NINE = np.uint64(0x7676767676767676)
"""Added to a byte it sets its high bit if that is more than 9."""
_PAIRS, _FOURS, _EIGHT = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0xFFFFFFFF)


@kernel
def word_at(data, at):  # type: ignore[no-untyped-def]
    """Eight bytes, the first one lowest."""
    # Spelled so that it becomes one load: unsigned places are not looked at for being negative.
    place = np.uint64(at)
    word = np.uint64(data[place])
    for byte in range(1, _WORD):
        word |= np.uint64(data[place + np.uint64(byte)]) << np.uint64(8 * byte)
    return word


@kernel
def _digits_ahead(word):  # type: ignore[no-untyped-def]
    digits = word ^ _ZEROS
    others = (((digits & _LOW_BITS) + _BEYOND_NINE) | digits) & _HIGH_BITS
    if others == 0:
        return np.int64(_WORD)
    first = others & (~others + _ONE)
    # One bit in each byte up to the first other one; modulo 255 bytes are summed.
    return np.int64(((first - _ONE) & _ONES) % np.uint64(255)) - 1


@kernel
def _value_of(word, count):  # type: ignore[no-untyped-def]
    # Digits become pairs, fours and eights; what is shifted in counts as leading zeros.
    digits = (word ^ _ZEROS) << (_BYTE * np.uint64(_WORD - count))
    pairs = (digits * _TEN + (digits >> _BYTE)) & _PAIRS
    fours = (pairs * _HUNDRED + (pairs >> _TWO_BYTES)) & _FOURS
    return np.int64((fours * _MYRIAD + (fours >> _FOUR_BYTES)) & _EIGHT)


@kernel
def _read_digits(data, at):  # type: ignore[no-untyped-def]
    value = np.int64(0)
    seen = 0
    while seen <= _DIGITS_MAX:
        word = word_at(data, at + seen)
        count = _digits_ahead(word)
        if seen + count > _DIGITS_MAX:
            break
        if count:
            value = value * POWERS[count] + _value_of(word, count)
        seen += count
        if count < _WORD:
            return (value, at + seen) if seen else (np.int64(REFUSED), at)
    return np.int64(REFUSED), at


@kernel
def read_whole(data, at):  # type: ignore[no-untyped-def]
    """A whole number as JSON has it: no leading zeros."""
    value, end = _read_digits(data, at)
    if data[at] == _ZERO and end - at > 1:
        return np.int64(REFUSED), end
    return value, end


@kernel
def read_time(data, at):  # type: ignore[no-untyped-def]
    """A time in ms or µs, told apart by magnitude, in ns."""
    value, end = read_whole(data, at)
    if TIME_FROM_MS <= value < TIME_TO_MS:
        return value * 1_000_000, end
    if TIME_FROM_MS * 1000 <= value < TIME_TO_MS * 1000:
        return value * 1_000, end
    return np.int64(REFUSED), end


@kernel
def read_decimal(data, at, decimals):  # type: ignore[no-untyped-def]
    """A decimal number, scaled; digits behind the scale must be zeros."""
    value, end = _read_digits(data, at)
    if value < 0 or end - at + decimals > _DIGITS_MAX:
        return np.int64(REFUSED), end
    if data[end] != _POINT:
        return value * POWERS[decimals], end
    at = end + 1
    seen = 0
    while seen < decimals:
        word = word_at(data, at + seen)
        count = min(_digits_ahead(word), decimals - seen)
        if count == 0:
            break
        value = value * POWERS[count] + _value_of(word, count)
        seen += count
        if count < _WORD:
            break
    value *= POWERS[decimals - seen]
    while seen < _FRACTION_MAX and data[at + seen] == _ZERO:
        seen += 1
    return (value, at + seen) if seen else (np.int64(REFUSED), at)


@kernel
def read_truth(data, at):  # type: ignore[no-untyped-def]
    """``true`` as 1, ``false`` as 0."""
    letters = word_at(data, at) & _EIGHT
    if letters == _TRUE:
        return np.int64(1), at + 4
    if letters == _FALS and data[at + 4] == _SMALL_E:
        return np.int64(0), at + 5
    return np.int64(REFUSED), at
