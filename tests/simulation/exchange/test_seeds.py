"""All faults at once, seed by seed: a client that keeps to the published rule never accepts a wrong book.

`RLX_FAULT_SEEDS` sets the number of seeds of each market (3 by default).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from typing import Any

import httpx
import pytest
from tests.depth import deep
from tests.simulation.exchange.stage import APIS, exchange_of, run, said
from tests.simulation.exchange.twin import MissedError, Sides, Twin, within
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from rlx_datapipe.simulation.exchange.fault_plan import (
    AfterTime,
    Corrupt,
    Delay,
    Displaced,
    FaultPlan,
    OnMessages,
    Oversize,
    Refusal,
    Stall,
)
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.truth import Truth

SEEDS = int(os.environ.get("RLX_FAULT_SEEDS", "3"))
SILENCE_S = 0.25


def plan(seed: int) -> FaultPlan:
    return FaultPlan(
        seed=seed,
        drop=OnMessages(rate=0.01),
        duplicate=OnMessages(rate=0.02),
        reorder=OnMessages(rate=0.01),
        delay=Delay(rate=0.01, delay_ms=40.0),
        corrupt=Corrupt(rate=0.01),
        wrong_symbol=OnMessages(rate=0.01),
        oversized=Oversize(rate=0.005, size_bytes=2 << 20),
        stall=Stall(rate=0.01, stall_ms=60.0),
        half_open=OnMessages(rate=0.005),
        disconnect=OnMessages(rate=0.01),
        cut=AfterTime(after_s=0.5, warn_s=0.1),
        http_429=Refusal(rate=0.04, retry_after_s=1),
        stale_snapshot=Displaced(rate=0.3, messages=5),
        new_snapshot=Displaced(rate=0.3, messages=3),
    )


Accepted = tuple[int, Sides, dict[str, Any]]
"""Update id, book, and the snapshot by which it is known."""


class Careful:
    """Keeps a book by the rule through whatever comes; each book that it accepts is noted."""

    def __init__(self, url: str, venue: str) -> None:
        self.url, self.api, self.is_futures = url, APIS[venue], venue != "binance-spot"
        self.accepted: list[Accepted] = []
        self.resyncs = 0
        self.is_over = False

    async def keep(self) -> None:
        async with httpx.AsyncClient(base_url=self.url.replace("ws://", "http://"), timeout=5) as web:
            while not self.is_over:
                self.resyncs += 1
                try:
                    address = f"{self.url}/ws/btcusdt@depth@100ms"
                    # A half-open line answers no close: it is not waited for.
                    async with connect(address, max_queue=None, close_timeout=0.05) as line:
                        await self._sync(line, web)
                except (MissedError, ConnectionClosed, TimeoutError, InvalidHandshake, ValueError):
                    # Whatever it was: begin anew.
                    await asyncio.sleep(0)
                except (OSError, httpx.HTTPError):
                    return

    async def _sync(self, line: Any, web: httpx.AsyncClient) -> None:
        events = [await self._next(line)]
        answer = await web.get(f"{self.api}/depth", params={"symbol": "BTCUSDT", "limit": 1000})
        if answer.status_code != 200:
            await asyncio.sleep(0.01)
            return
        snapshot = answer.json()
        if snapshot["lastUpdateId"] < events[0]["U"]:
            return
        twin = Twin(snapshot, is_futures=self.is_futures)
        while not self.is_over:
            for event in events:
                before = twin.id
                twin.apply(event)
                if twin.is_joined and twin.id != before:
                    self.accepted.append((twin.id, twin.copy(), snapshot))
            events = [await self._next(line)]

    async def _next(self, line: Any) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(await asyncio.wait_for(line.recv(), SILENCE_S))
        if event["e"] != "depthUpdate" or event["s"] != "BTCUSDT":
            raise MissedError(event["e"])
        return event


def true_books(venue: str) -> dict[int, Sides]:
    messages = said(venue)
    snapshot = next(json.loads(data) for _, stream, data in messages if stream.endswith("@snapshot"))
    twin, books = Twin(snapshot, is_futures=venue != "binance-spot"), {}
    for _, stream, data in messages:
        if "@depth" in stream:
            twin.apply(json.loads(data))
            books[twin.id] = twin.copy()
    return books


def outcome(venue: str, seed: int) -> tuple[list[Accepted], Counter[str], int]:
    truth, found = Truth(), list[Careful]()

    async def test() -> None:
        options = ExchangeOptions(
            speed=4.0, at_end="hold", has_limits=False, book_wait_s=0.2, join_wait_s=0.1
        )
        exchange = exchange_of({venue: said(venue)}, options, plan=plan(seed), truth=truth, mark_every=5)
        async with exchange:
            found.append(Careful(exchange.url, venue))
            keeper = asyncio.create_task(found[0].keep())
            ended = asyncio.create_task(exchange.ended())
            await asyncio.wait([keeper, ended], return_when=asyncio.FIRST_COMPLETED)
            await ended
            # Not cancelled: a cancellation may be lost where it meets a timeout.
            found[0].is_over = True
            await keeper

    run(test)
    return found[0].accepted, truth.counts, found[0].resyncs


def wrong_among(accepted: list[Accepted], true: dict[int, Sides]) -> list[int]:
    return [
        update_id
        for update_id, book, snapshot in accepted
        if within(book, snapshot) != within(true[update_id], snapshot)
    ]


class Tolerant(Twin):
    """Planted: a client that goes on where a message is missing."""

    def apply(self, event: dict[str, Any]) -> None:
        try:
            super().apply(event)
        except MissedError:
            self.id, self.is_joined = (event["pu"] if self.is_futures else event["U"] - 1), True
            super().apply(event)


@pytest.mark.parametrize("venue", ["binance-spot", pytest.param("binance-usdm", marks=deep)])
def test_a_client_that_tolerates_a_gap_is_found_out(venue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.exchange.test_seeds.Twin", Tolerant)
    true = true_books(venue)
    wrong = [update_id for seed in range(3) for update_id in wrong_among(outcome(venue, seed)[0], true)]
    assert wrong


@pytest.mark.parametrize("venue", ["binance-spot", "binance-usdm"])
def test_no_wrong_book_is_accepted_whatever_happens(venue: str) -> None:
    true, faults, states, resyncs = true_books(venue), Counter[str](), 0, 0
    for seed in range(SEEDS):
        accepted, counts, tries = outcome(venue, seed)
        faults += counts
        states += len(accepted)
        resyncs += tries
        assert wrong_among(accepted, true) == [], seed
    assert states > 5 * SEEDS
    assert resyncs > 2 * SEEDS
    assert len(faults) >= 8, faults
