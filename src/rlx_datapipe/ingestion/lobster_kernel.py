"""LOBSTER messages to events: what each does to the visible book, and what only its orderbook row tells.

What a message determines
-------------------------
A file of L levels shows the L best levels of a side. Before a message all prices up to the worst visible one
are known: there are no levels among them but the visible ones. So within that *region* the message determines
the new state of the side; with fewer than L levels on the side the region has no end. A level beyond the
region can't follow from messages: it comes into view when another leaves, and only the orderbook row tells
it. Such levels are set by rows flagged REVEALED, and so are levels that go out of view (quantity 0), because
what happens to them out there is not told.

Within the region nothing is ever taken from the row: the row follows as a sampled snapshot, for the replay to
compare. So where a row and the messages disagree, the disagreement is found there, as drift.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.book.orders import (
    ELSEWHERE,
    UNEQUAL,
    UNKNOWN,
    level_total,
    place_of,
    rest_order,
    restate_level,
    set_order,
    take_order,
)
from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.venues.lobster import DIRECTION, NO_ASK, NO_BID, ORDER, PRICE, SIZE, TIME, TYPE, Type

NO_LIMIT = 2**62
"""Limit of a region that has no end; less nothing, that of a region that has not begun."""


class Word(IntEnum):
    """Words of what is carried from message to message beside the orders, int64 of shape (WORDS,)."""

    IS_STARTED = 0
    LAST_ID = 1
    """Number of the last row, counted over all files."""
    LAST_TIME = 2
    ROWS = 3
    """Rows held against what messages determined, and those of them that were equal to it."""
    ROWS_EQUAL = 4
    ROWS_ALONE = 5
    """Rows that messages alone determined: nothing came into view."""
    LEVELS = 6
    """Levels that messages determined, and those of them that the row confirmed."""
    LEVELS_EQUAL = 7
    REVEALED = 8
    """Levels that came into view, and that went out of it."""
    HIDDEN = 9
    ORDERS_KNOWN = 10
    """Messages on orders that were known, and those of them that told another place or quantity."""
    ORDERS_UNLIKE = 11


WORDS = len(Word)
COUNT, LIMIT, KEYS = 0, 1, 2
"""Words of one side of the view: levels held, limit of the region, and keys of the levels, best first."""


def new_view(levels: int) -> Int64Array:
    """The view of a book of which nothing is known, int64 (2, levels + 3)."""
    view = np.zeros((2, KEYS + levels + 1), dtype=np.int64)
    view[:, LIMIT] = -NO_LIMIT
    return view


@helper
def _sign(side: int) -> int:
    """What turns a price into a key: the best level has the smallest."""
    return 1 if side == Side.ASK else -1


@helper
def _stated_price(row: Int64Array, side: int, level: int) -> int:
    """Price in an orderbook row, int64 (4 * levels,); 0 for a level that is not there."""
    price: int = row[4 * level + (0 if side == Side.ASK else 2)]
    return 0 if price in (NO_ASK, NO_BID) else price


@helper
def _stated_size(row: Int64Array, side: int, level: int) -> int:
    size: int = row[4 * level + (1 if side == Side.ASK else 3)]
    return size


@helper
def _stated_count(row: Int64Array, side: int) -> int:
    levels: int = row.shape[0] // 4
    for level in range(levels):
        if _stated_price(row, side, level) == 0:
            return level
    return levels


@helper
def _write(
    out: Int64Array,
    at: int,
    head: Int64Array,
    kind: int,
    side: int,
    price: int,
    quantity: int,
    flags: int,
) -> int:
    """Write one event; ``head`` is (time, update id, message, flags of all rows)."""
    out[Field.KIND, at] = kind
    out[Field.ORDER_TIME, at] = head[0]
    out[Field.ORIGIN_TIME, at] = head[0]
    out[Field.RECEIVED_TIME, at] = head[0]
    out[Field.UPDATE_ID, at] = head[1]
    out[Field.FIRST_ID, at] = head[1]
    out[Field.PREVIOUS_ID, at] = NONE
    out[Field.TRADE_ID, at] = head[1] if kind == Kind.TRADE else NONE
    out[Field.SIDE, at] = side
    out[Field.PRICE, at] = price
    out[Field.QUANTITY, at] = quantity
    out[Field.FLAGS, at] = flags | head[3]
    out[Field.MESSAGE, at] = head[2]
    return at + 1


@helper
def _write_statement(out: Int64Array, at: int, head: Int64Array, row: Int64Array, flags: int) -> int:
    """Write an orderbook row as a snapshot; a side with all its levels is cut there, which a flag tells."""
    begin, levels = at, row.shape[0] // 4
    for side in (Side.BID, Side.ASK):
        count = _stated_count(row, side)
        cut = Flag.REVEALED if count == levels else 0
        for level in range(count):
            price, size = _stated_price(row, side, level), _stated_size(row, side, level)
            at = _write(out, at, head, Kind.BOOK_SNAPSHOT, side, price, size, flags | cut)
    if at == begin:
        at = _write(out, at, head, Kind.BOOK_SNAPSHOT, NONE, NONE, NONE, flags)
    return at


@helper
def _hold(view: Int64Array, side: int, key: int, is_there: bool) -> None:
    """Let the view of a side hold a key, or not."""
    count = view[side, COUNT]
    i = 0
    while i < count and view[side, KEYS + i] < key:
        i += 1
    has = i < count and view[side, KEYS + i] == key
    if has and not is_there:
        for k in range(KEYS + i, KEYS + count - 1):
            view[side, k] = view[side, k + 1]
        view[side, COUNT] = count - 1
    elif is_there and not has:
        for k in range(KEYS + count, KEYS + i, -1):
            view[side, k] = view[side, k - 1]
        view[side, KEYS + i] = key
        view[side, COUNT] = count + 1


@helper
def _apply(message: Int64Array, side: int, orders: Int64Array, view: Int64Array, words: Int64Array) -> bool:
    """Apply a message on an order to orders and view, if it lies in the region: whether it does."""
    price, kind = message[PRICE], message[TYPE]
    if price * _sign(side) > view[side, LIMIT]:
        return False
    place = place_of(side, price)
    if kind == Type.NEW:
        status = rest_order(orders, message[ORDER], place, message[SIZE])
        if status & (ELSEWHERE | UNEQUAL):
            words[Word.ORDERS_UNLIKE] += 1
    else:
        status = take_order(orders, message[ORDER], place, message[SIZE], kind == Type.DELETE)
        if not status & UNKNOWN:
            words[Word.ORDERS_KNOWN] += 1
            if status & (ELSEWHERE | UNEQUAL):
                words[Word.ORDERS_UNLIKE] += 1
    _hold(view, side, price * _sign(side), level_total(orders, place) > 0)
    return True


@helper
def _hide(
    out: Int64Array, at: int, head: Int64Array, side: int, key: int, orders: Int64Array, words: Int64Array
) -> int:
    """Let a level go out of view."""
    price = key * _sign(side)
    restate_level(orders, place_of(side, price), 0, True)
    words[Word.HIDDEN] += 1
    return _write(out, at, head, Kind.BOOK_DELTA, side, price, 0, Flag.REVEALED)


@helper
def _follow(
    out: Int64Array,
    at: int,
    head: Int64Array,
    side: int,
    row: Int64Array,
    orders: Int64Array,
    view: Int64Array,
    words: Int64Array,
) -> int:
    """Take from the row what no message could tell of a side, and hold the rest against it."""
    count, stated, levels = view[side, COUNT], _stated_count(row, side), row.shape[0] // 4
    limit, sign = view[side, LIMIT], _sign(side)
    worst = _stated_price(row, side, levels - 1) * sign if stated == levels else NO_LIMIT
    i = k = 0
    while i < count or k < stated:
        ours = view[side, KEYS + i] if i < count else NO_LIMIT
        theirs = _stated_price(row, side, k) * sign if k < stated else NO_LIMIT
        size = _stated_size(row, side, k) if k < stated else 0
        if ours < theirs:
            i += 1
            if ours > limit or ours > worst:
                at = _hide(out, at, head, side, ours, orders, words)
            else:
                words[Word.LEVELS] += 1
                restate_level(orders, place_of(side, ours * sign), 0, True)
            continue
        k += 1
        place = place_of(side, theirs * sign)
        if theirs <= limit:
            words[Word.LEVELS] += 1
            if ours == theirs and level_total(orders, place) == size:
                words[Word.LEVELS_EQUAL] += 1
            else:
                restate_level(orders, place, size, False)
        elif ours != theirs or level_total(orders, place) != size:
            restate_level(orders, place, size, True)
            words[Word.REVEALED] += 1
            at = _write(out, at, head, Kind.BOOK_DELTA, side, theirs * sign, size, Flag.REVEALED)
        if ours == theirs:
            i += 1
    for k in range(stated):
        view[side, KEYS + k] = _stated_price(row, side, k) * sign
    view[side, COUNT], view[side, LIMIT] = stated, worst
    return at


@helper
def _unfollowed(
    out: Int64Array,
    at: int,
    head: Int64Array,
    side: int,
    levels: int,
    orders: Int64Array,
    view: Int64Array,
    words: Int64Array,
) -> int:
    """Without a row: what is beyond the levels that a row has goes out of view."""
    while view[side, COUNT] > levels:
        count = view[side, COUNT] - 1
        at = _hide(out, at, head, side, view[side, KEYS + count], orders, words)
        view[side, COUNT] = count
        view[side, LIMIT] = min(view[side, LIMIT], view[side, KEYS + count - 1])
    return at


@helper
def _write_trade(out: Int64Array, at: int, head: Int64Array, message: Int64Array) -> int:
    """Write the trade of a message if it tells one; the order that rests is on the other side of it."""
    kind = message[TYPE]
    if kind not in (Type.EXECUTION, Type.HIDDEN, Type.CROSS) or message[SIZE] == 0:
        return at
    flags = 0
    if kind == Type.HIDDEN:
        flags = Flag.OFF_BOOK
    elif kind == Type.CROSS:
        flags = Flag.NOT_MARKET
    side = Side.ASK if message[DIRECTION] == 1 else Side.BID
    return _write(out, at, head, Kind.TRADE, side, message[PRICE], message[SIZE], flags)


@helper
def _start(
    out: Int64Array,
    at: int,
    head: Int64Array,
    row: Int64Array,
    orders: Int64Array,
    view: Int64Array,
    words: Int64Array,
) -> int:
    """Begin with the first row: the book as it was after the first message."""
    for side in (Side.BID, Side.ASK):
        count = _stated_count(row, side)
        for level in range(count):
            price = _stated_price(row, side, level)
            restate_level(orders, place_of(side, price), _stated_size(row, side, level), True)
            view[side, KEYS + level] = price * _sign(side)
        view[side, COUNT] = count
        view[side, LIMIT] = view[side, KEYS + count - 1] if count == row.shape[0] // 4 else NO_LIMIT
    words[Word.IS_STARTED] = 1
    return _write_statement(out, at, head, row, 0)


@kernel
def tell_messages(
    messages: Int64Array,
    rows: Int64Array,
    readable: Int64Array,
    first_row: int,
    midnight_ns: int,
    orders: Int64Array,
    view: Int64Array,
    words: Int64Array,
    out: Int64Array,
) -> int:
    """Write the events of some messages and their orderbook rows; how many.

    Parameters
    ----------
    messages, rows
        int64 (n, 6) and (n, 4 * levels): the numbers as they stand in the files, times in ns.
    readable
        int64 (n, 2): 1 where the message, and where the row, could be read and believed.
    first_row
        Row of the first of them in its file, from 1.
    midnight_ns
        When the day began, ns UTC.
    orders, view, words
        What is known so far: state of an `OrderStore` with room for a new order and for as many levels as a
        row tells for each of them; see `new_view`; see `Word`. Updated.
    out
        int64 (FIELDS, m), filled; with room for `events_of_message` columns each.
    """
    at = 0
    head = np.zeros(4, np.int64)
    for i in range(messages.shape[0]):
        message, row = messages[i], rows[i]
        is_told, is_stated = readable[i, 0] == 1, readable[i, 1] == 1
        words[Word.LAST_ID] += 1
        if is_told:
            words[Word.LAST_TIME] = midnight_ns + message[TIME]
        head[0], head[1], head[2] = words[Word.LAST_TIME], words[Word.LAST_ID], first_row + i
        head[3] = 0 if is_told else Flag.DERIVED_TIME
        if head[0] == NONE or not (is_told or is_stated):
            continue
        side = Side.BID if message[DIRECTION] == 1 else Side.ASK
        if is_told:
            at = _write_trade(out, at, head, message)
        if words[Word.IS_STARTED] == 0 and is_stated:
            at = _start(out, at, head, row, orders, view, words)
            if is_told and message[TYPE] == Type.NEW:
                set_order(orders, message[ORDER], place_of(side, message[PRICE]), message[SIZE])
            continue
        begin = at
        if is_told and message[TYPE] <= Type.EXECUTION and _apply(message, side, orders, view, words):
            total = level_total(orders, place_of(side, message[PRICE]))
            at = _write(out, at, head, Kind.BOOK_DELTA, side, message[PRICE], total, 0)
        levels, equal, revealed = words[Word.LEVELS], words[Word.LEVELS_EQUAL], words[Word.REVEALED]
        for each in (Side.BID, Side.ASK):
            if is_stated:
                at = _follow(out, at, head, each, row, orders, view, words)
            else:
                at = _unfollowed(out, at, head, each, row.shape[0] // 4, orders, view, words)
        if at == begin:
            at = _write(out, at, head, Kind.BOOK_DELTA, NONE, NONE, NONE, Flag.EMPTY_GROUP)
        if is_stated:
            words[Word.ROWS] += 1
            words[Word.ROWS_EQUAL] += words[Word.LEVELS] - levels == words[Word.LEVELS_EQUAL] - equal
            words[Word.ROWS_ALONE] += words[Word.REVEALED] == revealed
            at = _write_statement(out, at, head, row, Flag.SAMPLED)
    return at


def events_of_message(levels: int) -> int:
    """Most events that a message and its row can make: a trade, a change, all levels out and in, the row."""
    return 2 + 2 * (2 * levels + 1) + 2 * levels + 1
