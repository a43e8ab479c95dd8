"""Chains of ids: gaps with the right ids, and nothing else is one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.assessment.feeds import MS, T0, delta, feed, trade

from rlx_datapipe.assessment.chains import Chains, Id, Note, Stretch
from rlx_datapipe.core.event import Field, Int64Array
from rlx_datapipe.core.sequence import Link

QUIET_NS = 10_000 * MS


def followed(events: Int64Array, link: Link = Link.FIRST_ID) -> Chains:
    chains = Chains(link, QUIET_NS)
    chains.add(events)
    return chains


def spot(steps: list[int], dropped: int | None = None) -> list[Int64Array]:
    """Spot messages that bring so many ids each; one of them may be missing."""
    messages, last = [], 1_000
    for at, step in enumerate(steps):
        if at != dropped:
            messages.append(delta(at + 1, last + step, first=last + 1, time=T0 + at * 100 * MS))
        last += step
    return messages


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_ids_that_follow_are_proven(steps: list[int]) -> None:
    words = followed(feed(*spot(steps))).words
    assert words[Id.GAPS] == words[Id.IDS_MISSING] == 0
    assert words[Id.DELTAS] == len(steps)
    assert words[Id.FOLLOWS] == len(steps) - 1
    assert words[Id.IDS] == sum(steps[1:])


@given(st.lists(st.integers(1, 50), min_size=3, max_size=40), st.data())
def test_a_dropped_message_is_a_gap_of_its_ids(steps: list[int], data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(steps) - 2))
    chains = followed(feed(*spot(steps, at)))
    last = 1_000 + sum(steps[:at])
    (gap,) = chains.named[Note.GAP]
    assert gap == Stretch(
        last, last + steps[at] + 1, steps[at], T0 + (at - 1) * 100 * MS, T0 + (at + 1) * 100 * MS
    )
    assert chains.words[Id.IDS_MISSING] == steps[at]


def test_futures_name_their_predecessor() -> None:
    one, two, three = (
        delta(1, 10, first=5, previous=4, time=T0),
        delta(2, 30, first=25, previous=10, time=T0 + MS),
        delta(3, 60, first=55, previous=40, time=T0 + 2 * MS),
    )
    chains = followed(feed(one, two, three), Link.PREVIOUS_ID)
    assert chains.words[Id.FOLLOWS] == 1
    assert chains.named[Note.GAP] == [Stretch(30, 40, 10, T0 + MS, T0 + 2 * MS)]


def test_where_ids_prove_nothing_there_is_no_gap() -> None:
    messages = [delta(at, at * 1_000, time=T0 + at * MS) for at in range(1, 20)]
    words = followed(feed(*messages), Link.UNPROVABLE).words
    assert words[Id.GAPS] == words[Id.FOLLOWS] == 0
    assert words[Id.DELTAS] == 19


def test_a_message_that_comes_twice_is_no_gap() -> None:
    messages = spot([3, 3, 3])
    again = messages[1].copy()
    again[Field.MESSAGE] += 100
    words = followed(feed(messages[0], messages[1], again, messages[2])).words
    assert words[Id.DUPLICATES] == 1
    assert words[Id.GAPS] == 0


def test_ids_that_begin_anew_are_told() -> None:
    later = delta(9, 20, first=15, time=T0 + 1_000 * MS)
    words = followed(feed(*spot([5, 5]), later)).words
    assert words[Id.RESETS] == 1
    assert words[Id.GAPS] == 0


def test_quiet_is_told_and_is_no_gap() -> None:
    late = T0 + 30_000 * MS
    chains = followed(feed(delta(1, 10, first=5, time=T0), delta(2, 12, first=11, time=late)))
    assert chains.words[Id.QUIET] == 1
    assert chains.words[Id.QUIET_MAX_NS] == 30_000 * MS
    assert chains.words[Id.GAPS] == 0
    assert chains.named[Note.QUIET] == [Stretch(10, 10, 0, T0, late)]


def test_missing_trades_are_told_by_their_ids() -> None:
    trades = [trade(at, 100 + at, time=T0 + at * MS) for at in range(20) if at not in (7, 8)]
    chains = followed(feed(*trades))
    assert chains.named[Note.TRADE_GAP] == [Stretch(106, 109, 2, T0 + 6 * MS, T0 + 9 * MS)]
    assert chains.words[Id.TRADE_FOLLOWS] == 16


@given(st.lists(st.integers(1, 9), min_size=2, max_size=30), st.data())
def test_parts_put_together_equal_the_whole(steps: list[int], data: st.DataObject) -> None:
    dropped = data.draw(st.integers(0, len(steps) - 1))
    messages = []
    for at, message in enumerate(spot(steps, dropped)):
        messages += [message, trade(100 + at, 500 + at + (at > 3), time=T0 + at * 100 * MS + 1)]
    cut = data.draw(st.integers(0, len(messages)))
    whole = followed(feed(*messages))
    first, second = followed(feed(*messages[:cut])), followed(feed(*messages[cut:]))
    first.merge(second)
    assert (first.words == whole.words).all()
    assert (first.steps == whole.steps).all()
    assert first.named == whole.named


def test_more_gaps_than_are_noted_at_a_time_are_all_counted() -> None:
    messages = [delta(at, 10 * at, first=10 * at, time=T0 + at * MS) for at in range(1, 9_000)]
    chains = followed(feed(*messages))
    assert chains.words[Id.GAPS] == 8_998
    assert len(chains.named[Note.GAP]) == 1_000
    assert np.array_equal(np.diff([gap.after_id for gap in chains.named[Note.GAP]]), np.full(999, 10))
