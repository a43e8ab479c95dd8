"""Where everything lies in the one int64 array that is a book.

The array is a header followed by two side blocks of equal length, bids first::

    header   magic, version, length, tick, window and deep size, offsets inside a side block
    side     counters | quantities of the window | bitmap | summary | deep keys | deep quantities | heap

A level's *key* is its price in ticks, negated for bids, so that the best level of either side is the one
with the smallest key. Key 0 belongs to no price and marks an empty slot of the deep store.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

BID: Final = 0
ASK: Final = 1

OK: Final = 0
GROW: Final = 1
REGRID: Final = 2

# Keys, window edges and their differences then all fit int64 without a check.
MAX_PRICE: Final = 2**62
MAX_QUANTITY: Final = 2**63 - 1

MAGIC: Final = 0x524C58424F4F4B  # "RLXBOOK"
VERSION: Final = 1

# Words of the header.
AT_MAGIC: Final = 0
AT_VERSION: Final = 1
AT_LENGTH: Final = 2
AT_TICK: Final = 3
AT_WINDOW_LOG2: Final = 4
AT_DEEP_LOG2: Final = 5
AT_SIDE_WORDS: Final = 6
AT_WINDOW_MASK: Final = 7
# Offsets from the start of a side block.
AT_BITMAP: Final = 8
AT_SUMMARY: Final = 9
AT_DEEP_KEYS: Final = 10
AT_DEEP_QUANTITIES: Final = 11
AT_HEAP: Final = 12
AT_TICK_INVERTED: Final = 13  # the tick once more, so that damage to it is seen
HEADER_WORDS: Final = 16

# Words of a side block.
BEST: Final = 0  # smallest key; means nothing while the side is empty
BASE: Final = 1  # key of the first tick in the window
WINDOW_LEVELS: Final = 2  # levels in the window; 0 only when the whole side is empty
DEEP_LEVELS: Final = 3  # levels in the deep store
DEEP_SLOTS: Final = 4  # keys held there, removed levels not yet swept included; length of the heap
QUANTITIES: Final = 8

WINDOW_LOG2_RANGE: Final = (6, 22)
DEEP_LOG2_RANGE: Final = (2, 30)


def new_state(tick: int, window_log2: int, deep_log2: int) -> IntArray:
    """Empty book of the given sizes, as its int64 array.

    Parameters
    ----------
    tick
        Price step, at least 1. A step finer than the market's costs speed, never correctness.
    window_log2
        The window spans 2**window_log2 ticks a side.
    deep_log2
        The deep store has 2**deep_log2 slots a side, three quarters of which may be used.
    """
    if not 1 <= tick <= MAX_PRICE:
        raise ValueError(f"tick must be between 1 and {MAX_PRICE}, found {tick}")
    for name, found, (low, high) in (
        ("window_log2", window_log2, WINDOW_LOG2_RANGE),
        ("deep_log2", deep_log2, DEEP_LOG2_RANGE),
    ):
        if not low <= found <= high:
            raise ValueError(f"{name} must be between {low} and {high}, found {found}")
    header = header_words(tick, window_log2, deep_log2)
    state = np.zeros(int(header[AT_LENGTH]), dtype=np.int64)
    state[:HEADER_WORDS] = header
    return state


def header_words(tick: int, window_log2: int, deep_log2: int) -> IntArray:
    """Header of a book of the given sizes."""
    ticks, slots = 1 << window_log2, 1 << deep_log2
    header = np.zeros(HEADER_WORDS, dtype=np.int64)
    header[AT_MAGIC], header[AT_VERSION] = MAGIC, VERSION
    header[AT_TICK], header[AT_WINDOW_MASK] = tick, ticks - 1
    header[AT_TICK_INVERTED] = ~tick
    header[AT_WINDOW_LOG2], header[AT_DEEP_LOG2] = window_log2, deep_log2
    header[AT_BITMAP] = QUANTITIES + ticks
    header[AT_SUMMARY] = header[AT_BITMAP] + (ticks >> 6)
    header[AT_DEEP_KEYS] = header[AT_SUMMARY] + max(1, ticks >> 12)
    header[AT_DEEP_QUANTITIES] = header[AT_DEEP_KEYS] + slots
    header[AT_HEAP] = header[AT_DEEP_QUANTITIES] + slots
    header[AT_SIDE_WORDS] = header[AT_HEAP] + slots
    header[AT_LENGTH] = HEADER_WORDS + 2 * header[AT_SIDE_WORDS]
    return header


def check_state(array: npt.NDArray[np.generic]) -> None:
    """Raise ValueError, in one sentence, unless the array carries the header of a book of this version."""
    if array.dtype != np.int64 or array.ndim != 1:
        raise ValueError(f"a book checkpoint is int64 of 1 dimension, found {array.dtype} of {array.ndim}")
    if array.size < HEADER_WORDS:
        raise ValueError(f"a book checkpoint has at least {HEADER_WORDS} words, found {array.size}")
    if array[AT_MAGIC] != MAGIC:
        raise ValueError(f"not a book checkpoint: its first word is {array[AT_MAGIC]}, expected {MAGIC}")
    if array[AT_VERSION] != VERSION:
        raise ValueError(
            f"book checkpoint of version {array[AT_VERSION]}; this release reads version {VERSION}"
        )
    if array[AT_LENGTH] != array.size:
        raise ValueError(f"book checkpoint of {array.size} words, but its header says {array[AT_LENGTH]}")
    tick, window_log2, deep_log2 = (int(array[at]) for at in (AT_TICK, AT_WINDOW_LOG2, AT_DEEP_LOG2))
    sizes_known = (
        1 <= tick <= MAX_PRICE
        and WINDOW_LOG2_RANGE[0] <= window_log2 <= WINDOW_LOG2_RANGE[1]
        and DEEP_LOG2_RANGE[0] <= deep_log2 <= DEEP_LOG2_RANGE[1]
    )
    if not sizes_known or not np.array_equal(
        array[:HEADER_WORDS], header_words(tick, window_log2, deep_log2)
    ):
        raise ValueError("book checkpoint with a damaged header: its sizes and offsets contradict each other")
