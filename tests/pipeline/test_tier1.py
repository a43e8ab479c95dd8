"""Tier 1 in a run: kept beside the commits, the same after any kill and in any batches, and in no table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.cli.door import rlx
from tests.depth import thinned
from tests.pipeline.captures import SPOT, capture, lines_of

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.event import Field, Kind
from rlx_datapipe.fidelity.market import Window, cut_windows
from rlx_datapipe.fidelity.metrics.flow import quote_flow
from rlx_datapipe.fidelity.metrics.spread import SpreadStream
from rlx_datapipe.fidelity.reading import read_whole
from rlx_datapipe.fidelity.stream.layout import WINDOW_NS, Count
from rlx_datapipe.fidelity.stream.measured import Measured, measured_windows
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.store.measured import read_measured
from rlx_datapipe.telemetry.counters import alarms_counted

SETTINGS = Settings(batch_rows=200, epoch_events=800, keyframe_events=1_000, horizon_ms=200)
SPREAD_S = 40
"""Seconds of market that one of the simulation becomes, so that twenty of them are several windows."""


def slowed(lines: list[bytes]) -> list[bytes]:
    """The same messages over a longer time: all times of a line from the first on, stretched."""
    stamps = [int(line.partition(b" ")[0]) for line in lines]
    first_ms = stamps[0] // 1_000_000
    slow = []
    for line, stamp in zip(lines, stamps, strict=True):
        _, _, payload = line.partition(b" ")
        moved = stamp + (SPREAD_S - 1) * (stamp - stamps[0])
        told = msgspec.json.decode(payload)
        held = told.get("data", told)
        for key in ("E", "T"):
            if key in held:
                held[key] += (SPREAD_S - 1) * (held[key] - first_ms)
        slow.append(b"%d %s" % (moved, msgspec.json.encode(told)))
    return slow


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "capture.gz"
    write_capture(slowed(lines_of(SPOT)), path)
    return path


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "dataset"
    reconstruct(source, folder, SETTINGS)
    return folder


def measured(folder: Path) -> list[Measured]:
    states = read_measured(folder, "BINANCE", "BTCUSDT")
    return [window for state in states for window in measured_windows(state)]


def summary(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = open_dataset(folder).manifest.chains[0].summary["tier1"]
    return told


def same(first: list[Measured], second: list[Measured]) -> bool:
    return len(first) == len(second) and all(
        (a.start_ns, a.end_ns) == (b.start_ns, b.end_ns)
        and np.array_equal(a.words, b.words)
        and a.numbers.tobytes() == b.numbers.tobytes()
        for a, b in zip(first, second, strict=True)
    )


def test_what_is_kept_is_what_the_dataset_says(whole: Path) -> None:
    dataset = open_dataset(whole)
    stretch, _ = read_whole(whole, dataset.manifest.chain(None).instrument)
    found = {one.start_ns: one for one in measured(whole)}
    windows = cut_windows(stretch, WINDOW_NS)
    assert len(windows) >= 1
    for window in windows:
        _compare(window, found[window.start_ns])


def _compare(window: Window, one: Measured) -> None:
    stream = SpreadStream()
    stream.update(window)
    assert np.array_equal(one.sketch("spread_ticks_by_ns").counts, stream.sketch.counts)
    assert one.spread.mean == pytest.approx(stream.moments.mean, rel=1e-9)
    assert one.counts[Count.FLOW] == quote_flow(window.quotes)[1:].sum()
    is_trade = window.events[Field.KIND] == Kind.TRADE
    assert one.counts[Count.VOLUME] == window.events[Field.QUANTITY, is_trade].sum()


@pytest.mark.parametrize("batch_rows", thinned([50, 100_000], 2))
def test_kills_and_batches_change_no_bit_of_it(
    batch_rows: int, source: Path, whole: Path, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(SETTINGS, batch_rows=batch_rows)
    out, stops = tmp_path / "cut", iter((2_000, 5_000, 9_000))
    while True:
        limit = next(stops, 10**9)

        def stop(progress: Progress, limit: int = limit) -> None:
            if progress.events > limit:
                raise KeyboardInterrupt

        try:
            reconstruct(source, out, settings, resume=True, on_progress=stop)
            break
        except KeyboardInterrupt:
            continue
    assert same(measured(out), measured(whole))
    assert summary(out) == summary(whole)
    assert inspect(out, deep=True)["problems"] == []


def test_the_summary_tells_what_all_windows_came_to(whole: Path) -> None:
    windows, told = measured(whole), summary(whole)
    total = windows[0]
    for window in windows[1:]:
        total = total.joined(window)
    instrument = open_dataset(whole).manifest.chain(None).instrument
    assert told == {"windows": len(windows), **total.told(instrument)}
    assert told["trades"] == sum(int(window.counts[Count.TRADES]) for window in windows) > 0
    assert told["spread_ticks_mean"] > 0


def test_it_changes_no_table_and_can_be_left_out(source: Path, whole: Path, tmp_path: Path) -> None:
    without = msgspec.structs.replace(SETTINGS, tier1=False)
    told = reconstruct(source, tmp_path / "without", without)
    assert told["digest"] == inspect(whole)["digest"]
    assert measured(tmp_path / "without") == []
    assert not (tmp_path / "without" / "tier1").exists()


def test_it_can_neither_be_begun_nor_left_out_in_the_middle(source: Path, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.events > 2_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(source, tmp_path / "cut", SETTINGS, on_progress=stop)
    without = msgspec.structs.replace(SETTINGS, tier1=False)
    with pytest.raises(DatasetError, match=r"was begun with other settings .*tier1"):
        reconstruct(source, tmp_path / "cut", without, resume=True)


def test_a_flipped_bit_in_it_is_found(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    reconstruct(source, out, SETTINGS)
    [*_, path] = sorted(out.rglob("*.windows"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    assert rlx("inspect", out, "--deep", "--json").json()["problems"] == [
        f"{path.relative_to(out)}: not the bytes that were committed"
    ]
    with pytest.raises(DatasetError, match="is not the file that was committed"):
        measured(out)


def test_an_alert_is_counted_at_once_and_told_with_its_events(tmp_path: Path) -> None:
    lines = lines_of(replace(SPOT, duration_s=450, orders_per_s=30, levels=50))
    hour = 3_600 * 10**9
    late = [_later(line, hour) if at > len(lines) * 3 // 4 else line for at, line in enumerate(lines)]
    write_capture(late, tmp_path / "silent.gz")
    before = alarms_counted("BINANCE", "BTCUSDT", "message_rate")
    heard: list[int] = []

    def on_progress(progress: Progress) -> None:
        heard.append(alarms_counted("BINANCE", "BTCUSDT", "message_rate") - before)

    said = reconstruct(tmp_path / "silent.gz", tmp_path / "silent", SETTINGS, on_progress=on_progress)
    [finding] = [one for one in said["findings"] if one["rule"] == "message_rate"]
    assert finding["measures"]["count"] == heard[-1] == 1
    [alert] = finding["measures"]["alerts"]
    assert alert["recent"][-1]["time_ns"] - alert["recent"][-32]["time_ns"] > hour
    assert "no message for 3,6" in rlx("inspect", tmp_path / "silent").out
    calm = capture(tmp_path / "calm.gz", SPOT)
    assert reconstruct(calm, tmp_path / "calm", SETTINGS)["findings"] == []


def _later(line: bytes, by_ns: int) -> bytes:
    """A line at a later time."""
    received, _, payload = line.partition(b" ")
    told: dict[str, Any] = msgspec.json.decode(payload)
    held = told.get("data", told)
    for key in ("E", "T"):
        if key in held:
            held[key] += by_ns // 10**6
    return b"%d %s" % (int(received) + by_ns, msgspec.json.encode(told))
