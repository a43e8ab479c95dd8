"""A true limit order book in ticks and lots: orders queue by price, then by time, and are matched."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

BID: Final = 0
ASK: Final = 1

OnChange = Callable[[int, int, int, int], None]
"""Told of each change of one level: side, price in ticks, new size in lots, lots just filled there."""

_SIGN: Final = (-1, 1)


class OrderBook:
    """Resting orders of one market; every change of a level is told to ``on_change`` as it happens.

    The last level of a side can neither be cancelled nor taken, so that both best prices always exist.

    Attributes
    ----------
    sizes
        For bids and asks: price in ticks to total size in lots; never holds a zero.
    best
        Best bid and best ask, in ticks; 0 before the first order of a side.
    """

    def __init__(self, on_change: OnChange) -> None:
        self.on_change = on_change
        self.sizes: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.best = [0, 0]
        self._orders: dict[int, tuple[int, int]] = {}
        self._queues: tuple[dict[int, dict[int, int]], dict[int, dict[int, int]]] = ({}, {})
        self._heaps: tuple[list[int], list[int]] = ([], [])
        self._heaped: tuple[set[int], set[int]] = (set(), set())
        self._next_order_id = 1

    def __len__(self) -> int:
        """Count the resting orders."""
        return len(self._orders)

    def __contains__(self, order_id: int) -> bool:
        """Tell whether an order still rests."""
        return order_id in self._orders

    def submit(self, side: int, price: int, lots: int) -> int | None:
        """Match an order as far as it crosses, rest what is left; its id, or None if nothing rests."""
        other = 1 - side
        sign = _SIGN[other]
        if self.sizes[other] and sign * price >= sign * self.best[other]:
            lots = self.take(other, lots, price)
            if lots == 0 or sign * price >= sign * self.best[other]:
                return None
        order_id = self._next_order_id
        self._next_order_id += 1
        sizes = self.sizes[side]
        self._orders[order_id] = (side, price)
        if price in sizes:
            sizes[price] += lots
            self._queues[side][price][order_id] = lots
        else:
            sizes[price] = lots
            self._queues[side][price] = {order_id: lots}
            self._raise_level(side, price)
        self.on_change(side, price, sizes[price], 0)
        return order_id

    def take(self, side: int, lots: int, limit: int) -> int:
        """Fill against a side, oldest order of the best price first; the lots that found no match.

        Each resting order that is hit makes one change of its level, as each makes one trade.
        """
        sizes, queues, sign = self.sizes[side], self._queues[side], _SIGN[side]
        while lots > 0 and len(sizes) > 1:
            price = self.best[side]
            if sign * price > sign * limit:
                break
            queue = queues[price]
            order_id, resting = next(iter(queue.items()))
            filled = min(lots, resting)
            lots -= filled
            if filled < resting:
                queue[order_id] = resting - filled
                sizes[price] -= filled
                self.on_change(side, price, sizes[price], filled)
            else:
                self._remove(order_id, filled)
        return lots

    def cancel(self, order_id: int) -> bool:
        """Withdraw a resting order; False if it no longer rests or is alone on its side."""
        place = self._orders.get(order_id)
        if place is None or len(self.sizes[place[0]]) == 1:
            return False
        self._remove(order_id, 0)
        return True

    def front(self, side: int) -> int:
        """Id of the oldest order at the best price of a side."""
        return next(iter(self._queues[side][self.best[side]]))

    def ladder(self, side: int, levels: int) -> list[tuple[int, int]]:
        """The best levels of a side as (ticks, lots), best first."""
        sizes = self.sizes[side]
        return [(price, sizes[price]) for price in sorted(sizes, reverse=side == BID)[:levels]]

    def _remove(self, order_id: int, filled: int) -> None:
        """Take a whole order out of its queue, and its level with it if it was the last there."""
        side, price = self._orders.pop(order_id)
        sizes, queue = self.sizes[side], self._queues[side][price]
        left = sizes[price] - queue.pop(order_id)
        if left:
            sizes[price] = left
        else:
            del sizes[price]
            del self._queues[side][price]
            if price == self.best[side]:
                self._lower_best(side)
        self.on_change(side, price, left, filled)

    def _raise_level(self, side: int, price: int) -> None:
        """Note a new price, which may be the best."""
        sign = _SIGN[side]
        if price not in self._heaped[side]:
            self._heaped[side].add(price)
            heappush(self._heaps[side], sign * price)
            if len(self._heaps[side]) > 1_000 + 4 * len(self.sizes[side]):
                self._forget_empty(side)
        if len(self.sizes[side]) == 1 or sign * price < sign * self.best[side]:
            self.best[side] = price

    def _lower_best(self, side: int) -> None:
        """Find the best price again after the best level has gone."""
        heap, sizes, sign = self._heaps[side], self.sizes[side], _SIGN[side]
        while sign * heap[0] not in sizes:
            self._heaped[side].remove(sign * heappop(heap))
        self.best[side] = sign * heap[0]

    def _forget_empty(self, side: int) -> None:
        """Drop prices without orders from the heap, so that it stays as small as the book."""
        self._heaped[side].intersection_update(self.sizes[side])
        self._heaps[side][:] = [_SIGN[side] * price for price in self._heaped[side]]
        heapify(self._heaps[side])
