"""The kernel measures what a plain reading of the same events does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.pipeline.measures import WINDOW_NS, Measure, close_window, measure_events, new_measures

row = st.tuples(
    st.sampled_from(Kind),
    st.integers(-12, 14),
    st.integers(-5, 5),
    st.integers(-2, 3),
    st.sampled_from([0, Flag.BOOK_INVALID, Flag.OFF_BOOK, Flag.BOOK_INVALID | Flag.OFF_BOOK]),
)
Row = tuple[Kind, int, int, int, int]


def to_events(rows: list[Row]) -> tuple[Int64Array, Int64Array]:
    events, time, update = empty_events(len(rows)), 5 * WINDOW_NS, 100
    for i, (kind, seconds, lag, step, _) in enumerate(rows):
        time, update = time + seconds * 10**9, update + step
        events[Field.KIND, i], events[Field.ORIGIN_TIME, i] = kind, time
        events[Field.RECEIVED_TIME, i] = time + lag
        events[Field.UPDATE_ID, i] = update if kind != Kind.TRADE else NONE
    return events, np.array([flags for *_, flags in rows], dtype=np.int64)


@given(st.lists(row, max_size=40), st.integers(0, 40))
def test_it_measures_what_a_plain_reading_does(rows: list[Row], cut: int) -> None:
    events, flags = to_events(rows)
    words = new_measures()
    for part in (slice(0, cut), slice(cut, None)):
        measure_events(np.ascontiguousarray(events[:, part]), flags[part].copy(), words)
    close_window(words)

    kinds, invalid = events[Field.KIND], flags & Flag.BOOK_INVALID != 0
    assert words[:3].tolist() == [int((kinds == kind).sum()) for kind in Kind]
    assert words[Measure.INVALID] == invalid.sum()
    assert words[Measure.OFF_BOOK] == (flags & Flag.OFF_BOOK != 0).sum()
    first = int(np.argmin(invalid)) if not invalid.all() else len(rows)
    assert words[Measure.EVENTS] == len(rows) - first
    assert words[Measure.WITHOUT_BOOK] == invalid[first:].sum()

    ids = events[Field.UPDATE_ID, kinds == Kind.BOOK_DELTA].tolist()
    steps = [b - a for a, b in pairwise(ids)]
    assert words[Measure.IDS] == bool(ids) + sum(step for step in steps if step > 0)

    least: dict[int, int] = {}
    window = NONE
    for kind, time, received in zip(
        kinds, events[Field.ORIGIN_TIME], events[Field.RECEIVED_TIME], strict=True
    ):
        if kind != Kind.BOOK_SNAPSHOT:
            window = max(window, int(time) // WINDOW_NS)
            least[window] = min(least.get(window, 2**62), int(received - time))
    if least:
        assert words[Measure.LOW_NS] == min(least.values())
        assert words[Measure.HIGH_NS] == max(least.values())
        assert least[int(words[Measure.LOW_WINDOW])] == min(least.values())
    else:
        assert words[Measure.HIGH_WINDOW] == NONE
