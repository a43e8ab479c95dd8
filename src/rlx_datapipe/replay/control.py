"""The state of a replay in one int64 array: where each word lies and what it means."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.sequence import SequenceRule

NS_PER_MS = 1_000_000


class Mode(IntEnum):
    """What the book is worth."""

    UNSYNCED = 0
    """No snapshot yet, or a gap since the last one: there is no book."""
    LOADED = 1
    """A snapshot was loaded; the delta that follows it has not come yet."""
    LIVE = 2


class Status(IntEnum):
    """Why the kernel came back."""

    DONE = 0
    GROW = 1
    REGRID = 2
    SNAPSHOT = 3
    """The group at the returned row is a snapshot that needs more than a comparison."""
    GAP_UNDER_SNAPSHOT = 4
    """A gap, while a snapshot that may close it is pending."""
    PAUSE = 5
    """Between two groups: a pending comparison, a keyframe or an epoch is due, or a buffer is full."""


class Word(IntEnum):
    """Index of each word of the control array."""

    MODE = 0
    LINK = 1
    KEEPS_EQUAL = 2
    LAST_ID = 3
    """Update id that the book stands at."""
    SEEN_ID = 4
    """Largest update id of any delta so far, applied or not."""
    DEPTH_TIME = 5
    BID_PRICE = 6
    BID_QUANTITY = 7
    ASK_PRICE = 8
    ASK_QUANTITY = 9
    STATE_FLAGS = 10
    """CROSSED, LOCKED, BOOK_INVALID, BEYOND_KNOWN as published with every event."""
    NEXT_EVENT = 11
    LAST_TIME = 12
    LAST_ORDER_TIME = 13
    BOOKS_EVERY = 14
    BUCKET = 15
    SAMPLE_DUE = 16
    SAMPLES = 17
    NOTES = 18
    NEXT_KEYFRAME = 19
    NEXT_EPOCH = 20
    KNOWN_LOW = 21
    KNOWN_HIGH = 22
    PENDING_ID = 23
    """Update id of a snapshot that waits for the delta that straddles it."""
    GROUP_START = 24
    GROUP_STOP = 25
    TRADE_ID = 26
    TRADES_AT_TIME = 27
    TRADE_TIME = 28
    ODD_SINCE_EVENT = 29
    ODD_SINCE_TIME = 30
    INVALID_SINCE_EVENT = 31
    INVALID_SINCE_TIME = 32
    SILENCE = 33
    DUPLICATES = 34
    DUPLICATE_TRADES = 35
    LATE = 36
    OFF_BOOK = 37
    TRADES_MATCHED = 38
    NOT_MARKET = 39
    CHECKS = 40
    STALE_CHECKS = 41
    APPLIED = 42
    """Delta groups applied."""
    BOOK_DEPTH = 43


WORDS = len(Word)
NOTE_WORDS = 7
DROPPED = NONE
"""In the flags of a row: the row is no event (a duplicate, or a check that found nothing)."""
NO_LIMIT = 2**63 - 1
"""Upper end of the known depth when a snapshot held the whole side."""


class Note(IntEnum):
    """Kinds of the kernel's notes; a note is (kind, from id, to id, from time, to time, a, b)."""

    GAP = 0
    RESET = 1
    CROSSED = 2
    LOCKED = 3
    SILENCE = 4


CONFIGURED = (Word.LINK, Word.KEEPS_EQUAL, Word.BOOKS_EVERY, Word.BOOK_DEPTH, Word.SILENCE)
"""Words that rule and settings give, and nothing changes."""
COUNTERS = (
    Word.DUPLICATES,
    Word.DUPLICATE_TRADES,
    Word.LATE,
    Word.OFF_BOOK,
    Word.TRADES_MATCHED,
    Word.NOT_MARKET,
    Word.CHECKS,
    Word.STALE_CHECKS,
)
"""Words that count since the last epoch and go back to 0 with it."""


def new_control(rule: SequenceRule, settings: Settings) -> Int64Array:
    """Control array of a replay that has seen nothing, int64 of shape (WORDS,)."""
    control = np.full(WORDS, NONE, dtype=np.int64)
    for word in (Word.MODE, Word.NEXT_EVENT, Word.SAMPLE_DUE, Word.SAMPLES, Word.NOTES, Word.TRADES_AT_TIME):
        control[word] = 0
    for word in (*COUNTERS, Word.APPLIED):
        control[word] = 0
    control[Word.LINK] = int(rule.link)
    control[Word.KEEPS_EQUAL] = int(rule.keeps_equal)
    control[Word.BOOKS_EVERY] = settings.books_every_ms * NS_PER_MS
    control[Word.BOOK_DEPTH] = settings.books_levels
    control[Word.NEXT_KEYFRAME] = settings.keyframe_events
    control[Word.NEXT_EPOCH] = settings.epoch_events
    control[Word.SILENCE] = settings.silence_ms * NS_PER_MS
    control[Word.STATE_FLAGS] = 2
    control[Word.INVALID_SINCE_EVENT] = 0
    control[Word.KNOWN_LOW] = 0
    control[Word.KNOWN_HIGH] = 0
    return control
