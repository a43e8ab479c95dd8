"""The levels that a feed holds: how many a side, and deletes of levels that were never heard of."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.kernels import clear, quantity_at, set_level
from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.core.instrument import Instrument

_OK = 0


class Level(IntEnum):
    """Words of the levels."""

    CHANGES = 0
    """Rows of deltas since the first snapshot."""
    DELETES = 1
    UNKNOWN_DELETES = 2
    """Deletes of levels that are not held: normal, where a snapshot stops at some depth."""
    SAME = 3
    """Rows that set a level to the quantity that it has."""
    HAS_BOOK = 4
    LOADING = 5
    """Message of the snapshot that the book began with."""


class LevelCounts:
    """A book of all levels that were set, without any rule when a delta may be applied.

    Parameters
    ----------
    instrument
        Its price step is that of the book.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.words = np.zeros(len(Level), dtype=np.int64)
        self.words[Level.LOADING] = NONE
        self._engine = OrderBookEngine(tick=instrument.price_step)
        self.largest = [0, 0]
        """Most levels held on each side."""
        self.sums, self.looks = [0, 0], 0
        """Levels of each side added up over all looks: one after each batch."""

    @property
    def book_bytes(self) -> int:
        """Memory of the book."""
        return int(self._engine.state.nbytes)

    def add(self, events: Int64Array) -> None:
        """Take in the next events in the total order, int64 (FIELDS, n), whole messages."""
        at = 0
        while at < events.shape[1]:
            at, status = _hold(events, at, self._engine.state, self.words)
            if status != _OK:
                self._engine.make_room(status, int(events[Field.PRICE, at]))
        if not self.words[Level.HAS_BOOK]:
            return
        self.looks += 1
        for side in Side:
            count = self._engine.level_count(side)
            self.largest[side] = max(self.largest[side], count)
            self.sums[side] += count

    def merge(self, later: LevelCounts) -> None:
        """Take in what was counted of the events that follow, which begin with a snapshot of the book."""
        counts = slice(Level.CHANGES, Level.SAME + 1)
        self.words[counts] += later.words[counts]
        self.words[Level.HAS_BOOK] |= later.words[Level.HAS_BOOK]
        self.largest = [max(pair) for pair in zip(self.largest, later.largest, strict=True)]
        self.sums = [sum(pair) for pair in zip(self.sums, later.sums, strict=True)]
        self.looks += later.looks
        self._engine = later._engine


@kernel
def _hold(events: Int64Array, at: int, book: Int64Array, words: Int64Array) -> tuple[int, int]:
    """Hold the levels from a column on; the column behind, or the one for which there is no room."""
    for i in range(at, events.shape[1]):
        kind, price = events[Field.KIND, i], events[Field.PRICE, i]
        if kind == Kind.TRADE or price == NONE:
            continue
        if kind == Kind.BOOK_SNAPSHOT:
            if events[Field.MESSAGE, i] != words[Level.LOADING]:
                # A sampled one stops at some depth, and says no more than the deltas do.
                if words[Level.HAS_BOOK] and events[Field.FLAGS, i] & Flag.SAMPLED:
                    continue
                clear(book)
                words[Level.HAS_BOOK], words[Level.LOADING] = 1, events[Field.MESSAGE, i]
        elif not words[Level.HAS_BOOK]:
            continue
        side, quantity = events[Field.SIDE, i], events[Field.QUANTITY, i]
        held = quantity_at(book, side, price)
        status = set_level(book, side, price, quantity)
        if status != _OK:
            return i, status
        if kind == Kind.BOOK_DELTA:
            words[Level.CHANGES] += 1
            words[Level.DELETES] += quantity == 0
            words[Level.UNKNOWN_DELETES] += quantity == 0 and held == 0
            words[Level.SAME] += quantity == held and quantity > 0
    return events.shape[1], _OK
