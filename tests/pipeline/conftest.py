"""Captures, and a bench for faults of disk and system: a warm process, in a mount namespace if allowed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.captures import IN_PROCESSES, capture, three_symbols

from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.faults import drop_depth, insert_garbage

BENCH = Path(__file__).with_name("fault_bench.py")
ROOT = BENCH.parents[2]
MARKET = MarketConfig(duration_s=6, levels=150, snapshot_levels=100, snapshot_every_s=1, orders_per_s=800)
ROOMY = "size=64m,nr_inodes=100000"
EXIT_S = 5.0
Told = dict[str, Any]


class Bench:
    """Drives the warm process; ``can_mount`` tells whether it may mount a tmpfs."""

    def __init__(self, place: Path) -> None:
        self.place, self.capture = place, place / "capture.gz"
        self.disk = place / "disk"
        self.disk.mkdir()
        capture(self.capture, MARKET, partial(drop_depth, k=12), partial(insert_garbage, k=100))
        own = next((c for c in (["unshare", "-m"], ["unshare", "-rm"]) if _allowed([*c, "true"])), [])
        self._process = subprocess.Popen(
            [*own, sys.executable, BENCH, self.capture],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        )
        self.can_mount = bool(own) and self.mount(ROOMY)
        self.golden: Told = self.ask("run", out=str(self.disk / "golden"), threads=1, fsync=1 << 30)
        assert self.golden["status"] == 0, self.golden["said"]
        self.full: Told = self.ask("size", at=str(self.disk))
        self.clear()

    def ask(self, work: str, **request: Any) -> Told:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = {"work": work, "capture": str(self.capture), **request}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        answer: Told = json.loads(self._process.stdout.readline())
        return answer

    def mount(self, options: str, *, again: bool = False, at: Path | None = None) -> bool:
        """Mount a tmpfs (another size for the one there with ``again``); no ``options``: unmount."""
        told = self.ask("mount", at=str(at or self.disk), options=options, again=again)
        return bool(told["status"] == 0)

    def clear(self) -> None:
        """An empty disk."""
        if self.can_mount:
            self.mount("")
        for path in self.disk.iterdir():
            shutil.rmtree(path)

    def close(self) -> None:
        self._process.communicate()

    def suffer(self, options: str = ROOMY, **fault: Any) -> Told:
        """A run under a fault: its end must be as promised; then, the fault gone, it must go on to the same.

        The end promised: no trace, one sentence, within five seconds, nothing half to be seen.
        """
        out = str(self.disk / "out")
        if self.can_mount:
            assert self.mount(options)
        try:
            told = self.ask("run", out=out, **fault)
            assert told["status"] in (0, 2, 3), told["said"]
            assert "\n" not in told["said"]
            assert told["seconds"] < EXIT_S
            seen = self.ask("state", out=out)
            assert seen["broken"] == seen.get("damaged", []) == [], told
            assert bool(seen["digest"]) == (told["status"] == 0)
            if fault.get("act") == "remount":
                self.mount("", at=self.disk / "out")
            if self.can_mount:
                assert self.mount(ROOMY, again=True)
            if told["status"] != 2:
                self.goes_on(out)
        finally:
            self.clear()
        return {**told, "commits": seen["commits"]}

    def goes_on(self, out: str) -> None:
        """The same command with ``--resume`` ends as a run that nothing befell."""
        resumed = self.ask("run", out=out)
        assert resumed["status"] == 0, resumed["said"]
        seen = self.ask("state", out=out)
        assert resumed["digest"] == seen["digest"] == self.golden["digest"]
        assert seen["broken"] == seen["damaged"] == seen["left"] == []


def _allowed(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def captures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A capture each of three markets."""
    return three_symbols(tmp_path_factory.mktemp("captures"))


@pytest.fixture(scope="session")
def whole(captures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The summary of a run over the three in one process, that nothing befell."""
    return reconstruct(captures, tmp_path_factory.mktemp("whole") / "dataset", IN_PROCESSES)


@pytest.fixture
def digest(whole: Told) -> str:
    """Of the dataset of the three."""
    told: str = whole["digest"]
    return told


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("bench"))
    yield made
    made.close()


@pytest.fixture
def tmpfs(bench: Bench) -> Bench:
    """The bench, where it may mount."""
    if not bench.can_mount:
        pytest.skip("no right to mount a tmpfs, neither as root nor in a user namespace")
    return bench
