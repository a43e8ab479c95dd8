"""Requests by the venue's protocol: depth, exchangeInfo, time; weights, errors, refusals, and waiting."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.simulation.exchange.stage import APIS, exchange_of, line_to, run, said

from rlx_datapipe.simulation.exchange import rest, rules
from rlx_datapipe.simulation.exchange.fault_plan import Displaced, FaultPlan, Refusal
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.server import Exchange
from rlx_datapipe.simulation.exchange.truth import Truth

SPOT, USDM = "binance-spot", "binance-usdm"
AT_ONCE = ExchangeOptions(start="now", at_end="hold")
Get = Callable[..., Awaitable[httpx.Response]]


def asking(
    test: Callable[[Exchange, Get], Awaitable[None]],
    venue: str = SPOT,
    options: ExchangeOptions = AT_ONCE,
    **given: Any,
) -> None:
    """Run a test with an exchange that has played its recording, and a client for requests."""

    async def asked() -> None:
        async with exchange_of({venue: said(venue)}, options, **given) as exchange:
            if options.start == "now" and options.at_end == "hold" and not options.speed:
                await exchange.ended()
            base = exchange.url.replace("ws://", "http://") + APIS[venue]
            async with httpx.AsyncClient(base_url=base, timeout=20) as web:
                await test(exchange, web.get)

    run(asked)


async def error_of(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 400, -1102),
        ({"symbol": ""}, 400, -1102),
        ({"symbol": "ETHUSDT"}, 400, -1121),
        ({"symbol": "btcusdt"}, 400, -1100),
        ({"symbol": "BTCUSDT", "limit": "0"}, 400, -1130),
        ({"symbol": "BTCUSDT", "limit": "-5"}, 400, -1100),
        ({"symbol": "BTCUSDT", "limit": "many"}, 400, -1100),
    ],
)
def test_a_bad_depth_request_gets_the_venues_error(query: dict[str, str], status: int, code: int) -> None:
    async def test(_: Exchange, get: Get) -> None:
        assert await error_of(await get("/depth", params=query)) == (status, code)

    asking(test)


@pytest.mark.parametrize("limit", [1, 7, 999, 1001])
def test_futures_know_a_few_limits_only(limit: int) -> None:
    async def test(_: Exchange, get: Get) -> None:
        params: dict[str, Any] = {"symbol": "BTCUSDT", "limit": limit}
        assert await error_of(await get("/depth", params=params)) == (400, -4021)

    asking(test, USDM)


@pytest.mark.parametrize(
    ("venue", "weights"),
    [
        (SPOT, {None: 5, 1: 5, 100: 5, 101: 25, 500: 25, 501: 50, 1000: 50, 1001: 250, 5000: 250, 9999: 250}),
        (USDM, {None: 10, 5: 2, 50: 2, 100: 5, 500: 10, 1000: 20}),
    ],
)
def test_each_limit_has_its_weight_and_the_sum_stands_in_the_header(
    venue: str, weights: dict[int | None, int]
) -> None:
    async def test(_: Exchange, get: Get) -> None:
        used = 0
        for limit, weight in weights.items():
            params: dict[str, Any] = {"symbol": "BTCUSDT"} | ({"limit": limit} if limit else {})
            answer = await get("/depth", params=params)
            used += weight
            assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(used)
            levels = limit or (100 if venue == SPOT else 500)
            assert 0 < len(answer.json()["bids"]) <= levels

    asking(test, venue)


def test_beyond_the_weight_there_is_429_with_the_seconds_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: one._replace(weight_a_minute=12) for name, one in rules.RULES.items()}
    monkeypatch.setattr(rest, "RULES", few)

    async def test(_: Exchange, get: Get) -> None:
        for _attempt in range(2):
            assert (await get("/depth", params={"symbol": "BTCUSDT"})).status_code == 200
        answer = await get("/depth", params={"symbol": "BTCUSDT"})
        assert await error_of(answer) == (429, -1003)
        assert 50 <= int(answer.headers["Retry-After"]) <= 61

    asking(test)


def test_time_and_ping_and_what_is_not_there() -> None:
    async def test(exchange: Exchange, get: Get) -> None:
        assert (await get("/ping")).json() == {}
        assert (await get("/time")).json() == {"serverTime": exchange.playhead.time_ms}
        assert exchange.playhead.time_ms == said(SPOT)[-1][0] // 1_000_000
        assert (await get("/klines")).status_code == 404

    asking(test)


@pytest.mark.parametrize(("venue", "tick"), [(SPOT, "0.01"), (USDM, "0.1")])
def test_exchange_information_tells_what_is_listed(venue: str, tick: str) -> None:
    async def test(_: Exchange, get: Get) -> None:
        told = (await get("/exchangeInfo")).json()
        assert [(one["symbol"], one["baseAsset"], one["quoteAsset"]) for one in told["symbols"]] == [
            ("BTCUSDT", "BTC", "USDT")
        ]
        filters = {one["filterType"]: one for one in told["symbols"][0]["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == tick

    asking(test, venue)


@pytest.mark.parametrize("venue", [SPOT, USDM])
def test_a_snapshot_is_written_as_the_recording_writes_its_own(venue: str) -> None:
    own = next(data for _, stream, data in said(venue) if stream.endswith("@snapshot"))

    async def test(_: Exchange, get: Get) -> None:
        body = (await get("/depth", params={"symbol": "BTCUSDT", "limit": 100})).content
        assert list(json.loads(body)) == list(json.loads(own))
        assert json.dumps(json.loads(body), separators=(",", ":")).encode() == body
        written, recorded = (json.loads(one)["bids"][0] for one in (body, own))
        assert [len(text.partition(".")[2]) for text in written] == [
            len(text.partition(".")[2]) for text in recorded
        ]

    asking(test, venue)


def test_the_recordings_own_snapshot_is_given_byte_for_byte() -> None:
    own = next(data for _, stream, data in said(SPOT) if stream.endswith("@snapshot"))

    async def test(_: Exchange, get: Get) -> None:
        assert (await get("/depth", params={"symbol": "BTCUSDT", "limit": 5})).content == own

    asking(test, options=ExchangeOptions(start="now", snapshots="recorded"))


@pytest.mark.parametrize("snapshots", ["book", "recorded"])
def test_a_request_waits_for_the_first_book_and_no_longer_than_it_may(snapshots: Any) -> None:
    async def test(exchange: Exchange, get: Get) -> None:
        answer = await get("/depth", params={"symbol": "BTCUSDT"})
        assert await error_of(answer) == (503, -1001)
        async with line_to(exchange, "/ws/btcusdt@trade"):
            answer = await get("/depth", params={"symbol": "BTCUSDT"})
            assert answer.status_code == 200

    options = ExchangeOptions(speed=4.0, book_wait_s=0.3, snapshots=snapshots)
    asking(test, options=options)


@pytest.mark.parametrize(("name", "status"), [("http_429", 429), ("http_418", 418)])
def test_a_refusal_lasts_as_long_as_it_says_and_calls_meanwhile_are_told(name: str, status: int) -> None:
    import asyncio

    truth = Truth()
    plan = FaultPlan(**{name: Refusal(at=(1,), retry_after_s=1)})  # type: ignore[arg-type]

    async def test(_: Exchange, get: Get) -> None:
        async def depth() -> httpx.Response:
            return await get("/depth", params={"symbol": "BTCUSDT"})

        assert (await depth()).status_code == 200
        refused = await depth()
        assert await error_of(refused) == (status, -1003)
        assert refused.headers["Retry-After"] == "1"
        assert (await depth()).status_code == status
        await asyncio.sleep(1.05)
        assert (await depth()).status_code == 200
        assert truth.counts == {name: 1, f"call_during_{status}": 1}

    asking(test, plan=plan, truth=truth)


def test_a_stale_snapshot_is_a_true_book_of_an_earlier_moment_and_told() -> None:
    truth, plan = Truth(), FaultPlan(stale_snapshot=Displaced(rate=1.0, messages=10))
    depth = [json.loads(data)["u"] for _, stream, data in said(SPOT) if "@depth" in stream]

    async def test(_: Exchange, get: Get) -> None:
        stale = (await get("/depth", params={"symbol": "BTCUSDT"})).json()
        assert stale["lastUpdateId"] in depth[:-10]
        assert truth.counts == {"stale_snapshot": 1}

    asking(test, plan=plan, truth=truth, mark_every=10)


def test_a_new_snapshot_is_ahead_of_what_the_stream_has_sent_and_told(tmp_path: Path) -> None:
    truth, plan = tmp_path / "truth.jsonl", FaultPlan(new_snapshot=Displaced(rate=1.0, messages=5))
    depth = [json.loads(data)["u"] for _, stream, data in said(SPOT) if "@depth" in stream]

    async def test(exchange: Exchange, get: Get) -> None:
        async with line_to(exchange, "/ws/btcusdt@depth@100ms") as line:
            for _ in range(4):
                await line.recv()
            new = (await get("/depth", params={"symbol": "BTCUSDT"})).json()
            told = json.loads(truth.read_text())
            assert (told["fault"], told["id"]) == ("new_snapshot", new["lastUpdateId"])
            assert depth.index(told["id"]) == depth.index(told["now_id"]) + 5

    options = ExchangeOptions(speed=4.0, at_end="close")
    asking(test, options=options, plan=plan, truth=Truth(truth))
