"""Matching by price, then time: orders come to rest, are taken, refilled and withdrawn."""

from __future__ import annotations

from rlx_datapipe.core.compiled import helper
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.layout import (
    BEHIND,
    BEST,
    COUNT,
    EMPTY,
    FAILED,
    FIRST,
    FREE,
    HIDDEN,
    ID,
    IS_SHY,
    KEY,
    LEFT,
    LOTS,
    NEXT_ORDER,
    NOBODY,
    ORDERS,
    OWNER,
    PLACE,
    SHOWN,
    SLOTS,
    TAKER,
    Action,
)
from rlx_datapipe.simulation.lob.queues import append, forget, next_key, tell, unlink

FILLS_MAX = 1_024
"""Resting orders that one order takes at most; what is left of it then is not filled."""

_ADD, _FILL, _CANCEL, _REFILL = int(Action.ADD), int(Action.FILL), int(Action.CANCEL), int(Action.REFILL)


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
    at: int = head[FREE]
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
    append(head, levels, bits, orders, side, at)
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
    unlink(head, levels, bits, orders, side, at)
    forget(head, bits, orders, live, side, at)
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
    """Fill against a side down to the key ``limit``, oldest order of the best price first; the lots left.

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
            unlink(head, levels, bits, orders, side, at)
            if level[COUNT] == 0:
                head[BEST + side] = next_key(bits, side, key) if head[ORDERS + side] > 1 else EMPTY
            tell(head, levels, rows, _FILL, number, side, key, filled, 0, owner)
            order[LEFT] = min(order[SHOWN], order[HIDDEN])
            order[HIDDEN] -= order[LEFT]
            append(head, levels, bits, orders, side, at)
            tell(head, levels, rows, _REFILL, number, side, key, order[LEFT], order[LEFT], owner)
            continue
        if left == 0:
            unlink(head, levels, bits, orders, side, at)
            forget(head, bits, orders, live, side, at)
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
    """A limit order: takes as far as it crosses, then rests; its place, or NOBODY if nothing rests."""
    other = 1 - side
    left = lots
    if head[BEST + other] <= -key:
        head[TAKER] = head[NEXT_ORDER]
        left = take(head, levels, bits, orders, live, rows, other, lots, -key, keep)
        head[TAKER] = NOBODY
        if left <= 0 or head[BEST + other] <= -key:
            head[NEXT_ORDER] += 1
            return NOBODY
    at = rest(head, levels, bits, orders, live, rows, side, key, left, hidden, owner, is_shy)
    if at != NOBODY:
        # What was taken at once was a part of the first showing; the others are whole.
        orders[at, SHOWN] = lots
    return at
