"""What arrivals do to the book: sizes, places and cancels, drawn by known laws."""

from __future__ import annotations

from math import exp

from rlx_datapipe.core.compiled import helper
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.hawkes import Float64Array
from rlx_datapipe.simulation.lob.layout import (
    BEFORE,
    BEST,
    COUNT,
    CURSOR,
    EDGE,
    FIRST,
    KEY,
    LAST,
    NEXT_ORDER,
    NO_LIMIT,
    NOBODY,
    ORDERS,
    OWNER,
    RING,
    SLOTS,
    TAKER,
    Action,
)
from rlx_datapipe.simulation.lob.matching import rest, take, withdraw
from rlx_datapipe.simulation.lob.queues import next_key, tell

KEEP = 20
"""Orders of a side that neither cancels nor takers touch, so that both best prices always exist."""
CANCELS_MAX = 16
_TRIES = 8
DRAWS_MAX = 2 + CANCELS_MAX * _TRIES
"""Draws that one arrival takes at most."""
EXPIRED_MAX = 2_048
_YOUNG = 8
_INSIDE_MAX = 10_000

# Laws, in the order of the array that holds them.
LIMIT_LEAST, LIMIT_POWER, LIMIT_FLOOR, MARKET_LEAST, MARKET_POWER, MARKET_FLOOR = range(6)
DEEP_SCALE, DEEP_POWER, DEEP_FLOOR, INSIDE, TOUCH_TARGET, DEEP_TARGET = range(6, 12)
LAWS = 12

_CANCEL, _UNFILLED, _VOID, _EXPIRE = (
    int(Action.CANCEL),
    int(Action.UNFILLED),
    int(Action.VOID),
    int(Action.EXPIRE),
)
_MARKET, _LIMIT, _DEEP_LIMIT, _CANCEL_BEST = range(4)


@helper
def lots_of(draw: float, least: float, power: float, floor: float) -> int:
    """A Pareto size, cut off: ``power`` is -1 / tail, ``floor`` the chance of what is beyond the largest."""
    return max(1, int(least * (floor + (1.0 - floor) * (1.0 - draw)) ** power))


@helper
def ticks_behind(draw: float, scale: float, power: float, floor: float) -> int:
    """Ticks behind the best price: 1 + floor(x), x of a Lomax law, cut off at the reach."""
    return 1 + int(scale * ((floor + (1.0 - floor) * (1.0 - draw)) ** power - 1.0))


@helper
def arrive(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    laws: Float64Array,
    uniforms: Float64Array,
    type_: int,
) -> None:
    """An arrival of the flow acts: ``type_`` is 2 x kind + side."""
    kind, side = type_ >> 1, type_ & 1
    cursor = head[CURSOR]
    if kind == _MARKET:
        lots = lots_of(uniforms[cursor], laws[MARKET_LEAST], laws[MARKET_POWER], laws[MARKET_FLOOR])
        head[CURSOR] = cursor + 1
        buy_or_sell(head, levels, bits, orders, live, rows, side, lots)
    elif kind in (_LIMIT, _DEEP_LIMIT):
        lots = lots_of(uniforms[cursor], laws[LIMIT_LEAST], laws[LIMIT_POWER], laws[LIMIT_FLOOR])
        best = head[BEST + side]
        draw = uniforms[cursor + 1]
        head[CURSOR] = cursor + 2
        if kind == _DEEP_LIMIT:
            key = best + ticks_behind(draw, laws[DEEP_SCALE], laws[DEEP_POWER], laws[DEEP_FLOOR])
        else:
            room = head[BEST] + head[BEST + 1] - 1
            key = best
            if room > 0 and draw >= exp(-room / laws[INSIDE]):
                head[CURSOR] = cursor + 3
                key = best - 1 - int(uniforms[cursor + 2] * min(room, _INSIDE_MAX))
        if side == 0:
            key = min(key, -1)
        rest(head, levels, bits, orders, live, rows, side, key, lots, 0, NOBODY, 0)
    elif kind == _CANCEL_BEST:
        _cancel_at_best(head, levels, bits, orders, live, rows, laws, uniforms, side)
    else:
        _cancel_deeper(head, levels, bits, orders, live, rows, laws, uniforms, side)


@helper
def buy_or_sell(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    side: int,
    lots: int,
) -> None:
    """A market order; what it does not find is told and gone."""
    head[TAKER] = head[NEXT_ORDER]
    head[NEXT_ORDER] += 1
    left = take(head, levels, bits, orders, live, rows, 1 - side, lots, NO_LIMIT, KEEP)
    if left > 0:
        tell(head, levels, rows, _UNFILLED, NOBODY, side, 0, left, 0, NOBODY)
    head[TAKER] = NOBODY


@helper
def _wanted(share: float, draw: float) -> int:
    """How many to cancel: ``share`` on average."""
    return min(int(share + draw), CANCELS_MAX)


@helper
def _cancel_at_best(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    laws: Float64Array,
    uniforms: Float64Array,
    side: int,
) -> None:
    """Withdraw orders at the best price, one of the youngest each time; planted ones are left alone."""
    slot = head[BEST + side] & SLOTS
    wanted = _wanted(levels[side, slot, COUNT] / laws[TOUCH_TARGET], uniforms[head[CURSOR]])
    head[CURSOR] += 1
    done = 0
    for _ in range(wanted):
        slot = head[BEST + side] & SLOTS
        at = levels[side, slot, LAST]
        steps = int(uniforms[head[CURSOR]] * min(levels[side, slot, COUNT], _YOUNG))
        head[CURSOR] += 1
        for _ in range(steps):
            at = orders[at, BEFORE]
        if orders[at, OWNER] == NOBODY and head[ORDERS + side] > KEEP:
            withdraw(head, levels, bits, orders, live, rows, side, at, _CANCEL)
            done += 1
    if done == 0:
        tell(head, levels, rows, _VOID, NOBODY, side, 0, 0, 0, NOBODY)


@helper
def _cancel_deeper(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    laws: Float64Array,
    uniforms: Float64Array,
    side: int,
) -> None:
    """Withdraw orders behind the best price, each as likely as any other; planted ones are left alone."""
    wanted = _wanted(head[ORDERS + side] / laws[DEEP_TARGET], uniforms[head[CURSOR]])
    head[CURSOR] += 1
    done = 0
    for _ in range(wanted):
        for _ in range(_TRIES):
            at = live[side, int(uniforms[head[CURSOR]] * head[ORDERS + side])]
            head[CURSOR] += 1
            if orders[at, KEY] == head[BEST + side] or orders[at, OWNER] != NOBODY:
                continue
            if head[ORDERS + side] > KEEP:
                withdraw(head, levels, bits, orders, live, rows, side, at, _CANCEL)
                done += 1
            break
    if done == 0:
        tell(head, levels, rows, _VOID, NOBODY, side, 0, 0, 0, NOBODY)


@helper
def expire_far(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    side: int,
) -> None:
    """Remove the orders further than half a ring behind the best price, lest the ring close on them."""
    best = head[BEST + side]
    edge = best + RING // 2
    for _ in range(EXPIRED_MAX):
        key = next_key(bits, side, edge)
        if key >= best + RING:
            head[EDGE + side] = edge
            return
        withdraw(head, levels, bits, orders, live, rows, side, levels[side, key & SLOTS, FIRST], _EXPIRE)
