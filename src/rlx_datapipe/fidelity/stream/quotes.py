"""Best quotes in tier 1: spread and depth weighted by time, order flow, the mid of each second."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.compiled import helper
from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.metrics.flow import flow_of
from rlx_datapipe.fidelity.moments import join_moments
from rlx_datapipe.fidelity.sketch import bucket_of
from rlx_datapipe.fidelity.stream.layout import (
    FIRST,
    FLOWS,
    PER_BUCKET,
    SECOND_NS,
    SIDE,
    SPREADS,
    Carry,
    Count,
    Memory,
    Number,
)


@helper
def settle(carry: Int64Array, memory: FloatArray, words: Int64Array, numbers: FloatArray, until: int) -> None:
    """Weigh the standing quote by its time up to ``until``."""
    stood = until - carry[Carry.SINCE]
    carry[Carry.SINCE] = until
    if carry[Carry.BID] == NONE or stood <= 0:
        return
    spread = (carry[Carry.ASK] - carry[Carry.BID]) / memory[Memory.TICK]
    weight = stood / SECOND_NS
    words[Count.QUOTED_NS] += stood
    words[SPREADS + bucket_of(spread, PER_BUCKET, FIRST, SIDE)] += stood
    join_moments(numbers[Number.SPREAD : Number.DEPTH], weight, spread, 0.0, 0.0, 0.0)
    depth = float(carry[Carry.BID_QUANTITY] + carry[Carry.ASK_QUANTITY])
    join_moments(numbers[Number.DEPTH : Number.RETURNS], weight, depth, 0.0, 0.0, 0.0)


@helper
def pass_seconds(
    carry: Int64Array, memory: FloatArray, words: Int64Array, numbers: FloatArray, time: int
) -> None:
    """Look at the mid of each whole second before ``time``: the standing quote was there at all of them."""
    while carry[Carry.GRID] < time:
        mid = np.nan
        if carry[Carry.BID] != NONE:
            mid = (carry[Carry.BID] + carry[Carry.ASK]) / (2.0 * memory[Memory.TICK])
        end_flow(carry, words, carry[Carry.GRID])
        _take_mid(carry, memory, numbers, mid)
        carry[Carry.GRID] += SECOND_NS
        if carry[Carry.FLOW] == 0 and time - carry[Carry.GRID] > SECOND_NS:
            _leap(carry, memory, words, numbers, (time - carry[Carry.GRID] - 1) // SECOND_NS)


@helper
def _leap(
    carry: Int64Array, memory: FloatArray, words: Int64Array, numbers: FloatArray, seconds: int
) -> None:
    """Pass whole seconds behind one in which nothing happened either: no flow, no move."""
    words[FLOWS + SIDE] += seconds
    if not np.isnan(memory[Memory.MID]):
        numbers[Number.RETURNS] += seconds
        numbers[Number.PAIRS] += seconds
        memory[Memory.RETURN] = 0.0
    carry[Carry.FLOW_BEFORE] = 0
    carry[Carry.GRID] += seconds * SECOND_NS
    carry[Carry.FLOW_END] = carry[Carry.GRID]


@helper
def end_flow(carry: Int64Array, words: Int64Array, time: int) -> None:
    """Close the order flow of the second that ends at a time or before it."""
    if carry[Carry.FLOW_END] <= time:
        words[FLOWS + bucket_of(float(carry[Carry.FLOW]), PER_BUCKET, FIRST, SIDE)] += 1
        carry[Carry.FLOW_BEFORE], carry[Carry.FLOW] = carry[Carry.FLOW], 0
        carry[Carry.FLOW_END] += SECOND_NS


@helper
def _take_mid(carry: Int64Array, memory: FloatArray, numbers: FloatArray, mid: float) -> None:
    """Take the move of the mid over a second, with the order flow of that second."""
    before = memory[Memory.MID]
    memory[Memory.MID] = mid
    if np.isnan(before) or np.isnan(mid):
        return
    move, flow = np.log(mid) - np.log(before), float(carry[Carry.FLOW_BEFORE])
    square = move * move
    numbers[Number.RETURNS] += 1
    numbers[Number.SQUARES] += square
    numbers[Number.FOURTHS] += square * square
    last = memory[Memory.RETURN]
    if not np.isnan(last):
        numbers[Number.PRODUCTS] += move * last
        numbers[Number.PRODUCT_SQUARES] += square * last * last
    memory[Memory.RETURN] = move
    ticks = mid - before
    numbers[Number.PAIRS] += 1
    numbers[Number.X] += flow
    numbers[Number.Y] += ticks
    numbers[Number.XX] += flow * flow
    numbers[Number.XY] += flow * ticks
    numbers[Number.YY] += ticks * ticks


@helper
def take_quote(
    bid: int,
    bid_quantity: int,
    ask: int,
    ask_quantity: int,
    carry: Int64Array,
    memory: FloatArray,
    words: Int64Array,
    numbers: FloatArray,
) -> None:
    """Take the best quote after a group, all NONE where there is none."""
    old_bid, old_bid_quantity = carry[Carry.BID], carry[Carry.BID_QUANTITY]
    old_ask, old_ask_quantity = carry[Carry.ASK], carry[Carry.ASK_QUANTITY]
    if bid != NONE:
        words[Count.QUOTES] += 1
        words[Count.FLOWS] += old_bid != NONE
    if (
        bid == old_bid
        and ask == old_ask
        and bid_quantity == old_bid_quantity
        and ask_quantity == old_ask_quantity
    ):
        return
    settle(carry, memory, words, numbers, carry[Carry.CLOCK])
    if NONE not in (bid, old_bid):
        flow = flow_of(
            bid, bid_quantity, ask, ask_quantity, old_bid, old_bid_quantity, old_ask, old_ask_quantity
        )
        carry[Carry.FLOW] += flow
        words[Count.FLOW] += flow
        words[Count.FLOW_SIZE] += abs(flow)
    carry[Carry.BID], carry[Carry.BID_QUANTITY] = bid, bid_quantity
    carry[Carry.ASK], carry[Carry.ASK_QUANTITY] = ask, ask_quantity
