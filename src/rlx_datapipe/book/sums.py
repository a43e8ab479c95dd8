"""Sums of quantity over one side of the book, by key; they stop at `MAX_QUANTITY` and never wrap."""

import numpy as np

from rlx_datapipe.book.ladder import best_levels
from rlx_datapipe.book.layout import (
    AT_DEEP_KEYS,
    AT_DEEP_LOG2,
    AT_DEEP_QUANTITIES,
    AT_WINDOW_MASK,
    BASE,
    BEST,
    DEEP_LEVELS,
    MAX_QUANTITY,
    QUANTITIES,
    WINDOW_LEVELS,
    IntArray,
)
from rlx_datapipe.book.window import next_occupied
from rlx_datapipe.core.compiled import kernel


@kernel
def add_saturated(total: int, quantity: int) -> int:
    """Sum of two quantities, at most `MAX_QUANTITY`."""
    if quantity > MAX_QUANTITY - total:
        return MAX_QUANTITY
    return total + quantity


@kernel
def sum_of_best(state: IntArray, block: int, n: int) -> int:
    """Quantity in the n best levels."""
    in_window = min(n, state[block + WINDOW_LEVELS])
    total = 0
    key = state[block + BEST]
    for i in range(in_window):
        if i > 0:
            key = next_occupied(state, block, key + 1)
        total = add_saturated(total, state[block + QUANTITIES + (key & state[AT_WINDOW_MASK])])
    deep = min(n - in_window, state[block + DEEP_LEVELS])
    if deep > 0:
        keys = np.empty(in_window + deep, np.int64)
        quantities = np.empty(in_window + deep, np.int64)
        best_levels(state, block, in_window + deep, 1, keys, quantities)
        for i in range(in_window, in_window + deep):
            total = add_saturated(total, quantities[i])
    return total


@kernel
def sum_to_key(state: IntArray, block: int, last_key: int) -> int:
    """Quantity from the best level through a key."""
    total = 0
    key = state[block + BEST]
    for i in range(state[block + WINDOW_LEVELS]):
        if i > 0:
            key = next_occupied(state, block, key + 1)
        if key > last_key:
            return total
        total = add_saturated(total, state[block + QUANTITIES + (key & state[AT_WINDOW_MASK])])
    if state[block + DEEP_LEVELS] > 0 and last_key - state[block + BASE] > state[AT_WINDOW_MASK]:
        keys = block + state[AT_DEEP_KEYS]
        quantities = block + state[AT_DEEP_QUANTITIES]
        for slot in range(1 << state[AT_DEEP_LOG2]):
            # An empty slot and a removed level both hold quantity 0.
            if state[keys + slot] <= last_key:
                total = add_saturated(total, state[quantities + slot])
    return total
