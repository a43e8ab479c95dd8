"""The store of a level-3 feed for Python callers: room, checkpoints and named answers."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.book import orders
from rlx_datapipe.book.orders import (
    AT_LEVELS_LOG2,
    AT_LEVELS_USED,
    AT_ORDERS_LOG2,
    AT_ORDERS_USED,
    HEADER_WORDS,
    LEVEL_WORDS,
    MAX_PRICE,
    MAX_TOTAL,
    ORDER_WORDS,
    IntArray,
)

LEAST_LOG2 = 6
GREATEST_LOG2 = 30


class OrderStore:
    """Orders by id and totals by level, see `orders`.

    Attributes
    ----------
    state
        The whole store as one int64 array, for kernels. `reserve` may replace it: ask for it after that.
    """

    def __init__(self) -> None:
        self.state: IntArray = _empty(LEAST_LOG2, LEAST_LOG2)

    def reserve(self, more_orders: int, more_levels: int) -> None:
        """Make room for so many new orders and levels, sweeping out what is gone.

        Raises
        ------
        ValueError
            When there would be more than 2**30 slots.
        """
        state = self.state
        if _fits(int(state[AT_ORDERS_USED]) + more_orders, int(state[AT_ORDERS_LOG2])) and _fits(
            int(state[AT_LEVELS_USED]) + more_levels, int(state[AT_LEVELS_LOG2])
        ):
            return
        self._rebuild(*self.to_arrays(), more_orders, more_levels)

    def _rebuild(self, held: IntArray, levels: IntArray, more_orders: int, more_levels: int) -> None:
        # Twice what is needed, so that sweeps don't follow each other too closely.
        needs = (2 * (held.shape[1] + more_orders), 2 * (levels.shape[1] + more_levels))
        self.state = _empty(*map(_log2_for, needs))
        orders.fill(self.state, held, levels)

    def quantity(self, order: int) -> int:
        """What is left of an order; 0 if it is not known."""
        return int(orders.order_quantity(self.state, order))

    def total(self, side: int, price: int) -> int:
        """Total quantity of a level."""
        return int(orders.level_total(self.state, orders.place_of(side, price)))

    def best(self, side: int) -> int:
        """Best price of a side, 0 if it has no level."""
        return int(orders.best_level(self.state, side))

    def rest(self, order: int, side: int, price: int, quantity: int) -> int:
        """See `orders.rest_order`."""
        self.reserve(1, 2)
        return int(orders.rest_order(self.state, order, orders.place_of(side, price), quantity))

    def take(self, order: int, side: int, price: int, quantity: int, *, is_all: bool) -> int:
        """See `orders.take_order`."""
        self.reserve(1, 2)
        return int(orders.take_order(self.state, order, orders.place_of(side, price), quantity, is_all))

    def end(self, order: int, side: int, price: int, quantity: int) -> int:
        """See `orders.end_order`."""
        self.reserve(1, 2)
        return int(orders.end_order(self.state, order, orders.place_of(side, price), quantity))

    def restate(self, side: int, price: int, total: int, *, forgets: bool) -> None:
        """See `orders.restate_level`."""
        self.reserve(0, 1)
        orders.restate_level(self.state, orders.place_of(side, price), total, forgets)

    def compare(self, side: int, reach: int, stated: IntArray) -> tuple[int, int, int]:
        """See `orders.compare_side`: levels, levels equal, our best price or 0."""
        told = np.zeros(3, dtype=np.int64)
        orders.compare_side(self.state, side, reach, stated, told)
        return int(told[0]), int(told[1]), int(told[2])

    def restate_all(self, side: int, reach: int, stated: IntArray) -> None:
        """See `orders.restate_side`."""
        self.reserve(0, len(stated))
        orders.restate_side(self.state, side, reach, stated)

    def to_arrays(self) -> tuple[IntArray, IntArray]:
        """All that is left: ids, places and quantities, int64 (3, n), and places and totals, int64 (2, m).

        The same for the same messages, however often room was made between them.
        """
        state = self.state
        apart = 1 << int(state[AT_ORDERS_LOG2])
        start = HEADER_WORDS + ORDER_WORDS * apart
        levels = state[start:].reshape(LEVEL_WORDS, -1)
        levels = levels[:, levels[0] != 0]
        levels = levels[:, np.argsort(levels[0])]
        held = state[HEADER_WORDS:start].reshape(ORDER_WORDS, apart)
        held = held[:, held[2] > 0]
        held = held[:, np.argsort(held[0])]
        emptied = np.zeros(held.shape[1], dtype=np.int64)
        at = np.searchsorted(levels[0], held[1])
        has_level = np.append(levels[0], 0)[at] == held[1]
        emptied[has_level] = levels[2, at[has_level]]
        return (
            np.ascontiguousarray(held[:3, held[3] >= emptied]),
            np.ascontiguousarray(levels[:2, levels[1] > 0]),
        )

    @classmethod
    def from_arrays(cls, held: IntArray, levels: IntArray) -> OrderStore:
        """The store that gave these arrays.

        Raises
        ------
        ValueError
            When they can't be those of a store: wrong shapes, doubles, numbers out of range.
        """
        _check(held, levels)
        store = cls()
        store._rebuild(held, levels, 0, 0)
        return store


def _empty(orders_log2: int, levels_log2: int) -> IntArray:
    """A store that knows nothing, with so many slots."""
    words = HEADER_WORDS + (ORDER_WORDS << orders_log2) + (LEVEL_WORDS << levels_log2)
    state = np.zeros(words, dtype=np.int64)
    state[AT_ORDERS_LOG2], state[AT_LEVELS_LOG2] = orders_log2, levels_log2
    return state


def _fits(count: int, log2: int) -> bool:
    return 4 * count <= 3 << log2


def _log2_for(count: int) -> int:
    log2 = LEAST_LOG2
    while not _fits(count, log2):
        log2 += 1
        if log2 > GREATEST_LOG2:
            raise ValueError(f"{count} orders or levels are more than a store can hold")
    return log2


def _check(held: IntArray, levels: IntArray) -> None:
    """Refuse what no store can have given."""
    if held.dtype != np.int64 or levels.dtype != np.int64 or held.ndim != 2 or levels.ndim != 2:
        raise ValueError("orders and levels of a store are int64 arrays of two dimensions")
    if held.shape[0] != ORDER_WORDS - 1 or levels.shape[0] != LEVEL_WORDS - 1:
        raise ValueError(f"orders and levels of shapes {held.shape} and {levels.shape} are none of a store")
    for keys in (held[0], levels[0]):
        if (keys < 1).any() or (np.diff(keys) <= 0).any():
            raise ValueError("ids or places are not rising numbers above 0")
    places = np.concatenate((held[1], levels[0]))
    if (places < 2).any() or (places >> 1 > MAX_PRICE).any():
        raise ValueError("places out of range")
    amounts = np.concatenate((held[2], levels[1]))
    if (amounts < 1).any() or (amounts > MAX_TOTAL).any():
        raise ValueError("quantities out of range")
