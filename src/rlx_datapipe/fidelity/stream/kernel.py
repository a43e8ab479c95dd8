"""The loop of tier 1: every replayed event is seen once, where it lies; only ends of groups cost anything."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.sketch import bucket_of
from rlx_datapipe.fidelity.stream.layout import (
    FIRST,
    MESSAGE_GAPS,
    PER_BUCKET,
    SECOND_NS,
    SIDE,
    TRADE_GAPS,
    TRADE_SIZES,
    WINDOW_NS,
    Carry,
    Count,
    Memory,
    Rate,
)
from rlx_datapipe.fidelity.stream.quotes import end_flow, pass_seconds, settle, take_quote
from rlx_datapipe.fidelity.stream.rates import begin_step, count_message, is_silence, quieten

LOST_MAX = 3
"""Times that the book is lost in one window which are an anomaly."""


class Stop(IntEnum):
    """Why the loop came back."""

    DONE = 0
    WINDOW = 1
    """The next event lies in another window."""
    BURST = 2
    """So many deltas within 100 ms, or a second, are an anomaly."""
    LONG_BURST = 3
    SILENCE = 4
    SEQUENCE = 5


@kernel
def see_rows(
    events: Int64Array,
    best: Int64Array,
    flags: Int64Array,
    start: int,
    carry: Int64Array,
    memory: FloatArray,
    words: Int64Array,
    numbers: FloatArray,
) -> Any:
    """See events from column ``start`` on; the next column to see, and why the loop stopped before it.

    Parameters
    ----------
    events, best, flags
        As of `core.replayed.Replayed`.
    carry, memory, words, numbers
        As of `layout`; updated.
    """
    for i in range(start, flags.shape[0]):
        if not flags[i] & Flag.GROUP_END:
            continue
        time = max(events[Field.ORIGIN_TIME, i], carry[Carry.CLOCK])
        if time >= carry[Carry.WINDOW_END]:
            return i, Stop.WINDOW
        carry[Carry.CLOCK] = time
        if time > carry[Carry.GRID]:
            pass_seconds(carry, memory, words, numbers, time)
        if time >= carry[Carry.FLOW_END]:
            end_flow(carry, words, time)
        stop: int = Stop.DONE
        kind = events[Field.KIND, i]
        if kind != Kind.BOOK_SNAPSHOT:
            stop = _take_message(time, carry, words)
        if kind == Kind.BOOK_DELTA:
            burst = _take_delta(time, carry, words)
            stop = burst if burst != Stop.DONE else stop
        if kind == Kind.TRADE:
            _take_trade(events, i, time, carry, words)
        elif flags[i] & Flag.BOOK_INVALID or best[0, i] == NONE or best[2, i] == NONE:
            if carry[Carry.BID] != NONE and flags[i] & Flag.BOOK_INVALID and _lose(words):
                stop = Stop.SEQUENCE
            take_quote(NONE, NONE, NONE, NONE, carry, memory, words, numbers)
        else:
            take_quote(best[0, i], best[1, i], best[2, i], best[3, i], carry, memory, words, numbers)
        if kind == Kind.BOOK_DELTA and events[Field.UPDATE_ID, i] != NONE:
            words[Count.BACK] += events[Field.UPDATE_ID, i] < carry[Carry.LAST_ID]
            carry[Carry.LAST_ID] = events[Field.UPDATE_ID, i]
        if stop != Stop.DONE:
            words[Count.ALERTS] += 1
            if stop != Stop.SEQUENCE:
                quieten(carry, Carry.FINE, time)
                quieten(carry, Carry.COARSE, time)
            return i + 1, stop
    return flags.shape[0], Stop.DONE


@helper
def _take_message(time: int, carry: Int64Array, words: Int64Array) -> int:
    """Count a message and the time since the one before."""
    words[Count.MESSAGES] += 1
    before = carry[Carry.MESSAGE_TIME]
    carry[Carry.MESSAGE_TIME] = time
    gap = time - before
    if gap == 0:
        words[Count.TIES] += 1
    elif before != NONE:
        if gap != carry[Carry.GAP]:
            carry[Carry.GAP] = gap
            carry[Carry.GAP_BUCKET] = MESSAGE_GAPS + bucket_of(float(gap), PER_BUCKET, FIRST, SIDE)
        words[carry[Carry.GAP_BUCKET]] += 1
        if gap > 2 * SECOND_NS and is_silence(carry, Carry.COARSE, time, before):
            return Stop.SILENCE
    return Stop.DONE


@helper
def _take_delta(time: int, carry: Int64Array, words: Int64Array) -> int:
    """Count a group of deltas in its steps. Trades are left out: that they come in bursts is the market."""
    if time >= carry[Carry.FINE + Rate.END]:
        _begin_fine(carry, words, time)
        if time >= carry[Carry.COARSE + Rate.END]:
            _begin_coarse(carry, words, time)
    stop = Stop.DONE
    if count_message(carry, Carry.FINE):
        stop = Stop.BURST
    if count_message(carry, Carry.COARSE) and stop == Stop.DONE:
        stop = Stop.LONG_BURST
    return stop


@helper
def _begin_fine(carry: Int64Array, words: Int64Array, time: int) -> None:
    count = begin_step(carry, Carry.FINE, time)
    words[Count.FINE_STEPS] += count > 0
    words[Count.FINE_SQUARES] += count * count


@helper
def _begin_coarse(carry: Int64Array, words: Int64Array, time: int) -> None:
    count = begin_step(carry, Carry.COARSE, time)
    words[Count.COARSE_STEPS] += count > 0
    words[Count.COARSE_SQUARES] += count * count


@helper
def _take_trade(events: Int64Array, row: int, time: int, carry: Int64Array, words: Int64Array) -> None:
    """Take the size of a trade, and the time since the one before; only trades of the market count."""
    if events[Field.FLAGS, row] & Flag.NOT_MARKET:
        return
    quantity = events[Field.QUANTITY, row]
    words[Count.TRADES] += 1
    words[Count.VOLUME] += quantity
    words[Count.SIGNED_VOLUME] += quantity if events[Field.SIDE, row] == Side.BID else -quantity
    words[TRADE_SIZES + bucket_of(float(quantity), PER_BUCKET, FIRST, SIDE)] += 1
    if carry[Carry.TRADE_TIME] != NONE:
        gap = time - carry[Carry.TRADE_TIME]
        words[TRADE_GAPS + bucket_of(float(gap), PER_BUCKET, FIRST, SIDE)] += 1
    carry[Carry.TRADE_TIME] = time
    trade = events[Field.TRADE_ID, row]
    if trade != NONE:
        missing = trade - carry[Carry.TRADE_ID] - 1
        if carry[Carry.TRADE_ID] != NONE and missing > 0:
            words[Count.TRADE_JUMPS] += 1
            words[Count.TRADES_MISSING] += missing
        carry[Carry.TRADE_ID] = max(trade, carry[Carry.TRADE_ID])


@helper
def _lose(words: Int64Array) -> bool:
    """Count that the book was lost; whether that is once too often in this window."""
    words[Count.LOST] += 1
    return bool(words[Count.LOST] == LOST_MAX)


@kernel
def open_window(carry: Int64Array, memory: FloatArray, time: int) -> None:
    """Begin the window on the clock that a time lies in; the quote that stands opens it."""
    start = time // WINDOW_NS * WINDOW_NS
    if carry[Carry.CLOCK] == NONE:
        start = max(start, time)
    carry[Carry.WINDOW_END] = (time // WINDOW_NS + 1) * WINDOW_NS
    carry[Carry.SINCE] = start
    carry[Carry.GRID] = -(-start // SECOND_NS) * SECOND_NS
    carry[Carry.FLOW_END] = (start // SECOND_NS + 1) * SECOND_NS
    carry[Carry.FLOW] = carry[Carry.FLOW_BEFORE] = 0
    memory[Memory.MID] = memory[Memory.RETURN] = np.nan


@kernel
def close_window(
    carry: Int64Array, memory: FloatArray, words: Int64Array, numbers: FloatArray, until: int
) -> None:
    """Bring a window to its end at ``until``."""
    settle(carry, memory, words, numbers, until)
    pass_seconds(carry, memory, words, numbers, until)
    end_flow(carry, words, until)
    _begin_fine(carry, words, until)
    _begin_coarse(carry, words, until)
