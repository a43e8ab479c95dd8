"""The orders of a level-3 feed by their ids, and the total quantity of each level that they make.

The store is one int64 array: a header, then two hashes (open addressing, linear probing)::

    header   magic, sizes and uses of both hashes, clock
    orders   ids | places | quantities left | when each came to its place
    levels   places | totals | when each was last emptied by a statement

A *place* is a side and a price in one number, see `place_of`. An id or place keeps its slot when nothing is
left there; `order_store.OrderStore` sweeps such slots out when it makes room, which it does ahead: kernels
take it that there is room for one more order and two more levels.

A total is moved by the orders and set by statements of the venue. They need not agree: of the orders that
rested before the feed began the statements alone tell. When a statement says that nothing rests at a place,
or nothing is known of it any more, the orders that came there before are *forgotten*: what is heard of them
later is heard of an order that is not known.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from rlx_datapipe.book.deep import GOLDEN, LOW_31_BITS, LOW_32_BITS
from rlx_datapipe.core.compiled import helper, kernel

IntArray = npt.NDArray[np.int64]

MAX_PRICE: Final = 2**61
MAX_TOTAL: Final = 2**62 - 1
"""No quantity or total exceeds it, so that two never wrap; a total that would is cut there, and told."""

AT_ORDERS_LOG2: Final = 0
AT_ORDERS_USED: Final = 1
AT_LEVELS_LOG2: Final = 2
AT_LEVELS_USED: Final = 3
AT_CLOCK: Final = 4
"""Counts what happened since room was made; tells which orders came to a place after it was last emptied."""
HEADER_WORDS: Final = 8
ORDER_WORDS: Final = 4
LEVEL_WORDS: Final = 3

# What became of a message, as bits.
OK: Final = 0
UNKNOWN: Final = 1
"""No order of this id is known."""
ELSEWHERE: Final = 2
"""It is known, but at another place."""
UNEQUAL: Final = 4
"""It has another quantity than the message says."""
SHORT: Final = 8
"""More was to be taken from the level than there was; nothing is left of it."""
TOO_LARGE: Final = 16
"""The total would be greater than `MAX_TOTAL`; it was set to that."""


@helper
def place_of(side: int, price: int) -> int:
    """Side and price, greater than 0 and at most `MAX_PRICE`, as one number greater than 0."""
    return (price << 1) | side


@helper
def side_of(place: int) -> int:
    """The side of a place."""
    return place & 1


@helper
def price_of(place: int) -> int:
    """The price of a place."""
    return place >> 1


@helper
def _slot(state: IntArray, start: int, log2: int, key: int) -> int:
    """Slot that holds the key, else the empty slot where it belongs."""
    mask = (1 << log2) - 1
    folded = (key ^ (key >> 31)) & LOW_31_BITS
    slot: int = ((folded * GOLDEN) & LOW_32_BITS) >> (32 - log2)
    while state[start + slot] != 0 and state[start + slot] != key:
        slot = (slot + 1) & mask
    return slot


@helper
def levels_start(state: IntArray) -> int:
    """Index at which the levels begin."""
    start: int = HEADER_WORDS + (ORDER_WORDS << state[AT_ORDERS_LOG2])
    return start


@helper
def _order_at(state: IntArray, order: int) -> int:
    """Index of the id of an order, or of where it belongs; its other words follow at `_orders_apart`."""
    return HEADER_WORDS + _slot(state, HEADER_WORDS, state[AT_ORDERS_LOG2], order)


@helper
def _orders_apart(state: IntArray) -> int:
    apart: int = 1 << state[AT_ORDERS_LOG2]
    return apart


@helper
def _level_at(state: IntArray, place: int) -> int:
    start = levels_start(state)
    return start + _slot(state, start, state[AT_LEVELS_LOG2], place)


@helper
def _levels_apart(state: IntArray) -> int:
    apart: int = 1 << state[AT_LEVELS_LOG2]
    return apart


@helper
def order_quantity(state: IntArray, order: int) -> int:
    """What is left of an order; 0 if it is not known, was forgotten or is gone."""
    at, apart = _order_at(state, order), _orders_apart(state)
    place = state[at + apart]
    if state[at] == 0 or state[at + 2 * apart] == 0:
        return 0
    level = _level_at(state, place)
    if state[at + 3 * apart] < state[level + 2 * _levels_apart(state)]:
        return 0
    quantity: int = state[at + 2 * apart]
    return quantity


@helper
def order_place(state: IntArray, order: int) -> int:
    """The place of an order that `order_quantity` knows."""
    place: int = state[_order_at(state, order) + _orders_apart(state)]
    return place


@helper
def set_order(state: IntArray, order: int, place: int, quantity: int) -> None:
    """Let an order have this place and quantity, 0 if it is gone; the levels stay as they are."""
    at, apart = _order_at(state, order), _orders_apart(state)
    if state[at] == 0:
        state[at] = order
        state[AT_ORDERS_USED] += 1
    state[AT_CLOCK] += 1
    state[at + apart] = place
    state[at + 2 * apart] = quantity
    state[at + 3 * apart] = state[AT_CLOCK]


@helper
def level_total(state: IntArray, place: int) -> int:
    """Total quantity of a level, 0 where there is none."""
    total: int = state[_level_at(state, place) + _levels_apart(state)]
    return total


@helper
def move_level(state: IntArray, place: int, change: int) -> int:
    """Add to the total of a level, or take from it; OK, SHORT or TOO_LARGE."""
    at, apart = _level_at(state, place), _levels_apart(state)
    if state[at] == 0:
        state[at] = place
        state[AT_LEVELS_USED] += 1
    total = state[at + apart] + change
    if total < 0:
        state[at + apart] = 0
        return SHORT
    if total > MAX_TOTAL:
        state[at + apart] = MAX_TOTAL
        return TOO_LARGE
    state[at + apart] = total
    return OK


@helper
def restate_level(state: IntArray, place: int, total: int, forgets: bool) -> None:
    """Set the total of a level, as the venue states it; it may have orders forgotten, see above."""
    at, apart = _level_at(state, place), _levels_apart(state)
    if state[at] == 0:
        state[at] = place
        state[AT_LEVELS_USED] += 1
    state[at + apart] = total
    if forgets:
        state[AT_CLOCK] += 1
        state[at + 2 * apart] = state[AT_CLOCK]


@helper
def rest_order(state: IntArray, order: int, place: int, quantity: int) -> int:
    """Let an order rest at a place with this quantity, greater than 0, wherever it rested before.

    OK for one that was not known, else ELSEWHERE or UNEQUAL by what it was.
    """
    status, held = OK, order_quantity(state, order)
    if held > 0:
        before = order_place(state, order)
        status = ELSEWHERE if before != place else (UNEQUAL if held != quantity else OK)
        status |= move_level(state, before, -held)
    status |= move_level(state, place, quantity)
    set_order(state, order, place, quantity)
    return status


@helper
def take_order(state: IntArray, order: int, place: int, quantity: int, is_all: bool) -> int:
    """Take so much from an order at a place, and from its level; ``is_all`` says that nothing is left of it.

    The message is believed, not the store: the level that it names loses what it says. What the store knew
    otherwise is told by the status.
    """
    held = order_quantity(state, order)
    if held == 0:
        return UNKNOWN | move_level(state, place, -quantity)
    status = OK
    if order_place(state, order) != place:
        status = ELSEWHERE
    elif held < quantity or (is_all and held != quantity):
        status = UNEQUAL
    set_order(state, order, place, 0 if is_all else max(held - quantity, 0))
    return status | move_level(state, place, -quantity)


@helper
def end_order(state: IntArray, order: int, place: int, quantity: int) -> int:
    """Let an order be gone with all that was left of it.

    The store is believed, not the message, whose quantity may be what is left after the last trade: of an
    order that is not known the level that is named loses ``quantity``.
    """
    held = order_quantity(state, order)
    if held == 0:
        return UNKNOWN | move_level(state, place, -quantity)
    before = order_place(state, order)
    set_order(state, order, before, 0)
    return (OK if before == place else ELSEWHERE) | move_level(state, before, -held)


@kernel
def compare_side(state: IntArray, side: int, reach: int, stated: IntArray, told: IntArray) -> None:
    """Hold the totals of a side against a statement of it, as far as that reaches.

    Parameters
    ----------
    state
        The store.
    side, reach
        Which side; the worst price of which the statement tells anything.
    stated
        int64 (n, 2): price and quantity of each level that is stated, best first.
    told
        int64 (3,), filled: levels of ours or theirs, levels equal on both, and our best price or 0.
    """
    start, apart = levels_start(state), _levels_apart(state)
    ours = shared = equal = best = 0
    for at in range(start, start + apart):
        if (
            state[at + apart] > 0
            and side_of(state[at]) == side
            and _reaches(side, reach, price_of(state[at]))
        ):
            ours += 1
            if best == 0 or _reaches(side, best, price_of(state[at])):
                best = price_of(state[at])
    for i in range(stated.shape[0]):
        total = level_total(state, place_of(side, stated[i, 0]))
        shared += 1 if total > 0 else 0
        equal += 1 if total == stated[i, 1] else 0
    told[0], told[1], told[2] = ours + stated.shape[0] - shared, equal, best


@kernel
def restate_side(state: IntArray, side: int, reach: int, stated: IntArray) -> None:
    """Set the totals of a side to what is stated, as far as that reaches; see `compare_side`.

    There must be room for as many levels. Orders of levels that are not stated are forgotten.
    """
    start, apart = levels_start(state), _levels_apart(state)
    for at in range(start, start + apart):
        price = price_of(state[at])
        if state[at + apart] > 0 and side_of(state[at]) == side and _reaches(side, reach, price):
            is_stated = False
            for i in range(stated.shape[0]):
                is_stated = is_stated or stated[i, 0] == price
            if not is_stated:
                restate_level(state, state[at], 0, True)
    for i in range(stated.shape[0]):
        restate_level(state, place_of(side, stated[i, 0]), stated[i, 1], False)


@kernel
def best_level(state: IntArray, side: int) -> int:
    """Best price of a side, 0 if it has no level; looks at all of them."""
    start, apart = levels_start(state), _levels_apart(state)
    best = 0
    for at in range(start, start + apart):
        if state[at + apart] > 0 and side_of(state[at]) == side:
            price = price_of(state[at])
            if best == 0 or _reaches(side, best, price):
                best = price
    return best


@helper
def _reaches(side: int, reach: int, price: int) -> bool:
    """Whether a price is as good as another, or better."""
    return price <= reach if side == 1 else price >= reach


@kernel
def fill(state: IntArray, held: IntArray, levels: IntArray) -> None:
    """Put orders, int64 (3, n), and levels, int64 (2, m), into an empty store with room for them."""
    apart = _orders_apart(state)
    for i in range(held.shape[1]):
        at = _order_at(state, held[0, i])
        for word in range(held.shape[0]):
            state[at + word * apart] = held[word, i]
    apart = _levels_apart(state)
    for i in range(levels.shape[1]):
        at = _level_at(state, levels[0, i])
        for word in range(levels.shape[0]):
            state[at + word * apart] = levels[word, i]
    state[AT_ORDERS_USED], state[AT_LEVELS_USED] = held.shape[1], levels.shape[1]
