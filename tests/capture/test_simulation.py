"""The whole network half against a seeded exchange: every id is in one message or one declared gap."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import pytest
from tests.capture.account import ListRecorder, account, doubled_payloads
from tests.capture.exchange import Exchange, Faults
from tests.capture.virtual import VirtualClock, run_virtual
from tests.depth import thinned

from rlx_datapipe.capture.live import LiveCapture
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.capture.streams import plan
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.venues.binance_endpoints import LIVE_MARKETS
from rlx_datapipe.venues.binance_ids import kind_of

QUICK = CaptureSettings(
    ntp_server="",
    age_s=20.0,
    stagger_s=4.0,
    prove_s=8.0,
    stall_s=2.0,
    pong_s=1.0,
    silence_s=6.0,
    lost_s=3.0,
    lost_messages=20,
    backoff_s=0.5,
    backoff_max_s=5.0,
    snapshot_every_s=15.0,
)
NO_FAULTS = Faults()


@dataclass
class Run:
    """What came of one simulation."""

    recorder: ListRecorder
    exchange: Exchange
    capture: LiveCapture

    @property
    def dense(self) -> list[str]:
        return [stream for stream in self.exchange.streams if kind_of(stream) != "bookTicker"]


def simulate(
    seed: int,
    faults: Faults,
    *,
    venue: str = "binance-spot",
    seconds: float = 60.0,
    settings: CaptureSettings = QUICK,
    script: Callable[[Exchange, VirtualClock], None] = lambda exchange, clock: None,
    rate: float = 50.0,
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"),
) -> Run:
    async def play() -> Run:
        loop = asyncio.get_running_loop()
        clock = VirtualClock(loop)
        listened = plan(LIVE_MARKETS[venue], symbols)
        exchange = Exchange(
            clock,
            seed,
            is_futures=venue == "binance-usdm",
            streams=listened.streams,
            faults=faults,
            rate=rate,
        )
        recorder = ListRecorder()
        capture = LiveCapture(
            listened,
            recorder,
            settings,
            clock=clock,
            dial=exchange.dial,
            fetch=exchange.fetch,
            dice=random.Random(seed),
        )
        market = loop.create_task(exchange.live())
        script(exchange, clock)
        await capture.run(asyncio.Event(), seconds)
        market.cancel()
        return Run(recorder, exchange, capture)

    run: Run = run_virtual(play())
    return run


def check(run: Run) -> None:
    """Every id in one of message and gap, nothing doubled, nothing made up, the venue's limits kept."""
    for stream in run.dense:
        found = account(run.recorder, stream)
        assert not found.doubled, stream
        assert not found.unaccounted, stream
        counts = run.capture.intake.chains[stream].counts
        assert found.missing == counts.missing
        # Without faults between the market and us, all that was sent is there but for the last moment.
        if found.messages:
            assert found.last >= max(s.last for s in run.exchange.truth if s.stream == stream) - 500
    assert not doubled_payloads(run.recorder, run.exchange.streams)
    kept = {one.payload for one in run.recorder.arrivals if one.kind is RecordKind.MESSAGE}
    assert kept == run.exchange.received, "received and not kept, or kept and not received"
    sent = {one.payload for one in run.exchange.truth}
    for stream in run.exchange.streams:
        foreign = [a for a in run.recorder.messages(stream) if a.payload not in sent and a.first_id >= 0]
        assert len(foreign) <= run.exchange.log["corrupt"]
    assert run.exchange.asked_while_banned == 0
    dialled = run.exchange.dialled_ns
    assert all(b - a >= 999_000_000 for a, b in pairwise(dialled))
    opened = {a.connection for a in run.recorder.arrivals if a.kind is RecordKind.OPEN}
    closed = Counter(a.connection for a in run.recorder.arrivals if a.kind is RecordKind.CLOSE)
    assert closed == Counter(dict.fromkeys(opened, 1))
    assert run.recorder.is_closed


STORM = Faults(
    drop=0.01,
    duplicate=0.02,
    reorder=0.02,
    late=0.002,
    corrupt=0.002,
    disconnect_s=25.0,
    stall_s=60.0,
    mute_s=40.0,
    refuse=0.2,
    age_s=26.0,
    announces=True,
    rest_429=0.1,
    rest_fails=0.1,
    stale=0.2,
)


@pytest.mark.parametrize("venue", ["binance-spot", "binance-usdm"])
@pytest.mark.parametrize("seed", range(int(os.environ.get("RLX_TEST_SEEDS", "6"))))
def test_in_a_storm_of_faults_every_id_is_in_one_message_or_one_gap(seed: int, venue: str) -> None:
    run = simulate(seed, STORM, venue=venue, seconds=90.0)
    check(run)
    assert sum(run.capture.intake.chains[s].counts.missing for s in run.dense) > 0


