"""Messages of Bitstamp's level-3 feed to events: orders become levels, statements anchor them.

An order that crosses the book is told when it arrives, some 100 ms before it trades. It never rests at its
limit, so it *waits*: it joins no level until it is gone, or what is left of it does not cross any more.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.book.orders import (
    MAX_PRICE,
    best_level,
    compare_side,
    end_order,
    level_total,
    move_level,
    order_place,
    order_quantity,
    place_of,
    price_of,
    rest_order,
    restate_side,
    set_order,
    side_of,
)
from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.venues.bitstamp import Op


class Column(IntEnum):
    """Columns of a message, int64 of shape (COLUMNS,)."""

    OP = 0
    TIME = 1
    ROW = 2
    ID = 3
    SIDE = 4
    PRICE = 5
    QUANTITY = 6
    BIDS = 7
    """Of a snapshot: where in the levels its bids begin, its asks, and what follows it."""
    ASKS = 8
    STOP = 9


COLUMNS = len(Column)


class Word(IntEnum):
    """Words of what is carried from message to message beside the orders, int64 of shape (WORDS,)."""

    IS_STARTED = 0
    LAST_ID = 1
    """Number of the last message, counted over all files."""
    DEPTH_ID = 2
    """Number of the last message that told of the book."""
    SNAPSHOTS = 3
    """Snapshots compared with the totals before them, and those of them with both best prices equal."""
    BEST_EQUAL = 4
    LEVELS = 5
    """Levels compared, and those of them with price and quantity equal."""
    LEVELS_EQUAL = 6
    UNKNOWN = 7
    """Changes and deletions of orders that are not known."""
    SIDELESS = 8
    """Trades whose aggressor can't be told."""
    CROSSING = 9
    """Orders that had to wait."""
    BESTS = 10
    """Best bid and best ask, 0 where there is none."""
    WAITING = 12
    """Orders that wait now: how many; behind the cuts stand id, place and quantity of each, oldest first."""
    CUTS = 13
    """What orders were last reduced by: how many so far, then (id, side, price, quantity) of the last few."""


REMEMBERED = 8
CUT_WORDS = 4
WAITING_MAX = 64
"""Were it more the oldest would rest: then something is wrong with the book that they cross."""
WAITING_WORDS = 3
_FIRST = Word.CUTS + 1 + REMEMBERED * CUT_WORDS
WORDS = _FIRST + WAITING_MAX * WAITING_WORDS


@helper
def _write(
    out: Int64Array, at: int, message: Int64Array, update: int, kind: int, place: int, flags: int
) -> int:
    """Write one event of a message; side and price of a place, 0 for none; the quantity is for the caller."""
    out[Field.KIND, at] = kind
    out[Field.ORDER_TIME, at] = message[Column.TIME]
    out[Field.ORIGIN_TIME, at] = message[Column.TIME]
    out[Field.RECEIVED_TIME, at] = message[Column.TIME]
    out[Field.UPDATE_ID, at] = update
    out[Field.FIRST_ID, at] = update
    out[Field.PREVIOUS_ID, at] = NONE
    out[Field.TRADE_ID, at] = NONE
    out[Field.SIDE, at] = side_of(place) if place > 0 else NONE
    out[Field.PRICE, at] = price_of(place) if place > 0 else NONE
    out[Field.QUANTITY, at] = NONE
    out[Field.FLAGS, at] = flags | Flag.DERIVED_TIME
    out[Field.MESSAGE, at] = message[Column.ROW]
    return at + 1


@helper
def _remember(words: Int64Array, order: int, place: int, quantity: int) -> None:
    """Remember by how much an order was reduced: a trade may follow that tells of it."""
    at = Word.CUTS + 1 + (words[Word.CUTS] % REMEMBERED) * CUT_WORDS
    words[at], words[at + 1], words[at + 2], words[at + 3] = order, side_of(place), price_of(place), quantity
    words[Word.CUTS] += 1


@kernel
def _aggressor(words: Int64Array, price: int, quantity: int) -> int:
    """Side that a trade was bought or sold by: that of the later of its two orders; NONE if it can't be told.

    Its orders are those on both sides that were last reduced by as much. Where only one is known it is the
    aggressor if it has a better limit than the price of the trade, which is that of the order that rested.
    """
    ids = np.zeros(2, np.int64)
    limits = np.zeros(2, np.int64)
    for back in range(1, min(words[Word.CUTS], REMEMBERED) + 1):
        at = Word.CUTS + 1 + ((words[Word.CUTS] - back) % REMEMBERED) * CUT_WORDS
        side = words[at + 1]
        if words[at + 3] == quantity and ids[side] == 0:
            ids[side], limits[side] = words[at], words[at + 2]
    if ids[Side.BID] > 0 and ids[Side.ASK] > 0:
        return Side.BID if ids[Side.BID] > ids[Side.ASK] else Side.ASK
    if limits[Side.BID] > price:
        return Side.BID
    if 0 < limits[Side.ASK] < price:
        return Side.ASK
    return NONE


