"""Matching by price, then time: orders come to rest, are taken, refilled and withdrawn; each step is told."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.book.bits import trailing_zeros
from rlx_datapipe.core.compiled import helper
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.layout import (
    ARRIVAL,
    BEFORE,
    BEHIND,
    BEST,
    COUNT,
    EDGE,
    EMPTY,
    EPISODE,
    FAILED,
    FIRST,
    FREE,
    HIDDEN,
    ID,
    IS_SHY,
    KEY,
    KIND,
    LAST,
    LEFT,
    LOTS,
    NEXT_ORDER,
    NOBODY,
    NOW,
    ORDERS,
    OWNER,
    PLACE,
    ROWS,
    SHOWN,
    SLOTS,
    TAKER,
    TOPS,
    WORDS,
    Action,
)

FILLS_MAX = 1_024
"""Resting orders that one order takes at most; what is left of it then is not filled."""

_ADD, _FILL, _CANCEL, _REFILL = int(Action.ADD), int(Action.FILL), int(Action.CANCEL), int(Action.REFILL)
_ONE, _ALL = np.int64(1), np.int64(-1)


@helper
def next_key(bits: Int64Array, side: int, key: int) -> int:
    """Least occupied key at or after ``key``; the side must have one within a ring's length."""
    slot = key & SLOTS
    word = slot >> 6
    found = bits[side, word] & (_ALL << (slot & 63))
    if found == 0:
        after = (word + 1) & (WORDS - 1)
        top = after >> 6
        tops = bits[side, WORDS + top] & (_ALL << (after & 63))
        while tops == 0:
            top = (top + 1) & (TOPS - 1)
            tops = bits[side, WORDS + top]
        word = (top << 6) + trailing_zeros(tops)
        found = bits[side, word]
    return key + ((((word << 6) + trailing_zeros(found)) - slot) & SLOTS)


@helper
def tell(
    head: Int64Array,
    levels: Int64Array,
    rows: Int64Array,
    action: int,
    order: int,
    side: int,
    key: int,
    lots: int,
    left: int,
    owner: int,
) -> None:
    """Write one order event, with the best prices as they are now; in the order of `Column`."""
    row = rows[head[ROWS]]
    head[ROWS] += 1
    bid, ask = head[BEST], head[BEST + 1]
    row[0] = head[NOW]
    row[1] = head[ARRIVAL]
    row[2] = head[KIND]
    row[3] = action
    row[4] = order
    row[5] = head[TAKER]
    row[6] = side
    row[7] = key if side else -key
    row[8] = lots
    row[9] = left
    row[10] = levels[side, key & SLOTS, LOTS]
    row[11] = -bid
    row[12] = levels[0, bid & SLOTS, LOTS] if bid != EMPTY else 0
    row[13] = ask
    row[14] = levels[1, ask & SLOTS, LOTS] if ask != EMPTY else 0
    row[15] = owner
    row[16] = head[EPISODE]


@helper
def _append(head: Int64Array, levels: Int64Array, bits: Int64Array, orders: Int64Array, side: int, at: int) -> None:
    """Put an order last into the queue of its level."""
    key = orders[at, KEY]
    level = levels[side, key & SLOTS]
    orders[at, BEFORE] = NOBODY
    orders[at, BEHIND] = NOBODY
    if level[COUNT] == 0:
        word = (key & SLOTS) >> 6
        bits[side, word] |= _ONE << (key & 63)
        bits[side, WORDS + (word >> 6)] |= _ONE << (word & 63)
        level[FIRST] = at
        head[BEST + side] = min(head[BEST + side], key)
        head[EDGE + side] = max(head[EDGE + side], key)
    else:
        orders[at, BEFORE] = level[LAST]
        orders[level[LAST], BEHIND] = at
    level[LAST] = at
    level[COUNT] += 1
    level[LOTS] += orders[at, LEFT]


@helper
def _unlink(head: Int64Array, levels: Int64Array, bits: Int64Array, orders: Int64Array, side: int, at: int) -> None:
    """Take an order out of the queue of its level; the level goes with the last one."""
    key = orders[at, KEY]
    level = levels[side, key & SLOTS]
    before, behind = orders[at, BEFORE], orders[at, BEHIND]
    if before == NOBODY:
        level[FIRST] = behind
    else:
        orders[before, BEHIND] = behind
    if behind == NOBODY:
        level[LAST] = before
    else:
        orders[behind, BEFORE] = before
    level[COUNT] -= 1
    level[LOTS] -= orders[at, LEFT]
    if level[COUNT] == 0:
        word = (key & SLOTS) >> 6
        bits[side, word] &= ~(_ONE << (key & 63))
        if bits[side, word] == 0:
            bits[side, WORDS + (word >> 6)] &= ~(_ONE << (word & 63))


