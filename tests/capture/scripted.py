"""A script of arrivals, and what a capture folder holds of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.limits import RecorderLimits
from rlx_datapipe.capture.recording import SegmentRecorder
from rlx_datapipe.store.capture_files import CaptureFolder
from rlx_datapipe.store.capture_manifest import CaptureHead
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.store.keys import KeyRing, MasterKey

HEAD = CaptureHead(venue="binance-spot", symbols=("BTCUSDT",), streams=("trade", "depth@100ms"))
RING = KeyRing([MasterKey("k1", bytes(range(32)))])
SMALL = RecorderLimits(rotate_bytes=1_500, ballast_bytes=0)
BEGIN_NS = 1_723_161_253_937_085_768


class Clock:
    """A steady clock that moves a millisecond at each look."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def __call__(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


def trade(number: int, at_ns: int = 0) -> Arrival:
    """Trade ``number`` as a combined stream brings it."""
    data = b'{"e":"trade","t":%d,"p":"61234.10","q":"%d.5"}' % (number, number)
    payload = b'{"stream":"btcusdt@trade","data":%b}' % data
    wall_ns = BEGIN_NS + number * 100_000_000
    return Arrival(
        RecordKind.MESSAGE, 1, "btcusdt@trade", payload, wall_ns, at_ns or number * 1_000, number, number
    )


def recorder(folder: Path, keys: KeyRing | None = None, **given: Any) -> SegmentRecorder:
    """A recorder with small segments and no threads."""
    clock = Clock()
    options = {
        "limits": SMALL,
        "clock": clock,
        "wall_clock": lambda: BEGIN_NS + clock(),
        "in_background": False,
    }
    return SegmentRecorder(folder, HEAD, keys=keys, **{**options, **given})


def lines(folder: Path, keys: KeyRing | None = None) -> list[dict[str, Any]]:
    """All lines of a capture, in order."""
    reader = CaptureFolder(folder, keys)
    content = b"".join(b"".join(reader.lines(file)) for file in reader.files())
    return [json.loads(line) for line in content.splitlines()]


def trades(folder: Path, keys: KeyRing | None = None) -> list[int]:
    """Ids of the trades that a capture holds, in order."""
    return [line["data"]["t"] for line in lines(folder, keys) if line["stream"] == "btcusdt@trade"]


def record_all(into: SegmentRecorder, arrivals: Sequence[Arrival], each: int = 5) -> Iterator[int]:
    """Record arrivals with a tick after some of them; gives how many are recorded, after each."""
    for count, arrival in enumerate(arrivals, 1):
        into.record(arrival)
        yield count
        if count % each == 0:
            into.tick_now()
