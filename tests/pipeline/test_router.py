"""One pass feeds all workers; one that takes nothing is left behind, and gets the same steps by itself."""

from __future__ import annotations

import os
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.captures import SPOT, mixed, three_symbols

from rlx_datapipe.core.config import Settings
from rlx_datapipe.ingestion.mixed import Taken
from rlx_datapipe.ingestion.recordings import take_recording
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.router import Fed, Lane, SymbolRouter, share_evenly

SETTINGS = Settings(batch_rows=500, patience_ms=300, queue_messages=40)
MESSAGE_BYTES = 3 * 8
"""What a piece holds of a message beside its payload: row, receive time and length."""
Steps = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    folder = tmp_path_factory.mktemp("captures")
    return find_sources([mixed(folder / "mixed.gz", three_symbols(folder, SPOT))], SETTINGS)


def told(taken: Taken) -> tuple[Any, ...]:
    """All that a step says; where its messages lie is no matter."""
    frames = taken.frames
    messages = frames.rows.tolist(), frames.received.tolist(), frames.payloads()
    return messages, taken.rejects, taken.row, taken.consumed, taken.elsewhere


def alone(source: Source, start_row: int = 0) -> Steps:
    return [told(taken) for taken in take_recording(source, SETTINGS, 0, start_row)]


class Listeners:
    """A worker's end for each source, each read by a thread of its own."""

    def __init__(self, sources: list[Source]) -> None:
        pipes = {source.instrument.symbol: os.pipe() for source in sources}
        self.ends = {symbol: writing for symbol, (_, writing) in pipes.items()}
        self.fed = {
            source.instrument.symbol: Fed(
                Connection(pipes[source.instrument.symbol][0], writable=False), source, SETTINGS
            )
            for source in sources
        }
        self.heard: dict[str, Steps] = {}
        self._threads: list[threading.Thread] = []

    def listen(
        self, symbol: str, start_row: int = 0, wait_s: float = 0, steps_max: int | None = None
    ) -> None:
        def hear() -> None:
            time.sleep(wait_s)
            steps = self.fed[symbol](0, start_row)
            heard = (taken for _, taken in zip(range(steps_max or 10**9), steps, strict=False))
            self.heard[symbol] = [told(taken) for taken in heard]

        self._threads.append(threading.Thread(target=hear))
        self._threads[-1].start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


def routed(sources: list[Source], starts: dict[str, int] | None = None, **listening: Any) -> dict[str, Steps]:
    """What each worker heard; ``listening`` says how one of them listens."""
    listeners = Listeners(sources)
    router = SymbolRouter(sources, SETTINGS, listeners.ends)
    for source in sources:
        symbol = source.instrument.symbol
        start = (starts or {}).get(symbol, 0)
        router.stands(symbol, 0, start)
        listeners.listen(symbol, start, **listening.get(symbol, {}))
    listeners.wait()
    router.stop()
    return listeners.heard


def test_all_get_the_steps_that_they_would_read_themselves(sources: list[Source]) -> None:
    heard = routed(sources)
    assert heard == {source.instrument.symbol: alone(source) for source in sources}
    assert all(len(steps) > 10 for steps in heard.values())


def test_each_goes_on_from_where_it_stands(sources: list[Source]) -> None:
    starts = {"BTCUSDT": 1_500, "ETHUSDT": 0, "SOLUSDT": 4_000}
    heard = routed(sources, starts)
    for source in sources:
        symbol = source.instrument.symbol
        assert heard[symbol] == alone(source, starts[symbol])


def test_one_that_takes_nothing_holds_nobody_up_and_misses_nothing(sources: list[Source]) -> None:
    before = time.monotonic()
    heard = routed(sources, BTCUSDT={"wait_s": 2.5})
    assert heard == {source.instrument.symbol: alone(source) for source in sources}
    assert time.monotonic() - before < 10


def test_one_that_goes_away_holds_nobody_up(sources: list[Source]) -> None:
    heard = routed(sources, ETHUSDT={"steps_max": 2})
    assert len(heard["ETHUSDT"]) == 2
    for source in sources:
        if source.instrument.symbol != "ETHUSDT":
            assert heard[source.instrument.symbol] == alone(source)


def test_one_that_needs_nothing_is_not_waited_for(sources: list[Source]) -> None:
    listeners = Listeners(sources)
    router = SymbolRouter(sources, SETTINGS, listeners.ends)
    router.stands("BTCUSDT", 0, 0)
    router.leave("ETHUSDT")
    router.stands("SOLUSDT", 0, 0)
    for symbol in ("BTCUSDT", "SOLUSDT"):
        listeners.listen(symbol)
    listeners.wait()
    router.stop()
    assert listeners.heard == {s.instrument.symbol: alone(s) for s in (sources[0], sources[2])}


def test_one_that_never_says_where_it_stands_is_not_waited_for(sources: list[Source]) -> None:
    listeners = Listeners(sources)
    router = SymbolRouter(sources, SETTINGS, listeners.ends)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        router.stands(symbol, 0, 0)
    for source in sources:
        listeners.listen(source.instrument.symbol)
    listeners.wait()
    router.stop()
    assert listeners.heard == {source.instrument.symbol: alone(source) for source in sources}


def test_a_router_that_is_stopped_lets_go_of_all(sources: list[Source]) -> None:
    listeners = Listeners(sources)
    router = SymbolRouter(sources, SETTINGS, listeners.ends)
    for source in sources:
        router.stands(source.instrument.symbol, 0, 0)
    router.stop()
    for source in sources:
        listeners.listen(source.instrument.symbol)
    listeners.wait()
    assert listeners.heard == {source.instrument.symbol: alone(source) for source in sources}


def test_a_recording_that_breaks_off_is_told_by_the_workers(sources: list[Source], tmp_path: Path) -> None:
    damaged = tmp_path / "mixed.gz"
    damaged.write_bytes(sources[0].files[0].read_bytes()[:-20_000])
    broken = find_sources([damaged], SETTINGS)
    heard = routed(broken)
    assert heard == {source.instrument.symbol: alone(source) for source in broken}
    assert all("ends before its end marker" in steps[-1][1][-1].reason for steps in heard.values())


def test_a_queue_holds_no_more_than_it_may(sources: list[Source]) -> None:
    reading, writing = os.pipe()
    lane = Lane(writing, SETTINGS.queue_messages)
    for taken in take_recording(sources[0], SETTINGS, 0, 0):
        lane.step(0, taken, 0.2)
    assert lane.has_left, "nobody reads, and the pipe is smaller than the recording"
    items = [msgspec.msgpack.decode(item) for item in list(lane._waiting.queue) if item]
    held = sum(len(item[1]) // MESSAGE_BYTES for item in items if item[0] == "_Messages")
    assert 0 < held <= SETTINGS.queue_messages
    os.close(reading)


@given(
    st.dictionaries(st.text(min_size=1), st.integers(0, 1_000), min_size=1, max_size=12), st.integers(1, 5)
)
def test_groups_hold_all_and_none_is_too_large(rates: dict[str, int], size_max: int) -> None:
    groups = share_evenly(rates, size_max)
    assert sorted(name for group in groups for name in group) == sorted(rates)
    assert all(0 < len(group) <= size_max for group in groups)
    assert len(groups) == -(-len(rates) // size_max)
    assert groups == share_evenly(dict(reversed(rates.items())), size_max)


def test_groups_are_loaded_alike() -> None:
    assert share_evenly({"a": 9, "b": 5, "c": 4, "d": 1}, 2) == [["a", "d"], ["b", "c"]]
