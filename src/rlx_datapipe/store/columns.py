"""Columns of tables: scaled int64 to Arrow decimal128(38,18) and back, exactly; texts by number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.schema import DECIMALS, PRICE, SCHEMAS
from rlx_datapipe.core.units import POWERS

_CODES = pa.dictionary(pa.int32(), pa.string())
_CODED = {"events": ("event_type", "side")}

_FIVES = np.array([5**k for k in range(DECIMALS + 1)], dtype=np.uint64)
_INVERSES = np.array([pow(5**k, -1, 1 << 64) for k in range(DECIMALS + 1)], dtype=np.uint64)
"""Of 5^k modulo 2^64."""
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_THREE, _SEVEN, _EIGHT = np.uint64(3), np.uint64(7), np.uint64(8)


@helper
def wide(value, factor):  # type: ignore[no-untyped-def]
    """``value * factor`` as two 64-bit words, the low one first; neither is negative."""
    value, factor = np.uint64(value), np.uint64(factor)
    v_low, v_high = value & _LOW, value >> _HALF
    f_low, f_high = factor & _LOW, factor >> _HALF
    low = v_low * f_low
    middle = v_high * f_low + (low >> _HALF)
    other = v_low * f_high + (middle & _LOW)
    return (other << _HALF) | (low & _LOW), v_high * f_high + (middle >> _HALF) + (other >> _HALF)


@kernel
def widen(values, factor, words):  # type: ignore[no-untyped-def]
    """Write ``value * factor`` as 128-bit little-endian words; how many values are NONE (written as 0).

    Others are not negative.
    """
    missing = 0
    for i in range(values.shape[0]):
        if values[i] < 0:
            missing += 1
        words[2 * i], words[2 * i + 1] = wide(max(values[i], 0), factor)
    return missing


@kernel
def _narrow(words, decimals, values):  # type: ignore[no-untyped-def]
    """Fill ``values`` with 128-bit numbers over ``10**decimals``; the index of the first inexact, or -1.

    A number that is a multiple of 10^k is one of 2^k, which is a shift, and then of 5^k, which has an inverse
    modulo 2^64; multiplied back, the quotient tells whether it was one.
    """
    shift, factor = np.uint64(decimals), _FIVES[decimals]
    inverse = _INVERSES[decimals]
    mask = (np.uint64(1) << shift) - np.uint64(1)
    top = np.uint64(1) << np.uint64(63)
    f_low, f_high = factor & _LOW, factor >> _HALF
    for i in range(values.shape[0]):
        low, high = words[2 * i], words[2 * i + 1]
        if low & mask:
            return i
        if shift:
            low = (low >> shift) | (high << (np.uint64(64) - shift))
            high >>= shift
        quotient = low * inverse
        # The low word of quotient * factor is right by construction; the high word must be, too.
        q_low, q_high = quotient & _LOW, quotient >> _HALF
        middle = q_high * f_low + ((q_low * f_low) >> _HALF)
        other = q_low * f_high + (middle & _LOW)
        if q_high * f_high + (middle >> _HALF) + (other >> _HALF) != high or quotient >= top:
            return i
        values[i] = np.int64(quotient)
    return -1


def to_decimals(values: Int64Array, decimals: int) -> pa.Array:
    """Scaled integers as decimal128(38,18); NONE becomes null."""
    values = np.ascontiguousarray(values)
    words = np.empty(2 * len(values), dtype=np.uint64)
    nulls = int(widen(values, POWERS[DECIMALS - decimals], words))
    validity = pa.py_buffer(np.packbits(values != NONE, bitorder="little")) if nulls else None
    return pa.Array.from_buffers(PRICE, len(values), [validity, pa.py_buffer(words)], nulls)


def from_decimals(column: pa.Array | pa.ChunkedArray, decimals: int) -> Int64Array:
    """Decimal128(38,18) as scaled integers, int64 of shape (n,); null becomes NONE.

    Raises
    ------
    DatasetError
        When a value is not a multiple of ``10**-decimals`` or exceeds int64.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    count = len(column)
    values = np.zeros(count, dtype=np.int64)
    if count == 0:
        return values
    words = np.frombuffer(column.buffers()[1], dtype=np.uint64)[
        2 * column.offset : 2 * (column.offset + count)
    ]
    missing = None
    if column.null_count:
        missing = column.is_null().to_numpy(zero_copy_only=False)
        words = words.copy()
        words.reshape(-1, 2)[missing] = 0
    at = int(_narrow(words, DECIMALS - decimals, values))
    if at >= 0:
        raise DatasetError(
            "a value does not fit the scale of its instrument",
            found=column[at].as_py(),
            expected=f"a multiple of 1e-{decimals}",
        )
    if missing is not None:
        values[missing] = NONE
    return values


def to_ladder(values: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], decimals: int) -> pa.Array:
    """Lists of decimals: ``values`` one behind the other, ``counts`` of them in each list."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), to_decimals(values, decimals))


def nullable(values: Int64Array) -> pa.Array:
    """Integers as an Arrow int64 column; NONE becomes null."""
    missing = values == NONE
    return pa.array(values, mask=missing) if missing.any() else pa.array(values)


def written_schema(table: str) -> pa.Schema:
    """Schema of a table's rows on their way to the file: texts of few kinds are numbers and a dictionary.

    In the file, and for its readers, they are texts.
    """
    coded = _CODED.get(table, ())
    return pa.schema([field.with_type(_CODES) if field.name in coded else field for field in SCHEMAS[table]])


def as_written(rows: pa.Table, table: str) -> pa.Table:
    """Rows of a table, texts as texts, in its `written_schema`."""
    schema = written_schema(table)
    columns = [
        rows[field.name].combine_chunks().dictionary_encode().cast(_CODES)
        if field.type == _CODES
        else rows[field.name]
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


@kernel
def spell(codes, words, sizes, lengths, out):  # type: ignore[no-untyped-def]
    """Write texts by their numbers one behind the other; how many bytes they have.

    Eight letters at a time: what does not fill a word waits for the letters of the next text.

    Parameters
    ----------
    codes
        int32 (n,): which text, below 0 for an empty one.
    words
        uint64 (k, m): the letters of each text, little-endian, zeros behind its last.
    sizes
        int32 (k,): how many letters each has.
    lengths, out
        int32 (n,) and uint64, filled; the latter with room for one word more than all texts need.
    """
    done, waiting, held = 0, np.uint64(0), np.uint64(0)
    for i in range(codes.shape[0]):
        code = codes[i]
        lengths[i] = sizes[code] if code >= 0 else 0
        left = lengths[i]
        for j in range((left + 7) // 8):
            word, count = words[code, j], np.uint64(min(left, 8))
            held |= word << (waiting << _THREE)
            if waiting + count >= _EIGHT:
                out[done] = held
                done += 1
                # By 64 bits nothing is shifted: what is gone is gone in two steps.
                held = (word >> ((_SEVEN - waiting) << _THREE)) >> _EIGHT
                waiting = waiting + count - _EIGHT
            else:
                waiting += count
            left -= 8
    out[done] = held
    return 8 * done + np.int64(waiting)
