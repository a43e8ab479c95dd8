"""The order book for Python callers: kernels with input checks, growth, checkpoints and named answers."""

from math import gcd

import numpy as np
import numpy.typing as npt

from rlx_datapipe.book import kernels
from rlx_datapipe.book.inputs import (
    Rows,
    check_level,
    check_price,
    check_side,
    checked_rows,
    checked_snapshot,
)
from rlx_datapipe.book.integrity import check_integrity
from rlx_datapipe.book.layout import (
    ASK,
    AT_DEEP_LOG2,
    AT_TICK,
    AT_WINDOW_LOG2,
    BID,
    GROW,
    MAX_QUANTITY,
    OK,
    REGRID,
    IntArray,
    check_state,
    new_state,
)
from rlx_datapipe.book.quotes import Best, Levels


class OrderBookEngine:
    """L2 order book over scaled int64 prices and quantities.

    Answers never depend on the three sizes below, only speed and memory do. Locked and crossed books are
    kept as they are. Inputs that no book can hold raise ValueError and change nothing.

    Parameters
    ----------
    tick
        Price step of the window. A price between two ticks makes the book finer by itself.
    window_log2
        The window around the touch spans 2**window_log2 ticks a side.
    deep_log2
        First size of the store for levels beyond the window, 2**deep_log2 slots a side; it grows as needed.

    Attributes
    ----------
    state
        The whole book as one int64 array, for kernels. Growing and regridding replace it: do not keep it
        across calls that may do so.
    """

    def __init__(self, tick: int = 1, window_log2: int = 16, deep_log2: int = 10) -> None:
        self.state: IntArray = new_state(tick, window_log2, deep_log2)

    @property
    def tick(self) -> int:
        """Price step of the window."""
        return int(self.state[AT_TICK])

    @property
    def deep_log2(self) -> int:
        """Size of the deep store: 2**deep_log2 slots a side."""
        return int(self.state[AT_DEEP_LOG2])

    def set_level(self, side: int, price: int, quantity: int) -> None:
        """Set a level to an absolute quantity; 0 removes it, known or not."""
        check_level(side, price, quantity)
        while (status := kernels.set_level(self.state, side, price, quantity)) != OK:
            self.make_room(status, price)

    def apply(self, sides: npt.ArrayLike, prices: npt.ArrayLike, quantities: npt.ArrayLike) -> None:
        """Apply deltas in turn; all rows are checked before the first is applied.

        Parameters
        ----------
        sides, prices, quantities
            Integers of shape (n,): BID or ASK, price > 0, quantity >= 0 with 0 for a removal.
        """
        self._apply(checked_rows(sides, prices, quantities))

    def _apply(self, rows: Rows) -> None:
        """Apply rows that have been checked."""
        row = 0
        while row < rows.prices.size:
            row, status = kernels.apply_rows(self.state, *rows, row, rows.prices.size)
            if status != OK:
                self.make_room(status, int(rows.prices[row]))

    def load_snapshot(
        self,
        bid_prices: npt.ArrayLike,
        bid_quantities: npt.ArrayLike,
        ask_prices: npt.ArrayLike,
        ask_quantities: npt.ArrayLike,
    ) -> None:
        """Replace the whole book; of two rows at one price the later one counts, quantity 0 is no level."""
        bids, asks = checked_snapshot(bid_prices, bid_quantities, ask_prices, ask_quantities)
        self.clear()
        self._apply(bids)
        self._apply(asks)

    def clear(self) -> None:
        """Remove every level; tick and sizes stay."""
        kernels.clear(self.state)

    def make_room(self, status: int, price: int) -> None:
        """Do what a kernel asked for by its status, GROW or REGRID, at that price; then call it again."""
        if status == GROW:
            self.grow()
        elif status == REGRID:
            self.regrid(price)

    def grow(self) -> None:
        """Double the deep store."""
        self._rebuild(self.tick, self.deep_log2 + 1)

    def regrid(self, price: int) -> None:
        """Make the tick fine enough for a price: their greatest common divisor."""
        check_price(price)
        self._rebuild(gcd(self.tick, int(price)), self.deep_log2)

    def _rebuild(self, tick: int, deep_log2: int) -> None:
        """Move all levels to a new state, with as much deep store as they turn out to need."""
        window_log2 = int(self.state[AT_WINDOW_LOG2])
        target = new_state(tick, window_log2, deep_log2)
        while kernels.copy_levels(self.state, target) == GROW:
            deep_log2 += 1
            target = new_state(tick, window_log2, deep_log2)
        self.state = target

    def quantity_at(self, side: int, price: int) -> int:
        """Quantity at a price, 0 when there is no level."""
        check_side(side)
        check_price(price)
        return int(kernels.quantity_at(self.state, side, price))

    def level_count(self, side: int) -> int:
        """Number of levels on a side."""
        check_side(side)
        return int(kernels.level_count(self.state, side))

    def best(self) -> Best:
        """Best price and quantity of each side; -1 and 0 where the side is empty."""
        return Best(
            int(kernels.best_price(self.state, BID)),
            int(kernels.best_quantity(self.state, BID)),
            int(kernels.best_price(self.state, ASK)),
            int(kernels.best_quantity(self.state, ASK)),
        )

    def top(self, n: int) -> Levels:
        """The n best levels of each side, best first; fewer where the side has fewer."""
        return Levels(*self._side_top(BID, n), *self._side_top(ASK, n))

    def levels(self) -> Levels:
        """Every level of each side, best first."""
        return Levels(
            *self._side_top(BID, self.level_count(BID)),
            *self._side_top(ASK, self.level_count(ASK)),
        )

    def _side_top(self, side: int, n: int) -> tuple[IntArray, IntArray]:
        """Prices and quantities of the n best levels of a side."""
        size = max(0, min(n, self.level_count(side)))
        prices, quantities = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
        kernels.top_levels(self.state, side, size, prices, quantities)
        return prices, quantities

    def cumulative_depth(self, side: int, levels: int) -> int:
        """Quantity in the best levels of a side, that many of them; exact however large."""
        check_side(side)
        total = int(kernels.cumulative_depth(self.state, side, max(levels, 0)))
        if total < MAX_QUANTITY:
            return total
        return sum(self._side_top(side, levels)[1].tolist())

    def volume_to_price(self, side: int, price: int) -> int:
        """Quantity from the best level of a side through a price, that included; exact however large."""
        check_side(side)
        check_price(price)
        total = int(kernels.volume_to_price(self.state, side, price))
        if total < MAX_QUANTITY:
            return total
        prices, quantities = self._side_top(side, self.level_count(side))
        return sum(quantities[(prices <= price) if side == ASK else (prices >= price)].tolist())

    def is_crossed(self) -> bool:
        """Whether the best bid is above the best ask."""
        return self.best().is_crossed

    def is_locked(self) -> bool:
        """Whether the best bid equals the best ask."""
        return self.best().is_locked

    def to_array(self) -> IntArray:
        """Checkpoint: a copy of the whole state."""
        return self.state.copy()

    @classmethod
    def from_array(cls, array: npt.NDArray[np.generic]) -> "OrderBookEngine":
        """Book that goes on exactly where the one that made the checkpoint stood.

        Raises
        ------
        ValueError
            The array is not a book checkpoint of this version, or it contradicts itself.
        """
        check_state(array)
        engine = cls.__new__(cls)
        engine.state = np.array(array, dtype=np.int64)
        check_integrity(engine.state)
        return engine