@helper
def _forget(
    head: Int64Array, bits: Int64Array, orders: Int64Array, live: Int64Array, side: int, at: int
) -> None:
    """Strike an order that is in no queue any more off the list, and find the best price again."""
    head[ORDERS + side] -= 1
    place, last = orders[at, PLACE], live[side, head[ORDERS + side]]
    live[side, place] = last
    orders[last, PLACE] = place
    orders[at, ID] = NOBODY
    orders[at, BEHIND] = head[FREE]
    head[FREE] = at
    if head[ORDERS + side] == 0:
        head[BEST + side] = EMPTY
        head[EDGE + side] = -EMPTY
    elif head[BEST + side] == orders[at, KEY]:
        head[BEST + side] = next_key(bits, side, orders[at, KEY])


@helper
def rest(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    side: int,
    key: int,
    lots: int,
    hidden: int,
    owner: int,
    is_shy: int,
) -> int:
    """An order comes to rest behind the others of its price; its place, or NOBODY when the book is full.

    ``hidden`` lots show only as they are refilled, ``lots`` at a time. A shy order is withdrawn rather than
    filled. The caller has seen to it that the order does not cross.
    """
    at = head[FREE]
    if at == NOBODY:
        head[FAILED] = 1
        return NOBODY
    head[FREE] = orders[at, BEHIND]
    order = orders[at]
    order[ID] = head[NEXT_ORDER]
    head[NEXT_ORDER] += 1
    order[KEY], order[LEFT], order[HIDDEN], order[SHOWN] = key, lots, hidden, lots
    order[OWNER], order[IS_SHY] = owner, is_shy
    order[PLACE] = head[ORDERS + side]
    live[side, head[ORDERS + side]] = at
    head[ORDERS + side] += 1
    _append(head, levels, bits, orders, side, at)
    tell(head, levels, rows, _ADD, order[ID], side, key, lots, lots, owner)
    return at


@helper
def withdraw(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    side: int,
    at: int,
    action: int,
) -> None:
    """Withdraw a resting order; ``action`` says why."""
    order, key, left, owner = orders[at, ID], orders[at, KEY], orders[at, LEFT], orders[at, OWNER]
    _unlink(head, levels, bits, orders, side, at)
    _forget(head, bits, orders, live, side, at)
    tell(head, levels, rows, action, order, side, key, left, 0, owner)


@helper
def take(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    side: int,
    lots: int,
    limit: int,
    keep: int,
) -> int:
    """Fill against a side down to the key ``limit``, oldest order of the best price first; the lots left over.

    The last ``keep`` orders of the side are not touched.
    """
    steps = 0
    while lots > 0 and head[ORDERS + side] > keep and head[BEST + side] <= limit and steps < FILLS_MAX:
        steps += 1
        key = head[BEST + side]
        level = levels[side, key & SLOTS]
        at = level[FIRST]
        order = orders[at]
        if order[IS_SHY]:
            withdraw(head, levels, bits, orders, live, rows, side, at, _CANCEL)
            continue
        filled = min(lots, order[LEFT])
        lots -= filled
        order[LEFT] -= filled
        level[LOTS] -= filled
        number, left, owner = order[ID], order[LEFT], order[OWNER]
        if left == 0 and order[HIDDEN] > 0:
            _unlink(head, levels, bits, orders, side, at)
            if level[COUNT] == 0:
                head[BEST + side] = next_key(bits, side, key) if head[ORDERS + side] > 1 else EMPTY
            tell(head, levels, rows, _FILL, number, side, key, filled, 0, owner)
            order[LEFT] = min(order[SHOWN], order[HIDDEN])
            order[HIDDEN] -= order[LEFT]
            _append(head, levels, bits, orders, side, at)
            tell(head, levels, rows, _REFILL, number, side, key, order[LEFT], order[LEFT], owner)
            continue
        if left == 0:
            _unlink(head, levels, bits, orders, side, at)
            _forget(head, bits, orders, live, side, at)
        tell(head, levels, rows, _FILL, number, side, key, filled, left, owner)
    return lots


@helper
def submit(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    side: int,
    key: int,
    lots: int,
    hidden: int,
    owner: int,
    is_shy: int,
    keep: int,
) -> int:
    """A limit order: taken as far as it crosses, the rest of it rests; its place, or NOBODY if nothing rests."""
    other = 1 - side
    left = lots
    if head[BEST + other] <= -key:
        head[TAKER] = head[NEXT_ORDER]
        left = take(head, levels, bits, orders, live, rows, other, lots, -key, keep)
        head[TAKER] = NOBODY
        if left <= 0 or head[BEST + other] <= -key:
            head[NEXT_ORDER] += 1
            return NOBODY
    return rest(head, levels, bits, orders, live, rows, side, key, left, hidden, owner, is_shy)
