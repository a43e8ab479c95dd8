"""MergeReplayer: events in order with the best prices last stated, and no book at all."""

from __future__ import annotations

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Side
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.replay.checks import levels_stop
from rlx_datapipe.replay.control import Word
from rlx_datapipe.replay.kernel import publish_row
from rlx_datapipe.replay.replayer import EventReplayer


class MergeReplayer(EventReplayer):
    """A replay that keeps no book, so that nothing it publishes depends on what may be missing.

    No delta is applied. The best prices are those of the last snapshot, and every event is flagged
    BOOK_INVALID: they are as old as that snapshot. There are no full books and no samples.
    """

    def _snapshot(self, events: Int64Array, start: int, best: Int64Array, flags: Int64Array) -> int:
        stop = int(self.control[Word.GROUP_STOP])
        state_best(events, start, stop, self.control, best, flags)
        return stop

    def _unsynced(self, last: int) -> Quality:
        return Quality(
            kind="unsynced",
            severity=Severity.WARN,
            detail="no book is kept: best prices are those of the last snapshot, where there was any",
            from_event_id=0,
            to_event_id=last,
        )


@kernel
def state_best(
    events: Int64Array, start: int, stop: int, control: Int64Array, best: Int64Array, flags: Int64Array
) -> None:
    """Publish the rows of a snapshot, from its last on with the best prices that it states."""
    is_late = events[Field.FLAGS, start] & Flag.LATE
    for row in range(start, stop):
        flags[row] = Flag.NOT_APPLIED if is_late else 0
        if row == stop - 1:
            flags[row] |= Flag.GROUP_END
            if not is_late:
                _take_best(events, start, levels_stop(events, start, stop), control)
        publish_row(events, row, control, best, flags)
    control[Word.LAST_ORDER_TIME] = events[Field.ORDER_TIME, start]


@helper
def _take_best(events: Int64Array, start: int, stop: int, control: Int64Array) -> None:
    """Take the best levels of a snapshot for those that are published."""
    for i in range(4):
        control[Word.BID_PRICE + i] = NONE
    for row in range(start, stop):
        price, side = events[Field.PRICE, row], events[Field.SIDE, row]
        at = Word.BID_PRICE + 2 * side
        best = control[at]
        is_best = best == NONE or (price > best if side == Side.BID else price < best)
        if is_best and events[Field.QUANTITY, row] > 0:
            control[at], control[at + 1] = price, events[Field.QUANTITY, row]
    bid, ask = control[Word.BID_PRICE], control[Word.ASK_PRICE]
    control[Word.STATE_FLAGS] = Flag.BOOK_INVALID
    if NONE not in (bid, ask) and bid >= ask:
        control[Word.STATE_FLAGS] |= Flag.CROSSED if bid > ask else Flag.LOCKED
