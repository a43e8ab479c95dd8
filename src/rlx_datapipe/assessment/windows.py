"""What lies between two looks at the book: events, and changes that nobody who only looks would ever see."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.core.spread import HALF, count_value, no_spreads

GRID_NS = 100_000_000
"""Where no book is sampled: what samples every 100 ms would lose."""
_SLOTS: Final = 1 << 15
_PROBES: Final = 8
_PRIME: Final = 32_749
"""Spreads levels over the slots, whatever their step."""
_NO_PRICE = 2**62


class Window(IntEnum):
    """Words of the windows; those up to `LOST_NS` add up when parts are put together."""

    SNAPSHOTS = 0
    """Snapshots of any kind; `SAMPLED` of them come at a cadence."""
    SAMPLED = 1
    ONE_SIDED = 2
    CROSSED = 3
    LOCKED = 4
    REPEATED = 5
    """Snapshots with the update id of the one before."""
    MEETS = 6
    """Snapshots with exactly the update id of the last delta before them: there drift can be measured."""
    WINDOWS = 7
    BUSY = 8
    """Windows with any change of the book or any trade."""
    CHANGES = 9
    """Rows of deltas in all windows."""
    OVERWRITTEN = 10
    """Of these, the ones whose level changed again before the next look."""
    BEYOND = 11
    """Of these, the ones deeper than the last look reached."""
    TRADES = 12
    LAST_ID = 13
    LAST_TIME = 14
    NUMBER = 15
    """Number of the present window, and of the grid's stretch that it is."""
    STRETCH = 16
    IN_CHANGES = 17
    IN_TRADES = 18
    LOW = 19
    """Lowest bid and highest ask that the last look showed."""
    HIGH = 20
    SEEN_ID = 21
    FIRST_ID = 22
    FIRST_TIME = 23
    FIRST_STRETCH = 24


class Shape(IntEnum):
    """The distributions beside the words."""

    BIDS = 0
    """Levels a side of each snapshot."""
    ASKS = 1
    APART_NS = 2
    """Time between two snapshots."""
    CHANGES = 3
    """Rows of deltas in a window, and trades."""
    TRADES = 4


class Windows:
    """Counts of the windows between two looks at the book, in the total order.

    The looks are the sampled snapshots of the source; before the first of them, and where there are none, a
    grid of 100 ms.
    """

    def __init__(self) -> None:
        self.words = np.zeros(len(Window), dtype=np.int64)
        self.words[Window.LAST_ID :] = NONE
        self.words[[Window.NUMBER, Window.IN_CHANGES, Window.IN_TRADES, Window.LOW]] = 0
        self.words[Window.HIGH] = _NO_PRICE
        self.shapes = no_spreads(len(Shape))
        # For each slot the number of the window in which a level was touched, and which level that was.
        self._touched = np.full((2, _SLOTS), NONE, dtype=np.int64)

    def add(self, events: Int64Array) -> None:
        """Take in the next events in the total order, int64 (FIELDS, n), whole messages."""
        _look(events, self.words, self.shapes, self._touched)

    def finish(self) -> None:
        """Close the last window."""
        _close(self.words, self.shapes)

    def merge(self, later: Windows) -> None:
        """Take in what was counted of the events that follow; both have been finished.

        Equal to the whole where the later part begins with a look.
        """
        mine, theirs = self.words, later.words
        if theirs[Window.FIRST_TIME] != NONE:
            _stand_apart(mine, int(theirs[Window.FIRST_ID]), int(theirs[Window.FIRST_TIME]), self.shapes)
            mine[Window.LAST_ID], mine[Window.LAST_TIME] = theirs[Window.LAST_ID], theirs[Window.LAST_TIME]
        if mine[Window.STRETCH] != NONE and theirs[Window.FIRST_STRETCH] != NONE:
            _pass_empty(mine, int(theirs[Window.FIRST_STRETCH]), self.shapes)
            mine[Window.STRETCH] = theirs[Window.STRETCH]
        counts = slice(Window.SNAPSHOTS, Window.TRADES + 1)
        mine[counts] += theirs[counts]
        self.shapes += later.shapes


@kernel
def _look(events: Int64Array, words: Int64Array, shapes: Int64Array, touched: Int64Array) -> None:
    at = 0
    while at < events.shape[1]:
        kind, time = events[Field.KIND, at], events[Field.ORDER_TIME, at]
        if kind == Kind.BOOK_SNAPSHOT:
            at = _take_snapshot(events, at, words, shapes)
            continue
        stretch = time // GRID_NS
        if words[Window.SAMPLED] == 0 and stretch != words[Window.STRETCH]:
            _close(words, shapes)
            _pass_empty(words, stretch, shapes)
            words[Window.STRETCH], words[Window.NUMBER] = stretch, words[Window.NUMBER] + 1
        if kind == Kind.TRADE:
            words[Window.IN_TRADES] += 1
        elif events[Field.PRICE, at] != NONE:
            _change(events[Field.SIDE, at], events[Field.PRICE, at], words, touched)
            words[Window.SEEN_ID] = events[Field.UPDATE_ID, at]
        at += 1


