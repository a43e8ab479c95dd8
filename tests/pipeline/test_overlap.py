"""Two stages that overlap: the same items in the same order, bounded, with errors and ends told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.pressure import Gate
from rlx_datapipe.pipeline import overlap as module
from rlx_datapipe.pipeline.overlap import overlap


def running() -> int:
    return sum(thread.name == "rlx-overlap" for thread in threading.enumerate())


@given(st.lists(st.integers()), st.integers(1, 5), st.booleans())
def test_items_keep_their_order(items: list[int], waiting_max: int, enabled: bool) -> None:
    assert list(overlap(items, waiting_max, enabled=enabled)) == items
    assert running() == 0


def test_none_and_errors_are_items_like_others() -> None:
    items = [None, ValueError("kept"), 0, ""]
    assert list(overlap(items, 1)) == items


@pytest.mark.parametrize("enabled", [True, False])
def test_an_error_comes_with_its_type_after_the_items_before_it(enabled: bool) -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise SourceError("broken", file="x.gz", row=3)

    told = overlap(items(), 1, enabled=enabled)
    assert [next(told), next(told)] == [1, 2]
    with pytest.raises(SourceError, match=r"x\.gz \(row 3\): broken"):
        next(told)
    assert running() == 0


def test_even_an_interrupt_in_the_thread_is_told() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(overlap(items(), 1))


@pytest.mark.parametrize("waiting_max", [1, 3])
def test_the_thread_runs_ahead_but_not_far(waiting_max: int) -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    for item in overlap(items(), waiting_max):
        time.sleep(0.001)
        # In the queue, in the thread's hand, and the one that we have.
        assert len(made) <= item + waiting_max + 2
    assert len(made) == 100


@given(st.lists(st.integers()), st.integers(1, 5), st.integers(1, 99))
def test_a_gate_changes_no_item_and_leaves_nobody_waiting(
    items: list[int], waiting_max: int, low: int
) -> None:
    settings = Settings(queue_low_percent=low, throttle_ms=1, flush_ms=1)
    gate = Gate(settings, lambda: waiting_max, flushes=True)
    assert list(overlap(items, waiting_max, gate=gate)) == items
    assert gate.waiting_max <= waiting_max
    assert running() == 0


def test_the_thread_reads_less_far_ahead_once_the_gate_tells_it_to() -> None:
    made: list[int] = []
    room = [4]
    gate = Gate(Settings(), lambda: room[0], flushes=True)

    def items() -> Iterator[int]:
        for item in range(40):
            made.append(item)
            yield item

    ahead = []
    for item in overlap(items(), 4, gate=gate):
        time.sleep(0.005)
        ahead.append(len(made) - item - 1)
        room[0] = 4 if item < 20 else 1
    assert max(ahead[:20]) == 4
    assert max(ahead[26:]) == 1


def test_a_producer_is_held_back_until_half_of_the_queue_is_free() -> None:
    made: list[int] = []
    gate = Gate(Settings(), lambda: 4, flushes=True)

    def items() -> Iterator[int]:
        for item in range(40):
            made.append(item)
            yield item

    ahead = []
    for item in overlap(items(), 4, gate=gate):
        time.sleep(0.01)
        ahead.append(len(made) - item - 1)
    # From full it goes down to half before anything is made.
    assert {4, 3} <= set(ahead[4:-4])
    assert 4 <= gate.ladder.entered["pause"] <= 20


def test_a_consumer_that_is_slow_but_takes_is_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s = [0.0]
    monkeypatch.setattr(module, "now_s", lambda: clock_s[0])
    gate = Gate(Settings(flush_ms=1_000), lambda: 4, flushes=True)
    for _ in overlap(range(10), 4, gate=gate):
        time.sleep(0.02)
        clock_s[0] += 0.9
        time.sleep(0.13)
    assert gate.ladder.entered["pause"] > 0
    assert not gate.take_flush()


def test_leaving_a_paused_thread_stops_it() -> None:
    gate = Gate(Settings(throttle_ms=100_000), lambda: 2, flushes=True)
    for _ in overlap(range(1_000), 2, gate=gate):
        time.sleep(0.02)
        break
    assert running() == 0


def test_leaving_early_stops_the_thread_and_closes_its_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            item = 0
            while True:
                yield item
                item += 1
        finally:
            closed.set()

    for item in overlap(items(), 2):
        if item == 5:
            break
    assert closed.wait(5)
    assert running() == 0


def test_an_error_of_the_consumer_stops_the_chain_of_threads() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    def doubled() -> Iterator[int]:
        for item in overlap(items(), 1):
            yield 2 * item

    with pytest.raises(ZeroDivisionError):
        sum(1 // (item - 8) for item in overlap(doubled(), 1))
    assert closed.wait(5)
    deadline = time.monotonic() + 5
    while running() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running() == 0


def test_in_turn_no_thread_is_started() -> None:
    for _ in overlap(range(3), 1, enabled=False):
        assert running() == 0
