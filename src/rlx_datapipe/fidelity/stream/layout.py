"""Where everything lies in the arrays of tier 1: what goes on between events, and what a window holds."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.moments import MOMENTS
from rlx_datapipe.fidelity.sketch import Sketch, Word

WINDOW_NS = 300_000_000_000
"""Length of a window on the clock: that of a verdict's windows."""
SECOND_NS = 1_000_000_000
STEP_NS = 100_000_000
NEVER = 2**62


class Rate(IntEnum):
    """Words of one rate: groups of deltas in steps of one length, and what is usual (see `rates`)."""

    LENGTH = 0
    END = 1
    """End of the present step, ns, and groups in it so far."""
    COUNT = 2
    LIMIT = 3
    """Count that is an anomaly."""
    LEVEL = 4
    """Usual binary logarithm of the count, and its usual deviation, in units of 1 / ONE."""
    SPREAD = 5
    SEEN = 6
    """Steps with a group so far."""
    QUIET_UNTIL = 7
    """Until when no further anomaly is told."""


RATE = len(Rate)


class Carry(IntEnum):
    """What goes on from event to event, int64 of shape (CARRY,)."""

    CLOCK = 0
    """Latest origin time so far: an event that came late counts where it stands."""
    WINDOW_END = 1
    SINCE = 2
    """From when the standing quote has not been weighed yet."""
    BID = 3
    """Standing best quote: bid, its quantity, ask, its quantity; NONE where none stands."""
    BID_QUANTITY = 4
    ASK = 5
    ASK_QUANTITY = 6
    GRID = 7
    """Next whole second, ns, at which the mid is looked at."""
    FLOW = 8
    """Order flow of the second that ends at `FLOW_END`, and of the one before it."""
    FLOW_END = 9
    FLOW_BEFORE = 10
    MESSAGE_TIME = 11
    TRADE_TIME = 12
    GAP = 13
    """The last gap between messages that was looked up, and its bucket: most are like the one before."""
    GAP_BUCKET = 14
    LAST_ID = 15
    TRADE_ID = 16
    FINE = 17
    """Words of the rate in steps of 100 ms."""
    COARSE = FINE + RATE
    """Words of the rate in seconds."""


CARRY = Carry.COARSE + RATE


class Memory(IntEnum):
    """Numbers that go on from second to second, float64 of shape (MEMORY,)."""

    MID = 0
    """Mid at the second before, in ticks; NaN where there was none."""
    RETURN = 1
    """The last return that was defined; NaN at the start of a window."""
    TICK = 2
    """Price step in scaled units."""


MEMORY = len(Memory)


class Count(IntEnum):
    """What is counted in a window: the first words of it; all of them add up."""

    MESSAGES = 0
    """Trades, and groups of deltas."""
    TRADES = 1
    QUOTES = 2
    """Best quotes as published, one for each group."""
    QUOTED_NS = 3
    """Time for which a best quote stood."""
    LOST = 4
    """Times that the book was lost: gaps and resets of the feed."""
    BACK = 5
    """Update ids below the one before."""
    TRADE_JUMPS = 6
    """Trade ids that left some out, and how many they left out."""
    TRADES_MISSING = 7
    TIES = 8
    """Messages at the very time of the one before."""
    VOLUME = 9
    SIGNED_VOLUME = 10
    """Quantity traded, and bought less sold, scaled units."""
    FLOWS = 11
    """Quotes that follow another; their order flow, and its size, summed."""
    FLOW = 12
    FLOW_SIZE = 13
    FINE_STEPS = 14
    """Steps of 100 ms with groups of deltas, and the squares of how many there were."""
    FINE_SQUARES = 15
    COARSE_STEPS = 16
    """The same of seconds."""
    COARSE_SQUARES = 17
    ALERTS = 18


class Number(IntEnum):
    """Sums of a window that are no integers, float64 of shape (NUMBERS,)."""

    SPREAD = 0
    """Moments of the best spread in ticks, weighted by seconds."""
    DEPTH = SPREAD + MOMENTS
    """Moments of the quantity at both best prices, scaled units, weighted by seconds."""
    RETURNS = DEPTH + MOMENTS
    """Logarithmic returns of the mid over seconds: how many, sums of squares and of fourth powers."""
    SQUARES = RETURNS + 1
    FOURTHS = RETURNS + 2
    PRODUCTS = RETURNS + 3
    """Sums of the products of neighbouring returns, and of their squares: Hausman's test."""
    PRODUCT_SQUARES = RETURNS + 4
    PAIRS = RETURNS + 5
    """Seconds with an order flow x and a move of the mid y in ticks; sums of x, y, x x, x y and y y."""
    X = RETURNS + 6
    Y = RETURNS + 7
    XX = RETURNS + 8
    XY = RETURNS + 9
    YY = RETURNS + 10


COUNTS = len(Count)
NUMBERS = Number.YY + 1

SKETCHES = ("message_gap_ns", "trade_gap_ns", "spread_ticks_by_ns", "trade_quantity", "flow_per_second")
"""Sketches of a window, each all its buckets, behind the counts."""

_EMPTY = Sketch()
FIRST, SIDE = int(_EMPTY.words[Word.FIRST]), int(_EMPTY.words[Word.SIDE])
PER_BUCKET = 1.0 / float(np.log((1 + 0.01) / (1 - 0.01)))
BUCKETS = 2 * SIDE + 1
MESSAGE_GAPS, TRADE_GAPS, SPREADS, TRADE_SIZES, FLOWS = (COUNTS + BUCKETS * k for k in range(5))
WORDS = COUNTS + BUCKETS * len(SKETCHES)
"""Words of a window, int64."""


def new_carry() -> Int64Array:
    """What is known before the first event."""
    words = np.zeros(CARRY, dtype=np.int64)
    unknown = (Carry.CLOCK, Carry.BID, Carry.BID_QUANTITY, Carry.ASK, Carry.ASK_QUANTITY, Carry.LAST_ID)
    words[[*unknown, Carry.MESSAGE_TIME, Carry.TRADE_TIME, Carry.GAP, Carry.TRADE_ID]] = NONE
    for start, length in ((Carry.FINE, STEP_NS), (Carry.COARSE, SECOND_NS)):
        words[start + Rate.LENGTH], words[start + Rate.LIMIT] = length, NEVER
    return words


def new_memory(price_step: int) -> FloatArray:
    """Numbers before the first second; ``price_step`` in scaled units."""
    return np.array([np.nan, np.nan, price_step], dtype=np.float64)
