"""The deep store of one side: levels beyond the window, in a hash with a heap that knows the nearest.

A hash (open addressing, linear probing) maps keys to quantities; a binary heap holds the same keys, the
smallest first. A removed level keeps its slot and heap entry with quantity 0 until it reaches the top of
the heap or the store is swept, so that every operation costs O(log n) amortised and none scans the hash.
"""

import numpy as np

from rlx_datapipe.book.layout import (
    AT_DEEP_KEYS,
    AT_DEEP_LOG2,
    AT_DEEP_QUANTITIES,
    AT_HEAP,
    DEEP_LEVELS,
    DEEP_SLOTS,
    GROW,
    OK,
    IntArray,
)
from rlx_datapipe.core.compiled import helper, kernel

# Fibonacci hashing on 31 bits: the product stays below 2**63, so it cannot overflow with JIT off either.
LOW_31_BITS = 0x7FFFFFFF
LOW_32_BITS = 0xFFFFFFFF
GOLDEN = 0x9E3779B1


@helper
def _home(state: IntArray, key: int) -> int:
    """Slot at which the search for a key begins."""
    folded = (key ^ (key >> 31)) & LOW_31_BITS
    home: int = ((folded * GOLDEN) & LOW_32_BITS) >> (32 - state[AT_DEEP_LOG2])
    return home


@helper
def _find(state: IntArray, block: int, key: int) -> int:
    """Slot that holds the key, else the empty slot where it belongs."""
    keys = block + state[AT_DEEP_KEYS]
    mask = (1 << state[AT_DEEP_LOG2]) - 1
    slot = _home(state, key)
    while state[keys + slot] != 0 and state[keys + slot] != key:
        slot = (slot + 1) & mask
    return slot


@helper
def deep_quantity(state: IntArray, block: int, key: int) -> int:
    """Quantity at a deep key, 0 when there is none."""
    quantity: int = state[block + state[AT_DEEP_QUANTITIES] + _find(state, block, key)]
    return quantity


@helper
def deep_set(state: IntArray, block: int, key: int, quantity: int) -> int:
    """Set or remove (quantity 0) a deep level; GROW, and nothing changed, when the store is full."""
    slot = _find(state, block, key)
    if state[block + state[AT_DEEP_KEYS] + slot] == key:
        at = block + state[AT_DEEP_QUANTITIES] + slot
        if quantity > 0 and state[at] == 0:
            state[block + DEEP_LEVELS] += 1
        elif quantity == 0 and state[at] > 0:
            state[block + DEEP_LEVELS] -= 1
        state[at] = quantity
        return OK
    if quantity == 0:
        return OK
    if deep_reserve(state, block, 1) == GROW:
        return GROW
    deep_add(state, block, key, quantity)
    return OK


@helper
def deep_reserve(state: IntArray, block: int, levels: int) -> int:
    """Make room for that many new levels, sweeping removed ones out; GROW when there is not enough."""
    slots = 1 << state[AT_DEEP_LOG2]
    usable = slots - (slots >> 2)
    if state[block + DEEP_SLOTS] + levels <= usable:
        return OK
    # A sweep must free half of the store, else sweeps would follow each other too closely.
    if 2 * (state[block + DEEP_LEVELS] + levels) > usable:
        return GROW
    _sweep(state, block)
    return OK


@helper
def deep_add(state: IntArray, block: int, key: int, quantity: int) -> None:
    """Add a key that the store does not hold; room must have been reserved."""
    slot = _find(state, block, key)
    state[block + state[AT_DEEP_KEYS] + slot] = key
    state[block + state[AT_DEEP_QUANTITIES] + slot] = quantity
    state[block + DEEP_LEVELS] += 1
    heap = block + state[AT_HEAP]
    child = state[block + DEEP_SLOTS]
    state[block + DEEP_SLOTS] += 1
    while child > 0 and state[heap + ((child - 1) >> 1)] > key:
        state[heap + child] = state[heap + ((child - 1) >> 1)]
        child = (child - 1) >> 1
    state[heap + child] = key


@helper
def deep_pop(state: IntArray, block: int) -> int:
    """Forget the smallest key and return its quantity, 0 if that level had been removed."""
    heap = block + state[AT_HEAP]
    smallest = state[heap]
    last = state[block + DEEP_SLOTS] - 1
    state[block + DEEP_SLOTS] = last
    _sift_down(state, heap, last, 0, state[heap + last])
    state[heap + last] = 0
    slot = _find(state, block, smallest)
    quantity: int = state[block + state[AT_DEEP_QUANTITIES] + slot]
    if quantity > 0:
        state[block + DEEP_LEVELS] -= 1
    _empty_slot(state, block, slot)
    return quantity


@helper
def _sift_down(state: IntArray, heap: int, length: int, parent: int, key: int) -> None:
    """Let a key sink from a place in a heap of that length; below it all is in order."""
    child = 2 * parent + 1
    while child < length:
        if child + 1 < length and state[heap + child + 1] < state[heap + child]:
            child += 1
        if state[heap + child] >= key:
            break
        state[heap + parent] = state[heap + child]
        parent = child
        child = 2 * parent + 1
    state[heap + parent] = key


@helper
def _empty_slot(state: IntArray, block: int, hole: int) -> None:
    """Empty a slot, pulling later keys of its run back so that no search stops too early."""
    keys = block + state[AT_DEEP_KEYS]
    quantities = block + state[AT_DEEP_QUANTITIES]
    mask = (1 << state[AT_DEEP_LOG2]) - 1
    slot = (hole + 1) & mask
    while state[keys + slot] != 0:
        # A key may move back to the hole unless its home lies between the two.
        if ((slot - _home(state, state[keys + slot])) & mask) >= ((slot - hole) & mask):
            state[keys + hole] = state[keys + slot]
            state[quantities + hole] = state[quantities + slot]
            hole = slot
        slot = (slot + 1) & mask
    state[keys + hole] = 0
    state[quantities + hole] = 0


@helper
def _sweep(state: IntArray, block: int) -> None:
    """Drop the removed levels from hash and heap, in place."""
    heap = block + state[AT_HEAP]
    before, count = state[block + DEEP_SLOTS], 0
    for i in range(before):
        key = state[heap + i]
        slot = _find(state, block, key)
        if state[block + state[AT_DEEP_QUANTITIES] + slot] > 0:
            state[heap + count] = key
            count += 1
        else:
            _empty_slot(state, block, slot)
    for i in range(count, before):
        state[heap + i] = 0
    state[block + DEEP_SLOTS] = count
    for parent in range((count >> 1) - 1, -1, -1):
        _sift_down(state, heap, count, parent, state[heap + parent])


@kernel
def deep_clear(state: IntArray, block: int) -> None:
    """Forget every deep level of the side."""
    slots = 1 << state[AT_DEEP_LOG2]
    start = block + state[AT_DEEP_KEYS]
    state[start : start + 3 * slots] = 0  # keys, quantities and heap lie in a row
    state[block + DEEP_LEVELS] = 0
    state[block + DEEP_SLOTS] = 0


@kernel
def deep_sorted_keys(state: IntArray, block: int) -> IntArray:
    """Keys of all deep levels, ascending, in a new array."""
    keys = np.empty(state[block + DEEP_LEVELS], np.int64)
    start = block + state[AT_DEEP_KEYS]
    quantities = block + state[AT_DEEP_QUANTITIES]
    count = 0
    for slot in range(1 << state[AT_DEEP_LOG2]):
        if state[quantities + slot] > 0:
            keys[count] = state[start + slot]
            count += 1
    keys.sort()
    return keys
