"""Replay stopped between two batches and restored in a new object goes on as if it had not stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ingestion.test_resume import archive, capture, same, stored, told
from tests.replay.outcome import gathered
from tests.replay.streams import LAKE, RULES, SPOT, Message, cut, streams, to_events

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Int64Array, Kind, empty_events
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.sequence import SequenceRule
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.replay.control import Word
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.simulation import faults
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate

Fault = Callable[[Iterable[bytes]], Iterator[bytes]]
FAULTS: dict[str, Fault] = {
    "swap": partial(faults.swap_depth, k=4),
    "duplicate": partial(faults.duplicate_depth, k=6),
    "gap": partial(faults.drop_depth, k=8),
    "delayed snapshot": partial(faults.delay_snapshot, n=60),
    "garbage": lambda given: faults.insert_garbage(faults.insert_garbage(given, 3), 90, b"\xff{}"),
}
CADENCES: dict[str, Any] = {
    "books_every_ms": 100,
    "books_levels": 5,
    "keyframe_events": 20,
    "epoch_events": 40,
    "silence_ms": 100,
}


def replayer_of(rule: SequenceRule, settings: Settings) -> EventReplayer:
    return EventReplayer(Instrument("X", "Y", 2, 2, 10), rule, settings)


def shown(part: Replayed) -> tuple[Any, ...]:
    """All of a stretch, for ==."""
    arrays = part.events, part.best, part.flags, part.sample_heads
    # What lies behind the levels that there are is left over from other samples.
    samples = [
        (sides[0:2, :bids].tolist(), sides[2:4, :asks].tolist())
        for sides, (bids, asks) in zip(part.samples, part.sample_heads[:, 2:].tolist(), strict=True)
    ]
    frames = [
        (f.event_id, f.origin_time, f.update_id, [c.tolist() for c in f.levels], f.known_low, f.known_high)
        for f in part.keyframes
    ]
    # Measures may hold NaN, which differs from itself.
    quality = [repr(record) for record in part.quality]
    return (
        part.first_event_id,
        *(array.tolist() for array in arrays),
        samples,
        frames,
        quality,
        part.ends_epoch,
    )


cadences = st.builds(
    Settings,
    books_every_ms=st.sampled_from((0, 1, 100, 7_000)),
    books_levels=st.sampled_from((1, 20)),
    keyframe_events=st.sampled_from((1, 10, 1_000)),
    epoch_events=st.sampled_from((1, 7, 1_000)),
    silence_ms=st.sampled_from((100, 10_000)),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.source)
@given(st.data())
def test_a_replay_goes_on_from_every_border(rule: SequenceRule, data: Any) -> None:
    settings = data.draw(cadences)
    events = to_events(data.draw(streams(rule)))
    batches = [empty_events(), *cut(events, data.draw(st.lists(st.integers(0, 10_000), max_size=8)))]
    one = replayer_of(rule, settings)
    states, parts = [stored(one.state())], []
    for batch in batches:
        parts.append([shown(part) for part in one.replay(batch)])
        states.append(stored(one.state()))
    last = shown(one.finish())
    for border, state in enumerate(states):
        other = replayer_of(rule, settings)
        other.restore(state)
        assert same(other.state(), state)
        for number in range(border, len(batches)):
            assert [shown(part) for part in other.replay(batches[number])] == parts[number]
            assert same(other.state(), states[number + 1])
        assert shown(other.finish()) == last


def test_a_statement_that_waits_is_kept_up_to_date() -> None:
    """A pending snapshot, the trades of one instant and the counters survive."""
    levels = ((0, 99, 1), (0, 98, 2), (1, 101, 1), (1, 102, 2))
    at = 1_700_000_000_000_000_000
    messages = [
        Message(Kind.BOOK_SNAPSHOT, at, 5, levels=levels),
        Message(Kind.BOOK_DELTA, at, 6, 6, levels=((0, 99, 3),)),
        Message(Kind.BOOK_SNAPSHOT, at, 8, levels=((0, 99, 4), (0, 98, 0), (1, 101, 1))),
        Message(Kind.TRADE, at, trade_id=7, levels=((0, 101, 1),)),
        Message(Kind.TRADE, at, trade_id=7, levels=((0, 101, 1),)),
        Message(Kind.BOOK_DELTA, at, 9, 7, levels=((0, 99, 9), (1, 101, 2))),
    ]
    events = to_events(messages)
    whole = list(replayer_of(SPOT, Settings()).replay(events))
    ends = np.flatnonzero(np.diff(events[12], append=-1)) + 1
    batches: list[Int64Array] = np.split(events, ends[:-1], axis=1)
    replayer, parts, pending = replayer_of(SPOT, Settings()), [], []
    for batch in batches:
        parts += list(replayer.replay(batch))
        state = stored(replayer.state())
        pending.append(bool(state.values["is_pending"]))
        replayer = replayer_of(SPOT, Settings())
        replayer.restore(state)
    assert pending == [False, False, True, True, True, False]
    assert gathered(parts) == gathered(whole)


def test_a_state_is_given_only_between_batches() -> None:
    settings = Settings(epoch_events=1)
    trades = [Message(Kind.TRADE, 10**18 + i, trade_id=i, levels=((0, 100, 1),)) for i in range(3)]
    replayer = replayer_of(LAKE, settings)
    stretches = replayer.replay(to_events(trades))
    assert replayer.state().values["is_opened"] is False
    next(stretches)
    with pytest.raises(RuntimeError, match="between"):
        replayer.state()
    assert len(list(stretches)) == 2
    assert replayer.state().values["is_opened"] is True
    replayer.finish()
    with pytest.raises(RuntimeError, match="between"):
        replayer.state()


def test_only_a_state_of_the_same_replay_is_taken() -> None:
    replayer = replayer_of(SPOT, Settings())
    state = replayer.state()
    for other in (replayer_of(LAKE, Settings()), replayer_of(SPOT, Settings(books_levels=3))):
        with pytest.raises(ValueError, match="other"):
            other.restore(state)
    full = state.arrays["control"].copy()
    full[Word.SAMPLES] = 10**6
    spoilt: list[dict[str, Int64Array]] = [
        {"control": full},
        {"control": full[:-1]},
        {"book": np.zeros(3, dtype=np.int64)},
        {"recent_trades": np.zeros(3, dtype=np.int64)},
    ]
    for arrays in spoilt:
        with pytest.raises(ValueError):
            replayer_of(SPOT, Settings()).restore(State(state.values, state.arrays | arrays))
    for name in state.values:
        with pytest.raises(ValueError, match="state"):
            replayer_of(SPOT, Settings()).restore(State(state.values | {name: "x"}, state.arrays))
    with pytest.raises(ValueError, match="state"):
        replayer_of(SPOT, Settings()).restore(State())


# ── both stages ──


def new_line(source: Source, settings: Settings) -> tuple[DataIngestion, EventReplayer]:
    return DataIngestion(source, settings), EventReplayer(source.instrument, source.rule, settings)


def check_line(source: Source, settings: Settings, every: int) -> list[Replayed]:
    """Ingest and replay to each k-th border, both restored there; the uninterrupted outcome."""
    ingestion, replayer = new_line(source, settings)
    states, outcome = [(stored(ingestion.state()), stored(replayer.state()))], []
    whole: list[Replayed] = []
    for batch in ingestion:
        parts = list(replayer.replay(batch.events))
        states.append((stored(ingestion.state()), stored(replayer.state())))
        outcome.append((told(batch), [shown(part) for part in parts]))
        whole += parts
    whole.append(replayer.finish())
    for border in {*range(0, len(states), every), len(states) - 1}:
        ingestion, replayer = new_line(source, settings)
        ingestion.restore(states[border][0])
        replayer.restore(states[border][1])
        rest = [(told(b), [shown(part) for part in replayer.replay(b.events)]) for b in ingestion]
        assert rest == outcome[border:]
        assert shown(replayer.finish()) == shown(whole[-1])
    return whole


@pytest.mark.parametrize("venue", ["binance-spot", "binance-usdm"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_line_over_a_capture_goes_on_from_every_border(venue: str, fault: str, tmp_path: Path) -> None:
    config = MarketConfig(
        venue=venue, duration_s=2, orders_per_s=100, levels=50, snapshot_levels=20, snapshot_every_s=1
    )
    source = capture(tmp_path, FAULTS[fault](simulate(config)))
    for rows, every in ((1, 101), (16, 5), (100, 1)):
        settings = Settings(batch_rows=rows, horizon_ms=50, **CADENCES)
        found = gathered(check_line(source, settings, every))
        assert len(found.keyframes) > 3
        assert found.samples
        assert len(found.epochs) > 3
        if fault == "gap":
            assert "gap" in {record.kind for record in found.quality}


def test_a_line_over_an_archive_goes_on_from_every_border(tmp_path: Path) -> None:
    source = archive(tmp_path)
    for rows, every in ((1, 97), (20, 3), (100, 1)):
        found = gathered(check_line(source, Settings(batch_rows=rows, horizon_ms=3, **CADENCES), every))
        assert len(found.epochs) > 3
        assert found.quality[0].kind == "sequence_unprovable"
