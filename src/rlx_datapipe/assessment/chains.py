"""The chains of ids in a feed: what is proven to follow, what is missing, what came twice."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.core.spread import count_value, no_spreads

NAMED_MAX = 1_000
"""Gaps, and quiet stretches, that are kept by name; all are counted."""
_NOTES = 4_096


class Id(IntEnum):
    """Words of the chains of ids; the words up to `TRADE_IDS_MISSING` add up when parts are put together."""

    DELTAS = 0
    """Depth messages that were judged: neither duplicates, nor late, nor of a count that began anew."""
    FOLLOWS = 1
    """Of these, the ones proven to follow the one before."""
    GAPS = 2
    IDS_MISSING = 3
    IDS = 4
    """Ids that the feed came forward by, over gaps too."""
    DUPLICATES = 5
    RESETS = 6
    """Times that the ids began anew, below those before."""
    LATE = 7
    """Depth messages that came too late to be put in their place."""
    TRADES = 8
    TRADE_FOLLOWS = 9
    """Trades whose id is that of the trade before plus one."""
    TRADE_REPEATS = 10
    """Trades with an id that was there already."""
    TRADE_GAPS = 11
    TRADE_IDS_MISSING = 12
    QUIET = 13
    """Stretches longer than the bound in which nothing happened."""
    QUIET_MAX_NS = 14
    SEEN_ID = 15
    SEEN_TIME = 16
    FIRST_FIRST = 17
    """First id, predecessor, last id and time of the first depth message, to put parts together."""
    FIRST_PREVIOUS = 18
    FIRST_UPDATE = 19
    FIRST_TIME = 20
    TRADE_ID = 21
    TRADE_TIME = 22
    FIRST_TRADE_ID = 23
    FIRST_TRADE_TIME = 24
    BEGAN = 25
    """Time of the first and of the last event of any kind."""
    ENDED = 26
    NOTED = 27


class Steps(IntEnum):
    """The distributions beside the words."""

    ID = 0
    """Last id of a depth message minus that of the one before."""
    TIME_NS = 1
    """Time between two depth messages."""
    TRADE_ID = 2
    TRADE_TIME_NS = 3


class Note(IntEnum):
    """What a note is about."""

    GAP = 0
    TRADE_GAP = 1
    QUIET = 2


class Stretch(NamedTuple):
    """A stretch between two messages: the ids on both sides of it, what is missing, and its times in ns."""

    after_id: int
    before_id: int
    missing: int
    from_time: int
    to_time: int


class Chains:
    """Counts of the ids of one chain, in the total order.

    Parameters
    ----------
    link
        How a depth message names its predecessor.
    quiet_ns
        A stretch without any event longer than this is noted: as information, it is no gap.
    """

    def __init__(self, link: Link, quiet_ns: int) -> None:
        self.words = np.full(len(Id), NONE, dtype=np.int64)
        self.words[: Id.QUIET_MAX_NS + 1] = 0
        self.words[Id.NOTED] = 0
        self.steps = no_spreads(len(Steps))
        self.named: tuple[list[Stretch], ...] = ([], [], [])
        """Gaps of the depth feed, of the trades, and quiet stretches, at most `NAMED_MAX` of each."""
        self._link, self._quiet_ns = int(link), quiet_ns
        self._notes = np.zeros((_NOTES, 6), dtype=np.int64)

    def add(self, events: Int64Array) -> None:
        """Take in the next events in the total order, int64 (FIELDS, n), whole messages."""
        at = 0
        while at < events.shape[1]:
            at = _follow(events, at, self._link, self._quiet_ns, self.words, self.steps, self._notes)
            self._name_noted()

    def merge(self, later: Chains) -> None:
        """Take in what was counted of the events that follow; their ids go on from the last one here."""
        mine, theirs = self.words, later.words
        if theirs[Id.BEGAN] == NONE:
            return
        notes = self._notes
        _note_quiet(mine, int(theirs[Id.BEGAN]), self._quiet_ns, notes)
        if theirs[Id.SEEN_ID] != NONE:
            first, previous = int(theirs[Id.FIRST_FIRST]), int(theirs[Id.FIRST_PREVIOUS])
            update, time = int(theirs[Id.FIRST_UPDATE]), int(theirs[Id.FIRST_TIME])
            _judge(mine, first, previous, update, time, self._link, self.steps, notes)
            # Both count the first message of the later part.
            mine[Id.DELTAS] -= 1
            mine[Id.SEEN_ID], mine[Id.SEEN_TIME] = theirs[Id.SEEN_ID], theirs[Id.SEEN_TIME]
        if theirs[Id.TRADE_ID] != NONE:
            _judge_trade(
                mine, int(theirs[Id.FIRST_TRADE_ID]), int(theirs[Id.FIRST_TRADE_TIME]), self.steps, notes
            )
            mine[Id.TRADES] -= 1
            mine[Id.TRADE_ID], mine[Id.TRADE_TIME] = theirs[Id.TRADE_ID], theirs[Id.TRADE_TIME]
        self._name_noted()
        mine[: Id.QUIET + 1] += theirs[: Id.QUIET + 1]
        mine[Id.QUIET_MAX_NS] = max(mine[Id.QUIET_MAX_NS], theirs[Id.QUIET_MAX_NS])
        mine[Id.ENDED] = theirs[Id.ENDED]
        mine[Id.BEGAN] = theirs[Id.BEGAN] if mine[Id.BEGAN] == NONE else mine[Id.BEGAN]
        self.steps += later.steps
        for named, others in zip(self.named, later.named, strict=True):
            named.extend(others[: NAMED_MAX - len(named)])

    def _name_noted(self) -> None:
        for kind, *stretch in self._notes[: self.words[Id.NOTED]].tolist():
            if len(self.named[kind]) < NAMED_MAX:
                self.named[kind].append(Stretch(*stretch))
        self.words[Id.NOTED] = 0


@kernel
def _follow(
    events: Int64Array,
    at: int,
    link: int,
    quiet_ns: int,
    words: Int64Array,
    steps: Int64Array,
    notes: Int64Array,
) -> int:
    """Follow the ids from a column on; the column to go on at, when the notes have been read."""
    while at < events.shape[1] and words[Id.NOTED] + 4 < notes.shape[0]:
        kind, time = events[Field.KIND, at], events[Field.ORDER_TIME, at]
        _note_quiet(words, time, quiet_ns, notes)
        if words[Id.BEGAN] == NONE:
            words[Id.BEGAN] = time
        words[Id.ENDED] = time
        if kind == Kind.TRADE:
            if events[Field.TRADE_ID, at] != NONE:
                _judge_trade(words, events[Field.TRADE_ID, at], time, steps, notes)
            at += 1
            continue
        message = events[Field.MESSAGE, at]
        if kind == Kind.BOOK_DELTA:
            if events[Field.FLAGS, at] & Flag.LATE and events[Field.UPDATE_ID, at] <= words[Id.SEEN_ID]:
                words[Id.LATE] += 1
            else:
                _judge(
                    words,
                    events[Field.FIRST_ID, at],
                    events[Field.PREVIOUS_ID, at],
                    events[Field.UPDATE_ID, at],
                    time,
                    link,
                    steps,
                    notes,
                )
        at += 1
        while (
            at < events.shape[1] and events[Field.MESSAGE, at] == message and events[Field.KIND, at] == kind
        ):
            at += 1
    return at


@kernel
def _judge(
    words: Int64Array,
    first: int,
    previous: int,
    update: int,
    time: int,
    link: int,
    steps: Int64Array,
    notes: Int64Array,
) -> None:
    """Judge one depth message by the venue's rule, as the replay does."""
    seen = words[Id.SEEN_ID]
    if seen == NONE:
        words[Id.FIRST_FIRST], words[Id.FIRST_PREVIOUS] = first, previous
        words[Id.FIRST_UPDATE], words[Id.FIRST_TIME] = update, time
    elif update <= seen and time <= words[Id.SEEN_TIME]:
        words[Id.DUPLICATES] += 1
        return
    elif update <= seen:
        words[Id.RESETS] += 1
    else:
        words[Id.IDS] += update - seen
        count_value(steps[Steps.ID], update - seen)
        count_value(steps[Steps.TIME_NS], time - words[Id.SEEN_TIME])
        missing = 0
        if link == Link.FIRST_ID:
            missing = first - seen - 1
        elif link == Link.PREVIOUS_ID and previous != seen:
            # A predecessor below the last id: how much is missing then is unknown.
            missing = max(previous - seen, 1)
        if missing > 0:
            words[Id.GAPS] += 1
            words[Id.IDS_MISSING] += missing
            before = first if link == Link.FIRST_ID else previous
            _note(words, notes, Note.GAP, seen, before, missing, words[Id.SEEN_TIME], time)
        elif link != Link.UNPROVABLE:
            words[Id.FOLLOWS] += 1
    words[Id.DELTAS] += 1
    words[Id.SEEN_ID], words[Id.SEEN_TIME] = update, max(time, words[Id.SEEN_TIME])


