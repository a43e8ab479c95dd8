"""Kernels that condense rows in one pass: messages, trades and runs of one id, with digests of their rows."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import Field, Flag, Int64Array, Kind

_GOLDEN_RATIO: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_KIND, _MESSAGE, _FLAGS = int(Field.KIND), int(Field.MESSAGE), int(Field.FLAGS)
_UPDATE, _FIRST_ID, _PREVIOUS = int(Field.UPDATE_ID), int(Field.FIRST_ID), int(Field.PREVIOUS_ID)
_TRADE_ID, _TIME, _SIDE = int(Field.TRADE_ID), int(Field.ORIGIN_TIME), int(Field.SIDE)
_PRICE, _QUANTITY = int(Field.PRICE), int(Field.QUANTITY)
_TRADE, _DELTA = int(Kind.TRADE), int(Kind.BOOK_DELTA)
_EMPTY, _AGGREGATE = int(Flag.EMPTY_GROUP), int(Flag.AGGREGATE)

MESSAGE_ROWS = 6
"""Update id, first id, previous id, count of levels, sum of their digests, origin time."""
TRADE_ROWS = 5
"""Trade id, origin time, digest, price, quantity."""


@helper
def _mix(word):  # type: ignore[no-untyped-def]
    """The finaliser of splitmix64: every bit of the input moves about half the bits of the output."""
    word = word + _GOLDEN_RATIO
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    return word ^ (word >> np.uint64(31))


@helper
def row_digest(identity, side, price, quantity):  # type: ignore[no-untyped-def]
    """A 64-bit digest of a row, over its four numbers in order, as int64."""
    state = _mix(_GOLDEN_RATIO ^ _mix(np.uint64(identity)))
    state = _mix(state ^ _mix(np.uint64(side)))
    state = _mix(state ^ _mix(np.uint64(price)))
    return np.int64(_mix(state ^ _mix(np.uint64(quantity))))


@kernel
def condense_events(
    events: Int64Array, messages: Int64Array, trades: Int64Array, deltas: Int64Array
) -> tuple[int, int, int, int]:
    """Condense a batch as it arrived; how many messages, trades and levels, and flags of all trades.

    Parameters
    ----------
    events
        int64 of shape (FIELDS, n).
    messages
        int64 of shape (MESSAGE_ROWS, n), filled: the depth messages. One without levels counts none.
    trades
        int64 of shape (TRADE_ROWS, n), filled.
    deltas
        int64 of shape (2, n), filled: of each level the place of its message, and its quantity.
    """
    message_count = trade_count = level_count = flags = 0
    last = -1
    for i in range(events.shape[1]):
        kind = events[_KIND, i]
        if kind == _TRADE:
            trades[0, trade_count] = events[_TRADE_ID, i]
            trades[1, trade_count] = events[_TIME, i]
            trades[2, trade_count] = row_digest(
                events[_TRADE_ID, i], events[_SIDE, i], events[_PRICE, i], events[_QUANTITY, i]
            )
            trades[3, trade_count] = events[_PRICE, i]
            trades[4, trade_count] = events[_QUANTITY, i]
            flags |= events[_FLAGS, i]
            trade_count += 1
        elif kind == _DELTA:
            if (
                last < 0
                or events[_MESSAGE, i] != events[_MESSAGE, last]
                or events[_UPDATE, i] != events[_UPDATE, last]
            ):
                messages[0, message_count] = events[_UPDATE, i]
                messages[1, message_count] = events[_FIRST_ID, i]
                messages[2, message_count] = events[_PREVIOUS, i]
                messages[3, message_count] = 0
                messages[4, message_count] = 0
                messages[5, message_count] = events[_TIME, i]
                message_count += 1
            last = i
            if events[_FLAGS, i] & _EMPTY == 0:
                here = message_count - 1
                messages[3, here] += 1
                messages[4, here] += row_digest(
                    events[_UPDATE, i], events[_SIDE, i], events[_PRICE, i], events[_QUANTITY, i]
                )
                deltas[0, level_count] = here
                deltas[1, level_count] = events[_QUANTITY, i]
                level_count += 1
    return message_count, trade_count, level_count, flags


@kernel
def digest_runs(
    chosen: npt.NDArray[np.bool_],
    ids: Int64Array,
    side: Int64Array,
    price: Int64Array,
    quantity: Int64Array,
    runs: Int64Array,
) -> int:
    """Fill ``runs``, int64 (3, n), with id, count and sum of digests of rows that share an id; how many.

    A run is of the ``chosen`` rows alone, whatever lies between them.
    """
    count = 0
    for i in range(ids.shape[0]):
        if not chosen[i]:
            continue
        if count == 0 or runs[0, count - 1] != ids[i]:
            runs[0, count] = ids[i]
            runs[1, count] = 0
            runs[2, count] = 0
            count += 1
        runs[1, count - 1] += 1
        runs[2, count - 1] += row_digest(ids[i], side[i], price[i], quantity[i])
    return count
