"""Kernels that read the usual Binance messages: bytes to exact integers, or refused."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE
from rlx_datapipe.core.feed import AHEAD_BYTES
from rlx_datapipe.venues.binance_numbers import (
    REFUSED,
    read_decimal,
    read_time,
    read_truth,
    read_whole,
    word_at,
)
from rlx_datapipe.venues.binance_shapes import Op, Shape, Slot

_SPEED_DIGITS_MAX = 5
_QUOTE, _COMMA, _MINUS, _SLASH, _ZERO, _NINE, _COLON, _AT = 34, 44, 45, 47, 48, 57, 58, 64
_LOW_LINE, _OPEN, _CLOSE, _SMALL_A, _SMALL_M, _SMALL_S, _SMALL_Z, _CASE = 95, 91, 93, 97, 109, 115, 122, 32
_HEAD_BYTES = len('{"stream":"@')


@helper
def _skip_literal(data, at, length, steps, step):  # type: ignore[no-untyped-def]
    end = at + length
    while at + 8 <= end:
        if word_at(data, at) != np.uint64(steps[step]):
            return REFUSED
        at += 8
        step += 1
    if at < end:
        mask = (np.uint64(1) << np.uint64(8 * (end - at))) - np.uint64(1)
        if word_at(data, at) & mask != np.uint64(steps[step]):
            return REFUSED
    return end


@helper
def _skip_symbol(data, at, stop, symbol):  # type: ignore[no-untyped-def]
    seen = 0
    while at < stop:
        letter = data[at]
        if _SMALL_A <= letter <= _SMALL_Z:
            letter -= _CASE
        if seen < symbol.shape[0] and letter == symbol[seen]:
            seen += 1
        elif letter not in (_MINUS, _SLASH, _COLON, _LOW_LINE):
            break
        at += 1
    return at if seen == symbol.shape[0] else REFUSED


@helper
def _skip_word(data, at, stop):  # type: ignore[no-untyped-def]
    begin = at
    while at < stop:
        letter = data[at]
        small = letter | _CASE
        if not (_SMALL_A <= small <= _SMALL_Z or _ZERO <= letter <= _NINE or letter == _LOW_LINE):
            break
        at += 1
    return at if at > begin else REFUSED


@helper
def _skip_speed(data, at, stop):  # type: ignore[no-untyped-def]
    if data[at] != _AT:
        return at
    at += 1
    begin = at
    while at < stop and at - begin < _SPEED_DIGITS_MAX and _ZERO <= data[at] <= _NINE:
        at += 1
    return at + 2 if at > begin and data[at] == _SMALL_M and data[at + 1] == _SMALL_S else REFUSED


@helper
def _read_levels(data, at, stop, scales, is_snapshot, levels, level):  # type: ignore[no-untyped-def]
    if data[at] != _OPEN:
        return REFUSED, level
    at += 1
    if data[at] == _CLOSE:
        return at + 1, level
    while at < stop and level < levels.shape[0] and data[at] == _OPEN and data[at + 1] == _QUOTE:
        price, at = read_decimal(data, at + 2, scales[0])
        if price <= 0 or data[at] != _QUOTE or data[at + 1] != _COMMA or data[at + 2] != _QUOTE:
            break
        quantity, at = read_decimal(data, at + 3, scales[1])
        if quantity < is_snapshot or data[at] != _QUOTE or data[at + 1] != _CLOSE:
            break
        levels[level, 0] = price
        levels[level, 1] = quantity
        level += 1
        if data[at + 2] == _CLOSE:
            return at + 3, level
        if data[at + 2] != _COMMA:
            break
        at += 3
    return REFUSED, level


@helper
def _read_number(op, data, at, scales):  # type: ignore[no-untyped-def]
    if op == Op.PRICE:
        return read_decimal(data, at, scales[0])
    if op == Op.QUANTITY:
        return read_decimal(data, at, scales[1])
    if op == Op.TRUTH:
        return read_truth(data, at)
    return read_time(data, at) if op == Op.TIME else read_whole(data, at)


@helper
def _is_end(at, stop):  # type: ignore[no-untyped-def]
    return at == stop


@helper
def _is_sound(record):  # type: ignore[no-untyped-def]
    kind = record[Slot.KIND]
    if kind == Shape.DEPTH:
        return record[Slot.FIRST_ID] <= record[Slot.UPDATE_ID]
    if kind == Shape.TICKER:
        for slot in (Slot.BID_PRICE, Slot.ASK_PRICE):
            if (record[slot] == 0) != (record[slot + 1] == 0):
                return False
            if record[slot] == 0:
                record[slot] = NONE
                record[slot + 1] = NONE
        return True
    return kind == Shape.SNAPSHOT or (record[Slot.PRICE] > 0 and record[Slot.QUANTITY] > 0)


@helper
def _read_one(data, at, stop, kind, steps, step, symbol, scales, record, levels, level):  # type: ignore[no-untyped-def]
    record[:] = NONE
    record[Slot.KIND] = kind
    record[Slot.LEVELS_FROM] = level
    while at <= stop:
        op, argument = steps[step], steps[step + 1]
        step += 2
        if op == Op.LITERAL:
            if at + argument > stop:
                return False
            at = _skip_literal(data, at, argument, steps, step)
            step += (argument + 7) >> 3
        elif op == Op.END:
            return _is_end(at, stop) and _is_sound(record)
        elif op == Op.SYMBOL:
            at = _skip_symbol(data, at, stop, symbol)
        elif op == Op.SPEED:
            at = _skip_speed(data, at, stop)
        elif op == Op.WORD:
            at = _skip_word(data, at, stop)
        elif op == Op.LEVELS:
            at, level = _read_levels(data, at, stop, scales, kind == Shape.SNAPSHOT, levels, level)
            record[argument] = level
        else:
            value, at = _read_number(op, data, at, scales)
            record[argument] = value
            if value < 0:
                return False
        if at < 0:
            return False
    return False


@kernel
def read_messages(data, starts, stops, steps, firsts, kinds, symbol, scales, records, levels):  # type: ignore[no-untyped-def]
    """Read messages that are of a usual shape to the byte; any other is refused, and nothing is said of it.

    Parameters
    ----------
    data
        uint8 array of shape (b,), with `AHEAD_BYTES` behind the last message.
    starts, stops
        int64 arrays of shape (n,): where in ``data`` each message lies.
    steps, firsts, kinds
        The `Programs` of the market.
    symbol
        uint8 array: the symbol in capitals without separators.
    scales
        int64 array of shape (2,): decimals of prices and of quantities.
    records
        int64 array of shape (n, SLOTS), filled; KIND is REFUSED, or the `Shape` of the message.
    levels
        int64 array of shape (m, 2), filled from the start: price and quantity of all levels.

    Returns
    -------
    Levels read.
    """
    level = 0
    safe = data.shape[0] - AHEAD_BYTES
    # The last shape that fitted a message with the same byte somewhere in its head; it is tried first.
    likely = np.zeros(256, dtype=np.int64)
    hint = _HEAD_BYTES + symbol.shape[0]
    for i in range(starts.shape[0]):
        start, stop = starts[i], stops[i]
        records[i, Slot.KIND] = REFUSED
        if stop > safe or start < 0:
            continue
        letter = data[min(start + hint, stop)]
        for attempt in range(-1, firsts.shape[0]):
            shape = attempt if attempt >= 0 else likely[letter]
            kind, first = kinds[shape], firsts[shape]
            if _read_one(data, start, stop, kind, steps, first, symbol, scales, records[i], levels, level):
                level = max(level, records[i, Slot.LEVELS_TO])
                likely[letter] = shape
                break
            records[i, Slot.KIND] = REFUSED
    return level
