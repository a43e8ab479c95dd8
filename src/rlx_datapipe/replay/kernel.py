"""The replay loop: ordered events in, best prices and flags after each of them out, without Python rows."""

from __future__ import annotations

from typing import Any

from rlx_datapipe.book.kernels import quantity_at, set_level, top_levels
from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.replay.checks import check_passes, learn_known
from rlx_datapipe.replay.control import DROPPED, Mode, Note, Status, Word
from rlx_datapipe.replay.groups import (
    Act,
    close_odd_state,
    group_stop,
    judge_delta,
    publish_best,
    write_note,
)

_OK = 0


@kernel
def replay_rows(
    events: Int64Array,
    start: int,
    control: Int64Array,
    book: Int64Array,
    best: Int64Array,
    flags: Int64Array,
    samples: Int64Array,
    sample_heads: Int64Array,
    notes: Int64Array,
    recent_trades: Int64Array,
) -> Any:
    """Replay events from column ``start`` on; the next column to replay and the status there.

    Parameters
    ----------
    events
        int64 (FIELDS, n) in the total order, whole groups only.
    control
        int64 (WORDS,), see `Word`; read and updated.
    book
        State of an `OrderBookEngine`; updated.
    best
        int64 (4, n), filled: best bid price and quantity, best ask price and quantity after each event.
    flags
        int64 (n,), filled: flags of each event, or DROPPED.
    samples, sample_heads
        int64 (capacity, 4, depth) and (capacity, 4), filled: top levels, and (event id, origin time, number
        of bids, number of asks) of each.
    notes
        int64 (capacity, NOTE_WORDS), filled.
    recent_trades
        int64 (capacity,), ids of the trades at the present time.
    """
    at = start
    stop = events.shape[1]
    while at < stop:
        if control[Word.NOTES] + 4 > notes.shape[0] or not _sample(
            events[Field.ORDER_TIME, at], control, book, samples, sample_heads
        ):
            return at, Status.PAUSE
        _note_silence(events[Field.ORDER_TIME, at], control, notes)
        end = group_stop(events, at)
        kind = events[Field.KIND, at]
        if kind == Kind.TRADE:
            for row in range(at, end):
                _trade(events, row, control, book, best, flags, recent_trades)
        elif kind == Kind.BOOK_DELTA:
            if control[Word.LINK] == Link.INFERRED:
                learn_known(events, end, control)
            status = _delta(events, at, end, control, book, best, flags, notes)
            if status != Status.DONE:
                return at, status
        elif not check_passes(events, at, end, control, book, flags):
            control[Word.GROUP_START], control[Word.GROUP_STOP] = at, end
            return at, Status.SNAPSHOT
        at = end
        control[Word.LAST_ORDER_TIME] = events[Field.ORDER_TIME, end - 1]
        if _due(control):
            return at, Status.PAUSE
    return stop, Status.DONE


@helper
def _due(control: Int64Array) -> bool:
    """Whether Python has work between this group and the next."""
    events = control[Word.NEXT_EVENT]
    pending = control[Word.PENDING_ID] != NONE and control[Word.LAST_ID] >= control[Word.PENDING_ID]
    return bool(pending or events >= control[Word.NEXT_KEYFRAME] or events >= control[Word.NEXT_EPOCH])


@helper
def publish_row(
    events: Int64Array, row: int, control: Int64Array, best: Int64Array, flags: Int64Array
) -> None:
    """Make a row an event: give it the published best prices and the flags of the state."""
    for i in range(4):
        best[i, row] = control[Word.BID_PRICE + i]
    flags[row] |= events[Field.FLAGS, row] | control[Word.STATE_FLAGS]
    if events[Field.FLAGS, row] & Flag.LATE:
        control[Word.LATE] += 1
    control[Word.NEXT_EVENT] += 1
    control[Word.LAST_TIME] = events[Field.ORIGIN_TIME, row]
    if control[Word.MODE] != Mode.UNSYNCED:
        control[Word.SAMPLE_DUE] = 1


@kernel
def _sample(
    time: int, control: Int64Array, book: Int64Array, samples: Int64Array, sample_heads: Int64Array
) -> bool:
    """Write the top of the book as the last interval left it, when a new one begins; False if full."""
    every = control[Word.BOOKS_EVERY]
    bucket = time // every if every > 0 else control[Word.APPLIED]
    if bucket == control[Word.BUCKET]:
        return True
    if control[Word.SAMPLE_DUE] == 1:
        if control[Word.SAMPLES] == samples.shape[0]:
            return False
        take_sample(control, book, samples, sample_heads)
    control[Word.BUCKET] = bucket
    return True


@kernel
def take_sample(control: Int64Array, book: Int64Array, samples: Int64Array, sample_heads: Int64Array) -> None:
    """Write the top of the book as one sample; the caller knows that there is room."""
    at = control[Word.SAMPLES]
    depth = control[Word.BOOK_DEPTH]
    sample_heads[at, 0] = control[Word.NEXT_EVENT] - 1
    sample_heads[at, 1] = control[Word.LAST_TIME]
    sample_heads[at, 2] = top_levels(book, Side.BID, depth, samples[at, 0], samples[at, 1])
    sample_heads[at, 3] = top_levels(book, Side.ASK, depth, samples[at, 2], samples[at, 3])
    control[Word.SAMPLES] = at + 1
    control[Word.SAMPLE_DUE] = 0


@helper
def _note_silence(time: int, control: Int64Array, notes: Int64Array) -> None:
    """Note a stretch without any event; it is no gap, only quiet."""
    last = control[Word.LAST_ORDER_TIME]
    if last != NONE and time - last > control[Word.SILENCE]:
        following = control[Word.NEXT_EVENT]
        write_note(control, notes, Note.SILENCE, following - 1, following, last, time, 0, 0)
        # The group may have to begin again, when the book needs room.
        control[Word.LAST_ORDER_TIME] = time