@kernel
def _pass_empty(words: Int64Array, stretch: int, shapes: Int64Array) -> None:
    """Count the stretches of the grid before this one in which nothing happened."""
    if words[Window.STRETCH] == NONE:
        words[Window.FIRST_STRETCH] = stretch
        return
    empty = max(stretch - words[Window.STRETCH] - 1, 0)
    words[Window.WINDOWS] += empty
    shapes[Shape.CHANGES, HALF] += empty
    shapes[Shape.TRADES, HALF] += empty


@kernel
def _take_snapshot(events: Int64Array, at: int, words: Int64Array, shapes: Int64Array) -> int:
    """Look at one snapshot; the column behind it."""
    message, first = events[Field.MESSAGE, at], at
    bids = asks = 0
    best_bid, best_ask, low, high = NONE, _NO_PRICE, _NO_PRICE, NONE
    while (
        at < events.shape[1]
        and events[Field.MESSAGE, at] == message
        and events[Field.KIND, at] == Kind.BOOK_SNAPSHOT
    ):
        price = events[Field.PRICE, at]
        if price != NONE and events[Field.SIDE, at] == Side.BID:
            bids, best_bid, low = bids + 1, max(best_bid, price), min(low, price)
        elif price != NONE:
            asks, best_ask, high = asks + 1, min(best_ask, price), max(high, price)
        at += 1
    update, time = events[Field.UPDATE_ID, first], events[Field.ORDER_TIME, first]
    _stand_apart(words, update, time, shapes)
    if words[Window.FIRST_TIME] == NONE:
        words[Window.FIRST_ID], words[Window.FIRST_TIME] = update, time
    words[Window.LAST_ID], words[Window.LAST_TIME] = update, time
    words[Window.SNAPSHOTS] += 1
    words[Window.ONE_SIDED] += bids == 0 or asks == 0
    words[Window.CROSSED] += best_bid > best_ask
    words[Window.LOCKED] += best_bid == best_ask
    words[Window.MEETS] += update != NONE and update == words[Window.SEEN_ID]
    count_value(shapes[Shape.BIDS], bids)
    count_value(shapes[Shape.ASKS], asks)
    if events[Field.FLAGS, first] & Flag.SAMPLED:
        if words[Window.SAMPLED] > 0:
            _close(words, shapes)
        else:
            # What came before the first look, and was counted by the grid, is not between two looks.
            words[Window.WINDOWS] = words[Window.BUSY] = words[Window.CHANGES] = words[Window.TRADES] = 0
            words[Window.OVERWRITTEN] = words[Window.BEYOND] = 0
            words[Window.IN_CHANGES] = words[Window.IN_TRADES] = 0
            words[Window.FIRST_STRETCH] = NONE
            shapes[Shape.CHANGES :] = 0
        words[Window.SAMPLED] += 1
        words[Window.NUMBER] += 1
        words[Window.LOW], words[Window.HIGH] = low, high
        words[Window.STRETCH] = NONE
    return at


@kernel
def _stand_apart(words: Int64Array, update: int, time: int, shapes: Int64Array) -> None:
    """Compare a snapshot with the one before."""
    if words[Window.LAST_TIME] != NONE:
        count_value(shapes[Shape.APART_NS], time - words[Window.LAST_TIME])
        words[Window.REPEATED] += update != NONE and update == words[Window.LAST_ID]


@kernel
def _close(words: Int64Array, shapes: Int64Array) -> None:
    """Count the present window, if there is one."""
    if words[Window.NUMBER] == 0:
        return
    words[Window.WINDOWS] += 1
    words[Window.BUSY] += words[Window.IN_CHANGES] + words[Window.IN_TRADES] > 0
    words[Window.CHANGES] += words[Window.IN_CHANGES]
    words[Window.TRADES] += words[Window.IN_TRADES]
    count_value(shapes[Shape.CHANGES], words[Window.IN_CHANGES])
    count_value(shapes[Shape.TRADES], words[Window.IN_TRADES])
    words[Window.IN_CHANGES] = words[Window.IN_TRADES] = 0


@helper
def _change(side: int, price: int, words: Int64Array, touched: Int64Array) -> None:
    """Count a change of a level: seen at the next look, or overwritten before it, or too deep for it."""
    words[Window.IN_CHANGES] += 1
    if price < words[Window.LOW] if side == Side.BID else price > words[Window.HIGH]:
        words[Window.BEYOND] += 1
        return
    number, level = words[Window.NUMBER], 2 * price + side
    slot, free = level % _PRIME, -1
    for step in range(_PROBES):
        at = (slot + step) & (_SLOTS - 1)
        if touched[0, at] != number:
            if free < 0:
                free = at
        elif touched[1, at] == level:
            words[Window.OVERWRITTEN] += 1
            return
    if free >= 0:
        touched[0, free], touched[1, free] = number, level
