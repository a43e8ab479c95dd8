"""Columns from decoded Binance messages, and what is wrong with a message's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import SupportsIndex

import numpy as np

from rlx_datapipe.core.event import (
    NONE,
    Field,
    Flag,
    Int64Array,
    Kind,
    Quote,
    empty_events,
    empty_quotes,
)
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.units import REASONS, Exactness, parse_many
from rlx_datapipe.venues.binance_messages import (
    FOUND_CHARACTERS,
    AggregateTrade,
    BookTicker,
    DepthUpdate,
    Fault,
    Snapshot,
    Trade,
)

TIME_FROM_MS = 1_483_228_800_000
TIME_TO_MS = 4_102_444_800_000
"""The years 2017 to 2100: in this window milliseconds and microseconds can't be taken for each other."""

Faults = dict[int, Fault]
"""Faults by the index of their message in the list given; only the first of each message is kept."""


def origin_times(given: Int64Array, faults: Faults, field: str) -> Int64Array:
    """Exchange times in ns from ms or µs (told apart by magnitude); NONE stays, others are faults."""
    ms = (given >= TIME_FROM_MS) & (given < TIME_TO_MS)
    us = (given >= TIME_FROM_MS * 1000) & (given < TIME_TO_MS * 1000)
    for at in np.flatnonzero(~(ms | us | (given == NONE))):
        faults.setdefault(int(at), Fault("time out of range", field, str(given[at])))
    times = np.full_like(given, NONE)
    times[ms] = given[ms] * 1_000_000
    times[us] = given[us] * 1_000
    return times


def levels(
    messages: Sequence[DepthUpdate] | Sequence[Snapshot], instrument: Instrument, faults: Faults
) -> tuple[Int64Array, Int64Array]:
    """Event columns of all levels, bids before asks, and for each the index of its message.

    A message without levels gets one column with side, price and quantity NONE.
    """
    texts = list(
        chain.from_iterable(chain.from_iterable(chain.from_iterable((m.bids, m.asks) for m in messages)))
    )
    bids = _ints([len(m.bids) for m in messages])
    sizes = bids + _ints([len(m.asks) for m in messages])
    counts = np.maximum(sizes, 1)
    owner = np.repeat(np.arange(len(messages)), counts)
    place = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
    real = place < sizes[owner]
    events = empty_events(owner.size)
    events[Field.FLAGS] = np.where(real, 0, int(Flag.EMPTY_GROUP))
    events[Field.SIDE, real] = (place >= bids[owner])[real]
    snapshot = bool(messages) and isinstance(messages[0], Snapshot)
    names = ("bids", "asks") if snapshot else ("b", "a")

    sides, place, owners = events[Field.SIDE, real], place[real], owner[real]

    def add(column: int, reason: str, what: str, found: str) -> None:
        message, side = owners[column], int(sides[column])
        number = place[column] - side * bids[message]
        _add(faults, message, reason, f"{names[side]}[{number}].{what}", found)

    prices, quantities = texts[::2], texts[1::2]
    events[Field.PRICE, real], bad = _numbers(prices, instrument.price_decimals, zero="price")
    for column, reason in bad:
        add(column, reason, "price", prices[column])
    events[Field.QUANTITY, real], bad = _numbers(
        quantities, instrument.quantity_decimals, zero="quantity" if snapshot else ""
    )
    for column, reason in bad:
        add(column, reason, "quantity", quantities[column])
    return events, owner


def deltas(
    messages: list[DepthUpdate], instrument: Instrument, faults: Faults
) -> tuple[Int64Array, Int64Array]:
    """Event columns of depth updates, and for each the index of its message."""
    events, owner = levels(messages, instrument, faults)
    first = _ints([m.first_id for m in messages])
    last = _ints([m.last_id for m in messages])
    for at in np.flatnonzero(first > last):
        _add(faults, at, f"first id is above the last id {last[at]}", "U", str(first[at]))
    times = _ints([m.time for m in messages])
    event_times = _ints([m.event_time for m in messages])
    times = origin_times(np.where(times == NONE, event_times, times), faults, "T or E")
    events[Field.KIND] = Kind.BOOK_DELTA
    events[Field.ORIGIN_TIME] = times[owner]
    events[Field.UPDATE_ID] = last[owner]
    events[Field.FIRST_ID] = first[owner]
    events[Field.PREVIOUS_ID] = _ints([m.previous_id for m in messages])[owner]
    return events, owner


