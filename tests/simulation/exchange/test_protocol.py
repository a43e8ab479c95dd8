"""Streams by the venue's protocol: addresses, subscriptions, answers, errors, pings, limits, the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.simulation.exchange.stage import (
    CLOSE,
    EVERYTHING,
    Said,
    ask,
    everything,
    exchange_of,
    line_to,
    run,
    said,
)
from websockets.exceptions import InvalidStatus
from websockets.frames import Opcode

from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.wire import combined

SPOT, USDM = "binance-spot", "binance-usdm"
WAITING = ExchangeOptions(start="subscribed", wait_for=99)
"""Nothing is played: only commands are looked at."""
TRADE = b'{"e":"trade","E":1700000000123,"s":"BTCUSDT","t":1,"p":"1","q":"1","T":1700000000122,"m":true}'
FEW: Said = [(1_700_000_000_000_000_000 + number, "btcusdt@trade", TRADE) for number in range(3)]


def sent(messages: Said, *streams: str) -> list[bytes]:
    return [data for _, stream, data in messages if stream in streams]


def test_raw_streams_carry_the_recordings_own_bytes() -> None:
    async def test() -> None:
        async with exchange_of(said(SPOT)) as exchange, line_to(exchange, "/ws/btcusdt@trade") as line:
            assert await everything(line) == sent(said(SPOT), "btcusdt@trade")
            assert (line.close_code, line.close_reason) == (1001, "end of the recording")

    run(test)


def test_combined_streams_carry_them_in_the_envelope_in_the_order_of_the_recording() -> None:
    streams = EVERYTHING.split("/")
    wanted = [combined(stream, data) for _, stream, data in said(SPOT) if stream in streams]

    async def test() -> None:
        async with (
            exchange_of(said(SPOT)) as exchange,
            line_to(exchange, f"/stream?streams={EVERYTHING}") as line,
        ):
            assert await everything(line) == wanted
            assert exchange.summary()["messages_sent"] == len(wanted)

    run(test)


def test_the_snapshot_is_no_stream() -> None:
    async def test() -> None:
        path = "/ws/btcusdt@snapshot/btcusdt@trade"
        async with exchange_of(said(SPOT)) as exchange, line_to(exchange, path) as line:
            assert await everything(line) == sent(said(SPOT), "btcusdt@trade")

    run(test)


@pytest.mark.parametrize("name", ["btcusdt@depth", "btcusdt@depth@100ms", "btcusdt@depth@1000ms"])
def test_a_depth_stream_is_served_by_the_name_of_any_cadence(name: str) -> None:
    async def test() -> None:
        async with exchange_of(said(SPOT)) as exchange, line_to(exchange, f"/stream?streams={name}") as line:
            wanted = sent(said(SPOT), "btcusdt@depth@100ms")
            assert await everything(line) == [combined(name, data) for data in wanted]

    run(test)


@pytest.mark.parametrize(
    "name", ["btcusdt@depth5", "BTCUSDT@trade", "ethusdt@trade", "btcusdt@depth20@100ms"]
)
def test_a_stream_that_is_not_there_is_accepted_and_silent(name: str) -> None:
    async def test() -> None:
        async with exchange_of(said(SPOT)) as exchange, line_to(exchange, f"/ws/{name}") as line:
            assert await everything(line) == []

    run(test)


def test_subscriptions_are_changed_listed_and_answered_in_the_venues_words() -> None:
    async def test() -> None:
        async with exchange_of(said(SPOT), WAITING) as exchange, line_to(exchange, "/ws") as line:
            names = ["btcusdt@trade", "btcusdt@depth"]
            answer = await ask(line, method="SUBSCRIBE", params=names, id=1)
            assert answer == {"result": None, "id": 1}
            assert (await ask(line, method="LIST_SUBSCRIPTIONS", id="two"))["result"] == names
            await ask(line, method="UNSUBSCRIBE", params=["btcusdt@depth"], id=3)
            assert (await ask(line, method="LIST_SUBSCRIPTIONS", id=4))["result"] == ["btcusdt@trade"]

    run(test)


@pytest.mark.parametrize(("path", "before"), [("/ws", False), ("/stream", True)])
def test_the_property_combined_is_that_of_the_address_until_it_is_set(path: str, before: bool) -> None:
    async def test() -> None:
        async with exchange_of(FEW, WAITING) as exchange, line_to(exchange, path) as line:
            assert (await ask(line, method="GET_PROPERTY", params=["combined"], id=1))["result"] is before
            assert (await ask(line, method="SET_PROPERTY", params=["combined", not before], id=2)) == {
                "result": None,
                "id": 2,
            }
            assert (await ask(line, method="GET_PROPERTY", params=["combined"], id=3))["result"] is not before

    run(test)


def test_what_is_subscribed_and_set_by_command_is_what_comes() -> None:
    async def test() -> None:
        async with exchange_of(said(SPOT)) as exchange, line_to(exchange, "/ws") as line:
            await ask(line, method="SET_PROPERTY", params=["combined", True], id=1)
            await ask(line, method="SUBSCRIBE", params=["btcusdt@trade"], id=2)
            wanted = sent(said(SPOT), "btcusdt@trade")
            assert await everything(line) == [combined("btcusdt@trade", data) for data in wanted]

    run(test)


ERRORS: list[tuple[str, int, str]] = [
    ("{", 3, "Invalid JSON"),
    ("[1]", 2, "Invalid request"),
    ('{"id":1}', 2, "missing field `method`"),
    ('{"method":"SUBSCRIB","id":1}', 2, "unknown variant `SUBSCRIB`, expected one of `SUBSCRIBE`"),
    ('{"method":"LIST_SUBSCRIPTIONS","id":1.5}', 2, "request ID must be an unsigned integer"),
    ('{"method":"GET_PROPERTY","params":["colour"],"id":1}', 0, "Unknown property"),
    ('{"method":"GET_PROPERTY","params":[7],"id":1}', 2, "property name must be a string"),
    ('{"method":"GET_PROPERTY","params":["combined",1],"id":1}', 2, "too many parameters"),
    ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1, "expected Boolean"),
    ('{"method":"SUBSCRIBE","params":[5],"id":1}', 2, "Invalid request"),
]


@pytest.mark.parametrize(("text", "code", "said_so"), ERRORS)
def test_a_bad_command_gets_the_venues_error_object_and_the_line_stays(
    text: str, code: int, said_so: str
) -> None:
    async def test() -> None:
        async with exchange_of(FEW, WAITING) as exchange, line_to(exchange, "/ws") as line:
            await line.send(text)
            error = json.loads(await line.recv())["error"]
            assert error["code"] == code
            assert said_so in error["msg"]
            assert (await ask(line, method="LIST_SUBSCRIPTIONS", id=9))["result"] == []

    run(test)


async def split_paths(exchange: Any, path: str) -> list[bytes]:
    async with line_to(exchange, path) as line:
        return await everything(line)


def test_usdm_shares_its_streams_out_among_public_and_market() -> None:
    later = (1_800_000_000_000_000_000, "btcusdt@aggTrade", b'{"e":"aggTrade","s":"BTCUSDT","a":1}')
    messages = [*said(USDM), later]
    names = "btcusdt@trade/btcusdt@aggTrade"
    options = ExchangeOptions(at_end="close", wait_for=3)

    async def test() -> None:
        async with exchange_of({USDM: messages}, options) as exchange:
            public, market, bare = await asyncio.gather(
                *(
                    split_paths(exchange, f"{part}/stream?streams={names}")
                    for part in ("/public", "/market", "")
                )
            )
        trades = [combined("btcusdt@trade", data) for data in sent(messages, "btcusdt@trade")]
        assert public == trades
        assert market == [combined("btcusdt@aggTrade", later[2])]
        assert bare == [*trades, *market]

    run(test)


def test_two_markets_on_one_port_are_told_apart_by_their_paths() -> None:
    options = ExchangeOptions(at_end="close", wait_for=3)
    both = {SPOT: said(SPOT), USDM: said(USDM)}

    async def test() -> None:
        async with exchange_of(both, options) as exchange:
            spot, named, usdm = await asyncio.gather(
                *(split_paths(exchange, f"{label}/ws/btcusdt@trade") for label in ("", "/spot", "/usdm"))
            )
        assert spot == named == sent(said(SPOT), "btcusdt@trade")
        assert usdm == sent(said(USDM), "btcusdt@trade")

    run(test)


@pytest.mark.parametrize("path", ["/", "/wss/btcusdt@trade", "/public/ws", "/stream/x", "/ws?timeUnit=DAYS"])
def test_another_address_is_not_found(path: str) -> None:
    async def test() -> None:
        async with exchange_of(FEW, WAITING) as exchange:
            with pytest.raises(InvalidStatus) as refused:
                async with line_to(exchange, path):
                    pass
            assert refused.value.response.status_code == 404

    run(test)


def test_times_are_told_in_the_unit_that_was_asked_for_and_nothing_else_changes() -> None:
    in_us = TRADE.replace(b"0123,", b"0123000,").replace(b"0122,", b"0122000,")
    options = ExchangeOptions(at_end="close", wait_for=2)

    async def test() -> None:
        for recorded in (TRADE, in_us):
            messages = [(time, stream, recorded) for time, stream, _ in FEW]
            async with exchange_of(messages, options) as exchange:
                paths = ("/ws/btcusdt@trade", "/ws/btcusdt@trade?timeUnit=MICROSECOND")
                ms, us = await asyncio.gather(*(split_paths(exchange, path) for path in paths))
            assert set(ms) == {TRADE}
            assert set(us) == {in_us}

    run(test)


def test_the_server_pings_and_cuts_off_whoever_does_not_answer() -> None:
    options = ExchangeOptions(start="subscribed", wait_for=99, ping_s=0.05, pong_s=0.3, has_limits=False)

    async def test() -> None:
        async with exchange_of(FEW, options) as exchange:
            async with line_to(exchange, "/ws") as line:
                await asyncio.sleep(0.6)
                assert (await ask(line, method="LIST_SUBSCRIPTIONS", id=1))["result"] == []
            mute = await line_to(exchange, "/ws")
            mute.protocol.recv_frame = lambda frame: None  # type: ignore[method-assign]
            await asyncio.wait_for(mute.connection_lost_waiter, 5)
            await asyncio.sleep(0.05)
            assert exchange.endings["no pong"] == 1

    run(test)


@pytest.mark.parametrize("by_ping", [False, True])
def test_more_messages_a_second_than_allowed_end_the_connection(by_ping: bool) -> None:
    async def test() -> None:
        async with exchange_of(FEW, WAITING) as exchange, line_to(exchange, "/ws") as line:
            for number in range(6):
                if by_ping:
                    await line.ping(str(number))
                else:
                    await line.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            await everything(line)
            assert line.protocol.close_rcvd is None

    run(test)


def test_five_messages_a_second_are_allowed() -> None:
    async def test() -> None:
        async with exchange_of(FEW, WAITING) as exchange, line_to(exchange, "/ws") as line:
            for number in range(5):
                assert (await ask(line, method="LIST_SUBSCRIPTIONS", id=number))["id"] == number

    run(test)


def test_a_connection_has_no_more_streams_than_allowed() -> None:
    async def test() -> None:
        async with exchange_of(FEW, WAITING) as exchange, line_to(exchange, "/ws") as line:
            names = [f"s{number}@trade" for number in range(1025)]
            assert "error" in await ask(line, method="SUBSCRIBE", params=names, id=1)
            assert (await ask(line, method="SUBSCRIBE", params=names[1:], id=2))["result"] is None

    run(test)


@pytest.mark.parametrize("has_limits", [True, False])
def test_an_address_may_connect_so_often_in_five_minutes(
    has_limits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlx_datapipe.simulation.exchange import rules, server

    few = {name: one._replace(connects_max=3) for name, one in rules.RULES.items()}
    monkeypatch.setattr(server, "RULES", few)
    options = ExchangeOptions(wait_for=99, has_limits=has_limits)

    async def test() -> None:
        async with exchange_of(FEW, options) as exchange:
            for _ in range(3):
                async with line_to(exchange, "/ws"):
                    pass
            if not has_limits:
                async with line_to(exchange, "/ws"):
                    return
            with pytest.raises(InvalidStatus) as refused:
                async with line_to(exchange, "/ws"):
                    pass
            assert refused.value.response.status_code == 429
            assert int(refused.value.response.headers["Retry-After"]) > 200

    run(test)


def test_time_begins_when_as_many_as_were_named_have_subscribed() -> None:
    options = ExchangeOptions(at_end="close", wait_for=2)

    async def test() -> None:
        async with exchange_of(FEW, options) as exchange, line_to(exchange, "/ws/btcusdt@trade") as first:
            await asyncio.sleep(0.1)
            assert exchange.playhead.played == 0
            async with line_to(exchange, "/ws") as second:
                await asyncio.sleep(0.1)
                assert exchange.playhead.played == 0
                await ask(second, method="SUBSCRIBE", params=["btcusdt@trade"], id=1)
                assert len(await everything(second)) == len(await everything(first)) == len(FEW)

    run(test)


def test_it_keeps_the_recordings_pace() -> None:
    """4 s of market at 8 times its speed: never before their time, however late a loaded machine is."""

    async def test() -> None:
        options = ExchangeOptions(at_end="close", speed=8.0)
        loop = asyncio.get_running_loop()
        async with (
            exchange_of(said(SPOT), options) as exchange,
            line_to(exchange, f"/ws/{EVERYTHING}") as line,
        ):
            began_s, count = loop.time(), 0
            first_ns = said(SPOT)[0][0]
            times = [time for time, stream, _ in said(SPOT) if not stream.endswith("@snapshot")]
            while count < len(times):
                await line.recv()
                due_s = (times[count] - first_ns) / 1e9 / 8.0
                assert loop.time() - began_s > due_s - 0.05
                count += 1

    run(test)


def test_at_the_end_a_loop_begins_anew_with_new_connections_only() -> None:
    async def test() -> None:
        async with exchange_of(FEW, ExchangeOptions(at_end="loop")) as exchange:
            for _ in range(2):
                async with line_to(exchange, "/ws/btcusdt@trade") as line:
                    assert len(await everything(line)) == len(FEW)
                    assert line.close_code == 1012
            assert exchange.playhead.rounds == 2

    run(test)


def test_clients_that_come_back_at_once_do_not_hold_up_a_loop() -> None:
    async def test() -> None:
        async with exchange_of(FEW, ExchangeOptions(at_end="loop")) as exchange:

            async def eager(rounds: int) -> None:
                while exchange.playhead.rounds < rounds:
                    async with line_to(exchange, "/ws/btcusdt@trade") as line:
                        await everything(line)

            await asyncio.gather(*(eager(5) for _ in range(4)))
            assert exchange.playhead.rounds >= 5

    run(test)


def test_a_client_that_reads_too_slowly_is_cut_off_and_others_go_on() -> None:
    options = ExchangeOptions(at_end="close", speed=4.0, slow_bytes_max=6_000_000, wait_for=2)
    big = [
        (time, stream, data[:-1] + b',"pad":"' + b"x" * 150_000 + b'"}')
        for time, stream, data in said(SPOT)
        if stream == "btcusdt@trade"
    ]

    async def test() -> None:
        async with exchange_of(big, options) as exchange:
            slow = await line_to(exchange, "/ws/btcusdt@trade")
            slow.transport.pause_reading()
            async with line_to(exchange, "/ws/btcusdt@trade") as line:
                assert len(await everything(line)) == len(big)
            slow.transport.abort()
            assert exchange.endings["slow"] == 1

    run(test)


def test_at_full_speed_the_client_sets_the_pace_and_loses_nothing() -> None:
    big = [(time, stream, data[:-1] + b',"pad":"' + b"x" * 4000 + b'"}') for time, stream, data in said(SPOT)]
    assert sum(len(data) for _, _, data in big) > 8_000_000

    async def test() -> None:
        async with exchange_of(big, CLOSE) as exchange, line_to(exchange, f"/ws/{EVERYTHING}") as line:
            line.transport.pause_reading()
            await asyncio.sleep(0.5)
            assert not exchange.playhead.is_ended
            line.transport.resume_reading()
            got = await everything(line)
        assert got == [data for _, stream, data in big if not stream.endswith("@snapshot")]

    run(test)


def test_frames_of_the_server_are_whole_and_unmasked_text() -> None:
    async def test() -> None:
        async with exchange_of(said(SPOT)) as exchange, line_to(exchange, f"/ws/{EVERYTHING}") as line:
            seen = set()
            take = line.protocol.recv_frame

            def look(frame: Any) -> None:
                seen.add((frame.opcode, frame.fin, frame.rsv1))
                take(frame)

            line.protocol.recv_frame = look  # type: ignore[method-assign]
            await everything(line)
        assert seen - {(Opcode.CLOSE, True, False)} == {(Opcode.TEXT, True, False)}

    run(test)
