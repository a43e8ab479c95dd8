"""Snapshots without a time find their place among the deltas, whichever came first and however it was cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.ingestion.order import OrderBuffer
from rlx_datapipe.ingestion.placement import SnapshotPlacer

HORIZON = 1_000
Arrival = tuple[int, int, int]
"""Time (NONE for a snapshot), update id, rows; a trade has update id NONE."""


def to_events(arrivals: list[Arrival], first: int = 0) -> Int64Array:
    parts = []
    for message, (time, update, rows) in enumerate(arrivals, first):
        events = empty_events(rows)
        kind = Kind.TRADE if update == NONE else Kind.BOOK_SNAPSHOT if time == NONE else Kind.BOOK_DELTA
        events[Field.KIND], events[Field.ORIGIN_TIME], events[Field.UPDATE_ID] = kind, time, update
        events[Field.MESSAGE], events[Field.FLAGS] = message, 0
        events[Field.PRICE], events[Field.RECEIVED_TIME] = np.arange(rows), 7_777
        parts.append(events)
    return np.concatenate([empty_events(), *parts], axis=1)


def ordered(arrivals: list[Arrival], cuts: list[int]) -> Int64Array:
    """The total order that comes of the arrivals, cut into batches."""
    placer, buffer = SnapshotPlacer(HORIZON), OrderBuffer(1, HORIZON)
    out, at, newest = [], 0, NONE
    for cut in [*sorted({cut % (len(arrivals) + 1) for cut in cuts}), len(arrivals)]:
        events = to_events(arrivals[at:cut], at)
        newest = max(newest, int(events[Field.ORIGIN_TIME].max(initial=NONE)))
        buffer.push(0, placer.place(events))
        out.append(buffer.ready())
        at = cut
    buffer.push(0, placer.finish(newest))
    buffer.close(0)
    return np.concatenate([*out, buffer.ready()], axis=1)


def depth_ids(events: Int64Array) -> list[tuple[str, int]]:
    """Kind and update id of each depth message, in order."""
    found: list[tuple[str, int]] = []
    for kind, update, row in zip(
        *(events[f].tolist() for f in (Field.KIND, Field.UPDATE_ID, Field.PRICE)), strict=True
    ):
        if kind != Kind.TRADE and row == 0:
            found.append(("snapshot" if kind == Kind.BOOK_SNAPSHOT else "delta", update))
    return found


@pytest.mark.parametrize("place", range(7))
@pytest.mark.parametrize("stated", range(95, 131))
def test_a_snapshot_lands_right_before_the_first_newer_delta_wherever_it_arrives(
    place: int, stated: int
) -> None:
    """Six deltas in order; the snapshot arrives after ``place`` of them."""
    deltas = [(10_000 + 10 * n, 100 + 5 * n, 2) for n in range(1, 7)]
    arrivals: list[Arrival] = [*deltas[:place], (NONE, stated, 3), *deltas[place:]]
    newer = [time for time, update, _ in deltas if update > stated]
    expected = [("delta", update) for _, update, _ in deltas]
    # With no newer delta it takes the newest time, and of equal ids the snapshot comes first.
    at = len(deltas) - len(newer) - (not newer and stated == deltas[-1][1])
    expected.insert(at, ("snapshot", stated))
    for cuts in ([], list(range(8)), [place], [place + 1]):
        out = ordered(arrivals, cuts)
        assert depth_ids(out) == expected
        snapshot = out[Field.KIND] == Kind.BOOK_SNAPSHOT
        assert set(out[Field.ORIGIN_TIME, snapshot].tolist()) == {(newer or [deltas[-1][0]])[0]}
        assert (out[Field.FLAGS, snapshot] & Flag.DERIVED_TIME != 0).all()
        assert not (out[Field.FLAGS, ~snapshot] & Flag.DERIVED_TIME).any()
    assert out[Field.PRICE, snapshot].tolist() == [0, 1, 2]


@st.composite
def feeds(draw: st.DrawFn) -> list[Arrival]:
    """Deltas, some swapped or with the clock stepping back, trades, and snapshots of any age."""
    now, update = 10_000, 100
    arrivals: list[Arrival] = []
    for kind in draw(st.lists(st.sampled_from("dddddtss"), max_size=30)):
        now += draw(st.sampled_from((0, 1, 10, 10, 400, 2_000)))
        if kind == "d":
            update += draw(st.integers(1, 4))
            arrivals.append((now - draw(st.sampled_from((0, 0, 0, 5))), update, draw(st.integers(1, 3))))
            if len(arrivals) > 1 and draw(st.integers(0, 9)) == 0:
                arrivals[-1], arrivals[-2] = arrivals[-2], arrivals[-1]
        elif kind == "t":
            arrivals.append((now, NONE, 1))
        else:
            arrivals.append((NONE, max(0, update + draw(st.integers(-12, 6))), draw(st.integers(1, 3))))
    return arrivals


@given(feeds(), st.lists(st.integers(0, 100), max_size=8))
def test_the_batches_do_not_matter(arrivals: list[Arrival], cuts: list[int]) -> None:
    whole = ordered(arrivals, [])
    assert np.array_equal(ordered(arrivals, cuts), whole)
    assert np.array_equal(ordered(arrivals, list(range(len(arrivals)))), whole)


@given(feeds())
def test_no_row_is_lost_and_no_snapshot_torn(arrivals: list[Arrival]) -> None:
    out = ordered(arrivals, [])
    messages = out[Field.MESSAGE].tolist()
    assert sorted(messages) == [message for message, (_, _, rows) in enumerate(arrivals) for _ in range(rows)]
    assert 1 + sum(a != b for a, b in pairwise(messages)) == max(1, len(set(messages)))
    assert (out[Field.ORIGIN_TIME] != NONE).all()


def test_a_snapshot_finds_its_place_among_deltas_that_had_changed_places() -> None:
    arrivals: list[Arrival] = [
        (10_000, 100, 1),
        (10_020, 110, 1),
        (10_010, 105, 1),
        (NONE, 102, 2),
        (10_030, 115, 1),
    ]
    out = ordered(arrivals, [])
    assert depth_ids(out) == [
        ("delta", 100),
        ("snapshot", 102),
        ("delta", 105),
        ("delta", 110),
        ("delta", 115),
    ]


def test_a_snapshot_finds_its_place_where_the_clock_stepped_back() -> None:
    arrivals: list[Arrival] = [
        (10_000, 100, 1),
        (10_020, 110, 1),
        (9_990, 120, 1),
        (NONE, 115, 1),
        (10_030, 130, 1),
    ]
    assert depth_ids(ordered(arrivals, [])) == [
        ("delta", 100), ("delta", 110), ("snapshot", 115), ("delta", 120), ("delta", 130)
    ]  # fmt: skip


def test_a_snapshot_older_than_the_horizon_is_left_for_the_replay_to_call_stale() -> None:
    arrivals: list[Arrival] = [
        (10_000, 100, 1),
        (10_000 + 5 * HORIZON, 110, 1),
        (NONE, 50, 1),
        (10_001 + 5 * HORIZON, 111, 1),
    ]
    out = ordered(arrivals, [])
    assert depth_ids(out) == [("delta", 100), ("snapshot", 50), ("delta", 110), ("delta", 111)]
    assert not (out[Field.FLAGS] & Flag.LATE).any()


def test_a_snapshot_alone_is_dated_by_its_receipt_and_one_after_trades_by_the_last_of_them() -> None:
    assert ordered([(NONE, 5, 2)], [])[Field.ORIGIN_TIME].tolist() == [7_777] * 2
    assert ordered([(9_000, NONE, 1), (NONE, 5, 2)], [1])[Field.ORIGIN_TIME].tolist() == [9_000] * 3
    assert ordered([], []).shape[1] == 0
