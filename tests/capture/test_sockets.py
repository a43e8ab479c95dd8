"""Over real sockets: bytes as received, both clocks, bounds, aborts, handover, subscriptions, REST."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.capture.account import ListRecorder, account, doubled_payloads
from tests.capture.socket_exchange import SocketExchange, message, socket_exchange, until

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.live import LiveCapture
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.capture.streams import plan
from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.venues.binance_endpoints import SPOT, USDM, LiveMarket

QUICK = CaptureSettings(
    ntp_server="",
    tick_ms=10,
    hold_ms=50,
    connects_per_s=50.0,
    backoff_s=0.05,
    close_s=0.3,
    snapshot_every_s=0,
)
TRADES = "btcusdt@trade"


class Captured:
    """A capture that runs beside the test."""

    def __init__(self, exchange: SocketExchange, recorder: ListRecorder, live: LiveCapture) -> None:
        self.exchange, self.recorder, self.live = exchange, recorder, live
        self.stop = asyncio.Event()

    def kept(self, stream: str = TRADES) -> list[bytes]:
        return [one.payload for one in self.recorder.messages(stream)]


@asynccontextmanager
async def capturing(
    settings: CaptureSettings = QUICK,
    kinds: tuple[str, ...] = ("trade",),
    market: LiveMarket = SPOT,
    recorder: ListRecorder | None = None,
) -> AsyncIterator[Captured]:
    async with socket_exchange() as exchange:
        listened = plan(market, ["BTCUSDT"], kinds, ws_url=exchange.ws_url, rest_url=exchange.rest_url)
        recorder = recorder or ListRecorder()
        captured = Captured(exchange, recorder, LiveCapture(listened, recorder, settings))
        running = asyncio.create_task(captured.live.run(captured.stop))
        try:
            await until(lambda: running.done() or len(exchange.connections) == len(listened.addresses))
            yield captured
        finally:
            captured.stop.set()
            async with asyncio.timeout(10):
                await running


def play(scene: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 30))


def test_messages_are_kept_byte_for_byte_with_both_clocks() -> None:
    odd = [
        b'{"stream":"btcusdt@trade","data":{"e":"trade" , "E":1760000000000,"s":"BTCUSDT","t":2,"p":"1.00"}}',
        '{"stream":"币安@trade","data":{}}'.encode(),
        b'{"not":"an envelope"}',
        b"\xff\xfe no json at all",
        b"",
    ]

    async def scene() -> None:
        async with capturing() as captured:
            before = time.time_ns(), time.monotonic_ns()
            await captured.exchange.send([message(TRADES, 1)])
            for payload in odd:
                await captured.exchange.connections[0].send(payload)
            await until(lambda: captured.live.intake.messages == 6)
            after = time.time_ns(), time.monotonic_ns()
        messages = [one for one in captured.recorder.arrivals if one.kind is RecordKind.MESSAGE]
        assert [one.payload for one in messages] == [message(TRADES, 1), *odd]
        assert [one.stream for one in messages] == [TRADES, TRADES, "币安@trade", "!raw", "!raw", "!raw"]
        assert all(before[0] <= one.wall_ns <= after[0] for one in messages)
        assert all(before[1] <= one.monotonic_ns <= after[1] for one in messages)
        kinds = [one.kind for one in captured.recorder.arrivals]
        assert kinds[0] in (RecordKind.NOTE, RecordKind.OPEN)
        assert kinds[-1] is RecordKind.CLOSE
        assert captured.recorder.is_closed

    play(scene)


def test_spot_asks_for_microseconds_and_all_streams_on_one_connection() -> None:
    async def scene() -> None:
        kinds = ("trade", "aggTrade", "depth@100ms", "bookTicker")
        async with capturing(kinds=kinds) as captured:
            path = captured.exchange.paths[0]
            assert path.startswith("/stream?streams=btcusdt@trade/btcusdt@aggTrade/")
            assert path.endswith("&timeUnit=MICROSECOND")
            assert len(captured.exchange.paths) == 1

    play(scene)


def test_usdm_hears_aggregate_trades_where_they_are() -> None:
    async def scene() -> None:
        kinds = ("trade", "aggTrade", "depth@100ms", "bookTicker")
        async with capturing(kinds=kinds, market=USDM) as captured:
            assert sorted(captured.exchange.paths) == [
                "/market/stream?streams=btcusdt@aggTrade",
                "/public/stream?streams=btcusdt@trade/btcusdt@depth@100ms/btcusdt@bookTicker",
            ]

    play(scene)


def test_a_black_hole_is_let_go_of_at_once() -> None:
    settings = msgspec.structs.replace(QUICK, stall_s=0.2, pong_s=0.2, silence_s=60.0, close_s=5.0)

    async def scene() -> None:
        async with capturing(settings) as captured:
            await captured.exchange.send([message(TRADES, 1)])
            hole = captured.exchange.connections[0]
            # No byte is read nor written there any more: no pong, no answer to a close.
            hole.transport.pause_reading()
            begun = time.monotonic()
            await until(lambda: len(captured.exchange.paths) == 2)
            # A polite close would have waited five seconds first.
            assert time.monotonic() - begun < 3.0
            await until(lambda: len(captured.exchange.connections) == 2)
            await captured.exchange.send([message(TRADES, 4)], only=captured.exchange.connections[1])
            await until(lambda: len(captured.kept()) == 2)
            hole.transport.resume_reading()
            hole.transport.abort()
        assert [one["reason"] for one in captured.recorder.told(RecordKind.CLOSE)] == ["stalled", "stopped"]
        gaps = captured.recorder.told(RecordKind.GAP)
        assert gaps == [{"stream": TRADES, "from_id": 2, "to_id": 3, "reason": "disconnected"}]

    play(scene)


def test_a_message_that_is_too_long_ends_the_connection_and_is_a_gap() -> None:
    settings = msgspec.structs.replace(QUICK, message_bytes_max=10_000)

    async def scene() -> None:
        async with capturing(settings) as captured:
            await captured.exchange.send([message(TRADES, 1)])
            await captured.exchange.connections[0].send(b"x" * 10_001)
            await until(lambda: len(captured.exchange.paths) == 2 and len(captured.exchange.connections) == 1)
            await captured.exchange.send([message(TRADES, 3)])
            await until(lambda: len(captured.kept()) == 2)
        assert "1009" in captured.recorder.told(RecordKind.CLOSE)[0]["reason"]
        assert captured.recorder.told(RecordKind.GAP)[0]["from_id"] == 2

    play(scene)


def test_a_frame_that_announces_a_terabyte_ends_the_connection() -> None:
    async def scene() -> None:
        async with capturing() as captured:
            captured.exchange.connections[0].transport.write(b"\x82\x7f" + (1 << 40).to_bytes(8, "big"))
            await until(lambda: len(captured.exchange.paths) == 2)
        assert "1009" in captured.recorder.told(RecordKind.CLOSE)[0]["reason"]

    play(scene)


def test_a_deflate_bomb_ends_the_connection() -> None:
    async def scene() -> None:
        async with socket_exchange(is_compressing=True) as exchange:
            settings = msgspec.structs.replace(QUICK, compression=True, message_bytes_max=1 << 20)
            listened = plan(SPOT, ["BTCUSDT"], ["trade"], ws_url=exchange.ws_url)
            recorder, stop = ListRecorder(), asyncio.Event()
            running = asyncio.create_task(LiveCapture(listened, recorder, settings).run(stop))
            await until(lambda: len(exchange.connections) == 1)
            await exchange.connections[0].send(bytes(64 << 20))
            await until(lambda: len(exchange.paths) == 2)
            stop.set()
            await running
            assert "1009" in recorder.told(RecordKind.CLOSE)[0]["reason"]
            assert not [one for one in recorder.arrivals if one.kind is RecordKind.MESSAGE]

    play(scene)


def test_a_certificate_that_nobody_vouches_for_is_never_accepted(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(self_signed(tmp_path / "cert.pem"))

    async def scene() -> None:
        async with socket_exchange(tls) as exchange:
            address = exchange.ws_url.replace("ws://", "wss://")
            listened = plan(SPOT, ["BTCUSDT"], ["trade"], ws_url=address)
            recorder, stop = ListRecorder(), asyncio.Event()
            live = LiveCapture(listened, recorder, QUICK)
            running = asyncio.create_task(live.run(stop))
            await until(lambda: live.feeds[0].refused >= 2)
            stop.set()
            await running
            assert all("CERTIFICATE_VERIFY_FAILED" in note["reason"] for note in recorder.notes("refused"))
            assert not exchange.paths

    play(scene)


def self_signed(path: Path) -> Path:
    """A certificate of our own making, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2060, 1, 1))
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate + key.private_bytes(*form))
    return path


