"""Kernels of the pending queue: dating rows as they arrive, and merging what is in order already."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from rlx_datapipe.core.columns import copy_columns
from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import Field, Flag, Int64Array, Kind


class Clock(IntEnum):
    """Words of a stream's clock, int64 of shape (CLOCK_WORDS,)."""

    NEWEST_ID = 0
    """Highest update id of the deltas so far."""
    DELTA_TIME = 1
    """Newest order time of the deltas that led."""
    NEWEST_TIME = 2
    """Newest order time of all events."""


CLOCK_WORDS = len(Clock)
BEFORE_ALL = -(2**63)


@helper
def delta_time(clock: Int64Array, update_id: int, time: int) -> int:
    """Order time of the next delta: never before one with a smaller update id that arrived earlier.

    One that arrived behind a larger id keeps its own time.
    """
    if update_id < clock[Clock.NEWEST_ID]:
        return time
    clock[Clock.NEWEST_ID] = update_id
    clock[Clock.DELTA_TIME] = max(clock[Clock.DELTA_TIME], time)
    return clock[Clock.DELTA_TIME]  # type: ignore[no-any-return]


@kernel
def date_deltas(ids: Int64Array, times: Int64Array, clock: Int64Array, dated: Int64Array) -> None:
    """Fill ``dated`` with the order times of the next deltas, all int64 of shape (n,)."""
    for i in range(ids.shape[0]):
        dated[i] = delta_time(clock, ids[i], times[i])


@kernel
def date_rows(events: Int64Array, clock: Int64Array, horizon_ns: int) -> Any:
    """Fill ORDER_TIME of the next events of a stream and flag those that came LATE.

    Returns
    -------
    Whether they stand in the total order, and the least order time.
    """
    in_order, least = True, 2**63 - 1
    for i in range(events.shape[1]):
        time = events[Field.ORIGIN_TIME, i]
        if events[Field.KIND, i] == Kind.BOOK_DELTA:
            time = delta_time(clock, events[Field.UPDATE_ID, i], time)
        newest = clock[Clock.NEWEST_TIME]
        if newest > BEFORE_ALL and time < newest - horizon_ns:
            time = newest - horizon_ns
            events[Field.FLAGS, i] |= Flag.LATE
        if time > newest:
            clock[Clock.NEWEST_TIME] = time
        events[Field.ORDER_TIME, i] = time
        least = min(least, time)
        if i > 0 and precedes(events, i, events, i - 1):
            in_order = False
    return in_order, least


@helper
def precedes(a: Int64Array, i: int, b: Int64Array, j: int) -> bool:
    """Whether column i of ``a`` stands before column j of ``b`` in the total order (`core.event`)."""
    if a[Field.ORDER_TIME, i] != b[Field.ORDER_TIME, j]:
        return bool(a[Field.ORDER_TIME, i] < b[Field.ORDER_TIME, j])
    if a[Field.UPDATE_ID, i] != b[Field.UPDATE_ID, j]:
        return bool(a[Field.UPDATE_ID, i] < b[Field.UPDATE_ID, j])
    return bool(_rank(a, i) < _rank(b, j))


@helper
def _rank(events: Int64Array, i: int) -> int:
    if events[Field.FLAGS, i] & Flag.SAMPLED:
        return events[Field.KIND, i] + 2  # type: ignore[no-any-return]
    return events[Field.KIND, i]  # type: ignore[no-any-return]


@kernel
def merge_rows(
    a: Int64Array,
    start: int,
    stop: int,
    b: Int64Array,
    at: int,
    out: Int64Array,
    done: int,
    a_is_first: bool,
) -> Any:
    """Put columns ``start`` to ``stop`` of ``a`` into ``out``, and before each what of ``b`` precedes it.

    Parameters
    ----------
    a, b
        int64 (FIELDS, n), both in the total order.
    at
        Column of ``b`` to go on from.
    out, done
        int64 (FIELDS, n), filled from column ``done`` on.
    a_is_first
        Which of two equal columns comes first.

    Returns
    -------
    Where ``b`` has come to, and where ``out`` has.
    """
    i = start
    while i < stop:
        run = i
        while i < stop and (at == b.shape[1] or _goes_first(a, i, b, at, a_is_first)):
            i += 1
        done = copy_rows(a, run, i, out, done)
        run = at
        while i < stop and at < b.shape[1] and not _goes_first(a, i, b, at, a_is_first):
            at += 1
        done = copy_rows(b, run, at, out, done)
    return at, done


@helper
def _goes_first(a: Int64Array, i: int, b: Int64Array, j: int, a_is_first: bool) -> bool:
    if a_is_first:
        return not precedes(b, j, a, i)
    return precedes(a, i, b, j)


@helper
def copy_rows(a: Int64Array, start: int, stop: int, out: Int64Array, done: int) -> int:
    """Copy columns ``start`` to ``stop`` of ``a`` to column ``done`` of ``out`` and on; the column behind."""
    copy_columns(a, start, stop, out, done)
    return done + stop - start
