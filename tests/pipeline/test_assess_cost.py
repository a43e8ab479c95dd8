"""The estimate of an assessment against the truth: a real reconstruction in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.depth import thinned
from tests.pipeline.captures import SPOT, capture

from rlx_datapipe.assessment.result import Assessment
from rlx_datapipe.pipeline.assess import assess
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.simulation.config import MarketConfig

WITHIN = 0.25
"""How far the estimate may lie from the truth, as a share of it."""
DEEP = os.environ.get("RLX_TEST_ASSESS") == "all"
BUSY = MarketConfig(duration_s=300 if DEEP else 60, orders_per_s=2_000, levels=1_000)
PROGRAM = """
import json, sys, time
from rlx_datapipe.core.program import without_guests
without_guests()
from rlx_datapipe.pipeline.reconstruct import reconstruct
warm, out, *sources = sys.argv[1:]
reconstruct(warm, out + "-warm", workers=0)
began_s = time.process_time()
summary = reconstruct(sources, out, workers=0)
print(json.dumps([summary["peak_memory_bytes"], time.process_time() - began_s]))
"""
"""Told are peak memory, and the processor time of all threads once everything has been imported."""


def needed(code: str, *arguments: str | Path) -> list[float]:
    """What a program tells, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    told: list[float] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small capture that was assessed already, so that everything has been imported."""
    path = capture(tmp_path_factory.mktemp("warm") / "warm.gz", SPOT)
    assess(path)
    return path


@pytest.fixture(scope="module")
def warm_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of an archive: its kernels are others."""
    path = write_archive(ArchiveConfig(rows=20_000), tmp_path_factory.mktemp("warm-lake") / "lake")
    assess(path)
    return path


def hold_against_the_truth(one: Assessment, warm: Path, sources: list[Path], out: Path) -> None:
    """Reconstruct for real, and compare."""
    memory_bytes, processor_s = needed(PROGRAM, warm, out, *sources)
    assert one.cost is not None
    told = f"memory {one.cost.memory_bytes / 1e6:.0f} of {memory_bytes / 1e6:.0f} MB, "
    told += f"time {one.cost.processor_s:.2f} of {processor_s:.2f} s"
    assert abs(one.cost.memory_bytes / memory_bytes - 1) <= WITHIN, told
    # What takes less is over before it can be measured to a quarter; and a busy machine takes what it likes.
    assert processor_s < 0.25 or not DEEP or abs(one.cost.processor_s / processor_s - 1) <= WITHIN, told


@pytest.mark.parametrize("market", thinned([BUSY, SPOT], 2), ids=["busy", "small"])
def test_memory_and_time_of_a_capture_are_within_a_quarter_of_the_truth(
    market: MarketConfig, warm: Path, tmp_path: Path
) -> None:
    source = capture(tmp_path / "in.gz", market)
    (one,) = assess(source)
    hold_against_the_truth(one, warm, [source], tmp_path / "out")


def test_memory_and_time_of_an_archive_too(warm_archive: Path, tmp_path: Path) -> None:
    source = write_archive(ArchiveConfig(rows=2_000_000 if DEEP else 500_000), tmp_path / "lake")
    (one,) = assess(source)
    hold_against_the_truth(one, warm_archive, [source], tmp_path / "out")


@pytest.mark.recordings
@pytest.mark.parametrize("pattern", ["binance_spot/btcusdt_*.gz", "binance_coinm/btcusd_perp_*.gz"])
def test_of_real_recordings_too(pattern: str, recordings: Path, warm: Path, tmp_path: Path) -> None:
    if not DEEP:
        pytest.skip("takes half a minute; RLX_TEST_ASSESS=all measures them, on a quiet machine")
    sources = sorted(recordings.glob(pattern))
    (one,) = assess(sources)
    hold_against_the_truth(one, warm, sources, tmp_path / "out")