@kernel
def _judge_trade(words: Int64Array, trade: int, time: int, steps: Int64Array, notes: Int64Array) -> None:
    """Compare the id of a trade with that of the trade before."""
    last = words[Id.TRADE_ID]
    words[Id.TRADES] += 1
    if last == NONE:
        words[Id.FIRST_TRADE_ID], words[Id.FIRST_TRADE_TIME] = trade, time
    elif trade <= last:
        words[Id.TRADE_REPEATS] += 1
        return
    else:
        count_value(steps[Steps.TRADE_ID], trade - last)
        count_value(steps[Steps.TRADE_TIME_NS], time - words[Id.TRADE_TIME])
        if trade == last + 1:
            words[Id.TRADE_FOLLOWS] += 1
        else:
            words[Id.TRADE_GAPS] += 1
            words[Id.TRADE_IDS_MISSING] += trade - last - 1
            _note(words, notes, Note.TRADE_GAP, last, trade, trade - last - 1, words[Id.TRADE_TIME], time)
    words[Id.TRADE_ID], words[Id.TRADE_TIME] = trade, time


@kernel
def _note_quiet(words: Int64Array, time: int, quiet_ns: int, notes: Int64Array) -> None:
    """Note that nothing happened for long before an event at ``time``."""
    ended = words[Id.ENDED]
    if ended != NONE and time - ended > quiet_ns:
        words[Id.QUIET] += 1
        words[Id.QUIET_MAX_NS] = max(words[Id.QUIET_MAX_NS], time - ended)
        _note(words, notes, Note.QUIET, words[Id.SEEN_ID], words[Id.SEEN_ID], 0, ended, time)


@helper
def _note(
    words: Int64Array,
    notes: Int64Array,
    kind: int,
    after: int,
    before: int,
    missing: int,
    since: int,
    until: int,
) -> None:
    at = words[Id.NOTED]
    notes[at, 0], notes[at, 1], notes[at, 2] = kind, after, before
    notes[at, 3], notes[at, 4], notes[at, 5] = missing, since, until
    words[Id.NOTED] = at + 1
