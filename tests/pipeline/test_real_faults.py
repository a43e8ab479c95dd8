"""The real command under real faults: a full disk, system calls that fail, a second writer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cli.door import RLX
from tests.depth import deep
from tests.pipeline.captures import IN_PROCESSES as SETTINGS
from tests.pipeline.test_process_tree import Run, is_alive, until

from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.store.dataset import dataset_digest, open_dataset

FULL = """
mount -t tmpfs -o size={size} tmpfs {disk} || exit 99
"$@" --out {disk}/out 2>{said}; first=$?
mount -o remount,size=256m {disk}
"$@" --out {disk}/out --resume --json >{told} || exit 98
exit $first
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    toml = tmp_path / "settings.toml"
    names = ("batch_rows", "epoch_events", "keyframe_events", "horizon_ms", "restart_ms", "probe_ms")
    toml.write_text("".join(f"{name} = {getattr(SETTINGS, name)}\n" for name in names))
    return toml


@pytest.mark.parametrize("size", ["900k"])
def test_a_full_disk_is_one_sentence_and_with_room_it_goes_on(
    size: str, captures: list[Path], settings: Path, tmp_path: Path, digest: str
) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace of its own (unshare -rm)")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = FULL.format(size=size, disk=disk, said=tmp_path / "said", told=tmp_path / "told")
    command: list[str | Path] = [RLX, "reconstruct", *captures, "--config", settings, "--workers", "3"]
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", *command], timeout=120, check=False)
    said = (tmp_path / "said").read_text()
    assert done.returncode == 3, said
    assert "No space left on device" in said
    assert "--resume" in said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if not line.startswith("compiling")]) == 1
    assert json.loads((tmp_path / "told").read_text())["digest"] == digest


@deep
@pytest.mark.parametrize("call", ["fsync", "write", "close"])
def test_a_call_of_the_system_that_fails_stops_the_run_and_it_goes_on(
    call: str, captures: list[Path], settings: Path, tmp_path: Path, digest: str
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    out = tmp_path / "out"
    day = out / "events" / "exchange=BINANCE" / "symbol=ETHUSDT" / "date=2024-08-08"
    fault: list[str | Path] = [
        "-P",
        day / ".epoch-0000000002.parquet.partial",
        "-e",
        f"inject={call}:error=EIO:when=1",
    ]
    command: list[str | Path] = [RLX, "reconstruct", *captures, "--out", out, "--config", settings]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", *fault, *command, "--workers", "3"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert ("error closing file" if call == "close" else "Input/output error") in done.stderr
    assert "Traceback" not in done.stderr
    finished = {path.name for path in (out / "chains").iterdir()}
    assert finished == {"BINANCE+BTCUSDT.json", "BINANCE+SOLUSDT.json"}, "the others were not disturbed"
    assert reconstruct(captures, out, SETTINGS, resume=True)["digest"] == digest
    assert dataset_digest(open_dataset(out)) == digest


def test_a_second_writer_is_refused_at_once_with_the_pid_of_the_first(
    captures: list[Path], tmp_path: Path, digest: str
) -> None:
    out = tmp_path / "out"
    first = Run(captures, out)
    stopped = [*first.await_workers(), first.process.pid]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        status, told, err = Run(captures, out).end()
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert (status, told) == (2, {})
    assert f"is being written by another process (pid {first.process.pid})" in err
    status, told, err = first.end()
    assert (status, told["digest"]) == (0, digest), err


def test_all_workers_killed_together_recover_each_by_itself(
    captures: list[Path], tmp_path: Path, digest: str
) -> None:
    run = Run(captures, tmp_path / "out")
    victims = run.await_workers()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(is_alive(pid) for pid in victims))
    status, told, err = run.end()
    assert (status, told["digest"]) == (0, digest), err


def test_the_faults_are_where_they_should_be(captures: list[Path], tmp_path: Path) -> None:
    """The file that the failing calls are aimed at is one that a run writes."""
    out = tmp_path / "out"
    told: dict[str, Any] = reconstruct(captures[1:2], out, SETTINGS)
    assert told["chains"][0]["symbol"] == "ETHUSDT"
    assert list(out.glob("events/exchange=BINANCE/symbol=ETHUSDT/date=2024-08-08/epoch-0000000002.parquet"))
