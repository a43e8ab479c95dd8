"""Kernels of windows between snapshots: trades take from the book, and a snapshot closes the window."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from rlx_datapipe.book.kernels import best_price, level_count, quantity_at, set_level
from rlx_datapipe.core.columns import copy_columns
from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.replay.closing import Window, close, put_change
from rlx_datapipe.replay.control import Mode, Word
from rlx_datapipe.replay.groups import group_stop
from rlx_datapipe.replay.kernel import seen_trade

_OK = 0


class Need(IntEnum):
    """Why the kernel came back."""

    NOTHING = 0
    ROOM = 1
    """The output is full."""
    FIRST = 2
    """The group at the returned row is the first snapshot."""
    APPLY = 3
    """The book has no room for the rows of the output from `Window.APPLY_FROM` on."""


@kernel
def infer_rows(
    events: Int64Array,
    start: int,
    out: Int64Array,
    done: int,
    control: Int64Array,
    book: Int64Array,
    recent_trades: Int64Array,
) -> Any:
    """Copy events from column ``start`` on, deltas left out, inferred ones put in their place.

    Parameters
    ----------
    events
        int64 (FIELDS, n) in the total order, whole groups only.
    out
        int64 (FIELDS, m), filled from column ``done`` on.
    control
        int64 (WINDOW_WORDS,), see `Word` and `Window`; read and updated.
    book
        State of an `OrderBookEngine`: the book as trades have left it; updated.
    recent_trades
        int64 (capacity,), ids of the trades at the present time.

    Returns
    -------
    The next column of the input, the next column of the output, and what is needed to go on (`Need`).
    """
    at, stop = start, events.shape[1]
    while at < stop:
        kind = events[Field.KIND, at]
        end = at + 1 if kind == Kind.TRADE else group_stop(events, at)
        held = level_count(book, Side.BID) + level_count(book, Side.ASK)
        if done + held + 2 * (end - at) > out.shape[1]:
            return at, done, Need.ROOM
        if kind == Kind.BOOK_DELTA:
            control[Window.DELTAS] += end - at
        elif kind == Kind.TRADE:
            copy_columns(events, at, end, out, done)
            done += 1
            if _takes(events, at, control, recent_trades):
                done = take(events, at, out, done, control, book)
        else:
            if control[Word.MODE] == Mode.UNSYNCED:
                return at, done, Need.FIRST
            first = done
            if not events[Field.FLAGS, at] & Flag.LATE:
                done = close(events, at, end, out, done, control, book)
            copy_columns(events, at, end, out, done)
            last, done = done, done + end - at
            for row in range(first, last):
                side, price = out[Field.SIDE, row], out[Field.PRICE, row]
                if set_level(book, side, price, out[Field.QUANTITY, row]) != _OK:
                    control[Window.APPLY_FROM] = row
                    return end, done, Need.APPLY
        at = end
    return stop, done, Need.NOTHING


@helper
def _takes(events: Int64Array, row: int, control: Int64Array, recent_trades: Int64Array) -> bool:
    """Whether a trade took liquidity from the book as it stands."""
    if seen_trade(events[Field.TRADE_ID, row], events[Field.ORDER_TIME, row], control, recent_trades):
        return False
    elsewhere = events[Field.FLAGS, row] & (Flag.NOT_MARKET | Flag.LATE)
    return bool(control[Word.MODE] != Mode.UNSYNCED and elsewhere == 0)


@helper
def take(
    events: Int64Array, row: int, out: Int64Array, done: int, control: Int64Array, book: Int64Array
) -> int:
    """Let the trade in a column take from the book; the output column behind the changes inferred.

    A venue fills the best price first. So levels better than the trade's are gone, whatever became of them,
    and so are those of the aggressor's own side that the price has reached. The level at its price loses the
    quantity; where it held less, nothing is taken from elsewhere.
    """
    first = done
    price, quantity = events[Field.PRICE, row], events[Field.QUANTITY, row]
    own = events[Field.SIDE, row]
    hit = Side.ASK if own == Side.BID else Side.BID
    done = _clear(events, row, out, done, book, hit, price + 1 if hit == Side.BID else price - 1)
    held = quantity_at(book, hit, price)
    if held > 0:
        left = max(held - quantity, 0)
        set_level(book, hit, price, left)
        done = put_change(events, row, out, done, NONE, hit, price, left)
    done = _clear(events, row, out, done, book, own, price)
    control[Window.TRADES] += 1
    control[Window.FILLED] += held >= quantity
    control[Window.SHORT] += 0 < held < quantity
    control[Window.TRADE_ROWS] += done - first
    return done


@helper
def _clear(
    events: Int64Array, row: int, out: Int64Array, done: int, book: Int64Array, side: int, price: int
) -> int:
    """Remove what stands at a price or better."""
    while True:
        best = best_price(book, side)
        if best == NONE or (best < price if side == Side.BID else best > price):
            return done
        set_level(book, side, best, 0)
        done = put_change(events, row, out, done, NONE, side, best, 0)
