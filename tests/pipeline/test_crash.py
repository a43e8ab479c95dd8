"""Killed at every point, resumed, and nothing tells the difference; broken on purpose, it is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.captures import capture
from tests.pipeline.mutants import MUTANTS

from rlx_datapipe.core.crash import POINTS, crash_point
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.faults import drop_depth, insert_garbage

MARKET = MarketConfig(duration_s=4, levels=150, snapshot_levels=100, snapshot_every_s=1, orders_per_s=800)
SWEEP = Path(__file__).with_name("crash_sweep.py")
ROOT = SWEEP.parents[2]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder in memory where there is one: a kill does not care for the disk, and syncs cost nothing."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        capture(
            Path(folder) / "capture.gz", MARKET, partial(drop_depth, k=12), partial(insert_garbage, k=300)
        )
        yield Path(folder)


def swept(place: Path, *options: str) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, SWEEP, place / "capture.gz", place, *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_killed_anywhere_it_ends_the_same(place: Path) -> None:
    told = swept(place, "--chains", "15", "--seed", "1")
    golden = told["golden"]
    assert told["wrong"] == []
    assert golden["digest"] == golden["read_back"]
    assert golden["strays"] == golden["damaged"] == golden["partial"] == []
    assert set(golden["versions"].values()) == {5}
    assert told["hit"].keys() == set(POINTS)
    assert all(told["hit"].values()), told["hit"]
    assert told["scenarios"] > 100
    assert told["landed"] >= told["scenarios"]


def test_every_mutant_is_noticed(place: Path) -> None:
    told = swept(place, *(option for name in MUTANTS for option in ("--mutant", name)))
    assert {name for name, by in told["noticed"].items() if by} == set(MUTANTS)


def test_a_point_that_no_proof_knows_is_none() -> None:
    with pytest.raises(KeyError):
        crash_point("somewhere")
