"""The kernels of the line on a batch: replay, and the digest of its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.schema import EVENTS
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.sink.event_rows import event_rows
from rlx_datapipe.store.digest import TableDigest

Benchmark = Callable[..., Any]


@pytest.fixture(scope="module")
def replayed(source: Source, events: Int64Array) -> Replayed:
    """The batch with its book state."""
    [one] = EventReplayer(source.instrument, source.rule, Settings()).replay(events)
    return one


def test_replay(benchmark: Any, source: Source, events: Int64Array, replayed: Replayed) -> None:
    def fresh() -> tuple[tuple[EventReplayer], dict[str, Any]]:
        return (EventReplayer(source.instrument, source.rule, Settings()),), {}

    def replay(replayer: EventReplayer) -> int:
        return sum(one.events.shape[1] for one in replayer.replay(events))

    count = benchmark.pedantic(replay, setup=fresh, rounds=20, warmup_rounds=1)
    assert count == replayed.events.shape[1]


def test_rows_of_events(benchmark: Benchmark, source: Source, replayed: Replayed) -> None:
    assert benchmark(event_rows, replayed, source.instrument).num_rows == replayed.events.shape[1]


def test_digest(benchmark: Benchmark, source: Source, replayed: Replayed) -> None:
    rows = event_rows(replayed, source.instrument)
    benchmark(lambda: TableDigest(EVENTS).update(rows))
