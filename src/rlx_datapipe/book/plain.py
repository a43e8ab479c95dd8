"""The book as two dictionaries: slow, obvious, and the reference that tests compare the engine with."""

import numpy as np
import numpy.typing as npt

from rlx_datapipe.book.inputs import check_level, check_price, check_side, checked_rows, checked_snapshot
from rlx_datapipe.book.layout import ASK, BID
from rlx_datapipe.book.quotes import Best, Levels


class PlainBook:
    """L2 book over scaled integers with the methods of `OrderBookEngine`, checkpoints aside."""

    def __init__(self) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def set_level(self, side: int, price: int, quantity: int) -> None:
        """Set a level to an absolute quantity; 0 removes it, known or not."""
        check_level(side, price, quantity)
        if quantity > 0:
            self.sides[side][int(price)] = int(quantity)
        else:
            self.sides[side].pop(int(price), None)

    def apply(self, sides: npt.ArrayLike, prices: npt.ArrayLike, quantities: npt.ArrayLike) -> None:
        """Apply deltas in turn."""
        rows = checked_rows(sides, prices, quantities)
        for side, price, quantity in zip(*(column.tolist() for column in rows), strict=True):
            self.set_level(side, price, quantity)

    def load_snapshot(
        self,
        bid_prices: npt.ArrayLike,
        bid_quantities: npt.ArrayLike,
        ask_prices: npt.ArrayLike,
        ask_quantities: npt.ArrayLike,
    ) -> None:
        """Replace the whole book."""
        bids, asks = checked_snapshot(bid_prices, bid_quantities, ask_prices, ask_quantities)
        self.clear()
        self.apply(*bids)
        self.apply(*asks)

    def clear(self) -> None:
        """Remove every level."""
        self.sides = ({}, {})

    def ordered(self, side: int) -> list[tuple[int, int]]:
        """Price and quantity of every level of a side, best first."""
        check_side(side)
        return sorted(self.sides[side].items(), reverse=side == BID)

    def quantity_at(self, side: int, price: int) -> int:
        """Quantity at a price, 0 when there is no level."""
        check_side(side)
        check_price(price)
        return self.sides[side].get(price, 0)

    def level_count(self, side: int) -> int:
        """Number of levels on a side."""
        check_side(side)
        return len(self.sides[side])

    def best(self) -> Best:
        """Best quotes."""
        bid, ask = ((*self.ordered(side), (-1, 0))[0] for side in (BID, ASK))
        return Best(*bid, *ask)

    def top(self, n: int) -> Levels:
        """The n best levels of each side."""
        columns = [
            np.array([level[part] for level in self.ordered(side)[: max(n, 0)]], dtype=np.int64)
            for side in (BID, ASK)
            for part in (0, 1)
        ]
        return Levels(*columns)

    def levels(self) -> Levels:
        """Every level of each side."""
        return self.top(max(len(side) for side in self.sides))

    def cumulative_depth(self, side: int, levels: int) -> int:
        """Quantity in the best levels of a side, that many of them."""
        return sum(quantity for _, quantity in self.ordered(side)[: max(levels, 0)])

    def volume_to_price(self, side: int, price: int) -> int:
        """Quantity from the best level of a side through a price, that price included."""
        check_price(price)
        return sum(q for p, q in self.ordered(side) if (p <= price if side == ASK else p >= price))

    def is_crossed(self) -> bool:
        """Whether the best bid is above the best ask."""
        return self.best().is_crossed

    def is_locked(self) -> bool:
        """Whether the best bid equals the best ask."""
        return self.best().is_locked
