"""Captures of the seeded market for the tests of the line, and what is read from their datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Flag
from rlx_datapipe.simulation.capture_file import read_capture, write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.store.dataset import Dataset

Fault = Callable[[Iterable[bytes]], Iterator[bytes]]

SPOT = MarketConfig(duration_s=20, orders_per_s=400, levels=200, snapshot_every_s=5)
"""Snapshots of the whole book, every five seconds, so that nothing in it is ever unknown."""
USDM = MarketConfig(duration_s=15, orders_per_s=400, levels=200, venue="binance-usdm", snapshot_every_s=5)
IN_PROCESSES = Settings(
    batch_rows=200,
    epoch_events=800,
    keyframe_events=1_000,
    horizon_ms=200,
    restart_ms=20,
    probe_ms=50,
    patience_ms=500,
)
"""Many short epochs, and no long waits for workers."""
CUT = MarketConfig(duration_s=20, orders_per_s=400, levels=700, snapshot_levels=400)
"""One snapshot, which shows 400 of about 700 levels a side."""


def capture(path: Path, config: MarketConfig = SPOT, *faults: Fault) -> Path:
    """Write a simulated capture with some faults planted."""
    lines: Iterable[bytes] = simulate(config)
    for fault in faults:
        lines = fault(lines)
    write_capture(lines, path)
    return path


def lines_of(config: MarketConfig = SPOT) -> list[bytes]:
    """The lines of a simulated capture."""
    return list(simulate(config))


def flagged(dataset: Dataset, flag: Flag) -> list[int]:
    """Ids of the events that carry a flag."""
    events = dataset.events.select("event_id", "flags").collect()
    return [event for event, flags in events.iter_rows() if flags & flag]


def kinds(dataset: Dataset) -> dict[str, int]:
    """Rows of ``quality`` by kind."""
    rows: dict[str, Any] = dict(dataset.quality.group_by("kind").len().collect().iter_rows())
    return rows


def three_symbols(folder: Path, config: MarketConfig = SPOT) -> list[Path]:
    """A capture each of three markets."""
    return [
        capture(folder / f"{symbol.lower()}.gz", replace(config, symbol=symbol, seed=number))
        for number, symbol in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT"), 1)
    ]


def mixed(path: Path, captures: Iterable[Path]) -> Path:
    """One recording of several, in the order of receive times; each line names its stream."""
    lines = []
    for part in captures:
        symbol = part.name.partition(".")[0]
        for line in read_capture(part):
            received, _, payload = line.partition(b" ")
            if not payload.startswith(b'{"stream"'):
                stream = f"{symbol}@depth@snapshot".encode()
                payload = b'{"stream":"' + stream + b'","data":' + payload + b"}"
            lines.append(received + b" " + payload)
    lines.sort(key=lambda line: int(line.partition(b" ")[0]))
    write_capture(lines, path)
    return path


def variables(settings: Settings) -> dict[str, str]:
    """Settings as the environment tells them to the command."""
    names = ("batch_rows", "epoch_events", "keyframe_events", "horizon_ms")
    return {f"RLX_{name.upper()}": str(getattr(settings, name)) for name in names}
