"""What the replay loop asks of one atomic group: where it ends, whether it follows, what it publishes."""

from __future__ import annotations

from enum import IntEnum

from rlx_datapipe.book.kernels import best_price, best_quantity
from rlx_datapipe.core.compiled import helper
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Side
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.replay.control import NO_LIMIT, Mode, Note, Word


class Act(IntEnum):
    """What becomes of an update group."""

    APPLY = 0
    KEEP = 1
    """It is an event, but does not touch the book: there is none yet, or the snapshot has it already."""
    KEEP_LATE = 2
    """It came too late to be put in its place."""
    DROP = 3
    """A duplicate."""
    GAP = 4
    RESET = 5


@helper
def group_stop(events: Int64Array, start: int) -> int:
    """Column behind the last row of the group that begins at ``start``."""
    stop = start + 1
    message, kind = events[Field.MESSAGE, start], events[Field.KIND, start]
    while (
        stop < events.shape[1]
        and events[Field.MESSAGE, stop] == message
        and events[Field.KIND, stop] == kind
        and events[Field.UPDATE_ID, stop] == events[Field.UPDATE_ID, start]
    ):
        stop += 1
    return stop


@helper
def judge_delta(events: Int64Array, start: int, control: Int64Array) -> int:
    """What becomes of the update group at ``start`` (an `Act`), by the venue's sequence rule."""
    update = events[Field.UPDATE_ID, start]
    if control[Word.LINK] == Link.INFERRED:
        return Act.KEEP if control[Word.MODE] == Mode.UNSYNCED else Act.APPLY
    if update <= control[Word.SEEN_ID]:
        if events[Field.FLAGS, start] & Flag.LATE:
            return Act.KEEP_LATE
        return Act.DROP if events[Field.ORDER_TIME, start] <= control[Word.DEPTH_TIME] else Act.RESET
    mode = control[Word.MODE]
    if mode == Mode.UNSYNCED:
        return Act.KEEP
    last = control[Word.LAST_ID]
    if mode == Mode.LOADED and (update < last or (update == last and control[Word.KEEPS_EQUAL] == 0)):
        return Act.KEEP
    follows = follows_snapshot(events, start, control, last)
    if mode == Mode.LIVE:
        follows = follows_delta(events, start, control, last)
    return Act.APPLY if follows else Act.GAP


@helper
def follows_snapshot(events: Int64Array, start: int, control: Int64Array, stated: int) -> bool:
    """Whether the group at ``start`` continues a snapshot with update id ``stated``."""
    link = control[Word.LINK]
    if link == Link.FIRST_ID:
        return bool(events[Field.FIRST_ID, start] <= stated + 1)
    if link == Link.PREVIOUS_ID:
        return bool(events[Field.PREVIOUS_ID, start] <= stated or events[Field.FIRST_ID, start] <= stated)
    return True


@helper
def follows_delta(events: Int64Array, start: int, control: Int64Array, last: int) -> bool:
    """Whether the group at ``start`` continues a delta with update id ``last``."""
    link = control[Word.LINK]
    if link == Link.FIRST_ID:
        return bool(events[Field.FIRST_ID, start] <= last + 1)
    if link == Link.PREVIOUS_ID:
        return bool(events[Field.PREVIOUS_ID, start] == last)
    return True


@helper
def write_note(
    control: Int64Array,
    notes: Int64Array,
    kind: int,
    from_event: int,
    to_event: int,
    from_time: int,
    to_time: int,
    a: int,
    b: int,
) -> None:
    """Write one note; the loop keeps room for as many as one group can cause."""
    at = control[Word.NOTES]
    notes[at, 0] = kind
    notes[at, 1] = from_event
    notes[at, 2] = to_event
    notes[at, 3] = from_time
    notes[at, 4] = to_time
    notes[at, 5] = a
    notes[at, 6] = b
    control[Word.NOTES] = at + 1


@helper
def publish_best(control: Int64Array, book: Int64Array, notes: Int64Array, time: int) -> None:
    """Take the best prices from the book; flag what is crossed, locked or beyond the known depth."""
    bid, ask = best_price(book, Side.BID), best_price(book, Side.ASK)
    control[Word.BID_PRICE] = bid
    control[Word.BID_QUANTITY] = best_quantity(book, Side.BID) if bid != NONE else NONE
    control[Word.ASK_PRICE] = ask
    control[Word.ASK_QUANTITY] = best_quantity(book, Side.ASK) if ask != NONE else NONE
    state = 0
    if NONE not in (bid, ask) and bid >= ask:
        state = Flag.CROSSED if bid > ask else Flag.LOCKED
    odd = control[Word.STATE_FLAGS] & (Flag.CROSSED | Flag.LOCKED)
    if state != odd:
        close_odd_state(control, notes, time)
        if state != 0:
            control[Word.ODD_SINCE_EVENT] = control[Word.NEXT_EVENT]
            control[Word.ODD_SINCE_TIME] = time
    # Beyond the known depth an empty side is as unknown as a price.
    low, high = control[Word.KNOWN_LOW], control[Word.KNOWN_HIGH]
    if max(bid, 0) < low or (ask if ask != NONE else NO_LIMIT) > high:
        state |= Flag.BEYOND_KNOWN
    control[Word.STATE_FLAGS] = state


@helper
def close_odd_state(control: Int64Array, notes: Int64Array, time: int) -> None:
    """Note the stretch in which the book was crossed or locked, when it ends."""
    odd = control[Word.STATE_FLAGS] & (Flag.CROSSED | Flag.LOCKED)
    if odd != 0 and control[Word.ODD_SINCE_EVENT] != NONE:
        kind = Note.CROSSED if odd & Flag.CROSSED else Note.LOCKED
        since, event = control[Word.ODD_SINCE_EVENT], control[Word.NEXT_EVENT]
        write_note(control, notes, kind, since, event, control[Word.ODD_SINCE_TIME], time, 0, 0)
        control[Word.ODD_SINCE_EVENT] = NONE