@helper
def _trade(
    events: Int64Array,
    row: int,
    control: Int64Array,
    book: Int64Array,
    best: Int64Array,
    flags: Int64Array,
    recent_trades: Int64Array,
) -> None:
    """Publish a trade; match it to the level that it hit, which it does not change (deltas do)."""
    if seen_trade(events[Field.TRADE_ID, row], events[Field.ORDER_TIME, row], control, recent_trades):
        flags[row] = DROPPED
        control[Word.DUPLICATE_TRADES] += 1
        return
    flags[row] = Flag.GROUP_END
    if events[Field.FLAGS, row] & Flag.NOT_MARKET:
        control[Word.NOT_MARKET] += 1
    elif control[Word.MODE] != Mode.UNSYNCED:
        hit = Side.BID if events[Field.SIDE, row] == Side.ASK else Side.ASK
        if quantity_at(book, hit, events[Field.PRICE, row]) > 0:
            control[Word.TRADES_MATCHED] += 1
        else:
            flags[row] |= Flag.OFF_BOOK
            control[Word.OFF_BOOK] += 1
    publish_row(events, row, control, best, flags)


@helper
def seen_trade(trade_id: int, time: int, control: Int64Array, recent_trades: Int64Array) -> bool:
    """Whether a trade of this id and time has been published; one without an id is like no other.

    Ids mostly grow, so this is seldom a search.
    """
    if trade_id == NONE:
        return False
    if time != control[Word.TRADE_TIME]:
        control[Word.TRADE_TIME] = time
        control[Word.TRADES_AT_TIME] = 0
    count = control[Word.TRADES_AT_TIME]
    if trade_id <= control[Word.TRADE_ID]:
        for i in range(min(count, recent_trades.shape[0])):
            if recent_trades[i] == trade_id:
                return True
    control[Word.TRADE_ID] = max(control[Word.TRADE_ID], trade_id)
    recent_trades[count % recent_trades.shape[0]] = trade_id
    control[Word.TRADES_AT_TIME] = count + 1
    return False


@helper
def _delta(
    events: Int64Array,
    start: int,
    stop: int,
    control: Int64Array,
    book: Int64Array,
    best: Int64Array,
    flags: Int64Array,
    notes: Int64Array,
) -> int:
    """Replay one atomic update group; a status other than DONE means that nothing of it counts yet."""
    act = judge_delta(events, start, control)
    if act == Act.DROP:
        flags[start:stop] = DROPPED
        control[Word.DUPLICATES] += 1
        return Status.DONE
    if act == Act.GAP and control[Word.PENDING_ID] != NONE:
        control[Word.GROUP_START], control[Word.GROUP_STOP] = start, stop
        return Status.GAP_UNDER_SNAPSHOT
    if act == Act.APPLY:
        for row in range(start, stop):
            if events[Field.PRICE, row] != NONE:
                side, price = events[Field.SIDE, row], events[Field.PRICE, row]
                status = set_level(book, side, price, events[Field.QUANTITY, row])
                if status != _OK:
                    # Quantities are absolute: the group is simply applied again from its first row.
                    control[Word.GROUP_START], control[Word.GROUP_STOP] = row, stop
                    return status
    if act in (Act.GAP, Act.RESET):
        lose_book(events, start, control, notes, act)
    time = events[Field.ORDER_TIME, start]
    for row in range(start, stop):
        flags[row] = 0 if act == Act.APPLY else Flag.NOT_APPLIED
        if row == stop - 1:
            flags[row] |= Flag.GROUP_END
            if act == Act.APPLY:
                control[Word.MODE] = Mode.LIVE
                control[Word.LAST_ID] = events[Field.UPDATE_ID, start]
                control[Word.APPLIED] += 1
                publish_best(control, book, notes, events[Field.ORIGIN_TIME, row])
        publish_row(events, row, control, best, flags)
    if act != Act.KEEP_LATE:
        control[Word.SEEN_ID] = max(control[Word.SEEN_ID], events[Field.UPDATE_ID, start])
        control[Word.DEPTH_TIME] = max(control[Word.DEPTH_TIME], time)
    control[Word.GROUP_START], control[Word.GROUP_STOP] = start, stop
    return Status.DONE


@helper
def lose_book(events: Int64Array, start: int, control: Int64Array, notes: Int64Array, act: int) -> None:
    """Declare that from the group at ``start`` on there is no book, and note why."""
    event, time = control[Word.NEXT_EVENT], events[Field.ORIGIN_TIME, start]
    expected, found = control[Word.LAST_ID] + 1, events[Field.FIRST_ID, start]
    kind = Note.GAP
    if act == Act.RESET:
        kind, expected, found = Note.RESET, control[Word.SEEN_ID] + 1, events[Field.UPDATE_ID, start]
        control[Word.SEEN_ID] = NONE
    write_note(control, notes, kind, event - 1, event, control[Word.LAST_TIME], time, expected, found)
    close_odd_state(control, notes, time)
    if control[Word.MODE] != Mode.UNSYNCED:
        control[Word.INVALID_SINCE_EVENT], control[Word.INVALID_SINCE_TIME] = event, time
    control[Word.MODE] = Mode.UNSYNCED
    control[Word.PENDING_ID] = NONE
    control[Word.SAMPLE_DUE] = 0
    for i in range(4):
        control[Word.BID_PRICE + i] = NONE
    control[Word.STATE_FLAGS] = Flag.BOOK_INVALID
