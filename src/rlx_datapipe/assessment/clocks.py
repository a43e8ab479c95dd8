"""The two clocks of a source, looked at in arrival order: what times are there, and how they agree."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Int64Array, Kind
from rlx_datapipe.core.spread import count_value, no_spreads

COARSE_NS = 1_000_000
NEARLY_NS = 256
"""Archives whose times once were floating-point seconds have 32,999,936 ns for 33 ms."""
_UNSET = 2**62


class Clock(IntEnum):
    """Words of the clocks of one kind of message; how two parts are put together stands in `merge`."""

    ROWS = 0
    MESSAGES = 1
    TIMELESS = 2
    """Messages without an origin time."""
    BACK = 3
    """Messages whose origin time lies before that of the message of the kind before them."""
    RECEIVED_BACK = 4
    """The same for the receive time: somebody set the recorder's clock back."""
    AHEAD = 5
    """Messages that happened, by the venue's clock, after they were received by the recorder's."""
    WHOLE_MS = 6
    """Origin times that are whole milliseconds."""
    RECEIVED_WHOLE_MS = 7
    BACK_MAX_NS = 8
    RECEIVED_BACK_MAX_NS = 9
    NEWEST = 10
    LAG_MAX_NS = 11
    OLDEST = 12
    LAG_MIN_NS = 13
    FIRST_ORIGIN = 14
    FIRST_RECEIVED = 15
    LAST_ORIGIN = 16
    LAST_RECEIVED = 17


_SUMS = slice(Clock.ROWS, Clock.RECEIVED_WHOLE_MS + 1)
_MAXIMA = slice(Clock.BACK_MAX_NS, Clock.LAG_MAX_NS + 1)
_MINIMA = slice(Clock.OLDEST, Clock.LAG_MIN_NS + 1)
_FIRSTS = slice(Clock.FIRST_ORIGIN, Clock.FIRST_RECEIVED + 1)
_LASTS = slice(Clock.LAST_ORIGIN, Clock.LAST_RECEIVED + 1)


class Clocks:
    """Counts of the times of each kind of message.

    ``words`` is int64 of shape (kinds, words), see `Clock`; ``lags`` int64 of shape (kinds, BINS), the
    distribution of receive time minus origin time, in ns.
    """

    def __init__(self) -> None:
        self.words = np.zeros((len(Kind), len(Clock)), dtype=np.int64)
        self.words[:, _MINIMA] = _UNSET
        self.words[:, [Clock.NEWEST, Clock.LAG_MAX_NS]] = -_UNSET
        self.words[:, Clock.FIRST_ORIGIN :] = NONE
        self.lags = no_spreads(len(Kind))

    def add(self, events: Int64Array) -> None:
        """Take in the next events in arrival order, int64 (FIELDS, n), whole messages."""
        _look_at(events, self.words, self.lags)

    def merge(self, later: Clocks) -> None:
        """Take in what was counted of the messages that follow."""
        for mine, theirs in zip(self.words, later.words, strict=True):
            _step(mine, theirs[Clock.FIRST_ORIGIN], theirs[Clock.FIRST_RECEIVED])
            mine[_SUMS] += theirs[_SUMS]
            mine[_MAXIMA] = np.maximum(mine[_MAXIMA], theirs[_MAXIMA])
            mine[_MINIMA] = np.minimum(mine[_MINIMA], theirs[_MINIMA])
            for span, kept in ((_FIRSTS, mine), (_LASTS, theirs)):
                other = theirs if kept is mine else mine
                mine[span] = np.where(kept[span] != NONE, kept[span], other[span])
        self.lags += later.lags


@kernel
def _look_at(events: Int64Array, words: Int64Array, lags: Int64Array) -> None:
    for i in range(events.shape[1]):
        kind = events[Field.KIND, i]
        clock = words[kind]
        clock[Clock.ROWS] += 1
        if (
            i > 0
            and events[Field.MESSAGE, i] == events[Field.MESSAGE, i - 1]
            and events[Field.KIND, i - 1] == kind
        ):
            continue
        clock[Clock.MESSAGES] += 1
        origin, received = events[Field.ORIGIN_TIME, i], events[Field.RECEIVED_TIME, i]
        _step(clock, origin, received)
        if received != NONE:
            clock[Clock.RECEIVED_WHOLE_MS] += _is_whole(received)
            if clock[Clock.FIRST_RECEIVED] == NONE:
                clock[Clock.FIRST_RECEIVED] = received
            clock[Clock.LAST_RECEIVED] = received
        if origin == NONE:
            clock[Clock.TIMELESS] += 1
            continue
        clock[Clock.WHOLE_MS] += _is_whole(origin)
        if clock[Clock.FIRST_ORIGIN] == NONE:
            clock[Clock.FIRST_ORIGIN] = origin
        clock[Clock.LAST_ORIGIN] = origin
        clock[Clock.OLDEST] = min(clock[Clock.OLDEST], origin)
        clock[Clock.NEWEST] = max(clock[Clock.NEWEST], origin)
        if received != NONE:
            lag_ns = received - origin
            clock[Clock.AHEAD] += lag_ns < 0
            clock[Clock.LAG_MIN_NS] = min(clock[Clock.LAG_MIN_NS], lag_ns)
            clock[Clock.LAG_MAX_NS] = max(clock[Clock.LAG_MAX_NS], lag_ns)
            count_value(lags[kind], lag_ns)


@helper
def _step(clock: Int64Array, origin: int, received: int) -> None:
    """Count a step back from the message before to one with these times."""
    if origin != NONE and origin < clock[Clock.LAST_ORIGIN]:
        clock[Clock.BACK] += 1
        clock[Clock.BACK_MAX_NS] = max(clock[Clock.BACK_MAX_NS], clock[Clock.LAST_ORIGIN] - origin)
    if received != NONE and received < clock[Clock.LAST_RECEIVED]:
        clock[Clock.RECEIVED_BACK] += 1
        clock[Clock.RECEIVED_BACK_MAX_NS] = max(
            clock[Clock.RECEIVED_BACK_MAX_NS], clock[Clock.LAST_RECEIVED] - received
        )


@helper
def _is_whole(time: int) -> bool:
    """Whether a time is a whole millisecond, or once was one."""
    rest = time % COARSE_NS
    return bool(rest < NEARLY_NS or rest > COARSE_NS - NEARLY_NS)
