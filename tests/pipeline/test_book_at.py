"""Any state of the book, against a brute-force rebuild from the raw capture."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.pipeline.captures import CUT, SPOT, USDM, Fault, capture, kinds
from tests.pipeline.plain_reading import Ladder, Row, events_of, states_at

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError, OptionError
from rlx_datapipe.core.period import time_text
from rlx_datapipe.pipeline.book import BookState, book_at
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.faults import drop_depth, remove_snapshots
from rlx_datapipe.store.dataset import Dataset, open_dataset

SMALL = Settings(keyframe_events=700, epoch_events=1_500)
MARKETS: dict[str, tuple[MarketConfig, Sequence[Fault]]] = {
    "spot": (SPOT, ()),
    "spot, one snapshot that is cut": (CUT, ()),
    "usdm": (USDM, ()),
    "spot with gaps": (SPOT, (partial(drop_depth, k=30), partial(drop_depth, k=110))),
    "usdm with a gap": (USDM, (partial(drop_depth, k=70),)),
}


class Made(NamedTuple):
    """A dataset, and what an own reading of its capture says."""

    dataset: Dataset
    rows: list[Row]
    gaps: int


@pytest.fixture(scope="module", params=MARKETS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    config, faults = MARKETS[request.param]
    folder = tmp_path_factory.mktemp("book")
    source = capture(folder / "capture.gz", config, *faults)
    reconstruct(source, folder / "dataset", SMALL)
    return Made(open_dataset(folder / "dataset"), events_of([source]), len(faults))


def same(state: BookState, expected: tuple[bool, Ladder, Ladder]) -> bool:
    return (state.is_valid, state.bids, state.asks) == expected


def test_the_gaps_are_there(made: Made) -> None:
    assert kinds(made.dataset).get("gap", 0) == made.gaps
    assert kinds(made.dataset)["resync"] == made.gaps + 1


def test_a_hundred_times(made: Made) -> None:
    dice = random.Random(5)
    times = [row.time for row in made.rows]
    moments = [dice.randrange(times[0], times[-1]) for _ in range(60)]
    moments += [times[dice.randrange(len(times))] + step for _ in range(14) for step in (-1, 0, 1)]
    moments = [moment for moment in moments if moment >= times[0]]
    assert len(moments) >= 100
    events = {moment: bisect_right(times, moment) - 1 for moment in moments}
    expected = states_at(made.rows, [*events.values(), *(event + 1 for event in events.values())])
    assert {valid for valid, *_ in expected.values()} >= {True}
    for moment, event in events.items():
        state = book_at(made.dataset, at=moment)
        assert (state.event_id, state.origin_time) == (event, times[event])
        # Somewhere between the last event before a gap and the next the book was lost.
        is_lost = moment > times[event] and not expected.get(event + 1, (True,))[0]
        told = (False, [], []) if is_lost else expected[event]
        assert same(state, told), f"at {time_text(moment)}, event {event}"


def test_events_of_every_place(made: Made) -> None:
    """Random ones, in groups, around each keyframe, each epoch, each gap and resync, first and last."""
    dice = random.Random(6)
    last = len(made.rows) - 1
    chosen = {0, 1, last - 1, last, *(dice.randrange(last) for _ in range(60))}
    quality = made.dataset.quality.select("from_event_id", "to_event_id").collect()
    frames = made.dataset.keyframes.select("event_id").collect()["event_id"].to_list()
    edges = {*frames, *(event for row in quality.iter_rows() for event in row if event is not None)}
    edges |= set(range(0, last, SMALL.epoch_events))
    chosen |= {edge + step for edge in edges for step in (-2, -1, 0, 1, 2)}
    chosen = {event for event in chosen if 0 <= event <= last}
    expected = states_at(made.rows, chosen)
    for event in sorted(chosen):
        assert same(book_at(made.dataset, event=event), expected[event]), f"event {event}"
    assert len({valid for valid, *_ in expected.values()}) == 2, "before the snapshot there is no book"


def test_within_a_group_the_book_is_that_before_it(made: Made) -> None:
    valid_from = made.dataset.keyframes.select("event_id").collect()["event_id"].min()
    starts = [
        n
        for n, (row, following) in enumerate(zip(made.rows, made.rows[1:], strict=False))
        if n > int(str(valid_from)) and row.kind == "BOOK_DELTA" and row.message == following.message
    ]
    start = starts[len(starts) // 3]
    while made.rows[start - 1].message == made.rows[start].message:
        start -= 1
    before, inside = book_at(made.dataset, event=start - 1), book_at(made.dataset, event=start)
    assert (before.bids, before.asks) == (inside.bids, inside.asks)


def test_times_outside(made: Made) -> None:
    first, last = made.rows[0].time, made.rows[-1].time
    with pytest.raises(DatasetError, match=r"no event at or before that time.*or later"):
        book_at(made.dataset, at=first - 1)
    at_last = book_at(made.dataset, at=last)
    assert (at_last.event_id, at_last.age_ns) == (len(made.rows) - 1, 0)
    assert same(at_last, states_at(made.rows, [at_last.event_id])[at_last.event_id])
    with pytest.raises(DatasetError, match=r"the data end before that time.*or earlier"):
        book_at(made.dataset, at=last + 1)
    for event in (-1, len(made.rows)):
        with pytest.raises(DatasetError, match=f"no such event.*found {event}.*0 to {len(made.rows) - 1}"):
            book_at(made.dataset, event=event)


def test_between_the_last_event_before_a_gap_and_the_first_behind_it_there_is_no_book(made: Made) -> None:
    rows = made.rows
    valid = [state[0] for state in states_at(rows, range(len(rows))).values()]
    lost = [n for n in range(len(rows) - 1) if valid[n] and not valid[n + 1]]
    assert len(lost) == made.gaps
    for event in (n for n in lost if rows[n].time < rows[n + 1].time):
        assert book_at(made.dataset, at=rows[event].time).is_valid
        after = book_at(made.dataset, at=rows[event].time + 1)
        assert (after.event_id, after.is_valid, after.age_ns) == (event, False, 1)


def test_a_time_may_be_written_in_several_ways(made: Made) -> None:
    moment = made.rows[len(made.rows) // 2].time // 1_000 * 1_000
    zone = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment // 1_000)
    states = [book_at(made.dataset, at=at) for at in (moment, str(moment), time_text(moment), zone)]
    assert all(state == states[0] for state in states)


def test_depth_cuts_the_ladders_only(made: Made) -> None:
    event = len(made.rows) - 1
    full, top = book_at(made.dataset, event=event), book_at(made.dataset, event=event, depth=3)
    assert (top.bids, top.asks) == (full.bids[:3], full.asks[:3])
    assert top.level_counts == full.level_counts == (len(full.bids), len(full.asks))
    for depth in (0, -1):
        with pytest.raises(OptionError, match="depth"):
            book_at(made.dataset, event=event, depth=depth)


def test_a_time_or_an_event_is_needed_but_not_both(made: Made) -> None:
    with pytest.raises(OptionError, match="time or an event"):
        book_at(made.dataset)
    with pytest.raises(OptionError, match="time or an event"):
        book_at(made.dataset, at=made.rows[0].time, event=0)


def test_best_prices_of_the_table_are_the_top_of_the_book(made: Made) -> None:
    names = ("best_bid_price", "best_bid_quantity", "best_ask_price", "best_ask_quantity")
    told = made.dataset.events.select(*names).collect()
    for event in range(0, told.height, told.height // 40):
        state = book_at(made.dataset, event=event, depth=1)
        bid, ask = (side[0] if side else (None, None) for side in (state.bids, state.asks))
        assert told.row(event) == (*bid, *ask)


def test_without_a_snapshot_there_is_never_a_book(tmp_path: Path) -> None:
    source = capture(tmp_path / "capture.gz", SPOT, remove_snapshots)
    summary = reconstruct(source, tmp_path / "dataset")
    assert summary["events"] == summary["events_without_book"] == len(events_of([source]))
    for event in (0, summary["events"] // 2, summary["events"] - 1):
        state = book_at(tmp_path / "dataset", event=event)
        assert (state.is_valid, state.bids, state.asks) == (False, [], [])
    assert kinds(open_dataset(tmp_path / "dataset"))["unsynced"] == 1


@pytest.mark.recordings
def test_a_hundred_moments_of_a_real_recording(recordings: Path, tmp_path: Path) -> None:
    source = sorted((recordings / "binance_spot").glob("ethusdt_*.gz"))
    reconstruct(source, tmp_path / "dataset", Settings(keyframe_events=20_000, epoch_events=50_000))
    dataset, rows = open_dataset(tmp_path / "dataset"), events_of(source)
    dice = random.Random(7)
    times = [row.time for row in rows]
    moments = [dice.randrange(times[0], times[-1]) for _ in range(100)]
    events = {moment: bisect_right(times, moment) - 1 for moment in moments}
    expected = states_at(rows, events.values())
    for moment, event in events.items():
        assert same(book_at(dataset, at=moment), expected[event]), time_text(moment)
    deepest = max(len(bids) + len(asks) for _, bids, asks in expected.values())
    assert deepest > 2_000
    assert all(isinstance(price, Decimal) for _, bids, _ in expected.values() for price, _ in bids[:1])
