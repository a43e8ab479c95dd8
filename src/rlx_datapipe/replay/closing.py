"""Kernels that close a window: what turns the book, as trades have left it, into the next snapshot."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.book.kernels import level_count, top_levels
from rlx_datapipe.core.columns import copy_columns
from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.replay.checks import bid_rows, levels_stop, stated_high, stated_low
from rlx_datapipe.replay.control import WORDS, Word

_MORE = 32
"""Held levels that are looked at beyond as many as a snapshot states; then twice as many, and so on."""


class Window(IntEnum):
    """Words of an inference; before them lie those that it shares with a replay, by their `Word`."""

    APPLY_FROM = WORDS
    DELTAS = WORDS + 1
    """Rows of deltas that are left out."""
    TRADES = WORDS + 2
    """Trades that met a book; of these, `FILLED` by their level, `SHORT` of it, and the others met none."""
    FILLED = WORDS + 3
    SHORT = WORDS + 4
    TRADE_ROWS = WORDS + 5
    """Changes inferred from trades."""
    CLOSED = WORDS + 6
    """Windows that a snapshot closed, and the changes inferred from it."""
    CLOSING_ROWS = WORDS + 7
    COMPARED = WORDS + 8
    """Levels of the book before such changes, against the snapshot: as in a `Drift`."""
    MATCHED = WORDS + 9
    MISSING = WORDS + 10
    EXTRA = WORDS + 11
    RESETS = WORDS + 12
    """Snapshots with a smaller update id than the one before."""


WINDOW_WORDS = WORDS + len(Window)


@helper
def put_change(
    events: Int64Array,
    row: int,
    out: Int64Array,
    done: int,
    update_id: int,
    side: int,
    price: int,
    quantity: int,
) -> int:
    """Write an inferred change: it has times and message of the event that it was inferred from."""
    copy_columns(events, row, row + 1, out, done)
    out[Field.KIND, done] = Kind.BOOK_DELTA
    out[Field.UPDATE_ID, done] = update_id
    out[Field.FIRST_ID, done] = NONE
    out[Field.PREVIOUS_ID, done] = NONE
    out[Field.TRADE_ID, done] = NONE
    out[Field.SIDE, done] = side
    out[Field.PRICE, done] = price
    out[Field.QUANTITY, done] = quantity
    out[Field.FLAGS, done] = Flag.INFERRED
    return done + 1


@kernel
def close(
    events: Int64Array,
    start: int,
    end: int,
    out: Int64Array,
    done: int,
    control: Int64Array,
    book: Int64Array,
) -> int:
    """Write what turns the book into the snapshot from ``start`` to ``end``, where that covers it.

    What lies beyond the last level of a side that was cut is left as it is: it was not deleted, and nothing
    is known of it. Returns the output column behind; the book is not changed yet.
    """
    first = done
    stated = events[Field.UPDATE_ID, start]
    control[Window.RESETS] += stated < control[Word.LAST_ID]
    control[Word.LAST_ID] = stated
    stop = levels_stop(events, start, end)
    bids = bid_rows(events, start, stop)
    low, high = stated_low(events, start, bids), stated_high(events, stop, stop - start - bids)
    split = start + bids
    done = _close_side(events, start, start, split, out, done, control, book, Side.BID, low)
    done = _close_side(events, start, split, stop, out, done, control, book, Side.ASK, high)
    control[Window.CLOSED] += 1
    control[Window.CLOSING_ROWS] += done - first
    return done


@kernel
def _close_side(
    events: Int64Array,
    told_by: int,
    start: int,
    stop: int,
    out: Int64Array,
    done: int,
    control: Int64Array,
    book: Int64Array,
    side: int,
    limit: int,
) -> int:
    """Write the changes of one side, best first; ``told_by`` is the first column of the snapshot."""
    stated = events[Field.UPDATE_ID, told_by]
    prices, quantities = stated_levels(events, start, stop, side)
    held_prices, held_quantities = held_levels(book, side, limit, len(prices))
    i = j = 0
    while i < len(prices) or j < len(held_prices):
        control[Window.COMPARED] += 1
        is_held = j < len(held_prices)
        is_stated = i < len(prices)
        if is_held and is_stated and prices[i] != held_prices[j]:
            is_held = held_prices[j] > prices[i] if side == Side.BID else held_prices[j] < prices[i]
            is_stated = not is_held
        if not is_stated:
            control[Window.EXTRA] += 1
            done = put_change(events, told_by, out, done, stated, side, held_prices[j], 0)
        elif not is_held or quantities[i] != held_quantities[j]:
            control[Window.MISSING] += not is_held
            done = put_change(events, told_by, out, done, stated, side, prices[i], quantities[i])
        else:
            control[Window.MATCHED] += 1
        i += is_stated
        j += is_held
    return done


@kernel
def stated_levels(events: Int64Array, start: int, stop: int, side: int) -> tuple[Int64Array, Int64Array]:
    """Prices and quantities of a snapshot side, best first; of equal prices the last counts."""
    prices, quantities = events[Field.PRICE, start:stop].copy(), events[Field.QUANTITY, start:stop].copy()
    keys = prices if side == Side.ASK else -prices
    is_plain = True
    for i in range(len(keys)):
        if quantities[i] == 0 or (i > 0 and keys[i] <= keys[i - 1]):
            is_plain = False
    if is_plain:
        return prices, quantities
    count = 0
    order = np.argsort(keys, kind="mergesort")
    sorted_prices, sorted_quantities = np.empty_like(prices), np.empty_like(prices)
    for n in range(len(order)):
        i = order[n]
        is_last = n + 1 == len(order) or keys[order[n + 1]] != keys[i]
        if is_last and quantities[i] > 0:
            sorted_prices[count], sorted_quantities[count] = prices[i], quantities[i]
            count += 1
    return sorted_prices[:count], sorted_quantities[:count]


@kernel
def held_levels(book: Int64Array, side: int, limit: int, stated: int) -> tuple[Int64Array, Int64Array]:
    """Prices and quantities of the levels of a side that a snapshot down to ``limit`` covers, best first."""
    held = level_count(book, side)
    count = min(held, stated + _MORE)
    while True:
        prices, quantities = np.empty(count, np.int64), np.empty(count, np.int64)
        top_levels(book, side, count, prices, quantities)
        covered = count
        for i in range(count):
            if prices[i] < limit if side == Side.BID else prices[i] > limit:
                covered = i
                break
        if covered < count or count == held:
            return prices[:covered], quantities[:covered]
        count = min(held, 2 * count)
