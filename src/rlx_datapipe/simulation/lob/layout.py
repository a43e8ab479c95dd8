"""Where everything lies in the arrays of a matching book, and the columns of its order events."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from rlx_datapipe.core.event import Int64Array

RING = 1 << 18
"""Ticks of one side that the book can hold at a time."""
SLOTS = RING - 1
WORDS = RING >> 6
TOPS = WORDS >> 6
EMPTY = 1 << 60
"""Best key of a side without orders."""
NO_LIMIT = 1 << 61
"""Limit key of an order that takes at any price."""
NOBODY = -1

# Header: single numbers. Where two sides have one each, that of the asks follows that of the bids.
BEST, ORDERS, EDGE = 0, 2, 4
FREE, NEXT_ORDER, ROWS = 6, 7, 8
NOW, ARRIVAL, KIND, EPISODE, TAKER = 9, 10, 11, 12, 13
ARRIVAL_AT, SCRIPT_AT, CURSOR, FAILED = 14, 15, 16, 17
HEADER = 18

# Columns of a level.
LOTS, FIRST, LAST, COUNT = range(4)

# Columns of an order.
ID, KEY, LEFT, HIDDEN, SHOWN, BEFORE, BEHIND, PLACE, OWNER, IS_SHY = range(10)
ORDER_FIELDS = 10


class Action(IntEnum):
    """What an order event did."""

    ADD = 0
    """An order came to rest."""
    FILL = 1
    """A resting order was filled, in part or whole."""
    CANCEL = 2
    """A resting order was withdrawn."""
    REFILL = 3
    """An iceberg order shows the next part of its size, last in the queue."""
    UNFILLED = 4
    """The rest of a market order found nothing more to take; the book is as before."""
    VOID = 5
    """An arrival that found nothing to do."""
    EXPIRE = 6
    """A resting order that the price has moved too far away from was removed."""


class Column(IntEnum):
    """Columns of an order event; times in ns, prices in ticks, sizes in lots."""

    TIME = 0
    ARRIVAL = 1
    """Dense number of the arrival of the flow that caused it; -1 for what was planted, and the opening."""
    TYPE = 2
    """Type of that arrival; -1 likewise."""
    ACTION = 3
    ORDER = 4
    """The resting order; -1 where there is none."""
    TAKER = 5
    """Number of the order that was taking: that filled it, or that it fled from; -1 where there is none."""
    SIDE = 6
    """0 for bids, 1 for asks: where the order rests; in UNFILLED and VOID that of the arrival."""
    PRICE = 7
    LOTS = 8
    """Size that was added, filled, withdrawn, shown anew, or not found."""
    ORDER_LEFT = 9
    """Lots of the resting order that can be seen afterwards."""
    LEVEL_LOTS = 10
    """Lots of its price level that can be seen afterwards."""
    BID = 11
    BID_LOTS = 12
    ASK = 13
    ASK_LOTS = 14
    EPISODE = 15
    """Number of the planted episode that the resting order belongs to; -1 for none."""
    ACTOR = 16
    """Number of the planted episode that acts; -1 for none."""


COLUMNS = len(Column)


class Book(NamedTuple):
    """The arrays of one book, all int64.

    A price has a key: the tick for asks, minus the tick for bids, so that the best is always the least. A
    level lies at its key modulo the ring; keys of one side never lie further apart than that.

    Attributes
    ----------
    head
        Shape (HEADER,): single numbers.
    levels
        Shape (2, RING, 4).
    bits
        Shape (2, WORDS + TOPS): which levels are occupied, and which words of that have any.
    orders
        Shape (orders, ORDER_FIELDS); those not in use hang together by BEHIND.
    live
        Shape (2, orders): rows of the resting orders of each side, in no order.
    rows
        Shape (rows, COLUMNS): order events that were told.
    """

    head: Int64Array
    levels: Int64Array
    bits: Int64Array
    orders: Int64Array
    live: Int64Array
    rows: Int64Array


def empty_book(orders_max: int, rows_max: int) -> Book:
    """A book without orders, with room for so many, and for so many order events."""
    head = np.zeros(HEADER, np.int64)
    head[BEST : BEST + 2] = EMPTY
    head[EDGE : EDGE + 2] = -EMPTY
    head[[ARRIVAL, KIND, EPISODE, TAKER]] = NOBODY
    orders = np.zeros((orders_max, ORDER_FIELDS), np.int64)
    orders[:, BEHIND] = np.arange(1, orders_max + 1)
    orders[-1, BEHIND] = NOBODY
    return Book(
        head,
        np.zeros((2, RING, 4), np.int64),
        np.zeros((2, WORDS + TOPS), np.int64),
        orders,
        np.zeros((2, orders_max), np.int64),
        np.zeros((rows_max, COLUMNS), np.int64),
    )
