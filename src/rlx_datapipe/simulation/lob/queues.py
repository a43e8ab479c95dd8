"""Levels and their queues: orders join and leave them, the best price follows, each step is told."""

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
    FIRST,
    FREE,
    ID,
    KEY,
    KIND,
    LAST,
    LEFT,
    LOTS,
    NOBODY,
    NOW,
    ORDERS,
    PLACE,
    ROWS,
    SLOTS,
    TAKER,
    TOPS,
    WORDS,
)

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
def append(
    head: Int64Array, levels: Int64Array, bits: Int64Array, orders: Int64Array, side: int, at: int
) -> None:
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
def unlink(
    head: Int64Array, levels: Int64Array, bits: Int64Array, orders: Int64Array, side: int, at: int
) -> None:
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
def forget(
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
