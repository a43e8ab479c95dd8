"""REST: no call before the venue's deadline, whoever spent the weight, and tries that have an end."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import msgspec
import pytest
from tests.capture.account import ListRecorder
from tests.capture.socket_exchange import message
from tests.capture.virtual import VirtualClock, run_virtual

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.budget import Backoff, ConnectBudget
from rlx_datapipe.capture.connection import retry_after_s
from rlx_datapipe.capture.intake import Intake, Session
from rlx_datapipe.capture.rest import Answer, Gate, UnansweredError
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.capture.snapshots import Snapshots
from rlx_datapipe.capture.streams import plan
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.venues.binance_endpoints import SPOT

SETTINGS = CaptureSettings(ntp_server="", snapshot_every_s=0, snapshot_tries=4)
BODY = b'{"lastUpdateId":%d,"bids":[],"asks":[]}'


class Manual:
    """A steady clock that a test moves."""

    def __init__(self) -> None:
        self.ns = 0

    def wall_ns(self) -> int:
        return self.ns

    def monotonic_ns(self) -> int:
        return self.ns


def answer(status: int, **headers: str) -> Answer:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, told, b"", 0, 0)


@pytest.fixture
def gate() -> Gate:
    return Gate(Manual(), SETTINGS, random.Random(1), 6_000)


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {"retry_after": "7"}, 7),
        (418, {"retry_after": "120"}, 120),
        (429, {}, 60),
        (418, {}, 120),
        (403, {}, 300),
        (429, {"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 60),
    ],
)
def test_a_ban_is_kept_to_the_second(gate: Gate, status: int, headers: dict[str, str], wait_s: int) -> None:
    assert not gate.heed(answer(status, **headers))
    assert gate.wait_ns() == wait_s * 10**9


def test_a_shorter_wait_never_ends_a_longer_one(gate: Gate) -> None:
    gate.heed(answer(418, retry_after="100"))
    gate.heed(answer(429, retry_after="1"))
    gate.failed()
    assert gate.wait_ns() == 100 * 10**9


def test_weight_that_others_have_spent_closes_the_gate_for_the_minute(gate: Gate) -> None:
    assert gate.heed(answer(200, x_mbx_used_weight_1m="2999"))
    assert gate.wait_ns() == 0
    assert gate.heed(answer(200, x_mbx_used_weight_1m="3000"))
    assert gate.wait_ns() == 60 * 10**9


def test_failures_wait_longer_and_longer_up_to_a_bound() -> None:
    waits = Backoff(1.0, 8.0, random.Random(3))
    bounds = [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    drawn = [waits.next_s() for _ in bounds]
    assert all(0 <= wait <= bound for wait, bound in zip(drawn, bounds, strict=True))
    assert max(drawn) > 2.0
    waits.succeeded()
    assert waits.next_s() <= 1.0


@pytest.mark.parametrize(
    ("header", "expected"), [(None, 0), ("", 0), ("12", 12), ("-1", 0), ("1e3", 0), ("9" * 30, 604_800)]
)
def test_retry_after_is_a_number_of_seconds_or_nothing(header: str | None, expected: float) -> None:
    assert retry_after_s(header) == expected


def test_connections_are_opened_no_faster_than_allowed_whoever_asks() -> None:
    async def scene() -> list[float]:
        clock = VirtualClock(asyncio.get_running_loop())
        budget = ConnectBudget(clock, msgspec.structs.replace(SETTINGS, connects_per_5min=50))
        times: list[float] = []

        async def one() -> None:
            await budget.take()
            times.append(clock.monotonic_ns() / 1e9)

        await asyncio.gather(*(one() for _ in range(120)))
        return times

    times: list[float] = run_virtual(scene())
    assert all(later - earlier >= 0.999 for earlier, later in pairwise(times))
    assert all(later - earlier >= 299.9 for earlier, later in zip(times, times[50:], strict=False))


class Venue:
    """Answers depth requests by a script; counts calls."""

    def __init__(self, script: list[Answer | Exception]) -> None:
        self.script, self.times = script, list[float]()

    async def fetch(self, url: str) -> Answer:
        self.times.append(asyncio.get_running_loop().time())
        found = self.script.pop(0) if self.script else Answer(500, {}, b"", 0, 0)
        if isinstance(found, Exception):
            raise found
        return found


def snapshots(
    script: list[Answer | Exception], seconds: float, updates: int = 5
) -> tuple[ListRecorder, Venue, Snapshots]:
    async def scene() -> tuple[ListRecorder, Venue, Snapshots]:
        clock = VirtualClock(asyncio.get_running_loop())
        listened = plan(SPOT, ["BTCUSDT"], ["depth"])
        recorder, venue = ListRecorder(), Venue(script)
        intake = Intake(listened.streams, recorder, clock, SETTINGS)
        gate = Gate(clock, SETTINGS, random.Random(1), 6_000)
        asked = Snapshots(listened, intake, venue.fetch, gate, clock, SETTINGS)
        running = asyncio.create_task(asked.run())
        await asyncio.sleep(30)
        assert not venue.times, "asked before any update has come"
        session = Session(1, listened.streams, 0)
        for number in range(10, 10 + updates):
            intake.take(session, message("btcusdt@depth@100ms", number))
        await asyncio.sleep(seconds)
        running.cancel()
        return recorder, venue, asked

    found: tuple[ListRecorder, Venue, Snapshots] = run_virtual(scene())
    return found


def kept(recorder: ListRecorder) -> list[Arrival]:
    return [one for one in recorder.arrivals if one.kind is RecordKind.SNAPSHOT]


def test_a_snapshot_is_asked_for_once_after_the_first_update() -> None:
    recorder, venue, asked = snapshots([Answer(200, {}, BODY % 12, 0, 0)], 3_000)
    assert len(venue.times) == 1
    assert [one.last_id for one in kept(recorder)] == [12]
    assert asked.waiting == 0


def test_one_that_is_older_than_the_first_update_is_asked_for_again() -> None:
    script: list[Answer | Exception] = [Answer(200, {}, BODY % number, 0, 0) for number in (9, 8, 10)]
    recorder, venue, asked = snapshots(script, 60)
    assert len(venue.times) == 3
    assert (asked.kept, asked.stale) == (1, 2)
    assert [one.last_id for one in kept(recorder)] == [9, 8, 10]


def test_no_call_is_made_before_a_ban_has_ended() -> None:
    script: list[Answer | Exception] = [
        Answer(429, {"retry-after": "50"}, b"", 0, 0),
        UnansweredError("timed out"),
        Answer(200, {}, b"<html>", 0, 0),
        Answer(200, {}, BODY % 12, 0, 0),
    ]
    recorder, venue, asked = snapshots(script, 200)
    assert venue.times[1] - venue.times[0] > 49.999
    assert asked.kept == 1
    assert len(recorder.notes("snapshot_failed")) == 3
    assert {note["reason"] for note in recorder.notes("breaker")} == {"HTTP 429", "no answer"}


def test_tries_have_an_end_and_a_long_rest() -> None:
    _, venue, asked = snapshots([], 1_000)
    assert asked.given_up == 2
    assert len(venue.times) == 8
    assert venue.times[4] - venue.times[3] > 599.999
