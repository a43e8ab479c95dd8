"""The real command with a process for each symbol: killed, stopped, starved, interrupted, and resumed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.door import RLX
from tests.depth import deep
from tests.pipeline.captures import IN_PROCESSES as SETTINGS
from tests.pipeline.captures import mixed

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.store.commits import read_commits
from rlx_datapipe.store.dataset import dataset_digest, open_dataset

KILLS = int(os.environ.get("RLX_TEST_KILLS", "2"))
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
CGROUP = Path("/sys/fs/cgroup/memory")


class Run:
    """One call of `rlx reconstruct` in a process of its own."""

    def __init__(self, captures: list[Path], out: Path, **settings: int) -> None:
        out.mkdir(exist_ok=True)
        toml = out.with_name("settings.toml")
        names = ("batch_rows", "epoch_events", "keyframe_events", "horizon_ms", "restart_ms", "probe_ms")
        told = {name: getattr(SETTINGS, name) for name in names} | settings
        toml.write_text("".join(f"{name} = {value}\n" for name, value in told.items()))
        command: list[str | Path] = [RLX, "reconstruct", *captures, "--out", out, "--config", toml]
        options = ("--resume", "--workers", "3", "--json")
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def workers(self) -> list[int]:
        """Process ids of its workers; one that has not come to its own program yet is none."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        with contextlib.suppress(OSError):
            children = [pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
            return [int(pid) for pid in children if b".pipeline.worker" in _command(pid)]
        return []

    def await_workers(self, count: int = 3) -> list[int]:
        """Process ids once there are so many."""
        until(lambda: len(self.workers()) >= count or self.process.poll() is not None)
        return self.workers()

    def kill(self) -> bool:
        """Kill it; whether it was still there."""
        self.process.kill()
        self.process.communicate()
        return self.process.returncode == -signal.SIGKILL

    def end(self) -> tuple[int, dict[str, Any], str]:
        """Exit status, result and messages."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, json.loads(out) if out else {}, err.decode()


def _command(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def commits(out: Path) -> int:
    with contextlib.suppress(DatapipeError, OSError):
        return sum(len(read_commits(out, "BINANCE", symbol)) for symbol in SYMBOLS)
    return 0


def finish(captures: list[Path], out: Path, digest: str) -> None:
    assert reconstruct(captures, out, SETTINGS, resume=True)["digest"] == digest
    assert dataset_digest(open_dataset(out)) == digest


@deep
def test_the_whole_tree_killed_at_random_times(captures: list[Path], tmp_path: Path, digest: str) -> None:
    dice = random.Random(11)
    landed, begun = 0, 0
    for number in range(KILLS):
        out = tmp_path / str(number) / "out"
        out.parent.mkdir()
        run = Run(captures, out)
        run.await_workers(1)
        if number % 2:
            until(lambda out=out, run=run: commits(out) > 0 or run.process.poll() is not None)  # type: ignore[misc]
            time.sleep(dice.uniform(0, 0.3))
        else:
            time.sleep(dice.uniform(0, 2.5))
        tree = [*run.workers(), run.process.pid]
        dice.shuffle(tree)
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        landed += run.kill()
        begun += commits(out) > 0
        finish(captures, out, digest)
    assert landed > KILLS // 2
    assert begun > KILLS // 4


def test_workers_die_with_their_parent(captures: list[Path], tmp_path: Path, digest: str) -> None:
    run = Run(captures, tmp_path / "out")
    workers = run.await_workers()
    assert len(workers) == 3
    assert run.kill()
    until(lambda: not any(is_alive(pid) for pid in workers), 5)
    finish(captures, tmp_path / "out", digest)


def test_a_worker_that_is_killed_is_started_again_and_the_others_go_on(
    captures: list[Path], tmp_path: Path, digest: str
) -> None:
    run = Run(captures, tmp_path / "out")
    victim, *others = run.await_workers()
    os.kill(victim, signal.SIGKILL)
    until(lambda: not is_alive(victim))
    alive_after = [pid for pid in others if is_alive(pid)]
    status, told, _ = run.end()
    assert (status, told["digest"]) == (0, digest)
    assert dataset_digest(open_dataset(tmp_path / "out")) == digest
    assert alive_after == others


@deep
@pytest.mark.parametrize("is_mixed", [False, True])
def test_a_worker_that_is_stopped_holds_nobody_up_is_killed_and_started_again(
    is_mixed: bool, captures: list[Path], tmp_path: Path
) -> None:
    out, sources = tmp_path / "out", [mixed(tmp_path / "mixed.gz", captures)] if is_mixed else captures
    run = Run(sources, out, stall_ms=12_000, patience_ms=500)
    victim, *_ = run.await_workers()
    os.kill(victim, signal.SIGSTOP)
    until(lambda: len(list(out.glob("chains/*.json"))) == 2, 11)
    assert is_alive(victim), "the others were done before anything was done about it"
    until(lambda: not is_alive(victim), 30)
    status, told, err = run.end()
    assert status == 0, err
    assert told["digest"] == reconstruct(sources, tmp_path / "alone", SETTINGS)["digest"]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=deep)])
def test_the_first_signal_lets_workers_commit(
    number: signal.Signals, captures: list[Path], tmp_path: Path, digest: str
) -> None:
    out = tmp_path / "out"
    run = Run(captures, out)
    until(lambda: commits(out) > 0 or run.process.poll() is not None)
    workers = run.workers()
    run.process.send_signal(number)
    status, told, err = run.end()
    assert (status, told) == (3, {})
    assert "--resume" in err
    assert "Traceback" not in err
    assert not any(is_alive(pid) for pid in workers)
    finish(captures, out, digest)


def test_the_second_signal_ends_all_at_once(captures: list[Path], tmp_path: Path, digest: str) -> None:
    out = tmp_path / "out"
    run = Run(captures, out)
    workers = run.await_workers()
    for pid in workers:
        # Stopped, none can come to the end of its epoch.
        os.kill(pid, signal.SIGSTOP)
    run.process.send_signal(signal.SIGTERM)
    time.sleep(0.7)
    assert run.process.poll() is None
    run.process.send_signal(signal.SIGTERM)
    before = time.monotonic()
    status, _, err = run.end()
    # By itself nothing would end them before they count as stalled.
    assert (status, time.monotonic() - before < Settings().stall_ms / 2_000) == (3, True), err
    assert not any(is_alive(pid) for pid in workers)
    finish(captures, out, digest)


def test_draining_has_an_end(captures: list[Path], tmp_path: Path) -> None:
    run = Run(captures, tmp_path / "out", drain_ms=800)
    for pid in run.await_workers():
        os.kill(pid, signal.SIGSTOP)
    run.process.send_signal(signal.SIGINT)
    before = time.monotonic()
    status, _, _ = run.end()
    assert (status, time.monotonic() - before < 4) == (3, True)


@pytest.fixture
def cage() -> Iterator[Path]:
    """A control group that holds little memory."""
    folder = CGROUP / f"rlx-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(30 << 20))
    except OSError as error:
        pytest.skip(f"needs a memory control group (version 1) that may be made here: {error}")
    yield folder
    until(lambda: not (folder / "tasks").read_text().strip(), 10)
    folder.rmdir()


def test_a_worker_that_the_system_kills_for_memory_is_started_again(
    cage: Path, captures: list[Path], tmp_path: Path, digest: str
) -> None:
    out = tmp_path / "out"
    run = Run(captures, out)
    victim, *others = run.await_workers()
    (cage / "tasks").write_text(str(victim))
    (cage / "cgroup.procs").write_text(str(victim))
    until(lambda: not is_alive(victim))
    kills = (cage / "memory.oom_control").read_text()
    alive_after = [pid for pid in others if is_alive(pid)]
    status, told, err = run.end()
    assert "oom_kill 1" in kills
    assert (status, told.get("digest")) == (0, digest), err
    assert alive_after == others


def test_these_settings_commit_often() -> None:
    assert SETTINGS.epoch_events < Settings().epoch_events
