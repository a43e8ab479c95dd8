"""A capture of a replay holds each message once, byte for byte, and makes the dataset of the original.

All real recordings are played with RLX_TEST_REPLAYS=all (some minutes), else a short one and a simulated one.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from tests.depth import deep
from tests.pipeline.captures import capture as simulated

from rlx_datapipe.capture.progress import Progress
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.pipeline.capture import capture
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.capture_file import read_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.store.capture_files import CaptureFolder
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.venues.binance_streams import unwrap

SETS = {
    "spot": ("binance-spot", "binance_spot"),
    "USD-M 2024-07": ("binance-usdm", "binance_usdm/*202407*"),
    "USD-M 2024-08": ("binance-usdm", "binance_usdm/*20240808*"),
    "USD-M 2022": ("binance-usdm", "binance_usdm/btcusdt_20220811.dat"),
}
SPEEDS = ("max", "20") if os.environ.get("RLX_TEST_REPLAYS") == "all" else ("max",)
Messages = dict[str, list[bytes]]


def played(paths: list[Path]) -> Messages:
    """Messages of recordings by stream, in the order of their files; snapshots are no part of a stream."""
    found: Messages = defaultdict(list)
    for path in paths:
        for line in read_capture(path):
            stream, data = unwrap(line.partition(b" ")[2])
            if not stream.endswith("@snapshot"):
                found[stream].append(data)
    return found


def captured(folder: Path) -> Messages:
    """Messages of a capture by stream, in the order of its records."""
    found: Messages = defaultdict(list)
    capture = CaptureFolder(folder)
    for file in capture.files():
        for line in b"".join(capture.lines(file)).splitlines():
            stream, data = line[line.index(b'"stream":"') + 10 : -1].split(b'","data":', 1)
            if not stream.startswith(b"!") and not stream.endswith(b"@snapshot"):
                found[stream.decode()].append(data)
    return found


@contextmanager
def exchange(paths: list[Path], speed: str) -> Iterator[str]:
    """A served replay in a process of its own; its address, without the scheme."""
    command = [
        sys.executable,
        "-c",
        "from rlx_datapipe.cli.main import main; main()",
        "replay",
        *map(str, paths),
    ]
    options = ["--serve", "127.0.0.1:0", "--speed", speed, "--snapshots", "recorded", "--no-limits"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            told = next((line for line in server.stderr if "serving on" in line), "")
            found = re.search(r"ws://([\d.:]+)", told)
            assert found, told
            yield found[1]
        finally:
            server.kill()


def record(address: str, folder: Path, venue: str, messages: Messages) -> None:
    """Capture until as many messages have come as are played."""
    settings = CaptureSettings(
        ws_url=f"ws://{address}", rest_url=f"http://{address}", ntp_server="", microseconds=False
    )
    count = sum(map(len, messages.values()))
    stopped: list[bool] = []

    def look(progress: Progress, _: int) -> None:
        if progress.messages >= count and not stopped:
            stopped.append(True)
            signal.raise_signal(signal.SIGINT)

    symbols = sorted({stream.partition("@")[0].upper() for stream in messages})
    streams = sorted({stream.partition("@")[2] for stream in messages})
    told = capture(
        symbols,
        folder,
        venue=venue,
        streams=streams,
        settings=settings,
        duration_s=600,
        on_progress=look,
    )
    assert (told["messages"], told["gaps"], stopped) == (count, 0, [True])


def tables(dataset: Path) -> dict[str, list[pl.DataFrame]]:
    """What a replay must give again: all but when it was received, and by which connections."""
    opened = open_dataset(dataset)
    names = [f"{c.instrument.exchange}/{c.instrument.symbol}" for c in opened.manifest.chains]
    return {
        table: [
            opened.table(table, symbol=name).drop("received_time", strict=False).collect() for name in names
        ]
        for table in ("events", "books", "keyframes")
    }


def compare(paths: list[Path], venue: str, speed: str, folder: Path) -> None:
    messages = played(paths)
    with exchange(paths, speed) as address:
        record(address, folder / "capture", venue, messages)
    assert captured(folder / "capture") == messages
    reconstruct(paths, folder / "original")
    reconstruct(folder / "capture", folder / "replayed")
    original, replayed = tables(folder / "original"), tables(folder / "replayed")
    for table, frames in original.items():
        for mine, theirs in zip(frames, replayed[table], strict=True):
            assert mine.height
            assert mine.equals(theirs), table


@pytest.mark.recordings
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("name", SETS)
def test_a_real_recording(name: str, speed: str, recordings: Path, tmp_path: Path) -> None:
    if name != "USD-M 2022" and os.environ.get("RLX_TEST_REPLAYS") != "all":
        pytest.skip("takes a minute; RLX_TEST_REPLAYS=all plays it")
    venue, place = SETS[name]
    given = recordings / place
    paths = sorted(given.iterdir()) if given.is_dir() else sorted(recordings.glob(place))
    compare(paths, venue, speed, tmp_path)


@pytest.mark.parametrize("venue", [pytest.param("binance-spot", marks=deep), "binance-usdm"])
def test_a_simulated_one(venue: str, tmp_path: Path) -> None:
    config = MarketConfig(venue=venue, duration_s=12, levels=200, orders_per_s=300)
    compare([simulated(tmp_path / "recording.gz", config)], venue, "max", tmp_path)
