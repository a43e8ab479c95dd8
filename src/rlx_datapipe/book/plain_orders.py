"""The store of a level-3 feed as two dictionaries: the reference that tests compare `order_store` with."""

from __future__ import annotations

from rlx_datapipe.book.orders import ELSEWHERE, MAX_TOTAL, OK, SHORT, TOO_LARGE, UNEQUAL, UNKNOWN

Place = tuple[int, int]
"""Side and price."""


class PlainOrders:
    """Orders by id and totals by level, with the methods of `OrderStore`, checkpoints aside."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[Place, int]] = {}
        self.totals: dict[Place, int] = {}

    def quantity(self, order: int) -> int:
        """What is left of an order; 0 if it is not known."""
        return self.orders[order][1] if order in self.orders else 0

    def total(self, side: int, price: int) -> int:
        """Total quantity of a level."""
        return self.totals.get((side, price), 0)

    def _move(self, place: Place, change: int) -> int:
        total = self.totals.get(place, 0) + change
        self.totals[place] = min(max(total, 0), MAX_TOTAL)
        if total < 0:
            return SHORT
        return TOO_LARGE if total > MAX_TOTAL else OK

    def rest(self, order: int, side: int, price: int, quantity: int) -> int:
        """See `orders.rest_order`."""
        place, status = (side, price), OK
        if order in self.orders:
            before, held = self.orders[order]
            status = ELSEWHERE if before != place else (UNEQUAL if held != quantity else OK)
            status |= self._move(before, -held)
        status |= self._move(place, quantity)
        self.orders[order] = place, quantity
        return status

    def take(self, order: int, side: int, price: int, quantity: int, *, is_all: bool) -> int:
        """See `orders.take_order`."""
        place = (side, price)
        moved = self._move(place, -quantity)
        if order not in self.orders:
            return UNKNOWN | moved
        before, held = self.orders.pop(order)
        if held > quantity and not is_all:
            self.orders[order] = place, held - quantity
        if before != place:
            return ELSEWHERE | moved
        return (UNEQUAL if held < quantity or (is_all and held != quantity) else OK) | moved

    def end(self, order: int, side: int, price: int, quantity: int) -> int:
        """See `orders.end_order`."""
        if order not in self.orders:
            return UNKNOWN | self._move((side, price), -quantity)
        before, held = self.orders.pop(order)
        return (OK if before == (side, price) else ELSEWHERE) | self._move(before, -held)

    def restate(self, side: int, price: int, total: int, *, forgets: bool) -> None:
        """See `orders.restate_level`."""
        self.totals[side, price] = total
        if forgets:
            self.orders = {
                order: (place, held) for order, (place, held) in self.orders.items() if place != (side, price)
            }

    def best(self, side: int) -> int:
        """See `orders.best_level`."""
        prices = [price for (of, price), total in self.totals.items() if of == side and total > 0]
        return (max if side == 0 else min)(prices, default=0)

    def compare(self, side: int, reach: int, stated: list[tuple[int, int]]) -> tuple[int, int, int]:
        """See `orders.compare_side`."""
        ours = {price: total for (of, price), total in self.totals.items() if of == side and total > 0}
        ours = {price: total for price, total in ours.items() if _reaches(side, reach, price)}
        prices = {*ours, *(price for price, _ in stated)}
        equal = sum(self.total(side, price) == quantity for price, quantity in stated)
        return len(prices), equal, (max if side == 0 else min)(ours, default=0)

    def restate_all(self, side: int, reach: int, stated: list[tuple[int, int]]) -> None:
        """See `orders.restate_side`."""
        prices = {price for price, _ in stated}
        for of, price in list(self.totals):
            if of == side and _reaches(side, reach, price) and price not in prices and self.total(of, price):
                self.restate(of, price, 0, forgets=True)
        for price, quantity in stated:
            self.restate(side, price, quantity, forgets=False)


def _reaches(side: int, reach: int, price: int) -> bool:
    return price <= reach if side == 1 else price >= reach
