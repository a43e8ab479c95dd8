"""The event record between stages: one int64 row per field, one column per event."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Int64Array: TypeAlias = npt.NDArray[np.int64]

NONE = -1
"""Marks a field that does not apply (no id, no price, no time): all real values are zero or above."""


class Kind(IntEnum):
    """Kind of an event; also the last key of the total order.

    A trade precedes the delta that it caused; a snapshot precedes the delta with its own update id, which
    some venues have applied to it.
    """

    TRADE = 0
    BOOK_SNAPSHOT = 1
    BOOK_DELTA = 2


class Side(IntEnum):
    """Bid or ask of a level; for a trade the aggressor: 0 bought, 1 sold."""

    BID = 0
    ASK = 1


class Flag(IntEnum):
    """Bits of the ``flags`` column; the meaning of each stands in ``docs/fields.md``."""

    GROUP_END = 1
    BOOK_INVALID = 2
    NOT_APPLIED = 4
    CROSSED = 8
    LOCKED = 16
    EMPTY_GROUP = 32
    DERIVED_TIME = 64
    LATE = 128
    OFF_BOOK = 256
    NOT_MARKET = 512
    AGGREGATE = 1024
    RESYNC = 2048
    SAMPLED = 4096
    BEYOND_KNOWN = 8192
    INFERRED = 16384
    REVEALED = 32768


class Field(IntEnum):
    """Rows of an event array of shape (FIELDS, n)."""

    KIND = 0
    ORDER_TIME = 1
    """Time that orders the event: the origin time, never running backwards along a depth feed."""
    ORIGIN_TIME = 2
    RECEIVED_TIME = 3
    UPDATE_ID = 4
    FIRST_ID = 5
    PREVIOUS_ID = 6
    TRADE_ID = 7
    SIDE = 8
    PRICE = 9
    QUANTITY = 10
    FLAGS = 11
    MESSAGE = 12
    """Ordinal of the source message; rows of one message form one atomic group."""


FIELDS = len(Field)


class Quote(IntEnum):
    """Rows of a quote array of shape (QUOTES, n): the venue's own statement of its best prices."""

    ORIGIN_TIME = 0
    RECEIVED_TIME = 1
    UPDATE_ID = 2
    BID_PRICE = 3
    BID_QUANTITY = 4
    ASK_PRICE = 5
    ASK_QUANTITY = 6
    MESSAGE = 7


QUOTES = len(Quote)


def empty_events(count: int = 0) -> Int64Array:
    """Event array of ``count`` events with every field NONE, int64 of shape (FIELDS, count)."""
    return np.full((FIELDS, count), NONE, dtype=np.int64)


def empty_quotes(count: int = 0) -> Int64Array:
    """Quote array of ``count`` quotes with every field NONE, int64 of shape (QUOTES, count)."""
    return np.full((QUOTES, count), NONE, dtype=np.int64)


def total_order(events: Int64Array) -> Int64Array:
    """Indices that put events in the total order: order time, update id, kind, then arrival; stable.

    A sampled snapshot states the book after its update id, so it comes behind the delta.
    """
    kind = events[Field.KIND] + 2 * (events[Field.FLAGS] & Flag.SAMPLED != 0)
    keys = (kind, events[Field.UPDATE_ID], events[Field.ORDER_TIME])
    return np.lexsort(keys).astype(np.int64, copy=False)