def lost(run: Run) -> list[bytes]:
    """Messages of the market behind the first and before the last recorded one that are not recorded.

    Ids that are dense come in their order, whichever connection was first; quotes as they arrived.
    """
    missing = []
    for stream in run.exchange.streams:
        kept = [one.payload for one in run.recorder.messages(stream)]
        sent = [one.payload for one in run.exchange.truth if one.stream == stream]
        place = {payload: at for at, payload in enumerate(sent)}
        order = [place[payload] for payload in kept]
        assert stream not in run.dense or order == sorted(order)
        there = set(order)
        missing += [sent[at] for at in range(min(order), max(order) + 1) if at not in there]
    return missing


@pytest.mark.parametrize("venue", thinned(["binance-usdm", "binance-spot"], 2))
def test_a_hundred_planned_handovers_lose_nothing(venue: str) -> None:
    settings = msgspec.structs.replace(QUICK, age_s=8.0, stagger_s=1.0)
    cuts = Faults(age_s=14.0)
    run = simulate(3, cuts, venue=venue, seconds=900.0, rate=60.0, symbols=("BTCUSDT",), settings=settings)
    check(run)
    assert run.capture.progress().connections["handovers"] >= 100
    assert run.capture.progress().connections["losses"] == 0
    assert not lost(run)
    assert run.recorder.told(RecordKind.GAP) == []


@pytest.mark.parametrize("behind_s", [3.0, 12.0])
def test_a_new_connection_that_is_far_ahead_waits_for_the_old_one(behind_s: float) -> None:
    def script(exchange: Exchange, clock: VirtualClock) -> None:
        asyncio.get_running_loop().call_later(4.0, exchange.slow_down_all, behind_s)

    settings = msgspec.structs.replace(QUICK, prove_s=30.0, stall_s=20.0, silence_s=40.0)
    run = simulate(15, NO_FAULTS, seconds=60.0, script=script, settings=settings)
    check(run)
    assert run.capture.progress().connections["handovers"] >= 1
    assert run.capture.progress().gaps == 0
    assert not lost(run)


def test_an_announced_shutdown_is_a_planned_handover() -> None:
    settings = CaptureSettings(ntp_server="", age_s=1e6)
    run = simulate(5, Faults(age_s=30.0, announces=True), seconds=400.0, settings=settings)
    check(run)
    assert run.capture.progress().connections["losses"] == 0
    assert {note["why"] for note in run.recorder.notes("handover")} == {"serverShutdown"}
    assert len(run.recorder.notes("handover")) >= 20
    assert not lost(run)


def test_the_cut_of_a_connection_that_was_not_replaced_is_a_declared_gap() -> None:
    settings = CaptureSettings(ntp_server="", age_s=1e6, backoff_s=0.5)
    run = simulate(6, Faults(age_s=30.0), seconds=100.0, settings=settings)
    check(run)
    assert run.capture.progress().connections["losses"] == 3
    reasons = {(gap["reason"], gap["from_id"] is None) for gap in run.recorder.told(RecordKind.GAP)}
    assert reasons == {("disconnected", False), ("disconnected", True)}
    quotes = [s for s in run.exchange.streams if kind_of(s) == "bookTicker"]
    told = Counter(g["stream"] for g in run.recorder.told(RecordKind.GAP) if g["from_id"] is None)
    assert told == Counter(dict.fromkeys(quotes, 3))


def test_a_stalled_link_is_aborted_and_the_next_one_found_soon() -> None:
    def script(exchange: Exchange, clock: VirtualClock) -> None:
        asyncio.get_running_loop().call_later(20.0, exchange.stall_all)

    run = simulate(7, NO_FAULTS, seconds=60.0, settings=CaptureSettings(ntp_server=""), script=script)
    check(run)
    closed = [one["reason"] for one in run.recorder.told(RecordKind.CLOSE)]
    assert closed == ["stalled", "stopped"]
    opened = [one.monotonic_ns for one in run.recorder.arrivals if one.kind is RecordKind.OPEN]
    stalled_ns = 1_020 * 10**9
    # 5 s of silence, 5 s without a pong, then at once.
    assert 10.0 <= (opened[1] - stalled_ns) / 1e9 <= 12.5


def test_what_a_held_up_connection_brings_later_still_fills_the_gap() -> None:
    def script(exchange: Exchange, clock: VirtualClock) -> None:
        asyncio.get_running_loop().call_later(20.0, exchange.hold_up_all, 35.0)

    run = simulate(14, NO_FAULTS, seconds=120.0, settings=CaptureSettings(ntp_server=""), script=script)
    check(run)
    assert [note["why"] for note in run.recorder.notes("handover")] == ["silent"]
    assert run.capture.progress().gaps > 0
    assert all(run.capture.intake.chains[stream].counts.missing == 0 for stream in run.dense)
    assert sum(run.capture.intake.chains[stream].counts.late for stream in run.dense) > 100
    kept = {one.payload for stream in run.exchange.streams for one in run.recorder.messages(stream)}
    first = min(place for place, sent in enumerate(run.exchange.truth) if sent.payload in kept)
    assert all(sent.payload in kept for sent in run.exchange.truth[first + 20 : -20])