def snapshots(
    messages: list[Snapshot], instrument: Instrument, faults: Faults
) -> tuple[Int64Array, Int64Array]:
    """Event columns of snapshots, and for each the index of its message; spot has no origin time."""
    events, owner = levels(messages, instrument, faults)
    given = _ints([m.event_time if m.time == NONE else m.time for m in messages])
    events[Field.KIND] = Kind.BOOK_SNAPSHOT
    events[Field.ORIGIN_TIME] = origin_times(given, faults, "T or E")[owner]
    events[Field.UPDATE_ID] = _ints([m.last_id for m in messages])[owner]
    return events, owner


def trades(
    messages: list[Trade] | list[AggregateTrade], instrument: Instrument, faults: Faults
) -> tuple[Int64Array, Int64Array]:
    """Event columns of trades, one each, and the index of its message."""
    prices, quantities = [m.price for m in messages], [m.quantity for m in messages]
    events = empty_events(len(messages))
    events[Field.PRICE], bad = _numbers(prices, instrument.price_decimals, zero="price")
    for at, reason in bad:
        _add(faults, at, reason, "p", prices[at])
    events[Field.QUANTITY], bad = _numbers(quantities, instrument.quantity_decimals, zero="quantity")
    for at, reason in bad:
        _add(faults, at, reason, "q", quantities[at])
    events[Field.KIND] = Kind.TRADE
    events[Field.ORIGIN_TIME] = origin_times(_ints([m.time for m in messages]), faults, "T")
    events[Field.TRADE_ID] = [m.trade_id for m in messages]
    events[Field.SIDE] = [m.buyer_is_maker for m in messages]
    kinds = {"": 0, "MARKET": 0}
    aggregate = int(Flag.AGGREGATE) if messages and isinstance(messages[0], AggregateTrade) else 0
    events[Field.FLAGS] = [kinds.get(m.order_kind, int(Flag.NOT_MARKET)) | aggregate for m in messages]
    return events, np.arange(len(messages))


def quotes(messages: list[BookTicker], instrument: Instrument, faults: Faults) -> Int64Array:
    """Quote columns, one for each message; a side with price 0 and quantity 0 is empty, so NONE."""
    table = empty_quotes(len(messages))
    table[Quote.ORIGIN_TIME] = origin_times(_ints([m.time for m in messages]), faults, "T")
    table[Quote.UPDATE_ID] = [m.update_id for m in messages]
    sides = (
        (Quote.BID_PRICE, "b", [m.bid_price for m in messages], [m.bid_quantity for m in messages]),
        (Quote.ASK_PRICE, "a", [m.ask_price for m in messages], [m.ask_quantity for m in messages]),
    )
    for row, name, prices, quantities in sides:
        price, bad_prices = _numbers(prices, instrument.price_decimals)
        quantity, bad_quantities = _numbers(quantities, instrument.quantity_decimals)
        for at, reason in bad_prices:
            _add(faults, at, reason, name, prices[at])
        for at, reason in bad_quantities:
            _add(faults, at, reason, name.upper(), quantities[at])
        for place in np.flatnonzero((price == 0) & (quantity != 0)):
            _add(faults, place, "price must be positive", name, prices[place])
        for place in np.flatnonzero((price != 0) & (quantity == 0)):
            _add(faults, place, "quantity must be positive", name.upper(), quantities[place])
        empty = (price == 0) & (quantity == 0)
        table[row] = np.where(empty, NONE, price)
        table[row + 1] = np.where(empty, NONE, quantity)
    return table


def _ints(values: list[int]) -> Int64Array:
    return np.array(values, dtype=np.int64)


def _numbers(texts: list[str], decimals: int, zero: str = "") -> tuple[Int64Array, list[tuple[int, str]]]:
    """Scaled integers, and the place and reason of each bad one; ``zero`` names what must be positive."""
    values, status = parse_many(texts, decimals)
    wrong = status != Exactness.OK
    bad = [(int(at), REASONS[Exactness(int(status[at]))]) for at in np.flatnonzero(wrong)]
    if zero:
        naught = (values == 0) & ~wrong
        bad += [(int(at), f"{zero} must be positive") for at in np.flatnonzero(naught)]
        bad.sort()
    return values, bad


def _add(faults: Faults, index: SupportsIndex, reason: str, field: str, found: str) -> None:
    faults.setdefault(int(index), Fault(reason, field, found[:FOUND_CHARACTERS]))
