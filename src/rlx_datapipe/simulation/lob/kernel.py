"""The loop: arrivals and planted deeds in the order of their times, each acting on the book."""

from __future__ import annotations

from typing import Final

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.deeds import AT, act_out
from rlx_datapipe.simulation.lob.hawkes import Float64Array
from rlx_datapipe.simulation.lob.layout import (
    ARRIVAL,
    ARRIVAL_AT,
    BEST,
    CURSOR,
    EDGE,
    FAILED,
    KIND,
    LOTS,
    NOBODY,
    NOW,
    ORDERS,
    RING,
    ROWS,
    SCRIPT_AT,
    SLOTS,
)
from rlx_datapipe.simulation.lob.matching import FILLS_MAX, rest
from rlx_datapipe.simulation.lob.queues import next_key
from rlx_datapipe.simulation.lob.traders import (
    CANCELS_MAX,
    DEEP_FLOOR,
    DEEP_POWER,
    DEEP_SCALE,
    DRAWS_MAX,
    EXPIRED_MAX,
    LIMIT_FLOOR,
    LIMIT_LEAST,
    LIMIT_POWER,
    arrive,
    expire_far,
    lots_of,
    ticks_behind,
)

REACHED, FULL, DRY, WAITING, OVERFLOW = range(5)
"""Why `run_market` came back: its horizon, no room for rows, no draws, no arrivals, no room for orders."""
ROWS_MARGIN: Final = 2 * FILLS_MAX + CANCELS_MAX + 2 * EXPIRED_MAX + 8
"""Rows that one event may tell at most."""


@kernel
def run_market(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    laws: Float64Array,
    uniforms: Float64Array,
    times: Int64Array,
    types: Int64Array,
    arrivals: int,
    first_arrival: int,
    script: Int64Array,
    handles: Int64Array,
    horizon_ns: int,
) -> int:
    """Let everything before a horizon happen, as far as room, draws and arrivals last.

    ``times`` and ``types`` hold so many ``arrivals``, the first of which has the number ``first_arrival``.
    """
    while True:
        if head[FAILED]:
            return OVERFLOW
        if head[ROWS] + ROWS_MARGIN > len(rows):
            return FULL
        if head[CURSOR] + DRAWS_MAX > len(uniforms):
            return DRY
        at, line = head[ARRIVAL_AT], head[SCRIPT_AT]
        if at == arrivals:
            return WAITING
        is_planted = line < len(script) and script[line, AT] <= times[at]
        now_ns = script[line, AT] if is_planted else times[at]
        if now_ns >= horizon_ns:
            return REACHED
        head[NOW] = now_ns
        if is_planted:
            head[SCRIPT_AT] += 1
            act_out(head, levels, bits, orders, live, rows, script, handles, line)
        else:
            head[ARRIVAL_AT] += 1
            head[ARRIVAL] = first_arrival + at
            head[KIND] = types[at]
            arrive(head, levels, bits, orders, live, rows, laws, uniforms, types[at])
            head[ARRIVAL] = NOBODY
            head[KIND] = NOBODY
        for side in range(2):
            if head[EDGE + side] - head[BEST + side] > RING // 4 * 3:
                expire_far(head, levels, bits, orders, live, rows, side)


@kernel
def open_book(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    laws: Float64Array,
    uniforms: Float64Array,
    mid_ticks: int,
    count: int,
    now_ns: int,
) -> None:
    """Place the orders that rest before the first moment, ``count`` a side, by the laws of deep orders."""
    head[NOW] = now_ns
    for number in range(count):
        for side in range(2):
            draw = uniforms[head[CURSOR]]
            behind = ticks_behind(draw, laws[DEEP_SCALE], laws[DEEP_POWER], laws[DEEP_FLOOR])
            behind = 1 if number == 0 else behind
            lots = lots_of(
                uniforms[head[CURSOR] + 1], laws[LIMIT_LEAST], laws[LIMIT_POWER], laws[LIMIT_FLOOR]
            )
            head[CURSOR] += 2
            key = behind + (mid_ticks if side else -mid_ticks - 1)
            rest(
                head,
                levels,
                bits,
                orders,
                live,
                rows,
                side,
                min(key, -1) if side == 0 else key,
                lots,
                0,
                NOBODY,
                0,
            )


@kernel
def ladder(
    head: Int64Array, levels: Int64Array, bits: Int64Array, side: int, prices: Int64Array, lots: Int64Array
) -> int:
    """The best levels of a side, best first, as many as there is room for; how many there are."""
    if head[ORDERS + side] == 0:
        return 0
    best = head[BEST + side]
    key = best
    count = 0
    while count < len(prices) and key < best + RING:
        prices[count] = key if side else -key
        lots[count] = levels[side, key & SLOTS, LOTS]
        count += 1
        key = next_key(bits, side, key + 1)
    return count
