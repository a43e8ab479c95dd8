"""Levels that a feed holds, against two plain dictionaries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.assessment.feeds import MS, T0, delta, feed, snapshot

from rlx_datapipe.assessment.levels import Level, LevelCounts
from rlx_datapipe.core.event import Side
from rlx_datapipe.core.instrument import Instrument

INSTRUMENT = Instrument("BINANCE", "BTCUSDT")
CHANGES = st.lists(
    st.tuples(st.sampled_from(list(Side)), st.integers(90, 110), st.integers(0, 2)), min_size=1, max_size=60
)


def counts() -> LevelCounts:
    return LevelCounts(INSTRUMENT)


@given(CHANGES)
def test_deletes_of_unknown_levels_are_counted(changes: list[tuple[Side, int, int]]) -> None:
    held = {(Side.BID, price): 1 for price in (99, 98)} | {(Side.ASK, price): 1 for price in (101, 102)}
    deletes = unknown = same = 0
    for side, price, quantity in changes:
        deletes += quantity == 0
        unknown += quantity == 0 and not held.get((side, price))
        same += quantity > 0 and held.get((side, price)) == quantity
        held[side, price] = quantity
    levels = counts()
    levels.add(feed(snapshot(1, 10, time=T0), delta(2, 11, time=T0 + MS, levels=changes)))
    assert levels.words[Level.CHANGES] == len(changes)
    assert levels.words[Level.DELETES] == deletes
    assert levels.words[Level.UNKNOWN_DELETES] == unknown
    assert levels.words[Level.SAME] == same
    live = [sum(1 for (s, _), quantity in held.items() if s is side and quantity) for side in Side]
    assert levels.largest == live


def test_before_the_first_snapshot_nothing_is_known_or_unknown() -> None:
    levels = counts()
    levels.add(feed(delta(1, 5, time=T0, levels=[(Side.BID, 90, 0)])))
    assert levels.words[Level.DELETES] == levels.looks == 0


def test_a_sampled_book_is_a_beginning_and_no_reset() -> None:
    deep = delta(2, 11, time=T0 + MS, levels=[(Side.BID, 50, 1)])
    again = snapshot(3, 12, time=T0 + 2 * MS, is_sampled=True)
    removed = delta(4, 13, time=T0 + 3 * MS, levels=[(Side.BID, 50, 0)])
    levels = counts()
    levels.add(feed(snapshot(1, 10, time=T0, is_sampled=True), deep, again, removed))
    assert levels.words[Level.DELETES] == 1
    assert levels.words[Level.UNKNOWN_DELETES] == 0


def test_prices_far_apart_and_finer_than_the_tick_find_room() -> None:
    many = [(Side.ASK, 101 + 7_919 * at, 1) for at in range(5_000)]
    levels = LevelCounts(Instrument("BINANCE", "BTCUSDT", price_step=100))
    levels.add(feed(snapshot(1, 10, time=T0), delta(2, 11, time=T0 + MS, levels=many)))
    assert levels.largest[Side.ASK] == 5_000 + 1
    assert levels.words[Level.CHANGES] == 5_000