def test_a_refusal_with_retry_after_is_obeyed() -> None:
    async def scene() -> None:
        async with socket_exchange() as exchange:
            exchange.refusals = [(429, {"Retry-After": "1"}), (503, {})]
            listened = plan(SPOT, ["BTCUSDT"], ["trade"], ws_url=exchange.ws_url, rest_url=exchange.rest_url)
            recorder, stop = ListRecorder(), asyncio.Event()
            begun = time.monotonic()
            running = asyncio.create_task(LiveCapture(listened, recorder, QUICK).run(stop))
            await until(lambda: bool(exchange.connections))
            assert time.monotonic() - begun >= 1.0
            stop.set()
            await running
            assert [note["reason"] for note in recorder.notes("refused")] == ["HTTP 429", "HTTP 503"]

    play(scene)


def test_the_connection_is_replaced_before_it_is_cut_and_nothing_is_lost() -> None:
    settings = msgspec.structs.replace(QUICK, age_s=0.3, stagger_s=0.0, prove_s=5.0)

    async def scene() -> None:
        async with capturing(settings) as captured:
            number = 0
            while captured.live.feeds[0].handovers < 10 and number < 20_000:
                number += 1
                await captured.exchange.send([message(TRADES, number)])
                await asyncio.sleep(0.001)
            assert captured.live.feeds[0].handovers >= 1
            await until(lambda: captured.live.intake.chains[TRADES].last == number)
        found = account(captured.recorder, TRADES)
        assert not found.doubled
        assert not found.unaccounted
        assert found.missing == 0
        assert found.messages == number
        assert not doubled_payloads(captured.recorder, (TRADES,))

    play(scene)