def test_a_halt_of_the_whole_market_restarts_nothing() -> None:
    def script(exchange: Exchange, clock: VirtualClock) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(20.0, exchange.is_halted.update, exchange.streams)
        loop.call_later(620.0, exchange.is_halted.clear)

    run = simulate(8, NO_FAULTS, seconds=700.0, settings=CaptureSettings(ntp_server=""), script=script)
    check(run)
    progress = run.capture.progress()
    assert progress.connections["losses"] == 0
    assert progress.connections["handovers"] == 0
    # Others were opened beside it, ever less often, to see whether the server was sick.
    assert 1 <= progress.connections["abandoned"] <= 5
    assert not lost(run)
    assert progress.gaps == 0


def test_a_halt_of_one_symbol_loses_nothing_and_restarts_nothing() -> None:
    def script(exchange: Exchange, clock: VirtualClock) -> None:
        mine = [stream for stream in exchange.streams if stream.startswith("ethusdt")]
        loop = asyncio.get_running_loop()
        loop.call_later(60.0, exchange.is_halted.update, mine)
        loop.call_later(360.0, exchange.is_halted.clear)

    run = simulate(9, NO_FAULTS, seconds=400.0, settings=CaptureSettings(ntp_server=""), script=script)
    check(run)
    assert run.capture.progress().connections["losses"] == 0
    assert run.capture.progress().gaps == 0
    assert not lost(run)


def test_a_lost_subscription_is_found_against_its_peers_and_asked_for_again() -> None:
    def script(exchange: Exchange, clock: VirtualClock) -> None:
        asyncio.get_running_loop().call_later(60.0, exchange.mute_all, "btcusdt@trade")

    run = simulate(10, NO_FAULTS, seconds=120.0, settings=CaptureSettings(ntp_server=""), script=script)
    check(run)
    first = run.recorder.notes("subscription")[0]
    assert first["streams"] == ["btcusdt@trade"]
    assert first["action"] == "resubscribe"
    asked = next(a for a in run.recorder.arrivals if b'"subscription"' in a.payload)
    # 10 s of silence, and 50 messages that its share of the others promised.
    assert 10.0 <= asked.monotonic_ns / 1e9 - 1_060 <= 15.0
    assert run.capture.progress().connections["losses"] == 0
    gaps = run.recorder.told(RecordKind.GAP)
    assert [(gap["stream"], gap["reason"]) for gap in gaps] == [("btcusdt@trade", "missing")]


def test_a_subscription_that_stays_lost_is_cured_by_another_connection() -> None:
    def script(exchange: Exchange, clock: VirtualClock) -> None:
        asyncio.get_running_loop().call_later(60.0, exchange.mute_all, "btcusdt@trade", True)

    run = simulate(11, NO_FAULTS, seconds=150.0, settings=CaptureSettings(ntp_server=""), script=script)
    check(run)
    assert [note["action"] for note in run.recorder.notes("subscription")] == ["resubscribe", "lost"]
    assert [note["why"] for note in run.recorder.notes("handover")] == ["lost"]
    assert run.capture.progress().connections["losses"] == 0


def test_the_same_seed_gives_the_same_capture() -> None:
    first, second = (simulate(12, STORM, seconds=40.0) for _ in range(2))
    assert first.recorder.arrivals == second.recorder.arrivals


def test_snapshots_fit_what_was_recorded_before_them() -> None:
    run = simulate(13, Faults(stale=0.5, drop=0.01), seconds=200.0)
    check(run)
    told = [a for a in run.recorder.arrivals if a.kind is RecordKind.SNAPSHOT]
    stale = {(n["symbol"].lower() + "@snapshot", n["last_id"]) for n in run.recorder.notes("snapshot_stale")}
    fit = 0
    for arrival in told:
        if (arrival.stream, arrival.last_id) in stale:
            continue
        depth = arrival.stream.replace("@snapshot", "@depth@100ms")
        before = [a for a in run.recorder.messages(depth) if a.monotonic_ns <= arrival.monotonic_ns]
        gaps = [g["to_id"] for g in run.recorder.told(RecordKind.GAP) if g["stream"] == depth]
        first = min(a.first_id for a in before)
        assert arrival.last_id >= first
        fit += any(arrival.last_id > to_id for to_id in gaps)
    assert fit > 0
    assert stale
    assert run.capture.progress().snapshots["kept"] >= 2 * 200 // 15
