"""What EventReplayer does at the edges: no events, no levels, full buffers, lost books, late statements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.replay.outcome import Outcome, counted, replayed, said
from tests.replay.streams import FUTURES, LAKE, MS, RULES, SPOT, START, Message, to_events

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Flag, Kind, Side, empty_events
from rlx_datapipe.core.sequence import SequenceRule

BID, ASK = int(Side.BID), int(Side.ASK)
BOOK = ((BID, 99, 1), (BID, 98, 2), (ASK, 101, 1), (ASK, 102, 2))


def delta(update_id: int, *levels: tuple[int, int, int], first: int = NONE, after_ms: int = 0) -> Message:
    """A delta of spot that follows update ``first - 1``, by default the one before."""
    first = update_id if first == NONE else first
    return Message(Kind.BOOK_DELTA, START + after_ms * MS, update_id, first, NONE, levels)


def snapshot(update_id: int, *levels: tuple[int, int, int], after_ms: int = 0, flags: int = 0) -> Message:
    return Message(Kind.BOOK_SNAPSHOT, START + after_ms * MS, update_id, levels=levels or BOOK, flags=flags)


def outcome(*messages: Message, rule: SequenceRule = SPOT, settings: Settings | None = None) -> Outcome:
    return replayed([to_events(list(messages))], rule, settings)


def kinds(found: Outcome) -> list[str]:
    return [record.kind for record in found.quality]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.source)
def test_a_chain_without_events_ends_in_one_empty_epoch(rule: SequenceRule) -> None:
    for batches in ([], [empty_events(), empty_events()]):
        found = replayed(batches, rule)
        assert (found.events, found.samples, found.keyframes, found.epochs) == ([], [], [], [0])
        assert kinds(found) == (["sequence_unprovable"] if rule == LAKE else [])


def test_a_chain_without_a_snapshot_keeps_its_events_and_says_that_it_has_no_book() -> None:
    found = outcome(delta(1, (BID, 99, 1)), delta(2, (ASK, 101, 1)))
    assert found.flags == [Flag.BOOK_INVALID | Flag.NOT_APPLIED | Flag.GROUP_END] * 2
    assert found.best == [(NONE,) * 4] * 2
    assert said(found) == [("unsynced", 0, 1)]
    assert found.samples == []


def test_a_snapshot_without_levels_is_a_book_without_levels() -> None:
    found = outcome(replace(snapshot(5), levels=()), delta(6, (BID, 99, 1)))
    assert found.best == [(NONE,) * 4, (99, 1, NONE, NONE)]
    assert found.flags == [Flag.EMPTY_GROUP | Flag.RESYNC | Flag.GROUP_END, Flag.GROUP_END]
    again = outcome(snapshot(5), delta(6, *((side, price, 0) for side, price, _ in BOOK)), snapshot(6))
    assert again.keyframes[-1][2] == [[(99, 1), (98, 2)], [(101, 1), (102, 2)]]


def test_a_sampled_snapshot_without_levels_equals_an_empty_book_only() -> None:
    empty = replace(snapshot(6, flags=Flag.SAMPLED), levels=())
    gone = delta(6, *((side, price, 0) for side, price, _ in BOOK))
    found = outcome(snapshot(5, flags=Flag.SAMPLED), gone, empty, rule=LAKE)
    assert (counted(found, "check"), len(found.keyframes)) == (1, 1)
    wrong = outcome(snapshot(5, flags=Flag.SAMPLED), delta(6), empty, rule=LAKE)
    assert wrong.keyframes[-1][2] == [[], []]


def test_every_group_ends_with_its_mark() -> None:
    stale, ahead = snapshot(2), snapshot(9)
    found = outcome(snapshot(5), delta(6, (BID, 97, 1), (BID, 96, 1)), stale, ahead, delta(9, first=7))
    ends = [bool(flags & Flag.GROUP_END) for flags in found.flags]
    numbers = [event[Field.MESSAGE] for event in found.events]
    assert ends == [a != b for a, b in zip(numbers, [*numbers[1:], NONE], strict=True)]


def test_a_pending_snapshot_is_forgotten_when_the_ids_fall_back() -> None:
    wrong = ((BID, 50, 7), (ASK, 150, 7))
    found = outcome(
        snapshot(100), delta(101), snapshot(500, *wrong),
        delta(1, first=1, after_ms=1),
        snapshot(1, after_ms=1),
        *(delta(update, (BID, 90, update), after_ms=2) for update in range(2, 700)),
        settings=Settings(keyframe_events=10, epoch_events=50),
    )  # fmt: skip
    assert "drift" not in kinds(found)
    assert set(found.best[-600:]) == {(99, 1, 101, 1)}


def test_a_lost_book_is_not_sampled() -> None:
    gap = delta(20, first=15)
    later = Message(Kind.TRADE, START + 500 * MS, levels=((BID, 99, 1),), trade_id=1)
    found = outcome(snapshot(5), delta(6, (BID, 99, 3)), gap, later)
    assert found.samples == []
    assert said(found)[1:] == [("gap", 4, 5), ("unsynced", 5, 6)]


def test_a_stretch_without_book_lasts_from_its_first_loss() -> None:
    found = outcome(
        snapshot(5), delta(6), delta(20, first=15),
        delta(3, after_ms=1), delta(1, after_ms=2), snapshot(1, after_ms=3),
    )  # fmt: skip
    assert said(found) == [
        ("resync", 0, 3), ("gap", 4, 5), ("reset", 5, 6), ("reset", 6, 7), ("resync", 5, 11)
    ]  # fmt: skip
    assert found.quality[-1].measures["duration_ns"] == 3 * MS


def test_a_silence_is_told_once_even_if_the_book_has_to_grow() -> None:
    many = [(ASK, 1_000_000 + 1_000 * at, 1) for at in range(3_000)]
    found = outcome(snapshot(5), delta(6, *many, after_ms=10_001))
    assert kinds(found).count("silence") == 1


def test_a_snapshot_of_any_fate_breaks_a_silence() -> None:
    for update_id in (2, 5, 9):
        found = outcome(snapshot(5), snapshot(update_id, after_ms=8_000), delta(9, first=6, after_ms=16_000))
        assert "silence" not in kinds(found), update_id


def test_an_empty_side_is_unknown_where_only_part_of_it_was_stated() -> None:
    bids = tuple((BID, 99 - at, 1) for at in range(5))
    gone = [(side, price, 0) for side, price, _ in bids]
    cut = outcome(snapshot(5, *bids, (ASK, 101, 1)), delta(6, *gone))
    assert (cut.best[-1], cut.flags[-1]) == ((NONE, NONE, 101, 1), Flag.GROUP_END | Flag.BEYOND_KNOWN)
    whole = outcome(snapshot(5, *bids[:4], (ASK, 101, 1)), delta(6, *gone))
    assert (whole.best[-1], whole.flags[-1]) == ((NONE, NONE, 101, 1), Flag.GROUP_END)


def test_a_best_price_beyond_what_was_stated_is_flagged_until_a_snapshot_reaches_it() -> None:
    asks = tuple((ASK, 101 + at, 1) for at in range(5))
    gone = [(side, price, 0) for side, price, _ in asks]
    new = (ASK, 120, 1)
    rest = tuple((ASK, 110 + at, 1) for at in range(5))
    found = outcome(
        snapshot(5, (BID, 99, 1), *asks), delta(6, *gone, new),
        snapshot(6, (BID, 99, 1), *rest), delta(7, *((s, p, 0) for s, p, _ in rest)),
    )  # fmt: skip
    beyond = [bool(flags & Flag.BEYOND_KNOWN) for flags in found.flags]
    assert beyond == [False] * 6 + [False] * 5 + [True] + [True] * 5 + [False] + [False] * 4 + [True]
    assert found.best[-1] == (99, 1, 120, 1)
    assert (found.keyframes[0][3], found.keyframes[1][3]) == ((NONE, 105), (NONE, 114))


def test_a_side_once_known_stays_known_when_the_market_moves_away() -> None:
    bids = tuple((BID, 99 - at, 1) for at in range(5))
    asks = tuple((ASK, 101 + at, 1) for at in range(5))
    up = tuple((BID, 200 - at, 1) for at in range(5))
    gone = [(side, price, 0) for side, price, _ in asks]
    beyond = tuple((ASK, 201 + at, 1) for at in range(5))
    found = outcome(snapshot(5, *bids, *asks), delta(6, *gone, *up[:4]), snapshot(6, *up, *beyond))
    told = next(record for record in found.quality if record.kind == "drift")
    # The bids were known all along, down to the first snapshot's; of the asks only those of the first.
    assert (told.measures["levels_compared"], told.measures["levels_missing"]) == (5, 1)
    assert found.keyframes[-1][3] == (95, 205)


@pytest.mark.parametrize("pending", [False, True])
def test_a_level_beyond_the_known_depth_gives_way_to_a_statement(pending: bool) -> None:
    asks = tuple((ASK, 101 + at, 1) for at in range(5))
    built = delta(6, (ASK, 105, 0), (ASK, 108, 7))
    whole = snapshot(7 if pending else 6, (BID, 99, 1), *asks[:4])
    found = outcome(snapshot(5, (BID, 99, 1), *asks), built, whole, delta(7, (BID, 99, 1)))
    told = next(record for record in found.quality if record.kind == "drift")
    assert told.measures["levels_matched"] == told.measures["levels_compared"] == 5
    assert [price for price, _ in found.keyframes[-1][2][1]] == [101, 102, 103, 104]
    assert len(found.keyframes) == 2


def test_a_pending_snapshot_that_is_right_changes_nothing() -> None:
    found = outcome(snapshot(5), snapshot(6), delta(6))
    assert [record.kind for record in found.quality] == ["resync", "drift"]
    assert len(found.keyframes) == 1


def test_deltas_that_a_sampled_snapshot_has_already_do_not_touch_it() -> None:
    ahead = snapshot(8, (BID, 99, 5), (ASK, 101, 5), flags=Flag.SAMPLED)
    older = [replace(delta(update, (BID, 99, 1), after_ms=1), first_id=NONE) for update in (7, 8)]
    newer = replace(delta(9, (ASK, 101, 6), after_ms=1), first_id=NONE)
    found = outcome(snapshot(5, flags=Flag.SAMPLED), delta(6), ahead, *older, newer, rule=LAKE)
    assert found.best[-1] == (99, 5, 101, 6)
    assert [flags & Flag.NOT_APPLIED for flags in found.flags[-3:]] == [Flag.NOT_APPLIED] * 2 + [0]


@pytest.mark.parametrize("cadence", [0, 1])
def test_more_samples_than_the_buffer_holds_are_all_there(cadence: int) -> None:
    deltas = [delta(5 + n, (BID, 99, n), after_ms=n) for n in range(1, 9_001)]
    found = outcome(snapshot(5), *deltas, settings=Settings(books_every_ms=cadence, books_levels=1))
    start = 1 if cadence == 0 else 0
    assert [event for event, _, _ in found.samples] == list(range(3 + start, 9_004))
    assert [sides[0][0] for _, _, sides in found.samples][1:] == [(99, n) for n in range(start + 1, 9_001)]


def test_more_notes_than_the_buffer_holds_are_all_told() -> None:
    flips = [delta(5 + n, (BID, 101, n % 2), after_ms=n * 10_001) for n in range(1, 2_001)]
    found = outcome(snapshot(5), *flips)
    assert (kinds(found).count("silence"), kinds(found).count("locked")) == (2_000, 1_000)


@pytest.mark.parametrize(
    ("rule", "first", "previous", "update", "applied"),
    [
        (SPOT, 6, NONE, 8, True), (SPOT, 4, NONE, 6, True), (SPOT, 5, NONE, 5, False),
        (SPOT, 7, NONE, 8, None), (FUTURES, 5, 3, 5, True), (FUTURES, 5, 4, 9, True),
        (FUTURES, 7, 5, 9, True), (FUTURES, 2, 1, 4, False), (FUTURES, 7, 6, 9, None),
        (LAKE, NONE, NONE, 900, True), (LAKE, NONE, NONE, 5, False),
    ],
)  # fmt: skip
def test_the_first_delta_after_a_snapshot_obeys_the_published_rule(
    rule: SequenceRule, first: int, previous: int, update: int, applied: bool | None
) -> None:
    """After a snapshot with id 5: applied, dropped as old, or a gap (None)."""
    message = Message(Kind.BOOK_DELTA, START, update, first, previous, ((BID, 100, 1),))
    found = outcome(snapshot(5), message, rule=rule)
    assert (found.flags[-1] & Flag.NOT_APPLIED == 0, "gap" in kinds(found)) == (
        applied is True,
        applied is None,
    )


def test_trades_of_one_id_and_time_are_one_and_ids_out_of_turn_are_not_lost() -> None:
    def trade(trade_id: int, after_ms: int) -> Message:
        return Message(Kind.TRADE, START + after_ms * MS, levels=((BID, 99, 1),), trade_id=trade_id)

    found = outcome(*(trade(*pair) for pair in ((5, 0), (7, 0), (5, 0), (6, 0), (7, 0), (6, 1), (0, 1))))
    assert [(e[Field.TRADE_ID], e[Field.ORIGIN_TIME] - START) for e in found.events] == [
        (5, 0), (7, 0), (6, 0), (6, MS), (0, MS)
    ]  # fmt: skip
    assert counted(found, "duplicate") == 2


def test_receive_times_before_origin_times_are_told_with_the_least_lag_of_each_epoch() -> None:
    events = to_events([snapshot(5), delta(6), delta(7)])
    events[Field.RECEIVED_TIME, -2:] = START - np.array([7, 3])
    found = replayed([events], SPOT, Settings(epoch_events=5))
    told = [(r.from_event_id, r.to_event_id, r.measures) for r in found.quality if r.kind == "clock_skew"]
    assert told == [
        (0, 4, {"count": 1, "duration_ns": -7}), (5, 5, {"count": 1, "duration_ns": -3})
    ]  # fmt: skip
