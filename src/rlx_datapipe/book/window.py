"""The window of one side: a ring of ticks around the touch, with a two-level occupancy bitmap."""

import numpy as np

from rlx_datapipe.book.bits import trailing_zeros
from rlx_datapipe.book.layout import (
    AT_BITMAP,
    AT_SUMMARY,
    AT_WINDOW_MASK,
    BASE,
    BEST,
    QUANTITIES,
    WINDOW_LEVELS,
    IntArray,
)
from rlx_datapipe.core.compiled import helper

ONE = np.int64(1)
ALL = np.int64(-1)


@helper
def occupy(state: IntArray, block: int, slot: int, quantity: int) -> None:
    """Put a level into an empty slot."""
    state[block + QUANTITIES + slot] = quantity
    state[block + WINDOW_LEVELS] += 1
    word = slot >> 6
    state[block + state[AT_BITMAP] + word] |= ONE << (slot & 63)
    state[block + state[AT_SUMMARY] + (word >> 6)] |= ONE << (word & 63)


@helper
def vacate(state: IntArray, block: int, slot: int) -> None:
    """Take the level out of an occupied slot."""
    state[block + QUANTITIES + slot] = 0
    state[block + WINDOW_LEVELS] -= 1
    word = slot >> 6
    bitmap = block + state[AT_BITMAP] + word
    state[bitmap] &= ~(ONE << (slot & 63))
    if state[bitmap] == 0:
        state[block + state[AT_SUMMARY] + (word >> 6)] &= ~(ONE << (word & 63))


@helper
def next_occupied(state: IntArray, block: int, key: int) -> int:
    """Smallest occupied key at or after `key`, going round the ring once; the window must not be empty.

    A level that lies before `key` is found last and reported one ring length too high.
    """
    mask = state[AT_WINDOW_MASK]
    slot = key & mask
    bitmap = block + state[AT_BITMAP]
    word = slot >> 6
    bits = state[bitmap + word] & (ALL << (slot & 63))
    if bits == 0:
        word = next_word(state, block, (word + 1) & (mask >> 6))
        bits = state[bitmap + word]
    found = (word << 6) + trailing_zeros(bits)
    distance = (found - slot) & mask
    # Distance 0 by way of the whole ring cannot be: the slot's own bit is looked at first.
    following: int = key + distance
    return following


@helper
def next_word(state: IntArray, block: int, word: int) -> int:
    """First bitmap word at or after `word`, going round, that is not 0."""
    summary = block + state[AT_SUMMARY]
    group = word >> 6
    bits = state[summary + group] & (ALL << (word & 63))
    last_group = state[AT_WINDOW_MASK] >> 12
    while bits == 0:
        group = (group + 1) & last_group
        bits = state[summary + group]
    return (group << 6) + trailing_zeros(bits)


@helper
def nearest_in_window(
    state: IntArray, block: int, n: int, step: int, prices: IntArray, quantities: IntArray
) -> None:
    """Write the n first levels of the window (it holds that many, one at least); price is key times step."""
    mask = state[AT_WINDOW_MASK]
    base = state[block + BASE]
    bitmap = block + state[AT_BITMAP]
    slot = state[block + BEST] & mask
    word = slot >> 6
    bits = state[bitmap + word] & (ALL << (slot & 63))
    for i in range(n):
        if bits == 0:
            # Round the ring the first word comes again as a whole: the part not yet seen is its lower one.
            word = next_word(state, block, (word + 1) & (mask >> 6))
            bits = state[bitmap + word]
        bit = trailing_zeros(bits)
        bits ^= ONE << bit
        slot = (word << 6) + bit
        prices[i] = (base + ((slot - base) & mask)) * step
        quantities[i] = state[block + QUANTITIES + slot]