def test_streams_that_have_no_room_in_the_address_are_subscribed_to() -> None:
    async def scene() -> None:
        async with socket_exchange() as exchange:
            symbols = [f"COIN{number:03d}USDT" for number in range(200)]
            listened = plan(SPOT, symbols, ["trade"], ws_url=exchange.ws_url, rest_url=exchange.rest_url)
            live = LiveCapture(listened, ListRecorder(), QUICK)
            stop = asyncio.Event()
            running = asyncio.create_task(live.run(stop))
            await until(lambda: _asked_for(exchange) == {f"{name.lower()}@trade" for name in symbols})
            stop.set()
            await running
            assert len(exchange.paths[0]) < 4_200

    play(scene)


def _asked_for(exchange: SocketExchange) -> set[str]:
    """Streams in the address and in the messages behind it."""
    by_message = [name for request in exchange.received for name in request["params"]]
    return {*by_message, *(exchange.streams() if exchange.paths else [])}


def test_a_snapshot_is_kept_byte_for_byte_after_the_first_update() -> None:
    body = b'{"lastUpdateId":7,"bids":[["1.10","2.00"]],"asks":[]}'
    stale = b'{"lastUpdateId":4,"bids":[],"asks":[]}'

    async def scene() -> None:
        async with capturing(kinds=("depth@100ms",)) as captured:
            captured.exchange.rest = [(200, {}, stale), (200, {"X-MBX-USED-WEIGHT-1M": "250"}, body)]
            await asyncio.sleep(0.1)
            assert not captured.exchange.asked, "asked before any update had come"
            await captured.exchange.send([message("btcusdt@depth@100ms", number) for number in (5, 6, 7)])
            await until(lambda: captured.live.snapshots.kept == 1)
            assert captured.exchange.asked[0] == "/api/v3/depth?symbol=BTCUSDT&limit=5000"
            assert captured.live.gate.used_weight == 250
        kept = captured.recorder.arrivals
        told = [(a.stream, a.payload) for a in kept if a.kind is RecordKind.SNAPSHOT]
        assert told == [("btcusdt@snapshot", stale), ("btcusdt@snapshot", body)]
        assert captured.recorder.notes("snapshot_stale")[0]["first_id"] == 5

    play(scene)


def test_a_disk_that_fails_ends_the_capture_with_its_error() -> None:
    class Broken(ListRecorder):
        def record(self, arrival: Arrival) -> None:
            if arrival.kind is RecordKind.MESSAGE:
                raise OutputError("can't be written", file=Path("disk"))
            super().record(arrival)

    async def scene() -> None:
        async with capturing(recorder=Broken()) as captured:
            await captured.exchange.send([message(TRADES, 1)])
            await until(lambda: not captured.exchange.connections)

    with pytest.raises(OutputError, match="can't be written"):
        play(scene)
