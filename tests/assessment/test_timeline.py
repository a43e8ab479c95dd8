"""Counts over time in a bounded number of stretches."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.assessment.feeds import MS, T0, feed, trade

from rlx_datapipe.assessment.timeline import NS_PER_HOUR, Timeline
from rlx_datapipe.core.event import Kind

SECONDS = st.lists(st.integers(0, 10_000_000), min_size=1, max_size=50)


def timeline(seconds: list[int]) -> Timeline:
    made = Timeline()
    trades = [trade(at, at, time=T0 + second * 1_000 * MS) for at, second in enumerate(seconds)]
    for at in range(0, len(trades), 7):
        made.add(feed(*trades[at : at + 7]))
    return made


@given(SECONDS)
def test_every_event_lies_in_its_stretch_and_its_hour(seconds: list[int]) -> None:
    made = timeline(seconds)
    assert len(made.counts) <= 480
    expected = np.zeros(len(made.counts), dtype=np.int64)
    for second in seconds:
        expected[(T0 + second * 1_000 * MS) // made.width_ns - made.first] += 1
    assert (made.counts[:, Kind.TRADE] == expected).all()
    hours = [(T0 + second * 1_000 * MS) // NS_PER_HOUR for second in seconds]
    assert {hour: int(counts.sum()) for hour, counts in made.hours.items()} == {
        hour: hours.count(hour) for hour in hours
    }
    assert all((lag is None) == (count == 0) for lag, count in zip(made.lags(), expected, strict=True))


@given(SECONDS, SECONDS)
def test_parts_put_together_equal_the_whole(one: list[int], other: list[int]) -> None:
    whole, first = timeline([*one, *other]), timeline(one)
    first.merge(timeline(other))
    assert first.width_ns == whole.width_ns
    assert first.first == whole.first
    assert (first.counts == whole.counts).all()
    assert (first.least_ns == whole.least_ns).all()
    assert {hour: c.tolist() for hour, c in first.hours.items()} == {
        hour: c.tolist() for hour, c in whole.hours.items()
    }
