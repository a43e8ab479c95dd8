"""Kernels that read lines of whole numbers with commas between them: exact, or refused."""

from __future__ import annotations

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.units import INT64_MAX

_MINUS, _POINT, _COMMA, _ZERO, _NINE = 45, 46, 44, 48, 57
ROUNDS_FROM = 5


@kernel
def read_rows(data, starts, stops, decimals, out, faults):  # type: ignore[no-untyped-def]
    """Read the fields of lines as scaled integers.

    A field is ASCII digits, a minus before them if it is negative. Digits behind a point are allowed where
    ``decimals`` is not 0; those behind the last decimal are rounded to the nearest unit.

    Parameters
    ----------
    data
        uint8 array, the characters.
    starts, stops
        int64 arrays of shape (n,): where in ``data`` each line lies.
    decimals
        int64 array of shape (columns,): one unit of a column is ``10**-decimals``.
    out, faults
        int64 arrays of shape (n, columns) and (n,), filled: the numbers; 0, or the number of the first column
        that is none, from 1, or -1 where there are more or fewer columns.
    """
    columns = decimals.shape[0]
    for i in range(starts.shape[0]):
        faults[i] = 0
        at, stop = starts[i], stops[i]
        for column in range(columns):
            value, end = _number(data, at, stop, decimals[column])
            if end < 0:
                faults[i] = column + 1
                break
            out[i, column] = value
            if (end == stop) != (column == columns - 1):
                faults[i] = -1
                break
            at = end + 1


@helper
def _number(data, at, stop, decimals):  # type: ignore[no-untyped-def]
    """One number, and the place of the comma behind it or the end of the line; -1 if it is none."""
    sign, value, digits, fraction = 1, 0, 0, -1
    if at < stop and data[at] == _MINUS:
        sign, at = -1, at + 1
    begin = at
    while at < stop and data[at] != _COMMA:
        character = data[at]
        if character == _POINT and fraction < 0 < decimals and at > begin:
            fraction = 0
        elif character < _ZERO or character > _NINE:
            return 0, -1
        else:
            digit = int(character) - _ZERO
            digits = digits + 1
            if fraction >= 0:
                fraction += 1
            if fraction <= decimals:
                if value > (INT64_MAX - digit) // 10:
                    return 0, -1
                value = value * 10 + digit
            elif fraction == decimals + 1 and digit >= ROUNDS_FROM:
                value += 1
        at += 1
    if digits == 0 or fraction == 0:
        return 0, -1
    for _ in range(decimals - max(fraction, 0)):
        if value > INT64_MAX // 10:
            return 0, -1
        value *= 10
    return sign * value, at
