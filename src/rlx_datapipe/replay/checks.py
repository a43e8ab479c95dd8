"""Sampled snapshots inside the loop: compare, widen the known depth, and let what is equal pass."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.book.kernels import level_count, top_levels
from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.replay.control import DROPPED, NO_LIMIT, Mode, Word
from rlx_datapipe.replay.groups import group_stop

_CUTS = (5, 10, 20, 25, 50, 100, 400, 500, 1000, 5000)


@kernel
def is_cut(levels: int) -> bool:
    """Whether a snapshot side of so many levels was probably cut there by the venue's limit."""
    return levels in _CUTS


@kernel
def is_cut_side(events: Int64Array, row: int, levels: int) -> bool:
    """Whether a snapshot side, one of whose rows is given, was cut: as told by a flag, or by its levels."""
    return levels > 0 and (is_cut(levels) or events[Field.FLAGS, row] & Flag.REVEALED != 0)


@kernel
def levels_stop(events: Int64Array, start: int, stop: int) -> int:
    """Column behind the last level of the snapshot; one without levels has a row that is none."""
    return start if events[Field.PRICE, start] == NONE else stop


@kernel
def bid_rows(events: Int64Array, start: int, stop: int) -> int:
    """Number of bid rows of the snapshot from ``start`` to ``stop`` (bids come first)."""
    count = 0
    while start + count < stop and events[Field.SIDE, start + count] == Side.BID:
        count += 1
    return count


@kernel
def stated_low(events: Int64Array, start: int, bids: int) -> int:
    """Lowest price down to which the snapshot knows the book: 0 when it held all bids."""
    if is_cut_side(events, start, bids):
        return int(events[Field.PRICE, start + bids - 1])
    return 0


@kernel
def stated_high(events: Int64Array, stop: int, asks: int) -> int:
    """Highest price up to which the snapshot knows the book: NO_LIMIT when it held all asks."""
    if is_cut_side(events, stop - 1, asks):
        return int(events[Field.PRICE, stop - 1])
    return NO_LIMIT


@kernel
def check_passes(
    events: Int64Array, start: int, stop: int, control: Int64Array, book: Int64Array, flags: Int64Array
) -> bool:
    """Whether a sampled snapshot needs no more: it is older than the book, or equal to it level by level.

    Where deltas are inferred, any snapshot is such a one, and those before it have brought the book to it.
    """
    inferred = control[Word.LINK] == Link.INFERRED
    if control[Word.MODE] == Mode.UNSYNCED or not (inferred or events[Field.FLAGS, start] & Flag.SAMPLED):
        return False
    stated = events[Field.UPDATE_ID, start]
    if inferred and events[Field.FLAGS, start] & Flag.LATE:
        control[Word.STALE_CHECKS] += 1
        flags[start:stop] = DROPPED
        return True
    if inferred:
        control[Word.LAST_ID] = stated
    if stated > control[Word.LAST_ID]:
        return False
    if stated < control[Word.LAST_ID]:
        control[Word.STALE_CHECKS] += 1
    else:
        end = levels_stop(events, start, stop)
        bids = bid_rows(events, start, end)
        asks = end - start - bids
        _narrow_known(events, start, end, bids, control)
        if not (
            _side_equal(events, start, bids, book, Side.BID)
            and _side_equal(events, start + bids, asks, book, Side.ASK)
        ):
            return False
        if inferred:
            learn_known(events, start, control)
        else:
            widen_known(control, stated_low(events, start, bids), stated_high(events, end, asks))
        control[Word.CHECKS] += 1
    flags[start:stop] = DROPPED
    return True


@kernel
def _side_equal(events: Int64Array, start: int, count: int, book: Int64Array, side: int) -> bool:
    held = level_count(book, side)
    if held < count or (held > count and not is_cut_side(events, start, count)):
        return False
    prices, quantities = np.empty(count, np.int64), np.empty(count, np.int64)
    top_levels(book, side, count, prices, quantities)
    for i in range(count):
        if events[Field.PRICE, start + i] != prices[i] or events[Field.QUANTITY, start + i] != quantities[i]:
            return False
    return True


@kernel
def widen_known(control: Int64Array, low: int, high: int) -> None:
    """Join what was stated to the known depth: bids down to ``low``, asks up to ``high``.

    A side once known so far stays known, wherever the market goes: deltas tell each change of it.
    """
    control[Word.KNOWN_LOW] = min(low, control[Word.KNOWN_LOW])
    control[Word.KNOWN_HIGH] = max(high, control[Word.KNOWN_HIGH])


@kernel
def _narrow_known(events: Int64Array, start: int, end: int, bids: int, control: Int64Array) -> None:
    """Forget what was known beyond sides that are flagged as cut: nothing has told of it since."""
    asks = end - start - bids
    if bids > 0 and events[Field.FLAGS, start] & Flag.REVEALED:
        control[Word.KNOWN_LOW] = max(stated_low(events, start, bids), control[Word.KNOWN_LOW])
    if asks > 0 and events[Field.FLAGS, end - 1] & Flag.REVEALED:
        control[Word.KNOWN_HIGH] = min(stated_high(events, end, asks), control[Word.KNOWN_HIGH])


@kernel
def learn_known(events: Int64Array, start: int, control: Int64Array) -> None:
    """Take the known depth from the snapshot at ``start``, if there is one.

    Where no delta tells of a level that a later snapshot does not cover, it is not known any more.
    """
    is_snapshot = start < events.shape[1] and events[Field.KIND, start] == Kind.BOOK_SNAPSHOT
    if not is_snapshot or events[Field.FLAGS, start] & Flag.LATE:
        return
    stop = levels_stop(events, start, group_stop(events, start))
    bids = bid_rows(events, start, stop)
    control[Word.KNOWN_LOW] = stated_low(events, start, bids)
    control[Word.KNOWN_HIGH] = stated_high(events, stop, stop - start - bids)
