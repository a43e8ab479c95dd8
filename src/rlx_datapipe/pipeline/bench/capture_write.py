"""`rlx bench capture_write`: messages a second to the disk, and how soon they are safe there."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import zstandard

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.recording import SegmentRecorder
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, cpu_seconds, middle
from rlx_datapipe.pipeline.bench.floor import unpacked
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.store.capture_manifest import CaptureHead
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.store.keys import KEY_BYTES, KeyRing, MasterKey, require_cryptography

RATE = 20_000
"""Messages a second that a capture has to keep up with."""
_LAG_MS, _RECEIVED_US, _SEALED_US = 100, 12, 10
_PACED_S = 10
_AT_ONCE = 20
_TICK_S = 0.05


def measure(bench: Workbench) -> Measured:
    """Measure the disk half of a capture: log, fsync, zstd and encryption, with the messages at hand.

    Processor time of the thread that receives, and of the one that seals, each by itself at full speed; then,
    at 20,000 messages a second by the clock, how long the oldest message of each sync had waited to be safe.
    The ratio is to a plain zstd file of the same lines, in one go. Without the extra `capture` nothing is
    encrypted, and the claims say so.

    Input: messages of the simulated market (--messages), or your own capture (--source).
    """
    messages = _messages(bench)
    keys, how = _keys()
    arrivals = [
        Arrival(RecordKind.MESSAGE, 1, stream, message, number, number, number, number)
        for number, (stream, message) in enumerate(messages)
    ]
    bench.on_step(f"a plain zstd file of {len(messages):,} messages")
    plain_s = cpu_seconds(lambda: _plain(arrivals, bench.new_folder("plain")), bench.options.repeats)
    received, sealed = [], []
    for _ in range(max(1, bench.options.repeats)):
        bench.on_step(f"recording and sealing {len(messages):,} messages, {how}")
        took_s = _record(arrivals, bench.new_folder("capture"), keys)
        received.append(took_s[0])
        sealed.append(took_s[1])
    bench.on_step(f"{RATE:,} messages a second for {_PACED_S} s, {how}")
    lags_ms, cpu_s = asyncio.run(_paced(arrivals, bench.new_folder("paced"), keys))
    figures = [
        _speed(f"capture, received, {how}", len(messages), middle(received), _RECEIVED_US, plain_s),
        _speed(f"capture, sealed, {how}", len(messages), middle(sealed), _SEALED_US, plain_s),
        Figure(
            claim=f"capture, wait for the disk at {RATE:,}/s, P95",
            figure=_quantile(lags_ms, 0.95),
            unit="ms",
            target=f"< {_LAG_MS}",
            is_met=_quantile(lags_ms, 0.95) < _LAG_MS,
            detail={
                "p50_ms": _quantile(lags_ms, 0.5),
                "p99_ms": _quantile(lags_ms, 0.99),
                "syncs": len(lags_ms),
                "cores_busy": cpu_s / _PACED_S,
            },
        ),
    ]
    told = {
        "received_us": 1e6 * middle(received) / len(messages),
        "sealed_us": 1e6 * middle(sealed) / len(messages),
        "is_encrypted": keys is not None,
    }
    return Measured(figures, told)


def _speed(claim: str, count: int, took_s: float, target_us: int, plain_s: float) -> Figure:
    return Figure(
        claim=claim,
        figure=count / took_s,
        unit="messages/s",
        target=f"> {1_000_000 // target_us:,}",
        is_met=count / took_s > 1e6 / target_us,
        ratio=plain_s / took_s,
        ratio_to="a plain zstd file",
        detail={"messages": count, "us_a_message": 1e6 * took_s / count},
    )


def _messages(bench: Workbench) -> list[tuple[str, bytes]]:
    """Stream and message of each line that is one of a combined stream."""
    path = bench.options.source or bench.capture
    found: list[tuple[str, bytes]] = []
    for part in only_source(path, Settings()).files:
        with io.BufferedReader(unpacked(part)) as file:
            for line in file:
                message = line.strip().partition(b" ")[2]
                if message.startswith(b'{"stream":"'):
                    found.append((message[11 : message.index(b'"', 11)].decode(), message))
    if len(found) < _AT_ONCE:
        raise OptionError("there are no messages to record", file=path, remedy="Give a capture")
    return found


def _keys() -> tuple[KeyRing | None, str]:
    try:
        require_cryptography()
    except OptionError:
        return None, "not encrypted"
    return KeyRing([MasterKey("bench", bytes(KEY_BYTES))]), "encrypted"


def _head() -> CaptureHead:
    return CaptureHead(venue="binance-spot", symbols=("BTCUSDT",), streams=())


def _plain(arrivals: Sequence[Arrival], path: Path) -> None:
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
    with path.open("wb") as file, compressor.stream_writer(file) as writer:
        for arrival in arrivals:
            writer.write(b"%d %b\n" % (arrival.wall_ns, arrival.payload))


def _record(arrivals: Sequence[Arrival], folder: Path, keys: KeyRing | None) -> tuple[float, float]:
    """Processor time, in seconds, of receiving and of sealing."""

    async def receive() -> float:
        begun = time.process_time()
        for some in _some_at_once(arrivals):
            for arrival in some:
                recorder.record(arrival)
            await asyncio.sleep(0)
        return time.process_time() - begun

    recorder = SegmentRecorder(folder, _head(), keys=keys, in_background=False)
    received_s = asyncio.run(receive())
    begun = time.process_time()
    recorder.close()
    return received_s, time.process_time() - begun


def _some_at_once(arrivals: Sequence[Arrival]) -> Iterator[Sequence[Arrival]]:
    """As many as one turn of an event loop brings at this rate."""
    for at in range(0, len(arrivals), _AT_ONCE):
        yield arrivals[at : at + _AT_ONCE]


async def _paced(
    arrivals: Sequence[Arrival], folder: Path, keys: KeyRing | None
) -> tuple[list[float], float]:
    """Waits in ms until the messages were synced, and the processor time of all threads in seconds."""
    recorder = SegmentRecorder(folder, _head(), keys=keys)
    begun_s, begun_cpu_s, done, ticked_s = time.monotonic(), time.process_time(), 0, 0.0
    while (now_s := time.monotonic() - begun_s) < _PACED_S:
        while done < now_s * RATE:
            for at in range(done, done + _AT_ONCE):
                arrival = arrivals[at % len(arrivals)]
                recorder.record(arrival._replace(wall_ns=at, monotonic_ns=time.monotonic_ns()))
            done += _AT_ONCE
            await asyncio.sleep(0)
        if now_s - ticked_s > _TICK_S:
            await recorder.tick()
            ticked_s = now_s
        await asyncio.sleep(0.001)
    cpu_s = time.process_time() - begun_cpu_s
    lags_ms = [lag_ns / 1e6 for lag_ns in recorder.status.durable_lag_ns]
    recorder.close()
    return lags_ms, cpu_s


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")
