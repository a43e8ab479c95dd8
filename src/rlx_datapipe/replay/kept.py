"""The rows that became events, put together: duplicates and checks that found nothing are left out."""

from __future__ import annotations

from rlx_datapipe.core.columns import copy_columns
from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.replay.control import DROPPED


@kernel
def count_kept(flags: Int64Array) -> int:
    """How many rows are events, by their flags, int64 (n,)."""
    kept = 0
    for i in range(flags.shape[0]):
        if flags[i] != DROPPED:
            kept += 1
    return kept


@kernel
def keep_rows(
    events: Int64Array,
    best: Int64Array,
    flags: Int64Array,
    kept_events: Int64Array,
    kept_best: Int64Array,
    kept_flags: Int64Array,
) -> None:
    """Copy the columns that are events, run by run.

    Parameters
    ----------
    events, best, flags
        int64 (FIELDS, n), (4, n) and (n,).
    kept_events, kept_best, kept_flags
        The same of as many columns as `count_kept` tells, filled.
    """
    at, done, stop = 0, 0, flags.shape[0]
    while at < stop:
        while at < stop and flags[at] == DROPPED:
            at += 1
        begun = at
        while at < stop and flags[at] != DROPPED:
            at += 1
        copy_columns(events, begun, at, kept_events, done)
        copy_columns(best, begun, at, kept_best, done)
        for row in range(at - begun):
            kept_flags[done + row] = flags[begun + row]
        done += at - begun
