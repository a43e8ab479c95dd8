"""Ladders of measures: the rung follows the readings alone, and does not flap."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core import pressure as module
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.pressure import FLUSH, PAUSE, THROTTLE, Gate, Ladder, Pressure, Rung

MARKS = st.integers(0, 20)


@st.composite
def ladders(draw: st.DrawFn) -> list[Rung]:
    leaves = sorted(draw(st.lists(MARKS, min_size=1, max_size=4)))
    enters: list[int] = []
    for leave in leaves:
        lowest = max([leave + 1, *enters])
        enters.append(draw(st.integers(lowest, lowest + 5)))
    return [Rung(f"rung {at}", *marks) for at, marks in enumerate(zip(enters, leaves, strict=True))]


class Twin:
    """The same as switches that know nothing of one another: each on at its upper mark, off at its lower."""

    def __init__(self, rungs: list[Rung]) -> None:
        self.rungs, self.on, self.entered = rungs, [False] * len(rungs), [0] * len(rungs)

    def read(self, value: float) -> int:
        for at, rung in enumerate(self.rungs):
            on = value >= rung.enter or (self.on[at] and value > rung.leave)
            self.entered[at] += on and not self.on[at]
            self.on[at] = on
        return sum(self.on)


@given(ladders(), st.lists(st.integers(-1, 45)))
def test_a_ladder_does_as_its_twin(rungs: list[Rung], readings: list[int]) -> None:
    ladder, twin = Ladder(rungs), Twin(rungs)
    for value in readings:
        assert ladder.read(value) == twin.read(value)
        assert ladder.name == (rungs[ladder.rung - 1].name if ladder.rung else "")
    assert list(ladder.entered.values()) == twin.entered


@given(st.lists(st.sampled_from([0.55, 0.6, 0.74, 0.75, 0.76, 0.9]), min_size=20))
def test_a_reading_that_wavers_around_a_mark_changes_the_rung_once(readings: list[float]) -> None:
    ladder = Ladder([Rung("only", 0.75, 0.5)])
    rungs = [0, *(ladder.read(value) for value in readings)]
    assert sum(a != b for a, b in pairwise(rungs)) == ladder.entered["only"] <= 1


@pytest.mark.parametrize(
    "marks",
    [[(1, 1)], [(1, 2)], [(2, 0), (1, 0)], [(2, 1), (3, 0)], [(float("nan"), 0)], [(1, float("nan"))]],
)
def test_rungs_that_do_not_rise_are_refused(marks: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        Ladder([Rung("x", enter, leave) for enter, leave in marks])


def test_a_gate_throttles_pauses_and_asks_for_one_flush_a_stall() -> None:
    gate = Gate(Settings(queue_batches=4, flush_ms=1_000), lambda: 4, flushes=True)
    assert [gate.read(waiting, 0.0) for waiting in (1, 2, 3, 2)] == [0, 0, THROTTLE, 0]
    assert [gate.read(waiting, 0.0) for waiting in (4, 3, 2)] == [PAUSE, PAUSE, 0]
    assert [gate.read(4, still_s) for still_s in (0.0, 0.9, 1.0, 5.0)] == [PAUSE, PAUSE, FLUSH, FLUSH]
    assert [gate.take_flush(), gate.take_flush()] == [True, False]
    assert gate.read(3, 0.0) == PAUSE
    assert [gate.read(3, still_s) for still_s in (0.9, 1.0, 0.1)] == [PAUSE, FLUSH, PAUSE]
    assert gate.read(2, 5.0) == 0
    assert gate.ladder.entered == {"throttle": 3, "pause": 2, "flush": 2}
    assert gate.waiting_max == 4


def test_a_queue_that_is_not_full_never_stalls() -> None:
    """Nothing is taken from it because its producer is slow."""
    gate = Gate(Settings(), lambda: 4, flushes=True)
    assert [gate.read(1, 1e9), gate.read(3, 1e9)] == [0, THROTTLE]
    assert not gate.take_flush()


def test_a_queue_above_a_capacity_that_shrank_is_full_but_does_not_stall() -> None:
    gate = Gate(Settings(), lambda: 1, flushes=True)
    assert gate.read(4, 0.0) == PAUSE


class Drops:
    """Caches that are dropped, which takes a second each time; the clock that it is taken from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.now_s = 0, 0.0
        monkeypatch.setattr(module, "drop_caches", self.drop)
        monkeypatch.setattr(module, "now_s", lambda: self.now_s)

    def drop(self) -> None:
        self.count += 1
        self.now_s += 1.0


def test_every_rung_of_memory_does_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([600, 700, 800, 900, 870, 840, 760, 640])
    drops = Drops(monkeypatch)
    pressure = Pressure(Settings(queue_batches=8), lambda: next(readings) * 10**6)
    done = []
    for _ in range(8):
        spilled: list[int] = []
        pressure.relieve(lambda spilled=spilled: spilled.append(1) or 5)  # type: ignore[misc]
        done.append((pressure.rungs, pressure.read_ahead(), len(spilled)))
    assert done == [
        ((), 8, 0),
        (("shrink",), 2, 0),
        (("drop",), 2, 0),
        (("spill",), 2, 1),
        (("spill",), 2, 1),
        (("drop",), 2, 0),
        (("drop",), 2, 0),
        ((), 8, 0),
    ]
    told = pressure.told()
    assert (told["shrink"], told["drop"], told["spill"], told["spilled_bytes"]) == (1, 1, 1, 10)
    assert told["memory_bytes_max"] == 900_000_000
    assert drops.count == 1


def test_giving_memory_back_takes_a_fiftieth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    drops = Drops(monkeypatch)
    pressure = Pressure(Settings(memory_mb=1), lambda: 10**9)
    for _ in range(1_000):
        pressure.relieve(lambda: 0)
        drops.now_s += 0.2
    assert 1 < drops.count <= drops.now_s / 50 + 1


def test_without_a_limit_memory_is_not_read() -> None:
    def never() -> int:
        raise AssertionError

    pressure = Pressure(Settings(memory_mb=0), never)
    pressure.relieve(never)
    assert pressure.rungs == ()


def test_a_stall_of_the_last_queue_spills_once_and_one_of_the_first_does_not() -> None:
    spilled: list[int] = []

    def spill() -> int:
        spilled.append(1)
        return 3

    pressure = Pressure(Settings(), lambda: 0)
    pressure.reading.read(4, 10.0)
    pressure.relieve(spill)
    assert (spilled, pressure.rungs) == ([], ("pause",))
    pressure.writing.read(4, 10.0)
    pressure.relieve(spill)
    pressure.relieve(spill)
    assert (len(spilled), pressure.told()["flush"]) == (1, 1)
