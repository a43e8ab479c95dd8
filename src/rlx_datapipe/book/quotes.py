"""What a book answers: its best quotes and its levels."""

from typing import NamedTuple

from rlx_datapipe.book.layout import IntArray


class Best(NamedTuple):
    """Best price and quantity of each side; -1 and 0 where the side is empty."""

    bid_price: int
    bid_quantity: int
    ask_price: int
    ask_quantity: int

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is above the best ask; False when a side is empty."""
        return self.bid_price > self.ask_price > 0

    @property
    def is_locked(self) -> bool:
        """Whether the best bid equals the best ask; False when a side is empty."""
        return self.bid_price == self.ask_price > 0


class Levels(NamedTuple):
    """Levels of each side, best first, as int64 arrays."""

    bid_prices: IntArray
    bid_quantities: IntArray
    ask_prices: IntArray
    ask_quantities: IntArray
