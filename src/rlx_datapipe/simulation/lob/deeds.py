"""What planted episodes do to the book: the lines of a script, acted out one by one."""

from __future__ import annotations

from rlx_datapipe.core.compiled import helper
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.layout import (
    BEST,
    EPISODE,
    HIDDEN,
    ID,
    KEY,
    LEFT,
    NOBODY,
    SHOWN,
    Action,
)
from rlx_datapipe.simulation.lob.matching import submit, withdraw
from rlx_datapipe.simulation.lob.traders import KEEP, buy_or_sell

# Columns of a script: what is planted, when.
AT, DEED, HANDLE, SIDE, OFFSET, SIZE, REST, NUMBER = range(8)
SCRIPT_COLUMNS = 8
PLACE_ORDER, PLACE_SHY, WITHDRAW, TAKE, FOLLOW = range(5)

_CANCEL = int(Action.CANCEL)


@helper
def act_out(
    head: Int64Array,
    levels: Int64Array,
    bits: Int64Array,
    orders: Int64Array,
    live: Int64Array,
    rows: Int64Array,
    script: Int64Array,
    handles: Int64Array,
    line: int,
) -> None:
    """One line of a script is acted out; ``handles`` (place, number) are orders that were planted."""
    deed, side = script[line, DEED], script[line, SIDE]
    handle = script[line, HANDLE]
    key = head[BEST + side] + script[line, OFFSET]
    key = min(key, -1) if side == 0 else key
    lots, hidden = script[line, SIZE], script[line, REST]
    head[EPISODE] = script[line, NUMBER]
    if deed == TAKE:
        buy_or_sell(head, levels, bits, orders, live, rows, side, lots)
        head[EPISODE] = NOBODY
        return
    at = handles[handle, 0]
    is_there = at != NOBODY and orders[at, ID] == handles[handle, 1]
    if deed == FOLLOW and is_there and orders[at, KEY] != key:
        shown = orders[at, SHOWN]
        lots, hidden = orders[at, LEFT], orders[at, HIDDEN]
        withdraw(head, levels, bits, orders, live, rows, side, at, _CANCEL)
        # Its own order may have been the best price; where it goes is told by those of the others.
        key = head[BEST + side] + script[line, OFFSET]
        key = min(key, -1) if side == 0 else key
        at = submit(
            head, levels, bits, orders, live, rows, side, key, lots, hidden, script[line, NUMBER], 0, KEEP
        )
        if at != NOBODY:
            orders[at, SHOWN] = shown
    elif deed == WITHDRAW:
        if is_there:
            withdraw(head, levels, bits, orders, live, rows, side, at, _CANCEL)
        at = NOBODY
    elif deed in (PLACE_ORDER, PLACE_SHY):
        is_shy = 1 if deed == PLACE_SHY else 0
        at = submit(
            head,
            levels,
            bits,
            orders,
            live,
            rows,
            side,
            key,
            lots,
            hidden,
            script[line, NUMBER],
            is_shy,
            KEEP,
        )
    if deed != FOLLOW or is_there:
        handles[handle, 0] = at
        handles[handle, 1] = orders[at, ID] if at != NOBODY else NOBODY
    head[EPISODE] = NOBODY