@helper
def _follow_best(orders: Int64Array, words: Int64Array, place: int) -> None:
    """Follow a change of a level with the best price of its side."""
    side, price = side_of(place), price_of(place)
    best = words[Word.BESTS + side]
    if level_total(orders, place) == 0:
        if price == best:
            words[Word.BESTS + side] = best_level(orders, side)
    elif best == 0 or (price > best if side == Side.BID else price < best):
        words[Word.BESTS + side] = price


@helper
def _crosses(words: Int64Array, place: int) -> bool:
    """Whether an order at a place would trade at once."""
    price = price_of(place)
    if side_of(place) == Side.BID:
        return bool(0 < words[Word.BESTS + Side.ASK] <= price)
    return bool(words[Word.BESTS + Side.BID] >= price)


@helper
def _waiting(words: Int64Array, order: int) -> int:
    """Where a waiting order stands, NONE if it does not wait."""
    for i in range(words[Word.WAITING]):
        if words[_FIRST + i * WAITING_WORDS] == order:
            return _FIRST + i * WAITING_WORDS
    return NONE


@helper
def _wait_no_more(words: Int64Array, at: int) -> None:
    words[Word.WAITING] -= 1
    for word in range(at, _FIRST + words[Word.WAITING] * WAITING_WORDS):
        words[word] = words[word + WAITING_WORDS]


@helper
def _wait(words: Int64Array, order: int, place: int, quantity: int) -> None:
    """Let an order wait; there is room."""
    at = _FIRST + words[Word.WAITING] * WAITING_WORDS
    words[at], words[at + 1], words[at + 2] = order, place, quantity
    words[Word.WAITING] += 1
    words[Word.CROSSING] += 1


@helper
def _write_level(
    out: Int64Array, at: int, message: Int64Array, words: Int64Array, orders: Int64Array, place: int
) -> int:
    """Write a level that has changed."""
    _follow_best(orders, words, place)
    at = _write(out, at, message, words[Word.DEPTH_ID], Kind.BOOK_DELTA, place, 0)
    out[Field.QUANTITY, at - 1] = level_total(orders, place)
    return at


@helper
def _apply_waiting(message: Int64Array, words: Int64Array, at: int, place: int) -> None:
    """Apply what is told of an order that waits."""
    quantity = message[Column.QUANTITY]
    is_over = message[Column.OP] == Op.DELETED or quantity == 0
    if quantity < words[at + 2] and not (is_over and quantity > 0):
        _remember(words, message[Column.ID], place, words[at + 2] - quantity)
    if is_over:
        _wait_no_more(words, at)
    else:
        words[at + 1], words[at + 2] = place, quantity


@helper
def _apply(message: Int64Array, orders: Int64Array, words: Int64Array, place: int) -> None:
    """Apply what is told of an order that does not wait."""
    order, quantity = message[Column.ID], message[Column.QUANTITY]
    held = order_quantity(orders, order)
    before = order_place(orders, order) if held > 0 else place
    if held == 0 and message[Column.OP] != Op.CREATED:
        words[Word.UNKNOWN] += 1
    if message[Column.OP] == Op.DELETED or quantity == 0:
        if held > 0 and quantity == 0:
            _remember(words, order, before, held)
        end_order(orders, order, place, quantity)
    elif held == 0 and message[Column.OP] == Op.CHANGED:
        # It has rested since before the feed began: the total of its level has it, as far as that is stated.
        move_level(orders, place, max(0, quantity - level_total(orders, place)))
        set_order(orders, order, place, quantity)
    else:
        if held > quantity:
            _remember(words, order, before, held - quantity)
        if (held == 0 or before != place) and _crosses(words, place) and words[Word.WAITING] < WAITING_MAX:
            if held > 0:
                end_order(orders, order, before, held)
            _wait(words, order, place, quantity)
        else:
            rest_order(orders, order, place, quantity)


@helper
def _write_order(out: Int64Array, at: int, message: Int64Array, orders: Int64Array, words: Int64Array) -> int:
    """Write the levels that a message on an order changes."""
    words[Word.DEPTH_ID] = words[Word.LAST_ID]
    place = place_of(message[Column.SIDE], message[Column.PRICE])
    begin, total = at, level_total(orders, place)
    waits = _waiting(words, message[Column.ID])
    if waits != NONE:
        _apply_waiting(message, words, waits, place)
    else:
        before = order_place(orders, message[Column.ID])
        was_elsewhere = before != place and order_quantity(orders, message[Column.ID]) > 0
        _apply(message, orders, words, place)
        if was_elsewhere:
            at = _write_level(out, at, message, words, orders, before)
        if level_total(orders, place) != total:
            at = _write_level(out, at, message, words, orders, place)
    i = 0
    while i < words[Word.WAITING]:
        waits = _FIRST + i * WAITING_WORDS
        if _crosses(words, words[waits + 1]):
            i += 1
            continue
        rests = words[waits + 1]
        rest_order(orders, words[waits], rests, words[waits + 2])
        _wait_no_more(words, waits)
        at = _write_level(out, at, message, words, orders, rests)
    if at == begin:
        at = _write(out, at, message, words[Word.DEPTH_ID], Kind.BOOK_DELTA, 0, Flag.EMPTY_GROUP)
    return at


