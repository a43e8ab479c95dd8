"""What lies between two looks at the book, against a plain loop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.assessment.feeds import MS, T0, delta, feed, snapshot, trade

from rlx_datapipe.assessment.windows import Shape, Window, Windows
from rlx_datapipe.core.event import Int64Array, Side
from rlx_datapipe.core.spread import Spread

START = T0 // (100 * MS) * 100 * MS
CHANGES = st.lists(
    st.tuples(st.integers(0, 900), st.sampled_from(list(Side)), st.integers(95, 105)), min_size=1, max_size=60
)


def seen(*messages: Int64Array) -> Windows:
    windows = Windows()
    windows.add(feed(*messages))
    windows.finish()
    return windows


@given(CHANGES)
def test_on_the_grid_a_change_is_lost_if_another_follows_it(changes: list[tuple[int, Side, int]]) -> None:
    changes.sort(key=lambda change: change[0])
    messages = [
        delta(at, at, time=START + ms * MS, levels=[(side, price, 1)])
        for at, (ms, side, price) in enumerate(changes)
    ]
    words = seen(*messages).words
    distinct = {(ms // 100, side, price) for ms, side, price in changes}
    assert words[Window.CHANGES] == len(changes)
    assert words[Window.OVERWRITTEN] == len(changes) - len(distinct)
    first, last = changes[0][0] // 100, changes[-1][0] // 100
    assert words[Window.WINDOWS] == last - first + 1
    assert words[Window.BUSY] == len({ms // 100 for ms, *_ in changes})
    assert words[Window.BEYOND] == 0


@given(CHANGES)
def test_between_sampled_books_deep_changes_are_lost_too(changes: list[tuple[int, Side, int]]) -> None:
    looks = [
        snapshot(1_000 + at, 10_000 + at, time=START + at * 300 * MS, is_sampled=True) for at in range(4)
    ]
    messages: list[tuple[int, Int64Array]] = [(at * 300, look) for at, look in enumerate(looks)]
    messages += [
        (ms, delta(at, at, time=START + ms * MS, levels=[(side, price, 1)]))
        for at, (ms, side, price) in enumerate(changes)
    ]
    messages.sort(key=lambda message: message[0])
    words = seen(*(message for _, message in messages)).words
    deep = [price < 98 if side is Side.BID else price > 102 for _, side, price in changes]
    inside = [change for change, is_deep in zip(changes, deep, strict=True) if not is_deep]
    assert words[Window.BEYOND] == sum(deep)
    assert words[Window.OVERWRITTEN] == len(inside) - len({(ms // 300, *rest) for ms, *rest in inside})
    assert words[Window.WINDOWS] == 4
    assert words[Window.SAMPLED] == 4


def test_odd_snapshots_are_counted() -> None:
    words = seen(
        snapshot(1, 1, time=T0, bids=(101,), asks=(100,)),
        snapshot(2, 2, time=T0 + MS, bids=(100,), asks=(100,)),
        snapshot(3, 3, time=T0 + 2 * MS, bids=(), asks=(100,)),
        snapshot(4, 3, time=T0 + 3 * MS),
    ).words
    assert [words[at] for at in (Window.CROSSED, Window.LOCKED, Window.ONE_SIDED)] == [1, 1, 1]
    assert words[Window.SNAPSHOTS] == 4
    assert words[Window.REPEATED] == 1


def test_a_snapshot_that_meets_a_delta_is_counted() -> None:
    words = seen(
        delta(1, 7, time=T0),
        snapshot(2, 7, time=T0, is_sampled=True),
        delta(3, 8, time=T0 + MS),
        snapshot(4, 9, time=T0 + MS, is_sampled=True),
    ).words
    assert words[Window.MEETS] == 1


def test_trades_and_levels_are_told_as_distributions() -> None:
    windows = seen(
        snapshot(1, 1, time=T0, is_sampled=True),
        *(trade(at, at, time=T0 + at * MS) for at in range(2, 12)),
        snapshot(20, 2, time=T0 + 100 * MS, is_sampled=True),
    )
    assert Spread(windows.shapes[Shape.TRADES]).told()["p99"] == 10
    assert Spread(windows.shapes[Shape.APART_NS]).total == 1
    assert Spread(windows.shapes[Shape.BIDS]).quantile(0.5) == 2


@given(CHANGES, st.integers(1, 8))
def test_parts_cut_at_a_look_equal_the_whole(changes: list[tuple[int, Side, int]], cut: int) -> None:
    changes.sort(key=lambda change: change[0])
    messages = [
        (ms, delta(at, at, time=START + ms * MS, levels=[(side, price, 1)]))
        for at, (ms, side, price) in enumerate(changes)
    ]
    before = [message for ms, message in messages if ms < cut * 100]
    after = [message for ms, message in messages if ms >= cut * 100]
    whole, first = seen(*before, *after), seen(*before)
    first.merge(seen(*after))
    counts = slice(Window.SNAPSHOTS, Window.TRADES + 1)
    assert (first.words[counts] == whole.words[counts]).all()
    assert (first.shapes == whole.shapes).all()
