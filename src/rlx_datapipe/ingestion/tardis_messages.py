"""Rows of a Tardis table to events and quotes, whole messages at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.event import (
    NONE,
    Field,
    Flag,
    Int64Array,
    Kind,
    Quote,
    Side,
    empty_events,
    empty_quotes,
)
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.ingestion.faults import BoolArray, Faults
from rlx_datapipe.ingestion.tardis_rows import IS_SNAPSHOT, ORIGIN, RECEIVED, Rows

MESSAGES_A_MICROSECOND = 1_000
"""An update id is the receive time in nanoseconds; below the microsecond is room for so many messages."""
BROKEN = "the file breaks off behind this message: it may not be whole"
_TOO_MANY = f"over {MESSAGES_A_MICROSECOND:,} messages of one receive time"


@dataclass
class Carried:
    """What the order book of a source carries from one step to the next, as integers.

    ``newest_ns`` is the newest origin time of its deltas so far, ``received_ns`` when the last row had come,
    ``opened`` the number of the last file of which a snapshot has been seen.
    """

    newest_ns: int = NONE
    received_ns: int = NONE
    opened: int = NONE


def trades(rows: Rows, faults: Faults) -> Parsed:
    """Trades; the id is kept where it is a whole number."""
    good = faults.good
    identity, side, price, amount = rows.values[4:, good]
    events = _events(rows, Kind.TRADE, good)
    events[Field.TRADE_ID] = identity
    events[Field.SIDE] = side
    events[Field.PRICE] = price
    events[Field.QUANTITY] = amount
    return Parsed(events=events)


def quotes(rows: Rows, faults: Faults) -> Parsed:
    """Best prices; a side that is empty has neither price nor quantity."""
    ask_amount, ask_price, bid_price, bid_amount = rows.values[4:]
    for name, price, amount in (("bid", bid_price, bid_amount), ("ask", ask_price, ask_amount)):
        faults.add((price == NONE) & (amount != NONE), f"{name}_price", "no value beside a quantity")
        faults.add((price != NONE) & (amount == NONE), f"{name}_amount", "no value beside a price")
    good = faults.good
    found = empty_quotes(int(good.sum()))
    found[Quote.ORIGIN_TIME] = rows.values[ORIGIN, good]
    found[Quote.RECEIVED_TIME] = rows.values[RECEIVED, good]
    found[Quote.UPDATE_ID] = rows.values[RECEIVED, good]
    found[Quote.BID_PRICE], found[Quote.BID_QUANTITY] = bid_price[good], bid_amount[good]
    found[Quote.ASK_PRICE], found[Quote.ASK_QUANTITY] = ask_price[good], ask_amount[good]
    found[Quote.MESSAGE] = rows.rows[good]
    return Parsed(quotes=found)


def snapshots(rows: Rows, faults: Faults) -> Parsed:
    """The best levels of each side after a message: one event a level, bids from the best down, then asks."""
    cells = rows.values[4:].reshape(2, -1, 2, len(rows))
    price, amount = cells[:, :, 0], cells[:, :, 1]
    exists = (price != NONE) & (amount > 0)
    _check_ladder(price, amount, exists, faults)
    ids = _update_ids(rows.values[RECEIVED], faults)
    at, side, level = np.nonzero(np.moveaxis(exists & faults.good, 2, 0))
    events = empty_events(len(at))
    events[Field.KIND] = Kind.BOOK_SNAPSHOT
    events[Field.FLAGS] = Flag.SAMPLED
    events[Field.ORIGIN_TIME], events[Field.RECEIVED_TIME] = (
        rows.values[ORIGIN, at],
        rows.values[RECEIVED, at],
    )
    events[Field.UPDATE_ID] = ids[at]
    events[Field.SIDE] = side
    events[Field.PRICE], events[Field.QUANTITY] = price[side, level, at], amount[side, level, at]
    events[Field.MESSAGE] = rows.rows[at]
    return Parsed(events=events)


def _check_ladder(price: Int64Array, amount: Int64Array, exists: BoolArray, faults: Faults) -> None:
    """Levels stand without holes from the first on, bids falling and asks rising."""
    for side, name in enumerate(("bids", "asks")):
        for level in range(price.shape[1]):
            field = f"{name}[{level}]"
            lone = (price[side, level] == NONE) != (amount[side, level] == NONE)
            faults.add(lone, f"{field}.price", "price or amount is missing")
            if not level:
                continue
            before = exists[side, level - 1]
            faults.add(exists[side, level] & ~before, f"{field}.price", "no level before it")
            rise = price[side, level] - price[side, level - 1]
            wrong = rise >= 0 if side == Side.BID else rise <= 0
            faults.add(
                exists[side, level] & before & wrong, f"{field}.price", "not behind that of the level before"
            )
    faults.add(np.flatnonzero(~exists.any(axis=(0, 1))), "bids[0].price", "no level on either side")


def deltas(rows: Rows, faults: Faults, file: int, carried: Carried, *, breaks_off: bool) -> Parsed:
    """Changes and snapshots of the order book; a snapshot goes on until the first change behind it.

    Parameters
    ----------
    rows, faults
        Whole messages, and what is wrong with them so far.
    file
        Number of the file.
    carried
        Brought up to date.
    breaks_off
        Whether the file does, behind these rows.
    """
    values = rows.values
    groups, firsts, lasts = _grouped(rows)
    if breaks_off and len(firsts):
        faults.add(groups == len(firsts) - 1, "", BROKEN)
    ids = _update_ids(values[RECEIVED, lasts], faults, groups)
    faults.spread(groups)
    is_kept = np.zeros(len(firsts), dtype=np.bool_)
    is_kept[groups[faults.good & (groups >= 0)]] = True
    origin = values[ORIGIN, lasts]
    is_snapshot = values[IS_SNAPSHOT, lasts] == 1
    found = Parsed(records=_connections(rows, groups, firsts, lasts, is_snapshot & is_kept, file, carried))
    times = _placed(origin, is_snapshot & is_kept, ~is_snapshot & is_kept, carried)
    good = np.flatnonzero(faults.good)
    of = groups[good]
    side, price, amount = values[IS_SNAPSHOT + 1 :, good]
    events = empty_events(len(good))
    events[Field.KIND] = np.where(is_snapshot[of], Kind.BOOK_SNAPSHOT, Kind.BOOK_DELTA)
    events[Field.ORIGIN_TIME], events[Field.RECEIVED_TIME] = times[of], values[RECEIVED, lasts][of]
    events[Field.FLAGS] = Flag.DERIVED_TIME * (times != origin)[of]
    events[Field.UPDATE_ID] = ids[of]
    events[Field.SIDE], events[Field.PRICE], events[Field.QUANTITY] = side, price, amount
    events[Field.MESSAGE] = rows.rows[firsts][of]
    if is_snapshot.any():
        # Best levels first: how far a side goes is told by its last row.
        rank = np.where(is_snapshot[of], np.where(side == Side.BID, -price, price), 0)
        order = np.lexsort((rank, np.where(is_snapshot[of], side, 0), of))
        events = np.ascontiguousarray(events[:, order])
    found.events = events
    found.counts = Counter(
        deltas=int((~is_snapshot & is_kept).sum()), snapshots=int((is_snapshot & is_kept).sum())
    )
    return found


def _grouped(rows: Rows) -> tuple[Int64Array, Int64Array, Int64Array]:
    """The message of each row (-1: of none), and the first and last row of each that can be read.

    A row whose times can't be read belongs to the message on both sides of it, or is one of its own.
    """
    values = rows.values
    keys = values[[RECEIVED, ORIGIN, IS_SNAPSHOT]]
    ours = ~rows.are_strange
    known = np.flatnonzero((keys != NONE).all(axis=0) & ours)
    groups = np.full(len(rows), -1, dtype=np.int64)
    key = keys[:, known]
    both = (key[2, 1:] == 1) & (key[2, :-1] == 1)
    changes = (key[:, 1:] != key[:, :-1]).any(axis=0) & ~both
    begins = np.flatnonzero(np.concatenate((np.ones(min(1, len(known)), dtype=np.bool_), changes)))
    groups[known] = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(known)))
    unread = np.flatnonzero((groups < 0) & ours)
    if len(unread) and len(known):
        behind = np.searchsorted(known, unread)
        is_between = (behind > 0) & (behind < len(known))
        left = groups[known[np.maximum(behind - 1, 0)]]
        right = groups[known[np.minimum(behind, len(known) - 1)]]
        groups[unread] = np.where(is_between & (left == right), left, -1)
    ends = np.append(begins[1:], len(known))[: len(begins)] - 1
    return groups, known[begins], known[ends]


def _update_ids(received: Int64Array, faults: Faults, groups: Int64Array | None = None) -> Int64Array:
    """Update ids of messages: the receive time, and a number among those of the same microsecond."""
    known = np.flatnonzero(received != NONE)
    times = received[known]
    begins = np.concatenate((np.ones(min(1, len(times)), dtype=np.bool_), times[1:] != times[:-1]))
    first = np.maximum.accumulate(np.where(begins, np.arange(len(times)), 0))
    number = np.arange(len(times)) - first
    ids = np.full(len(received), NONE, dtype=np.int64)
    ids[known] = times + number
    crowded = np.zeros(len(received), dtype=np.bool_)
    crowded[known] = number >= MESSAGES_A_MICROSECOND
    if crowded.any():
        faults.add(
            crowded if groups is None else crowded[groups] & (groups >= 0), "local_timestamp", _TOO_MANY
        )
    return ids


def _placed(origin: Int64Array, snapshots: BoolArray, deltas: BoolArray, carried: Carried) -> Int64Array:
    """Origin times of messages, those of snapshots moved between the deltas that they stand between.

    Where a venue's snapshot has no time, Tardis gives it its own clock's, which no order with the venue's
    times follows from; where it stands in the file is certain.
    """
    newest = np.maximum.accumulate(np.where(deltas, origin, NONE)) if len(origin) else origin
    newest = np.maximum(newest, carried.newest_ns)
    following = np.flatnonzero(deltas)
    times = origin.copy()
    for at in np.flatnonzero(snapshots).tolist():
        before = int(newest[at])
        times[at] = max(int(origin[at]), before)
        behind = int(np.searchsorted(following, at))
        if behind < len(following):
            times[at] = min(int(times[at]), max(before, int(origin[following[behind]])))
    if len(newest):
        carried.newest_ns = int(newest[-1])
    return times


def _connections(
    rows: Rows,
    groups: Int64Array,
    firsts: Int64Array,
    lasts: Int64Array,
    snapshots: BoolArray,
    file: int,
    carried: Carried,
) -> list[Quality]:
    """A record for each snapshot but the first of a file: there the recorder had connected anew."""
    received = rows.values[RECEIVED]
    records = []
    for group in np.flatnonzero(snapshots).tolist():
        before = int(received[lasts[group - 1]]) if group else carried.received_ns
        if carried.opened == file:
            records.append(
                Quality(
                    kind="capture_boundary",
                    severity=Severity.NOTE,
                    detail="a new snapshot in the middle of a file: the recorder had connected anew, and "
                    "what the venue sent meanwhile is missing",
                    from_time=before,
                    to_time=int(received[firsts[group]]),
                )
            )
        carried.opened = file
    if len(lasts):
        carried.received_ns = int(received[lasts[-1]])
    return records


def _events(rows: Rows, kind: Kind, good: BoolArray) -> Int64Array:
    events = empty_events(int(good.sum()))
    events[Field.KIND] = kind
    events[Field.FLAGS] = 0
    events[Field.ORIGIN_TIME] = rows.values[ORIGIN, good]
    events[Field.RECEIVED_TIME] = rows.values[RECEIVED, good]
    events[Field.MESSAGE] = rows.rows[good]
    return events
