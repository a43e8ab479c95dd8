"""Snapshots as the clock: what is inferred between them, and that the book is theirs wherever they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ingestion.test_resume import stored
from tests.replay.outcome import Outcome, book_at, gathered
from tests.replay.streams import LAKE, START, Message, cut, to_events
from tests.replay.test_resume import shown
from tests.replay.windows import Row, infer_plainly, sampled_streams

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side, empty_events
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.state import State
from rlx_datapipe.replay.inference import WindowInference
from rlx_datapipe.replay.strategies import STRATEGIES, SnapshotReplayer, Strategy

EXAMPLES = int(os.environ.get("RLX_REPLAY_EXAMPLES", "0"))
randomly = settings(max_examples=EXAMPLES) if EXAMPLES else settings()
borders = st.lists(st.integers(0, 10_000), max_size=12)
THING = Instrument("X", "Y", 2, 2, 10)
BIDS = ((0, 99, 5), (0, 98, 5), (0, 97, 5))
ASKS = ((1, 101, 5), (1, 102, 5), (1, 103, 5))
CADENCE = Settings(books_every_ms=1, keyframe_events=5, epoch_events=7)


def replayer(name: str = "snapshot", cadence: Settings = CADENCE) -> Strategy:
    return STRATEGIES[name](THING, LAKE, cadence)


def outcome(batches: list[Int64Array], name: str = "snapshot") -> Outcome:
    found = replayer(name)
    return gathered([*(part for events in batches for part in found.replay(events)), found.finish()])


def inferred(batches: list[Int64Array]) -> list[Row]:
    inference = WindowInference(THING, CADENCE)
    fields = (
        Field.MESSAGE, Field.KIND, Field.UPDATE_ID, Field.SIDE, Field.PRICE, Field.QUANTITY, Field.FLAGS,
    )  # fmt: skip
    parts = [part for events in batches for part in inference.infer(events)]
    columns = np.concatenate([empty_events(), *parts], axis=1)[list(fields)]
    return [Row(*row) for row in columns.T.tolist()]


def snapshot(*levels: tuple[int, int, int], time: int, update_id: int) -> Message:
    return Message(Kind.BOOK_SNAPSHOT, START + time, update_id, levels=levels, flags=int(Flag.SAMPLED))


def trade(side: Side, price: int, quantity: int, *, time: int, flags: int = 0, number: int = 0) -> Message:
    level = (int(side), price, quantity)
    return Message(Kind.TRADE, START + time, levels=(level,), trade_id=number or time, flags=flags)


def changes(*messages: Message) -> list[tuple[int, int, int]]:
    """What is inferred behind a first snapshot of three levels a side."""
    first = snapshot(*BIDS, *ASKS, time=1, update_id=10)
    rows = inferred([to_events([first, *messages])])
    return [(row.side, row.price, row.quantity) for row in rows if row.flags & Flag.INFERRED]


# ── what a trade proves ──


def test_a_trade_takes_its_quantity_from_the_level_at_its_price() -> None:
    assert changes(trade(Side.BID, 101, 2, time=2)) == [(1, 101, 3)]
    assert changes(trade(Side.ASK, 99, 5, time=2)) == [(0, 99, 0)]


def test_levels_better_than_a_trade_are_gone_before_it() -> None:
    assert changes(trade(Side.BID, 103, 1, time=2)) == [(1, 101, 0), (1, 102, 0), (1, 103, 4)]
    assert changes(trade(Side.ASK, 97, 1, time=2)) == [(0, 99, 0), (0, 98, 0), (0, 97, 4)]


def test_the_own_side_does_not_reach_the_price_of_a_trade() -> None:
    """A seller met a bid at 102, so nobody offered at 102 or below: the market has risen."""
    assert changes(trade(Side.ASK, 102, 1, time=2)) == [(1, 101, 0), (1, 102, 0)]


def test_of_more_than_a_level_holds_nothing_is_taken_elsewhere_and_it_is_told() -> None:
    assert changes(trade(Side.BID, 101, 9, time=2)) == [(1, 101, 0)]
    messages = [snapshot(*BIDS, *ASKS, time=1, update_id=10), trade(Side.BID, 101, 9, time=2)]
    [told] = [one for one in outcome([to_events(messages)]).quality if one.kind == "trade_mismatch"]
    assert told.measures == {"count": 1, "levels_compared": 1, "levels_matched": 0}
    assert told.detail == (
        "of 1 trades 1 were of more than their level held, and 0 at a price where there was no level"
    )


@pytest.mark.parametrize("flag", [Flag.NOT_MARKET, Flag.LATE])
def test_a_trade_that_was_not_of_this_book_or_moment_takes_nothing(flag: Flag) -> None:
    assert changes(trade(Side.BID, 101, 2, time=2, flags=int(flag))) == []


def test_a_trade_that_comes_twice_takes_once() -> None:
    one = trade(Side.BID, 101, 2, time=2)
    assert changes(one, one) == [(1, 101, 3)]


def test_before_the_first_snapshot_there_is_nothing_to_take_from() -> None:
    messages = [trade(Side.BID, 101, 2, time=1), snapshot(*BIDS, *ASKS, time=2, update_id=10)]
    assert not [row for row in inferred([to_events(messages)]) if row.flags & Flag.INFERRED]


# ── what a snapshot tells ──


def test_what_trades_do_not_explain_stands_right_before_the_snapshot_with_its_time_and_id() -> None:
    later = snapshot((0, 99, 5), (0, 98, 7), (1, 101, 3), (1, 102, 5), (1, 104, 1), time=9, update_id=20)
    bought = trade(Side.BID, 101, 2, time=5)
    events = to_events([snapshot(*BIDS, *ASKS, time=1, update_id=10), bought, later])
    found = outcome([events])
    rows = [
        (row[Field.ORIGIN_TIME] - START, row[Field.UPDATE_ID], *row[Field.SIDE : Field.FLAGS], flags)
        for row, flags in zip(found.events, found.flags, strict=True)
        if row[Field.FLAGS] & Flag.INFERRED
    ]
    assert rows == [
        (5, NONE, 1, 101, 3, Flag.INFERRED | Flag.GROUP_END),
        (9, 20, 0, 98, 7, Flag.INFERRED),
        (9, 20, 0, 97, 0, Flag.INFERRED),
        (9, 20, 1, 103, 0, Flag.INFERRED),
        (9, 20, 1, 104, 1, Flag.INFERRED | Flag.GROUP_END),
    ]


def side_of(count: int, first: int, step: int) -> list[tuple[int, int, int]]:
    return [(int(step > 0), first + step * i, 1 + i) for i in range(count)]


def test_a_level_that_leaves_the_visible_depth_stays_as_it_was_last_seen() -> None:
    """Beyond the twentieth level nothing is known: it was not deleted, and the known range tells."""
    before = snapshot(*side_of(20, 1_000, -1), *side_of(20, 1_001, 1), time=1, update_id=10)
    risen = snapshot(*side_of(20, 1_005, -1), *side_of(20, 1_006, 1), time=2, update_id=20)
    found = outcome([to_events([before, risen])])
    bids, asks = book_at(found, len(found.flags) - 1) or ([], [])
    assert [price for price, _ in bids] == list(range(1_005, 980, -1))
    assert [price for price, _ in asks] == list(range(1_006, 1_026))
    assert bids[20:] == [(1_000 - i, 1 + i) for i in range(15, 20)], "as the first snapshot had them"


def test_where_trades_eat_through_all_that_is_known_the_best_price_is_flagged() -> None:
    before = snapshot(*side_of(20, 1_000, -1), *side_of(20, 1_001, 1), time=1, update_id=10)
    risen = snapshot(*side_of(20, 1_005, -1), *side_of(20, 1_006, 1), time=2, update_id=20)
    swept = trade(Side.ASK, 986, 99, time=3)
    again = snapshot(*side_of(20, 985, -1), *side_of(20, 986, 1), time=4, update_id=30)
    found = outcome([to_events([before, risen, swept, again])])
    flagged = [
        (row[Field.MESSAGE], bool(flags & Flag.BEYOND_KNOWN))
        for row, flags in zip(found.events, found.flags, strict=True)
        if flags & Flag.GROUP_END
    ]
    assert flagged == [(1, False), (2, False), (3, False), (3, True), (4, False)]
    assert found.best[-1] == (985, 1, 986, 1)


def test_ids_that_fall_back_are_told_and_the_snapshot_counts() -> None:
    later = snapshot(*BIDS[:2], *ASKS, time=2, update_id=3)
    assert changes(later) == [(0, 97, 0)]
    found = outcome([to_events([snapshot(*BIDS, *ASKS, time=1, update_id=10), later])])
    assert "snapshot_reset" in {one.kind for one in found.quality}
    assert not {"reset", "gap", "drift"} & {one.kind for one in found.quality}


def test_deltas_are_left_out_and_counted() -> None:
    delta = Message(Kind.BOOK_DELTA, START + 2, 11, levels=((0, 99, 1),))
    found = outcome([to_events([snapshot(*BIDS, *ASKS, time=1, update_id=10), delta])])
    [told] = [one for one in found.quality if one.kind == "set_aside"]
    assert told.measures["count"] == 1
    assert Kind.BOOK_DELTA not in {row[Field.KIND] for row in found.events}


def test_it_says_what_it_is_before_anything_else() -> None:
    for name in ("snapshot", "origin_time_sort"):
        assert outcome([], name).quality[0].kind == "strategy"
        assert outcome([], name).quality[0].detail.startswith(f"{name}: ")
    assert {one.kind for one in outcome([], "full").quality} == {"sequence_unprovable"}


# ── against the twin ──


@randomly
@given(st.data())
def test_what_is_inferred_is_what_the_twin_infers_whatever_the_batches(data: Any) -> None:
    messages = data.draw(sampled_streams())
    events, plain = to_events(messages), infer_plainly(messages)
    assert inferred([events]) == plain.rows
    assert inferred(cut(events, data.draw(borders))) == plain.rows


@randomly
@given(sampled_streams())
def test_the_book_after_each_snapshot_is_the_snapshot(messages: list[Message]) -> None:
    plain, found = infer_plainly(messages), outcome([to_events(messages)])
    # Levels that are not in their order are compared one by one, which is told as drift of nothing.
    drifts = [one.measures for one in found.quality if one.kind == "drift"]
    assert all(one["levels_compared"] == one["levels_matched"] for one in drifts)
    met = sum(one.measures["count"] for one in found.quality if one.kind == "snapshot_met")
    assert met + len(drifts) == max(0, len(plain.books) - 1)
    ends = {}
    for at, (row, flags) in enumerate(zip(found.events, found.flags, strict=True)):
        if flags & Flag.GROUP_END:
            ends[row[Field.MESSAGE]] = at
    at = NONE
    for number, message in enumerate(messages, 1):
        at = ends.get(number, at)
        if (book := dict(plain.books).get(number)) is not None:
            held = book_at(found, at)
            assert held == [sorted(book[0].items(), reverse=True), sorted(book[1].items())]
            for side in Side:
                stated = sorted((p, q) for s, p, q in message.levels if s == side)
                stated = stated[::-1] if side == Side.BID else stated
                assert held[side][: len(stated)] == stated


@randomly
@given(sampled_streams())
def test_trades_are_counted_as_the_twin_counts_them(messages: list[Message]) -> None:
    plain, found = infer_plainly(messages), outcome([to_events(messages)])
    told = {one.kind: one.measures for one in found.quality}.get("trade_mismatch", {})
    assert told.get("count", 0) == plain.short + plain.absent
    if told:
        assert (told["levels_matched"], told["levels_compared"]) == (
            plain.filled, plain.filled + plain.short + plain.absent,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["snapshot", "origin_time_sort"])
@randomly
@given(st.data())
def test_the_batches_do_not_matter(name: str, data: Any) -> None:
    messages = data.draw(sampled_streams())
    events = to_events(messages)
    whole = outcome([events], name)
    assert outcome(cut(events, data.draw(borders)), name) == whole
    assert outcome(cut(events, list(range(len(messages)))), name) == whole


@pytest.mark.parametrize("name", ["snapshot", "origin_time_sort"])
@settings(max_examples=EXAMPLES or 8)
@given(sampled_streams(max_size=20))
def test_it_goes_on_from_every_border(name: str, messages: list[Message]) -> None:
    batches = cut(to_events(messages), list(range(len(messages))))
    first = replayer(name)
    states, parts = [stored(first.state())], []
    for events in batches:
        parts.append([shown(part) for part in first.replay(events)])
        states.append(stored(first.state()))
    end = shown(first.finish())
    for at, state in enumerate(states):
        again = replayer(name)
        again.restore(state)
        assert [[shown(part) for part in again.replay(events)] for events in batches[at:]] == parts[at:]
        assert shown(again.finish()) == end


def test_a_state_of_another_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="state"):
        replayer("snapshot").restore(replayer("full").state())
    with pytest.raises(ValueError, match="state"):
        replayer("full").restore(State())


# ── planted faults ──


class Forgetful(WindowInference):
    """An inference that forgets the last change before each snapshot."""

    def infer(self, events: Int64Array) -> Iterator[Int64Array]:
        for part in super().infer(events):
            kinds = part[Field.KIND]
            last = (kinds[:-1] == Kind.BOOK_DELTA) & (kinds[1:] == Kind.BOOK_SNAPSHOT)
            yield np.ascontiguousarray(part[:, ~np.append(last, False)])


def test_an_inference_that_forgets_is_found_out_by_the_replay() -> None:
    messages = [
        snapshot(*BIDS, *ASKS, time=1, update_id=10),
        snapshot(*BIDS, *ASKS[:2], time=2, update_id=20),
    ]
    opening = replayer().finish().quality[0]
    wrong = SnapshotReplayer(THING, CADENCE, opening, Forgetful(THING, CADENCE))
    found = gathered([*wrong.replay(to_events(messages)), wrong.finish()])
    assert [one.measures["levels_extra"] for one in found.quality if one.kind == "drift"] == [1]


# ── the plain merge ──


@randomly
@given(sampled_streams())
def test_a_merge_tells_the_best_prices_last_stated_and_trusts_none(messages: list[Message]) -> None:
    found = outcome([to_events(messages)], "origin_time_sort")
    best = (NONE,) * 4
    expected, traded = [], set()
    for message in messages:
        key = (message.time, message.trade_id)
        if message.kind == Kind.TRADE and key in traded:
            continue
        if message.kind == Kind.TRADE:
            traded.add(key)
        if message.kind == Kind.BOOK_SNAPSHOT:
            expected += [best] * (message.rows - 1)
            if not message.flags & Flag.LATE:
                bids, asks = ({p: q for s, p, q in message.levels if s == side} for side in Side)
                bid = (max(bids), bids[max(bids)]) if bids else (NONE, NONE)
                ask = (min(asks), asks[min(asks)]) if asks else (NONE, NONE)
                best = (*bid, *ask)
            expected.append(best)
        elif message.kind == Kind.TRADE:
            expected.append(best)
        else:
            return  # What a delta is there, the twin of the whole replay says.
    assert found.best == expected
    assert all(flags & Flag.BOOK_INVALID for flags in found.flags)
    assert not found.keyframes
    assert not found.samples
    if messages:
        assert "unsynced" in {one.kind for one in found.quality}
