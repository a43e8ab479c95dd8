"""Kernels that turn the records of read messages into columns of events and quotes."""

from __future__ import annotations

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Kind, Quote, Side
from rlx_datapipe.venues.binance_shapes import Shape, Slot


@kernel
def _fill_event(record, row, received, at, events):  # type: ignore[no-untyped-def]
    events[Field.ORDER_TIME, at] = NONE
    events[Field.ORIGIN_TIME, at] = record[Slot.TIME]
    events[Field.RECEIVED_TIME, at] = received
    events[Field.UPDATE_ID, at] = record[Slot.UPDATE_ID]
    events[Field.FIRST_ID, at] = record[Slot.FIRST_ID]
    events[Field.PREVIOUS_ID, at] = record[Slot.PREVIOUS_ID]
    events[Field.TRADE_ID, at] = record[Slot.TRADE_ID]
    events[Field.SIDE, at] = record[Slot.SIDE]
    events[Field.PRICE, at] = record[Slot.PRICE]
    events[Field.QUANTITY, at] = record[Slot.QUANTITY]
    events[Field.MESSAGE, at] = row


@kernel
def fill_events(records, levels, rows, received, put_aside, events):  # type: ignore[no-untyped-def]
    """Fill events in order of arrival: of each message bids before asks.

    Parameters
    ----------
    records, levels
        As filled by `read_messages`.
    rows, received
        int64 arrays of shape (n,): source row and receive time of each message.
    put_aside
        Kind of messages that make no events.
    events
        int64 array of shape (FIELDS, m), filled; m is the number of events there are.
    """
    at = 0
    for i in range(records.shape[0]):
        record = records[i]
        kind = record[Slot.KIND]
        if kind in (Shape.TRADE, Shape.AGGREGATE):
            if kind != put_aside:
                _fill_event(record, rows[i], received[i], at, events)
                events[Field.KIND, at] = Kind.TRADE
                events[Field.FLAGS, at] = Flag.AGGREGATE if kind == Shape.AGGREGATE else 0
                at += 1
        elif kind in (Shape.DEPTH, Shape.SNAPSHOT):
            row_kind = Kind.BOOK_DELTA if kind == Shape.DEPTH else Kind.BOOK_SNAPSHOT
            first, stop = record[Slot.LEVELS_FROM], record[Slot.LEVELS_TO]
            for level in range(first, stop):
                _fill_event(record, rows[i], received[i], at, events)
                events[Field.KIND, at] = row_kind
                events[Field.FLAGS, at] = 0
                events[Field.SIDE, at] = Side.BID if level < record[Slot.BIDS_TO] else Side.ASK
                events[Field.PRICE, at] = levels[level, 0]
                events[Field.QUANTITY, at] = levels[level, 1]
                at += 1
            if first == stop:
                _fill_event(record, rows[i], received[i], at, events)
                events[Field.KIND, at] = row_kind
                events[Field.FLAGS, at] = Flag.EMPTY_GROUP
                at += 1


@kernel
def fill_quotes(records, rows, received, quotes):  # type: ignore[no-untyped-def]
    """Fill quotes in order of arrival: int64 of shape (QUOTES, m); the rest is as in `fill_events`."""
    at = 0
    for i in range(records.shape[0]):
        record = records[i]
        if record[Slot.KIND] == Shape.TICKER:
            quotes[Quote.ORIGIN_TIME, at] = record[Slot.TIME]
            quotes[Quote.RECEIVED_TIME, at] = received[i]
            quotes[Quote.UPDATE_ID, at] = record[Slot.UPDATE_ID]
            quotes[Quote.BID_PRICE, at] = record[Slot.BID_PRICE]
            quotes[Quote.BID_QUANTITY, at] = record[Slot.BID_QUANTITY]
            quotes[Quote.ASK_PRICE, at] = record[Slot.ASK_PRICE]
            quotes[Quote.ASK_QUANTITY, at] = record[Slot.ASK_QUANTITY]
            quotes[Quote.MESSAGE, at] = rows[i]
            at += 1
