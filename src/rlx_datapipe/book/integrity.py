"""Whether the state of a book agrees with itself: run on every checkpoint that is read back."""

import numpy as np

from rlx_datapipe.book.layout import (
    AT_BITMAP,
    AT_DEEP_KEYS,
    AT_DEEP_QUANTITIES,
    AT_HEAP,
    AT_SIDE_WORDS,
    AT_SUMMARY,
    AT_TICK,
    AT_WINDOW_MASK,
    BASE,
    BEST,
    DEEP_LEVELS,
    DEEP_SLOTS,
    HEADER_WORDS,
    MAX_PRICE,
    QUANTITIES,
    WINDOW_LEVELS,
    IntArray,
)


def check_integrity(state: IntArray) -> None:
    """Raise ValueError, naming side and fault, unless both side blocks hold what the kernels rely on.

    The header must have been checked. A state that passes cannot lead a kernel out of the array or into an
    endless search; that its levels are the right ones only a digest can tell.
    """
    words = int(state[AT_SIDE_WORDS])
    for number, (side, sign) in enumerate((("bid", -1), ("ask", 1))):
        block = state[HEADER_WORDS + number * words : HEADER_WORDS + (number + 1) * words]
        faults = (
            *_window_faults(state, block),
            *_deep_faults(state, block),
            *_key_faults(state, block, sign),
        )
        for fault, present in faults:
            if present:
                raise ValueError(f"damaged book checkpoint: on the {side} side {fault}")


def _window_faults(state: IntArray, block: IntArray) -> list[tuple[str, bool]]:
    """Faults of the window: quantities, bitmap, summary and count."""
    quantities = block[QUANTITIES : int(state[AT_BITMAP])]
    bitmap = block[int(state[AT_BITMAP]) : int(state[AT_SUMMARY])]
    summary = block[int(state[AT_SUMMARY]) : int(state[AT_DEEP_KEYS])]
    return [
        ("a quantity is negative", bool((quantities < 0).any())),
        ("the bitmap disagrees with the quantities", not np.array_equal(bitmap, _packed(quantities != 0))),
        ("the summary disagrees with the bitmap", not np.array_equal(summary, _packed(bitmap != 0))),
        ("the number of levels is wrong", int(block[WINDOW_LEVELS]) != np.count_nonzero(quantities)),
        ("deep levels lie behind an empty window", int(block[WINDOW_LEVELS]) == 0 < int(block[DEEP_SLOTS])),
    ]


def _packed(occupied: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> IntArray:
    """Bits as int64 words, the first bit lowest."""
    octets = np.packbits(occupied, bitorder="little")
    return np.pad(octets, (0, -octets.size % 8)).view("<i8").astype(np.int64)


def _deep_faults(state: IntArray, block: IntArray) -> list[tuple[str, bool]]:
    """Faults of the deep store: hash, heap and counts."""
    keys = block[int(state[AT_DEEP_KEYS]) : int(state[AT_DEEP_QUANTITIES])]
    quantities = block[int(state[AT_DEEP_QUANTITIES]) : int(state[AT_HEAP])]
    heap = block[int(state[AT_HEAP]) :]
    slots = int(np.count_nonzero(keys))
    held = heap[:slots]
    parents = held[(np.arange(1, slots) - 1) // 2]
    return [
        ("a deep quantity is negative", bool((quantities < 0).any())),
        ("a deep quantity has no price", bool((quantities[keys == 0] != 0).any())),
        ("the deep store is overfull", slots > keys.size - keys.size // 4),
        ("the number of deep slots is wrong", int(block[DEEP_SLOTS]) != slots),
        ("the number of deep levels is wrong", int(block[DEEP_LEVELS]) != np.count_nonzero(quantities)),
        (
            "the heap disagrees with the deep store",
            not np.array_equal(np.sort(held), np.sort(keys[keys != 0])),
        ),
        ("something follows the heap", bool(heap[slots:].any())),
        ("the heap is out of order", bool((held[1:] < parents).any())),
    ]


def _key_faults(state: IntArray, block: IntArray, sign: int) -> list[tuple[str, bool]]:
    """Faults of the keys: best, window base and the range of prices."""
    mask, tick = int(state[AT_WINDOW_MASK]), int(state[AT_TICK])
    if int(block[WINDOW_LEVELS]) == 0:
        return []
    base, best = int(block[BASE]), int(block[BEST])
    slots = np.flatnonzero(block[QUANTITIES : int(state[AT_BITMAP])])
    offsets = (slots - (base & mask)) & mask
    first, last = base + int(offsets.min()), base + int(offsets.max())
    heap = block[int(state[AT_HEAP]) :][: int(block[DEEP_SLOTS])].tolist()
    lowest, highest = sorted((sign, sign * (MAX_PRICE // tick)))
    return [
        ("the best level is not the first of the window", best != first),
        ("a deep level lies before the end of the window", bool(heap) and heap[0] - base <= mask),
        ("a price is out of range", first < lowest or max([last, *heap]) > highest),
    ]