@helper
def _write_snapshot(
    out: Int64Array, at: int, message: Int64Array, levels: Int64Array, words: Int64Array
) -> int:
    """Write a snapshot: the first begins the book, the others are compared with it. Any may be cut."""
    flags = Flag.REVEALED | (Flag.SAMPLED if words[Word.IS_STARTED] == 1 else 0)
    if words[Word.IS_STARTED] == 0:
        words[Word.DEPTH_ID] = words[Word.LAST_ID]
    update = words[Word.DEPTH_ID]
    for i in range(message[Column.BIDS], message[Column.STOP]):
        side = Side.BID if i < message[Column.ASKS] else Side.ASK
        at = _write(out, at, message, update, Kind.BOOK_SNAPSHOT, place_of(side, levels[i, 0]), flags)
        out[Field.QUANTITY, at - 1] = levels[i, 1]
    if message[Column.BIDS] == message[Column.STOP]:
        at = _write(out, at, message, update, Kind.BOOK_SNAPSHOT, 0, flags)
    return at


@kernel
def _take_snapshot(
    message: Int64Array,
    levels: Int64Array,
    anchors: bool,
    orders: Int64Array,
    words: Int64Array,
    told: Int64Array,
) -> None:
    """Compare the totals with a snapshot, as far as it reaches, then set them to it."""
    is_equal = True
    for side in range(2):
        start = message[Column.BIDS] if side == Side.BID else message[Column.ASKS]
        stop = message[Column.ASKS] if side == Side.BID else message[Column.STOP]
        # Of what lies behind the last level nothing is told: any snapshot may be cut there.
        reach = levels[stop - 1, 0] if stop > start else (MAX_PRICE if side == Side.BID else 0)
        compare_side(orders, side, reach, levels[start:stop], told)
        if words[Word.IS_STARTED] == 1:
            words[Word.LEVELS] += told[0]
            words[Word.LEVELS_EQUAL] += told[1]
        is_equal = is_equal and told[2] == (levels[start, 0] if stop > start else 0)
        if anchors or words[Word.IS_STARTED] == 0:
            restate_side(orders, side, reach, levels[start:stop])
            words[Word.BESTS + side] = best_level(orders, side)
    if words[Word.IS_STARTED] == 1:
        words[Word.SNAPSHOTS] += 1
        words[Word.BEST_EQUAL] += 1 if is_equal else 0


@kernel
def tell_orders(
    messages: Int64Array,
    levels: Int64Array,
    anchors: bool,
    orders: Int64Array,
    words: Int64Array,
    out: Int64Array,
) -> int:
    """Write the events of some messages; how many.

    Parameters
    ----------
    messages
        int64 (n, COLUMNS), see `Column`.
    levels
        int64 (m, 2): prices and quantities of the levels of snapshots, bids first, best first.
    anchors
        Whether snapshots set the totals; if not, only the first does.
    orders, words
        What is known so far: state of an `OrderStore` with room for a new order and two levels for each
        message, and for all levels; see `Word`. Updated.
    out
        int64 (FIELDS, k), filled; with room for three columns for each message, `WAITING_MAX` more, and one
        for each level.
    """
    at = 0
    told = np.zeros(3, np.int64)
    for i in range(messages.shape[0]):
        message = messages[i]
        words[Word.LAST_ID] += 1
        if message[Column.OP] == Op.SNAPSHOT:
            _take_snapshot(message, levels, anchors, orders, words, told)
            at = _write_snapshot(out, at, message, levels, words)
            words[Word.IS_STARTED] = 1
        elif message[Column.OP] == Op.TRADE:
            side = message[Column.SIDE]
            if side == NONE:
                side = _aggressor(words, message[Column.PRICE], message[Column.QUANTITY])
                words[Word.SIDELESS] += 1 if side == NONE else 0
            at = _write(
                out, at, message, words[Word.LAST_ID], Kind.TRADE, place_of(0, message[Column.PRICE]), 0
            )
            out[Field.SIDE, at - 1] = side
            out[Field.TRADE_ID, at - 1] = message[Column.ID]
            out[Field.QUANTITY, at - 1] = message[Column.QUANTITY]
        else:
            at = _write_order(out, at, message, orders, words)
    return at
