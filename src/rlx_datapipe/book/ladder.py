"""One side of the book by key: the window and the deep store joined, best level first.

Two facts hold after every call. No deep key lies before the end of the window, so the best level is in
the window. And the window is empty only when the whole side is, so the best is known without a search.
"""

from rlx_datapipe.book.deep import (
    deep_add,
    deep_clear,
    deep_pop,
    deep_quantity,
    deep_reserve,
    deep_set,
    deep_sorted_keys,
)
from rlx_datapipe.book.layout import (
    AT_DEEP_KEYS,
    AT_HEAP,
    AT_WINDOW_MASK,
    BASE,
    BEST,
    DEEP_LEVELS,
    DEEP_SLOTS,
    GROW,
    OK,
    QUANTITIES,
    WINDOW_LEVELS,
    IntArray,
)
from rlx_datapipe.book.window import nearest_in_window, next_occupied, occupy, vacate
from rlx_datapipe.core.compiled import helper, kernel

# Above this many, sorting the deep store is cheaper than inserting its levels one by one.
INSERTION_LEVELS_MAX = 64


@helper
def put(state: IntArray, block: int, key: int, quantity: int) -> int:
    """Set or remove (quantity 0) a level; GROW, and nothing changed, when the deep store is full."""
    mask = state[AT_WINDOW_MASK]
    offset = key - state[block + BASE]
    if offset < 0 or offset > mask or state[block + WINDOW_LEVELS] == 0:
        return _put_outside(state, block, key, quantity)
    slot = key & mask
    before = state[block + QUANTITIES + slot]
    if quantity == 0:
        if before != 0:
            vacate(state, block, slot)
            if key == state[block + BEST]:
                _find_best(state, block)
    elif before != 0:
        state[block + QUANTITIES + slot] = quantity
    else:
        occupy(state, block, slot, quantity)
        state[block + BEST] = min(state[block + BEST], key)
    return OK


@helper
def _put_outside(state: IntArray, block: int, key: int, quantity: int) -> int:
    """`put` for an empty side and for keys before or after the window."""
    levels = state[block + WINDOW_LEVELS]
    if levels > 0 and key > state[block + BASE]:
        return deep_set(state, block, key, quantity)
    if quantity == 0:
        return OK
    base = key - ((state[AT_WINDOW_MASK] + 1) >> 2)
    if levels > 0 and _slide_towards(state, block, base) == GROW:
        return GROW
    state[block + BASE] = base
    state[block + BEST] = key
    occupy(state, block, key & state[AT_WINDOW_MASK], quantity)
    return OK


@helper
def _slide_towards(state: IntArray, block: int, base: int) -> int:
    """Make the window begin at an earlier key; levels past its new end go to the deep store."""
    if deep_reserve(state, block, state[block + WINDOW_LEVELS]) == GROW:
        return GROW
    mask = state[AT_WINDOW_MASK]
    old_base = state[block + BASE]
    key = max(base + mask + 1, state[block + BEST])
    while state[block + WINDOW_LEVELS] > 0:
        key = next_occupied(state, block, key)
        if key - old_base > mask:
            break  # the search came round to the levels that stay
        quantity = state[block + QUANTITIES + (key & mask)]
        vacate(state, block, key & mask)
        deep_add(state, block, key, quantity)
    state[block + BASE] = base
    return OK


@helper
def _find_best(state: IntArray, block: int) -> None:
    """Find the best level after the last one was removed, and keep the window around it."""
    half = (state[AT_WINDOW_MASK] + 1) >> 1
    if state[block + WINDOW_LEVELS] > 0:
        best = next_occupied(state, block, state[block + BEST])
        state[block + BEST] = best
        if best - state[block + BASE] > half and state[block + DEEP_SLOTS] > 0:
            _slide_away(state, block, best - (half >> 1))
        return
    heap = block + state[AT_HEAP]
    while state[block + DEEP_SLOTS] > 0:
        nearest = state[heap]
        if deep_quantity(state, block, nearest) > 0:
            state[block + BEST] = nearest
            _slide_away(state, block, nearest - (half >> 1))
            return
        deep_pop(state, block)


@helper
def _slide_away(state: IntArray, block: int, base: int) -> None:
    """Make the window begin at a later key, not past the best; levels it now covers leave the deep store."""
    state[block + BASE] = base
    mask = state[AT_WINDOW_MASK]
    heap = block + state[AT_HEAP]
    while state[block + DEEP_SLOTS] > 0 and state[heap] - base <= mask:
        key = state[heap]
        quantity = deep_pop(state, block)
        if quantity > 0:
            occupy(state, block, key & mask, quantity)


@helper
def quantity_of(state: IntArray, block: int, key: int) -> int:
    """Quantity at a key, 0 when there is no level."""
    offset = key - state[block + BASE]
    if offset < 0 or state[block + WINDOW_LEVELS] == 0:
        return 0
    if offset > state[AT_WINDOW_MASK]:
        return deep_quantity(state, block, key)
    quantity: int = state[block + QUANTITIES + (key & state[AT_WINDOW_MASK])]
    return quantity


@helper
def levels_of(state: IntArray, block: int) -> int:
    """Number of levels on the side."""
    count: int = state[block + WINDOW_LEVELS] + state[block + DEEP_LEVELS]
    return count


@kernel
def best_levels(
    state: IntArray, block: int, n: int, step: int, prices: IntArray, quantities: IntArray
) -> int:
    """Write the n best levels, best first, key times step as price; return how many there were."""
    wanted = max(0, min(n, levels_of(state, block)))
    in_window = min(wanted, state[block + WINDOW_LEVELS])
    if wanted > 0:
        nearest_in_window(state, block, in_window, step, prices, quantities)
    if wanted > in_window:
        _nearest_deep(state, block, in_window, wanted, prices, quantities)
        for i in range(in_window, wanted):
            prices[i] *= step
    return wanted


@kernel
def _nearest_deep(
    state: IntArray, block: int, start: int, stop: int, keys: IntArray, quantities: IntArray
) -> None:
    """Write the nearest deep levels to positions start to stop; there are enough of them."""
    if stop - start > INSERTION_LEVELS_MAX:
        ordered = deep_sorted_keys(state, block)
        keys[start:stop] = ordered[: stop - start]
    else:
        _insert_nearest(state, block, start, stop, keys)
    for i in range(start, stop):
        quantities[i] = deep_quantity(state, block, keys[i])


@kernel
def _insert_nearest(state: IntArray, block: int, start: int, stop: int, keys: IntArray) -> None:
    """Write the nearest deep keys by one pass over the heap, whose early entries are the small ones."""
    heap = block + state[AT_HEAP]
    filled = start
    for i in range(state[block + DEEP_SLOTS]):
        key = state[heap + i]
        if filled == stop and key >= keys[stop - 1]:
            continue
        if deep_quantity(state, block, key) == 0:
            continue
        if filled < stop:
            filled += 1
        j = filled - 1
        while j > start and keys[j - 1] > key:
            keys[j] = keys[j - 1]
            j -= 1
        keys[j] = key


@kernel
def clear_side(state: IntArray, block: int) -> None:
    """Remove every level of the side."""
    state[block : block + state[AT_DEEP_KEYS]] = 0
    deep_clear(state, block)
