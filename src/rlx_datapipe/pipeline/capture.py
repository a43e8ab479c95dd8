"""A live capture from its start to its end: network half and disk half joined, and stopped by signals."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlx_datapipe.capture.connection import require_network
from rlx_datapipe.capture.limits import RecorderLimits
from rlx_datapipe.capture.live import LiveCapture
from rlx_datapipe.capture.progress import Progress
from rlx_datapipe.capture.recording import SegmentRecorder
from rlx_datapipe.capture.regime import Special
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.capture.streams import Plan
from rlx_datapipe.capture.streams import plan as plan_streams
from rlx_datapipe.store.capture_manifest import CaptureHead
from rlx_datapipe.store.keys import KeyRing
from rlx_datapipe.venues.binance_endpoints import STREAM_KINDS, live_market

OnProgress = Callable[[Progress, int], None]
"""Takes how it goes, and the bytes of the capture on the disk."""

_SHOWN_EVERY_S, _SHOWN_EVERY_STREAM_S = 0.5, 0.01
_LOOKED_EVERY_S = 5.0
"""How often the bytes on the disk are counted."""


def capture(
    symbols: Sequence[str],
    out: Path,
    *,
    venue: str = "binance-spot",
    streams: Sequence[str] = STREAM_KINDS,
    settings: CaptureSettings | None = None,
    limits: RecorderLimits | None = None,
    keys: KeyRing | None = None,
    calendar: Sequence[Special] = (),
    duration_s: float | None = None,
    on_progress: OnProgress = lambda progress, disk_bytes: None,
    on_told: Callable[[str, dict[str, object]], None] = lambda kind, facts: None,
    on_stopping: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Capture a market into a folder until a signal or the end of the time; what it came to, for JSON.

    A folder with the same capture is gone on with; what was missed since then is a declared gap. SIGINT or
    SIGTERM ends it cleanly (``on_stopping`` is called when it comes, for sealing may take a while), a second
    one at once: what was recorded stands all the same.

    Raises
    ------
    OptionError
        For symbols, streams or addresses that have no meaning, or a missing extra.
    OutputError
        When the folder can't be written.
    KeyboardInterrupt
        After a second signal.
    """
    settings = settings or CaptureSettings()
    plan = plan_streams(
        live_market(venue),
        symbols,
        streams,
        ws_url=settings.ws_url,
        rest_url=settings.rest_url,
        microseconds=settings.microseconds,
    )
    require_network()
    head = CaptureHead(venue=venue, symbols=plan.symbols, streams=plan.streams)
    rotation = {"rotate_ns": int(settings.rotate_s * 1e9), "rotate_bytes": settings.rotate_mb * 1_000_000}
    limits = limits or RecorderLimits(**rotation)
    recorder = SegmentRecorder(out, head, keys=keys, limits=limits, calendar=calendar)
    live = LiveCapture(plan, recorder, settings, resumed=recorder.last_ids, on_told=on_told)
    stopped_by = asyncio.run(_run(live, out, duration_s, on_progress, on_stopping))
    return _summary(plan, out, live.progress(), stopped_by, recorder)


async def _run(
    live: LiveCapture,
    out: Path,
    duration_s: float | None,
    on_progress: OnProgress,
    on_stopping: Callable[[], None],
) -> str:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heed() -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        on_stopping()

    heeded = (signal.SIGINT, signal.SIGTERM)
    for each in heeded:
        with suppress(ValueError, RuntimeError, NotImplementedError):
            # Only the main thread may; another one ends by its time alone.
            loop.add_signal_handler(each, heed)
    showing = asyncio.create_task(_show(live, out, on_progress))
    try:
        await live.run(stop, duration_s)
    finally:
        showing.cancel()
        for each in heeded:
            with suppress(ValueError, RuntimeError, NotImplementedError):
                loop.remove_signal_handler(each)
    return "signal" if stop.is_set() else "duration"


async def _show(live: LiveCapture, out: Path, on_progress: OnProgress) -> None:
    # Percentiles of many streams take their time: they get a hundredth of it.
    every_s = max(_SHOWN_EVERY_S, _SHOWN_EVERY_STREAM_S * len(live.intake.chains))
    disk_bytes, looked_s = 0, float("-inf")
    while True:
        await asyncio.sleep(every_s)
        if (now_s := time.monotonic()) - looked_s >= _LOOKED_EVERY_S:
            disk_bytes, looked_s = folder_bytes(out), now_s
        on_progress(live.progress(), disk_bytes)


def folder_bytes(folder: Path) -> int:
    """Bytes of what a capture keeps, without locks and ballast; files that come and go may be missed."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in (name for name in names if not name.startswith(".")):
            with suppress(OSError):
                total += (Path(place) / name).stat().st_size
    return total


def _summary(
    plan: Plan, out: Path, progress: Progress, stopped_by: str, recorder: SegmentRecorder
) -> dict[str, Any]:
    status = recorder.status
    return {
        "capture": str(out),
        "venue": plan.market.format,
        "symbols": list(plan.symbols),
        "stopped_by": stopped_by,
        **progress.to_json(),
        "disk_bytes": folder_bytes(out),
        "records": status.records,
        "disk": {
            "state": status.state,
            "lost_records": status.lost_records,
            "safe_after_ms": status.safe_after_ms,
            "problem": status.sealing_problem,
        },
    }
