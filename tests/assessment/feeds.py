"""Small feeds for the tests of the assessment: events as ingestion would hand them over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side, empty_events

MS = 1_000_000
T0 = 1_723_161_600_000 * MS


def rows(
    kind: Kind,
    message: int,
    levels: Sequence[tuple[Side, int, int]],
    *,
    time: int,
    received: int | None = None,
    ids: tuple[int, int, int] = (NONE, NONE, NONE),
    trade: int = NONE,
    flags: int = 0,
) -> Int64Array:
    """The rows of one message; ``ids`` are its first, previous and last one."""
    events = empty_events(len(levels))
    events[Field.KIND], events[Field.MESSAGE], events[Field.FLAGS] = kind, message, flags
    events[Field.ORIGIN_TIME] = events[Field.ORDER_TIME] = time
    events[Field.RECEIVED_TIME] = time + 5 * MS if received is None else received
    events[Field.FIRST_ID], events[Field.PREVIOUS_ID], events[Field.UPDATE_ID] = ids
    events[Field.TRADE_ID] = trade
    for at, level in enumerate(levels):
        events[Field.SIDE, at], events[Field.PRICE, at], events[Field.QUANTITY, at] = level
    return events


def delta(
    message: int,
    last: int,
    *,
    first: int = NONE,
    previous: int = NONE,
    time: int,
    levels: Sequence[tuple[Side, int, int]] = ((Side.BID, 100, 1),),
    received: int | None = None,
) -> Int64Array:
    """A depth message."""
    ids = (first, previous, last)
    return rows(Kind.BOOK_DELTA, message, levels, time=time, ids=ids, received=received)


def trade(message: int, number: int, *, time: int, received: int | None = None) -> Int64Array:
    """A trade."""
    return rows(Kind.TRADE, message, [(Side.BID, 100, 1)], time=time, trade=number, received=received)


def snapshot(
    message: int,
    last: int,
    *,
    time: int,
    bids: Sequence[int] = (99, 98),
    asks: Sequence[int] = (101, 102),
    is_sampled: bool = False,
) -> Int64Array:
    """A snapshot with one lot at each price."""
    levels = [(Side.BID, price, 1) for price in bids] + [(Side.ASK, price, 1) for price in asks]
    flags = int(Flag.SAMPLED) if is_sampled else 0
    return rows(Kind.BOOK_SNAPSHOT, message, levels, time=time, ids=(NONE, NONE, last), flags=flags)


def feed(*messages: Int64Array) -> Int64Array:
    """Messages one behind the other."""
    return np.concatenate([empty_events(), *messages], axis=1)
