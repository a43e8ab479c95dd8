"""What is measured of every event while it passes, in one kernel: counts, clocks, update ids, validity."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind

WINDOW_NS = 10_000_000_000
_NO_LAG = 2**62


class Measure(IntEnum):
    """Words of the measures, int64 of shape (MEASURES,)."""

    KINDS = 0
    """Events of each kind, in the order of `Kind`; three words."""
    INVALID = 3
    OFF_BOOK = 4
    WINDOW = 5
    """Number of the stretch of `WINDOW_NS` that the newest event lies in, and the least lag in it."""
    WINDOW_LEAST_NS = 6
    LOW_NS = 7
    """Lowest and highest of the least lags of complete windows, and which windows they were."""
    LOW_WINDOW = 8
    HIGH_NS = 9
    HIGH_WINDOW = 10
    LAST_ID = 11
    IDS = 12
    """Update ids that the deltas have come forward by, over gaps too."""
    HAS_BOOK = 13
    EVENTS = 14
    """Events since the first with a valid book, and those of them without one."""
    WITHOUT_BOOK = 15


MEASURES = len(Kind) + len(Measure) - 1


def new_measures() -> Int64Array:
    """Measures of a chain before its first event."""
    words = np.zeros(MEASURES, dtype=np.int64)
    words[[Measure.WINDOW, Measure.LOW_WINDOW, Measure.HIGH_WINDOW, Measure.LAST_ID]] = NONE
    words[[Measure.WINDOW_LEAST_NS, Measure.LOW_NS]] = _NO_LAG
    words[Measure.HIGH_NS] = -_NO_LAG
    return words


@kernel
def measure_events(events: Int64Array, flags: Int64Array, words: Int64Array) -> None:
    """Take in the next events, int64 (FIELDS, n), and their flags, int64 (n,)."""
    for i in range(flags.shape[0]):
        kind = events[Field.KIND, i]
        words[Measure.KINDS + kind] += 1
        if kind != Kind.BOOK_SNAPSHOT:
            _take_lag(events[Field.ORIGIN_TIME, i], events[Field.RECEIVED_TIME, i], words)
        # What was inferred from a trade has no id.
        if kind == Kind.BOOK_DELTA and events[Field.UPDATE_ID, i] != NONE:
            update_id, last_id = events[Field.UPDATE_ID, i], words[Measure.LAST_ID]
            if last_id == NONE:
                words[Measure.IDS] += 1
            elif update_id > last_id:
                words[Measure.IDS] += update_id - last_id
            words[Measure.LAST_ID] = update_id
        invalid = flags[i] & Flag.BOOK_INVALID
        if invalid:
            words[Measure.INVALID] += 1
            words[Measure.WITHOUT_BOOK] += words[Measure.HAS_BOOK]
        else:
            words[Measure.HAS_BOOK] = 1
        words[Measure.EVENTS] += words[Measure.HAS_BOOK]
        if flags[i] & Flag.OFF_BOOK:
            words[Measure.OFF_BOOK] += 1


@helper
def _take_lag(origin: int, received: int, words: Int64Array) -> None:
    """Fold a lag into its window. A late event counts where it came: its lag is never the least."""
    lag_ns = received - origin
    if origin < (words[Measure.WINDOW] + 1) * WINDOW_NS:
        words[Measure.WINDOW_LEAST_NS] = min(words[Measure.WINDOW_LEAST_NS], lag_ns)
    else:
        close_window(words)
        words[Measure.WINDOW], words[Measure.WINDOW_LEAST_NS] = origin // WINDOW_NS, lag_ns


@helper
def close_window(words: Int64Array) -> None:
    """Fold the least lag of the window into the range of all complete ones."""
    window, least_ns = words[Measure.WINDOW], words[Measure.WINDOW_LEAST_NS]
    if window == NONE:
        return
    if least_ns < words[Measure.LOW_NS]:
        words[Measure.LOW_NS], words[Measure.LOW_WINDOW] = least_ns, window
    if least_ns > words[Measure.HIGH_NS]:
        words[Measure.HIGH_NS], words[Measure.HIGH_WINDOW] = least_ns, window
