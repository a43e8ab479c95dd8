"""The book by side and price: the kernels that other kernels and the engine call.

All take the state array of `layout.new_state`. Prices are greater than 0 and at most `MAX_PRICE`,
quantities at least 0: checked by whoever brings them in, not here. "None" is -1 for a price and 0 for a
quantity.
"""

import numpy as np

from rlx_datapipe.book.ladder import best_levels, clear_side, levels_of, put, quantity_of
from rlx_datapipe.book.layout import (
    ASK,
    AT_SIDE_WORDS,
    AT_TICK,
    AT_WINDOW_MASK,
    BEST,
    BID,
    HEADER_WORDS,
    OK,
    QUANTITIES,
    REGRID,
    WINDOW_LEVELS,
    IntArray,
)
from rlx_datapipe.book.sums import sum_of_best, sum_to_key
from rlx_datapipe.core.compiled import helper, kernel


@helper
def block_of(state: IntArray, side: int) -> int:
    """Index at which the block of a side begins."""
    block: int = HEADER_WORDS + side * state[AT_SIDE_WORDS]
    return block


@helper
def direction(side: int) -> int:
    """Sign that turns a price in ticks into a key and back: -1 for bids, 1 for asks."""
    return 1 if side == ASK else -1


@helper
def set_level(state: IntArray, side: int, price: int, quantity: int) -> int:
    """Status of setting one level to an absolute quantity; 0 removes it, known or not.

    Unless the status is OK the book is as it was: GROW asks for a larger deep store, REGRID for a tick
    that divides the price (`OrderBookEngine.grow` and `regrid`), and then for the same call again.
    """
    tick = state[AT_TICK]
    ticks = price if tick == 1 else price // tick  # a division costs as much as half the rest
    if ticks * tick != price:
        return REGRID if quantity > 0 else OK
    return put(state, block_of(state, side), ticks * direction(side), quantity)


@helper
def quantity_at(state: IntArray, side: int, price: int) -> int:
    """Quantity at a price, 0 when there is no level."""
    tick = state[AT_TICK]
    ticks = price // tick
    if price <= 0 or ticks * tick != price:
        return 0
    return quantity_of(state, block_of(state, side), ticks * direction(side))


@helper
def best_price(state: IntArray, side: int) -> int:
    """Highest bid or lowest ask, -1 when the side is empty."""
    block = block_of(state, side)
    if state[block + WINDOW_LEVELS] == 0:
        return -1
    price: int = state[block + BEST] * direction(side) * state[AT_TICK]
    return price


@helper
def best_quantity(state: IntArray, side: int) -> int:
    """Quantity at the best price, 0 when the side is empty."""
    block = block_of(state, side)
    if state[block + WINDOW_LEVELS] == 0:
        return 0
    quantity: int = state[block + QUANTITIES + (state[block + BEST] & state[AT_WINDOW_MASK])]
    return quantity


@kernel
def level_count(state: IntArray, side: int) -> int:
    """Number of levels on a side."""
    return levels_of(state, block_of(state, side))


@kernel
def top_levels(state: IntArray, side: int, n: int, prices_out: IntArray, quantities_out: IntArray) -> int:
    """Write the n best levels of a side, best first; return how many there were.

    Entries past the returned count keep what they held.
    """
    step = state[AT_TICK] * direction(side)
    return best_levels(state, block_of(state, side), n, step, prices_out, quantities_out)


@kernel
def all_levels(state: IntArray, side: int, prices_out: IntArray, quantities_out: IntArray) -> int:
    """Write every level of a side, best first, into arrays of at least `level_count`; return how many."""
    return top_levels(state, side, level_count(state, side), prices_out, quantities_out)


@kernel
def clear(state: IntArray) -> None:
    """Remove every level of both sides."""
    clear_side(state, block_of(state, BID))
    clear_side(state, block_of(state, ASK))


@kernel
def cumulative_depth(state: IntArray, side: int, n_levels: int) -> int:
    """Quantity in the n best levels of a side; `MAX_QUANTITY` when the sum is that large or larger."""
    return sum_of_best(state, block_of(state, side), n_levels)


@kernel
def volume_to_price(state: IntArray, side: int, price: int) -> int:
    """Quantity from the best level through a price, that price included.

    `MAX_QUANTITY` when the sum is that large or larger. The price need not be on the tick.
    """
    last_key = (price * direction(side)) // state[AT_TICK]
    return sum_to_key(state, block_of(state, side), last_key)


@helper
def apply_rows(
    state: IntArray, sides: IntArray, prices: IntArray, quantities: IntArray, start: int, stop: int
) -> tuple[int, int]:
    """Apply the rows from start to stop in turn; return the first row not applied, and the status there.

    When the status is OK that row is `stop`. Otherwise grow or regrid and go on from it.
    """
    for row in range(start, stop):
        status = set_level(state, sides[row], prices[row], quantities[row])
        if status != OK:
            return row, status
    return stop, OK


@helper
def apply_rows_with_best(
    state: IntArray,
    sides: IntArray,
    prices: IntArray,
    quantities: IntArray,
    start: int,
    stop: int,
    bid_prices_out: IntArray,
    bid_quantities_out: IntArray,
    ask_prices_out: IntArray,
    ask_quantities_out: IntArray,
) -> tuple[int, int]:
    """`apply_rows` that also writes the best prices and quantities after each row, at that row's index."""
    for row in range(start, stop):
        status = set_level(state, sides[row], prices[row], quantities[row])
        if status != OK:
            return row, status
        # All four are read before any is written: the compiler must assume that a write changes the book.
        bid_price, bid_quantity = best_price(state, BID), best_quantity(state, BID)
        ask_price, ask_quantity = best_price(state, ASK), best_quantity(state, ASK)
        bid_prices_out[row], bid_quantities_out[row] = bid_price, bid_quantity
        ask_prices_out[row], ask_quantities_out[row] = ask_price, ask_quantity
    return stop, OK


@kernel
def copy_levels(source: IntArray, target: IntArray) -> int:
    """Set every level of one book in another; a status other than OK means the target is not complete."""
    for side in (BID, ASK):
        count = level_count(source, side)
        prices = np.empty(count, np.int64)
        quantities = np.empty(count, np.int64)
        all_levels(source, side, prices, quantities)
        for i in range(count):
            status = set_level(target, side, prices[i], quantities[i])
            if status != OK:
                return status
    return OK
