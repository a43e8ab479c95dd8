"""The two clocks of a source, message by message."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.assessment.feeds import MS, T0, delta, feed, trade

from rlx_datapipe.assessment.clocks import Clock, Clocks
from rlx_datapipe.core.event import NONE, Int64Array, Kind

TIMES = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=40)


def looked_at(events: Int64Array) -> Clocks:
    clocks = Clocks()
    clocks.add(events)
    return clocks


def trades(times: list[tuple[int, int]]) -> list[Int64Array]:
    return [
        trade(at, at, time=T0 + origin * MS, received=T0 + received * MS + 7)
        for at, (origin, received) in enumerate(times)
    ]


@given(TIMES)
def test_the_counts_are_those_of_a_plain_loop(times: list[tuple[int, int]]) -> None:
    words = looked_at(feed(*trades(times))).words[Kind.TRADE]
    origins = [origin * MS for origin, _ in times]
    received = [receipt * MS + 7 for _, receipt in times]
    steps = [b - a for a, b in pairwise(origins)]
    backs = [b - a for a, b in pairwise(received)]
    lags = [b - a for a, b in zip(origins, received, strict=True)]
    assert words[Clock.MESSAGES] == words[Clock.ROWS] == len(times)
    assert words[Clock.BACK] == sum(step < 0 for step in steps)
    assert words[Clock.BACK_MAX_NS] == max([0, *(-step for step in steps)])
    assert words[Clock.RECEIVED_BACK] == sum(step < 0 for step in backs)
    assert words[Clock.AHEAD] == sum(lag < 0 for lag in lags)
    assert (words[Clock.LAG_MIN_NS], words[Clock.LAG_MAX_NS]) == (min(lags), max(lags))
    assert (words[Clock.OLDEST] - T0, words[Clock.NEWEST] - T0) == (min(origins), max(origins))
    assert words[Clock.WHOLE_MS] == words[Clock.RECEIVED_WHOLE_MS] == len(times)


@given(TIMES, st.integers(0, 40))
def test_parts_put_together_equal_the_whole(times: list[tuple[int, int]], cut: int) -> None:
    messages = trades(times)
    whole, first = looked_at(feed(*messages)), looked_at(feed(*messages[:cut]))
    first.merge(looked_at(feed(*messages[cut:])))
    assert (first.words == whole.words).all()
    assert (first.lags == whole.lags).all()


def test_the_rows_of_a_message_are_one_message() -> None:
    words = looked_at(feed(delta(1, 5, time=T0, levels=[(0, 100, 1), (0, 99, 1), (1, 101, 1)]))).words  # type: ignore[list-item]
    assert words[Kind.BOOK_DELTA, Clock.ROWS] == 3
    assert words[Kind.BOOK_DELTA, Clock.MESSAGES] == 1


def test_a_missing_time_is_counted_and_compared_with_nothing() -> None:
    words = looked_at(feed(*trades([(5, 6)]), trade(9, 9, time=NONE, received=T0))).words[Kind.TRADE]
    assert words[Clock.TIMELESS] == 1
    assert words[Clock.BACK] == 0
    assert words[Clock.LAST_ORIGIN] == T0 + 5 * MS


def test_times_that_once_were_floating_point_seconds_are_whole_milliseconds() -> None:
    times = [T0 + 33 * MS - 64, T0 + 34 * MS, T0 + 35 * MS + 1_000]
    words = looked_at(feed(*(trade(at, at, time=time) for at, time in enumerate(times)))).words
    assert words[Kind.TRADE, Clock.WHOLE_MS] == 2
