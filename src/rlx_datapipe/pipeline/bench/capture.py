"""`rlx bench capture`: a whole live capture at 20,000 messages a second, and how soon each is safe."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rlx_datapipe.capture.progress import Progress
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.core.memory import resident_bytes
from rlx_datapipe.pipeline.bench.capture_exchange import SYMBOLS
from rlx_datapipe.pipeline.bench.figure import Figure, Measured
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.pipeline.capture import capture
from rlx_datapipe.store.keys import KEY_BYTES, KeyRing, MasterKey

RATE = 20_000
_SAFE_MS = 100
_EXCHANGE = "rlx_datapipe.pipeline.bench.capture_exchange"
_PATIENCE_S = 30
_GROWTH_MB = 50
_SETTLED = 0.5
"""Share of the run after which memory must not grow any more: by then all there is has been loaded."""


def measure(bench: Workbench) -> Measured:
    """Measure a capture from the socket to the disk: two symbols, zstd, encryption, 20,000 messages a second.

    A process of its own sends the messages, by the clock, through the exchange of `rlx replay`; this one
    captures them. Told are the messages a second that were kept (each of them, once: a gap or a double is an
    error), how long the oldest message of each sync had waited since its receipt, and by how much memory grew
    in the second half.

    Input: --messages; 36,000,000 are half an hour.
    """
    messages = bench.options.messages
    bench.on_step(f"a live capture of {messages:,} messages, {messages // RATE} s")
    moments: list[tuple[float, int, int]] = []
    with busy_exchange(messages) as url:
        told, cpu_s = capture_all(bench, url, messages, moments)
    took_s = seconds_taken(moments, messages)
    memory = [(at_s, held) for at_s, count, held in moments if messages * _SETTLED <= count]
    grown_mb = _growth_mb(memory)
    safe = told["disk"]["safe_after_ms"]
    wrong = _wrong(told, messages)
    figures = [
        Figure(
            claim="capture, encrypted, kept",
            figure=messages / took_s,
            unit="messages/s",
            target=f"> {RATE * 0.99:,.0f}",
            is_met=not wrong and messages / took_s > RATE * 0.99,
            detail={"messages": messages, "seconds": took_s, "cores_busy": cpu_s / took_s},
        ),
        Figure(
            claim="capture, safe on the disk after, P95",
            figure=safe["p95_ms"] or 0.0,
            unit="ms",
            target=f"< {_SAFE_MS}",
            is_met=safe["p95_ms"] is not None and safe["p95_ms"] < _SAFE_MS,
            detail=safe,
        ),
        Figure(
            claim="capture, memory grown in the second half",
            figure=grown_mb,
            unit="MB",
            target=f"< {_GROWTH_MB}",
            is_met=grown_mb < _GROWTH_MB,
            detail={"most_mb": max((held for _, _, held in moments), default=0) / 1e6, "looks": len(memory)},
        ),
    ]
    return Measured(figures, {"capture": told}, wrong)


def capture_all(
    bench: Workbench, url: str, messages: int, moments: list[tuple[float, int, int]], **changes: Any
) -> tuple[dict[str, Any], float]:
    """Capture until all messages have come, or none for long; the summary, and processor seconds.

    Looks at the time, the messages kept and the memory held are added to ``moments``; ``changes`` are
    settings of the capture.
    """
    begun_s = time.monotonic()

    def look(progress: Progress, _disk_bytes: int) -> None:
        now_s = time.monotonic() - begun_s
        kept = sum(stream.messages for stream in progress.streams)
        moments.append((now_s, kept, resident_bytes()))
        since_s = next((at_s for at_s, count, _ in moments if count == kept), now_s)
        if kept >= messages or now_s - since_s > _PATIENCE_S:
            signal.raise_signal(signal.SIGINT)

    settings = CaptureSettings(
        ws_url=url, rest_url=url.replace("ws:", "http:"), ntp_server="", microseconds=False, **changes
    )
    begun_cpu_s = time.process_time()
    told = capture(
        SYMBOLS,
        bench.new_folder("capture"),
        streams=("trade", "depth@100ms", "bookTicker"),
        settings=settings,
        keys=KeyRing([MasterKey("bench", bytes(KEY_BYTES))]),
        on_progress=look,
    )
    return told, time.process_time() - begun_cpu_s


@contextmanager
def busy_exchange(messages: int) -> Iterator[str]:
    """The exchange in its process; its address."""
    command = [sys.executable, "-m", "rlx_datapipe.core.program", _EXCHANGE, str(RATE), str(messages)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101
        try:
            url = server.stdout.readline().strip()
            if not url:
                raise DatapipeError("the exchange of the benchmark did not start")
            yield url
        finally:
            server.kill()


def seconds_taken(moments: list[tuple[float, int, int]], messages: int) -> float:
    """Seconds from the last look without a message to the first with all of them."""
    first_s = max((at_s for at_s, count, _ in moments if not count), default=0.0)
    last_s = min((at_s for at_s, count, _ in moments if count >= messages), default=float("inf"))
    return max(last_s - first_s, 1e-9)


def _growth_mb(memory: list[tuple[float, int]]) -> float:
    """What a straight line through the memory held grows by, in MB."""
    if len(memory) < 3:
        return 0.0
    seconds, held = np.array(memory, dtype=float).T
    slope, _ = np.polyfit(seconds, held, 1)
    return float(slope * (seconds[-1] - seconds[0]) / 1e6)


def kept_of(told: dict[str, Any]) -> int:
    """Messages that a capture kept: without those that came twice."""
    return sum(stream["messages"] for stream in told["streams"])


def _wrong(told: dict[str, Any], messages: int) -> list[str]:
    wrong = []
    if (kept := kept_of(told)) != messages:
        wrong.append(f"{kept:,} messages were kept, {messages:,} were sent")
    if told["gaps"] or told["disk"]["lost_records"]:
        wrong.append(f"{told['gaps']} gaps, {told['disk']['lost_records']} records lost by the disk")
    doubled = sum(one["duplicates"] for one in told["streams"])
    if doubled:
        wrong.append(f"{doubled:,} messages came twice")
    return wrong
