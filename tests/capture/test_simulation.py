"""The whole network half against a seeded exchange: every id is in one message or one declared gap."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.capture.account import ListRecorder, account, doubled_payloads
from tests.capture.exchange import Exchange, Faults
from tests.capture.virtual import VirtualClock, run_virtual

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
    """Every id in exactly one of message and gap, nothing doubled, nothing made up, the rules of REST kept."""
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
    sent = {one.payload for one in run.exchange.truth}
    for stream in run.exchange.streams:
        foreign = [a for a in run.recorder.messages(stream) if a.payload not in sent and a.first_id >= 0]
        assert len(foreign) <= run.exchange.log["corrupt"]
    assert run.exchange.asked_while_banned == 0
    dialled = run.exchange.dialled_ns
    assert all(b - a >= 999_000_000 for a, b in zip(dialled, dialled[1:], strict=False))
    opened = {a.connection for a in run.recorder.arrivals if a.kind is RecordKind.OPEN}
    closed = Counter(a.connection for a in run.recorder.arrivals if a.kind is RecordKind.CLOSE)
    assert closed == Counter(dict.fromkeys(opened, 1))
    assert run.recorder.is_closed


STORM = Faults(
    drop=0.01,
    duplicate=0.02,
    reorder=0.02,
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
@pytest.mark.parametrize("seed", range(10))
def test_in_a_storm_of_faults_every_id_is_in_one_message_or_one_gap(seed: int, venue: str) -> None:
    run = simulate(seed, STORM, venue=venue, seconds=90.0)
    check(run)
    assert sum(run.capture.intake.chains[s].counts.missing for s in run.dense) > 0
