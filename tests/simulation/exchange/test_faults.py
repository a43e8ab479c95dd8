"""Each fault is seen by the client, told as truth, and comes again with its seed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.simulation.exchange.stage import CLOSE, everything, exchange_of, line_to, run, said
from websockets.exceptions import ConnectionClosed

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.simulation.exchange.fault_plan import (
    MESSAGE_FAULTS,
    AfterTime,
    Corrupt,
    Delay,
    FaultPlan,
    OnMessages,
    Oversize,
    Stall,
    read_plan,
)
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.truth import Truth, ids_of

DEPTH = [data for _, stream, data in said("binance-spot") if "@depth" in stream]
PATH = "/ws/btcusdt@depth@100ms"
Told = list[dict[str, Any]]


def played(
    plan: FaultPlan, folder: Path, path: str = PATH, options: ExchangeOptions = CLOSE
) -> tuple[list[bytes], Told]:
    """What a client gets of a recording with faults, and the truth that was told of them."""
    truth, got = folder / "truth.jsonl", list[bytes]()

    async def test() -> None:
        messages = said("binance-spot")
        exchange = exchange_of(messages, options, plan=plan, truth=Truth(truth))
        async with exchange, line_to(exchange, path) as line:
            got.extend(await everything(line))

    run(test)
    return got, [json.loads(line) for line in truth.read_text().splitlines()]


def told_of(fault: str, data: bytes) -> dict[str, Any]:
    return {"fault": fault, "connection": 1, "stream": "btcusdt@depth@100ms", **ids_of(data)}


def without_position(told: Told) -> Told:
    return [{name: value for name, value in one.items() if name != "position"} for one in told]


def test_a_dropped_message_does_not_come(tmp_path: Path) -> None:
    got, told = played(FaultPlan(drop=OnMessages(at=(3, 5))), tmp_path)
    assert got == [data for at, data in enumerate(DEPTH) if at not in (3, 5)]
    assert without_position(told) == [told_of("drop", DEPTH[3]), told_of("drop", DEPTH[5])]
    positions = [one["position"] for one in told]
    played_before = [
        at for at, (_, _, data) in enumerate(said("binance-spot")) if data in (DEPTH[3], DEPTH[5])
    ]
    assert positions == [at + 1 for at in played_before]


def test_a_duplicated_message_comes_twice(tmp_path: Path) -> None:
    got, told = played(FaultPlan(duplicate=OnMessages(at=(0,))), tmp_path)
    assert got == [DEPTH[0], *DEPTH]
    assert without_position(told) == [told_of("duplicate", DEPTH[0])]


def test_a_reordered_message_comes_behind_the_next_of_its_stream(tmp_path: Path) -> None:
    last = len(DEPTH) - 1
    got, told = played(FaultPlan(reorder=OnMessages(at=(1, last))), tmp_path)
    assert got == [DEPTH[0], DEPTH[2], DEPTH[1], *DEPTH[3:]]
    assert [one["u"] for one in told] == [ids_of(DEPTH[1])["u"], ids_of(DEPTH[last])["u"]]


def test_a_delayed_message_comes_late(tmp_path: Path) -> None:
    plan = FaultPlan(delay=Delay(at=(4,), delay_ms=300.0))
    got, told = played(plan, tmp_path, options=ExchangeOptions(at_end="close", speed=4.0))
    assert sorted(got) == sorted(DEPTH)
    assert got.index(DEPTH[4]) > 8
    assert len(told) == 1


def test_a_message_still_delayed_at_the_end_comes_before_the_line_is_closed(tmp_path: Path) -> None:
    got, _ = played(FaultPlan(delay=Delay(at=(4,), delay_ms=60_000.0)), tmp_path)
    assert got == [*DEPTH[:4], *DEPTH[5:], DEPTH[4]]


def test_a_corrupt_message_is_no_json(tmp_path: Path) -> None:
    got, told = played(FaultPlan(corrupt=Corrupt(at=(2,))), tmp_path)
    assert got[:2] + got[3:] == DEPTH[:2] + DEPTH[3:]
    with pytest.raises(json.JSONDecodeError):
        json.loads(got[2])
    assert len(told) == 1


def test_a_corrupt_value_differs_in_one_digit_and_nothing_else(tmp_path: Path) -> None:
    got, _ = played(FaultPlan(corrupt=Corrupt(at=(2,), what="value")), tmp_path)
    assert sum(a != b for a, b in zip(got[2], DEPTH[2], strict=True)) == 1
    assert json.loads(got[2])["u"] == json.loads(DEPTH[2])["u"]


def test_a_message_of_the_wrong_symbol_keeps_its_stream(tmp_path: Path) -> None:
    path = "/stream?streams=btcusdt@depth@100ms"
    got, _ = played(FaultPlan(wrong_symbol=OnMessages(at=(1,))), tmp_path, path)
    wrong = json.loads(got[1])
    assert wrong["stream"] == "btcusdt@depth@100ms"
    assert wrong["data"] == json.loads(DEPTH[1]) | {"s": "LUNAUSDT"}


def test_an_oversized_message_is_as_large_as_was_said(tmp_path: Path) -> None:
    got, _ = played(FaultPlan(oversized=Oversize(at=(1,), size_bytes=3_000_000)), tmp_path)
    assert len(got[1]) >= 3_000_000
    assert json.loads(got[1]).keys() - {"pad"} == json.loads(DEPTH[1]).keys()


def test_a_stalled_line_says_nothing_for_a_while_and_then_everything() -> None:
    truth = Truth()

    async def test() -> None:
        plan = FaultPlan(stall=Stall(at=(5,), stall_ms=700.0))
        loop = asyncio.get_running_loop()
        exchange = exchange_of(said("binance-spot"), plan=plan, truth=truth)
        async with exchange, line_to(exchange, PATH) as line:
            assert [await line.recv(decode=False) for _ in range(5)] == DEPTH[:5]
            began_s = loop.time()
            assert await line.recv(decode=False) == DEPTH[5]
            assert loop.time() - began_s > 0.5
            assert [await line.recv(decode=False) for _ in DEPTH[6:]] == DEPTH[6:]

    run(test)
    assert truth.counts == {"stall": 1}


def test_a_half_open_line_is_silent_and_deaf_but_open() -> None:
    truth = Truth()

    async def test() -> None:
        plan = FaultPlan(half_open=OnMessages(at=(2,)))
        options = ExchangeOptions(at_end="hold")
        async with exchange_of(said("binance-spot"), options, plan=plan, truth=truth) as exchange:
            line = await line_to(exchange, PATH)
            assert [await line.recv(decode=False) for _ in range(2)] == DEPTH[:2]
            pong = asyncio.ensure_future(await line.ping())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.recv(), 0.4)
            assert not pong.done()
            assert line.close_code is None
            line.transport.abort()

    run(test)
    assert truth.counts == {"half_open": 1}


def test_a_disconnected_line_ends_without_a_close_frame() -> None:
    truth = Truth()

    async def test() -> None:
        plan = FaultPlan(disconnect=OnMessages(at=(7,)))
        options = ExchangeOptions(at_end="close", speed=20.0)
        async with exchange_of(said("binance-spot"), options, plan=plan, truth=truth) as exchange:
            async with line_to(exchange, PATH) as line:
                got = await everything(line)
                assert got == DEPTH[: len(got)]
                assert line.protocol.close_rcvd is None
            async with line_to(exchange, PATH) as line:
                assert await everything(line)
                assert line.protocol.close_rcvd is None

    run(test)
    assert truth.counts == {"disconnect": 2}


def test_a_connection_is_cut_at_its_age() -> None:
    truth = Truth()

    async def test() -> None:
        plan = FaultPlan(cut=AfterTime(after_s=0.3))
        options = ExchangeOptions(speed=1.0)
        loop = asyncio.get_running_loop()
        async with exchange_of(said("binance-spot"), options, plan=plan, truth=truth) as exchange:
            for _ in range(2):
                began_s = loop.time()
                async with line_to(exchange, PATH) as line:
                    await everything(line)
                    assert line.close_code == 1001
                assert loop.time() - began_s > 0.25

    run(test)
    assert truth.counts == {"cut": 2}


@pytest.mark.parametrize(("path", "is_combined"), [("/ws", False), ("/stream", True)])
def test_a_shutdown_is_announced_before_it_comes(path: str, is_combined: bool) -> None:
    truth = Truth()

    async def test() -> None:
        plan = FaultPlan(shutdown=AfterTime(after_s=0.2, warn_s=0.2))
        options = ExchangeOptions(wait_for=9)
        loop = asyncio.get_running_loop()
        exchange = exchange_of(said("binance-spot"), options, plan=plan, truth=truth)
        async with exchange, line_to(exchange, path) as line:
            told = json.loads(await line.recv())
            told_s = loop.time()
            event = told["data"] if is_combined else told
            assert event["e"] == "serverShutdown"
            assert told.get("stream") == ("!serverShutdown" if is_combined else None)
            with pytest.raises(ConnectionClosed):
                await line.recv()
            assert loop.time() - told_s > 0.15

    run(test)
    assert truth.counts == {"shutdown": 1, "cut": 1}


EVERY_RATE: dict[str, Any] = {
    name: fault(rate=0.05)
    for name, fault in {
        "drop": OnMessages,
        "duplicate": OnMessages,
        "reorder": OnMessages,
        "corrupt": Corrupt,
        "wrong_symbol": OnMessages,
    }.items()
}


def test_the_same_seed_gives_the_same_faults_and_another_seed_others(tmp_path: Path) -> None:
    path = "/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker"
    first, again, other = (played(FaultPlan(seed=seed, **EVERY_RATE), tmp_path, path) for seed in (1, 1, 2))
    assert first == again
    assert first[1] != other[1]
    assert {one["fault"] for one in first[1]} == set(EVERY_RATE)
    assert 0.1 < len(first[1]) / len(said("binance-spot")) < 0.4


def test_faults_befall_the_streams_that_were_named_only(tmp_path: Path) -> None:
    path = "/stream?streams=btcusdt@depth@100ms/btcusdt@trade"
    _, told = played(FaultPlan(drop=OnMessages(rate=0.5, streams="@trade")), tmp_path, path)
    assert {one["stream"] for one in told} == {"btcusdt@trade"}


def test_a_plan_without_faults_changes_nothing(tmp_path: Path) -> None:
    assert played(FaultPlan(seed=3), tmp_path) == (DEPTH, [])


def test_a_plan_is_read_from_toml_and_options_over_it(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('seed = 5\n[drop]\nrate = 0.1\nstreams = "@depth"\n[cut]\nafter_s = 60.0\n')
    plan = read_plan(file, ["drop=0.2", "429=0.5", "half-open=1"], seed=9)
    assert plan == FaultPlan(
        seed=9,
        drop=OnMessages(rate=0.2, streams="@depth"),
        cut=AfterTime(after_s=60.0),
        half_open=OnMessages(rate=1.0),
        http_429=plan.http_429,
    )
    assert plan.http_429 is not None
    assert plan.http_429.rate == 0.5


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dorp=1", "unknown fault"),
        ("drop", "name=number"),
        ("drop=2", "drop.rate: expected a number of at most 1"),
        ("cut=-1", "cut.after_s: expected a number above 0"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_a_sentence(text: str, found: str) -> None:
    with pytest.raises(OptionError, match=found):
        read_plan(None, [text])


def test_a_file_with_unknown_keys_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text("[drop]\nchance = 0.1\n")
    with pytest.raises(OptionError, match="chance"):
        read_plan(file)


def test_every_fault_of_messages_is_one_of_the_plan() -> None:
    assert set(MESSAGE_FAULTS) <= set(FaultPlan.__struct_fields__)
