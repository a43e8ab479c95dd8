"""Circuit breaker and backoff: what keeps failing is left in peace, then asked once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.breaker import Breaker, delays

PAUSE_S = 10


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Twin:
    """The state as a pure function of all that happened: a tuple (name, failures in a row, since when)."""

    def __init__(self, failures_max: int) -> None:
        self.max, self.now = failures_max, ("closed", 0, 0.0)

    def step(self, what: str, at_s: float) -> bool | None:
        name, failures, since_s = self.now
        if what == "ask":
            if name != "closed" and at_s - since_s >= PAUSE_S:
                self.now = ("half-open", failures, at_s)
                return True
            return name == "closed"
        if name != "open" and what == "good":
            self.now = ("closed", 0, at_s)
        elif name == "half-open" or (name == "closed" and failures + 1 == self.max):
            self.now = ("open", failures, at_s)
        elif name == "closed":
            self.now = (name, failures + 1, since_s)
        return None


STEPS = st.lists(st.tuples(st.sampled_from(["ask", "good", "bad", "bad"]), st.sampled_from([0, 1, 9, 10])))


@given(st.integers(1, 3), STEPS)
def test_a_breaker_does_as_its_twin(failures_max: int, steps: list[tuple[str, int]]) -> None:
    clock, twin = Clock(), Twin(failures_max)
    breaker = Breaker(failures_max, PAUSE_S, clock)
    states = [breaker.state]
    for what, later_s in steps:
        clock.now_s += later_s
        calls = {"ask": breaker.allows, "good": breaker.succeeded, "bad": breaker.failed}
        assert calls[what]() == twin.step(what, clock.now_s)
        assert breaker.state == twin.now[0]
        states.append(breaker.state)
    turns = [pair for pair in pairwise(states) if pair[0] != pair[1]]
    assert breaker.transitions.total() == len(turns)
    assert set(turns) <= {
        ("closed", "open"),
        ("open", "half-open"),
        ("half-open", "open"),
        ("half-open", "closed"),
    }


def test_one_probe_at_a_time() -> None:
    clock = Clock()
    breaker = Breaker(1, PAUSE_S, clock)
    breaker.failed()
    assert not breaker.allows()
    clock.now_s = PAUSE_S
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    assert breaker.state == "half-open"
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True] * 3


def test_a_probe_that_is_lost_does_not_keep_it_shut_for_ever() -> None:
    clock = Clock()
    breaker = Breaker(1, PAUSE_S, clock)
    breaker.failed()
    asked = []
    for clock.now_s in range(1, 31):
        asked += [clock.now_s] if breaker.allows() else []
    assert asked == [10, 20, 30]


def test_what_flaps_is_asked_once_a_pause() -> None:
    """F67: it fails every time it is asked, and the state is told all the while."""
    clock, asked = Clock(), 0
    breaker = Breaker(3, PAUSE_S, clock)
    for second in range(100):
        clock.now_s = second
        if breaker.allows():
            asked += 1
            breaker.failed()
    assert asked == 3 + 9
    assert breaker.transitions == {"open": 10, "half-open": 9}


@pytest.mark.parametrize(("failures_max", "pause_s"), [(0, 1), (1, 0)])
def test_a_breaker_that_could_not_work_is_refused(failures_max: int, pause_s: float) -> None:
    with pytest.raises(ValueError, match="needs"):
        Breaker(failures_max, pause_s)


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.integers(0, 2_000), st.text())
def test_waits_are_bounded_and_repeat_with_their_seed(
    first_s: float, longest_s: float, tries: int, seed: str
) -> None:
    waits = list(delays(first_s, longest_s, tries, seed))
    assert len(waits) == tries
    assert all(0 <= wait <= min(first_s * 2 ** min(n, 60), longest_s) for n, wait in enumerate(waits))
    assert waits == list(delays(first_s, longest_s, tries, seed))


def test_waits_fill_their_room_and_differ_between_waiters() -> None:
    last = [list(delays(1, 64, 7, seed))[-1] for seed in range(2_000)]
    assert abs(sum(last) / len(last) - 32) < 2
    assert (min(last) < 2, max(last) > 62) == (True, True)
    assert len(set(last)) == len(last)
