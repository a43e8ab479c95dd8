"""Clocks: steps are seen, drift is none; a time server that is silent is a note and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from rlx_datapipe.capture.clock import ClockWatch, NtpAnswer, StepWatch, SystemClock, kernel_state
from rlx_datapipe.capture.settings import CaptureSettings


class TwoClocks:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.wall, self.steady = 10**18, 5_000

    def wall_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.steady

    def run(self, wall_ns: int, steady_ns: int) -> None:
        self.wall += wall_ns
        self.steady += steady_ns


class Answer:
    """What a time server tells."""

    offset, delay, stratum = -1.27, 0.02, 2


def watched(ask: Any, **changes: object) -> tuple[ClockWatch, list[dict[str, Any]]]:
    notes: list[dict[str, Any]] = []
    settings = msgspec.structs.replace(CaptureSettings(ntp_server="time.example"), **changes)
    watch = ClockWatch(
        SystemClock(), settings, lambda kind, **facts: notes.append({"kind": kind, **facts}), ask
    )
    return watch, notes


def test_a_step_is_seen_once_in_both_directions_and_drift_is_no_step() -> None:
    clock = TwoClocks()
    watch = StepWatch(clock, step_ns=50)
    clock.run(1_000, 1_000)
    assert watch.look() == 0
    clock.run(1_049, 1_000)
    assert watch.look() == 0
    clock.run(900, 1_000)
    assert watch.look() == -100
    assert watch.look() == 0
    clock.run(10_000, 1_000)
    assert watch.look() == 9_000


def test_being_suspended_between_two_readings_is_no_step() -> None:
    class Suspended(TwoClocks):
        def wall_ns(self) -> int:
            found = super().wall_ns()
            self.run(1_000, 1_000)
            return found

    watch = StepWatch(Suspended(), step_ns=50)
    assert [watch.look() for _ in range(3)] == [0, 0, 0]


def test_the_offset_is_noted_in_ns() -> None:
    def ask(server: str, timeout_s: float) -> NtpAnswer:
        assert server == "time.example"
        return Answer()

    watch, notes = watched(ask)
    asyncio.run(watch.measure())
    assert notes[0]["kind"] == "clock"
    assert notes[0]["offset_ns"] == -1_270_000_000
    assert notes[0]["ntp"]["stratum"] == 2
    assert watch.offset_ms == -1_270.0


@pytest.mark.parametrize("error", [OSError("unreachable"), TimeoutError(), ValueError("odd")])
def test_a_server_that_does_not_answer_is_a_note(error: Exception) -> None:
    def ask(server: str, timeout_s: float) -> NtpAnswer:
        raise error

    watch, notes = watched(ask)
    asyncio.run(watch.measure())
    assert notes[0]["offset_ns"] is None
    assert type(error).__name__ in notes[0]["ntp_failed"]


def test_nobody_is_asked_where_no_server_is_named() -> None:
    watch, notes = watched(None, ntp_server="")
    asyncio.run(watch.measure())
    assert "ntp_failed" not in notes[0]


def test_the_kernel_tells_its_state_or_nothing() -> None:
    state = kernel_state()
    assert state is None or isinstance(state["synchronised"], bool)
