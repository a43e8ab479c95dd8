"""A capture whose process was killed: told as such, and sealed by a command without a restart."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.capture.scripted import recorder, trade, trades
from tests.cli.door import rlx

from rlx_datapipe.pipeline.capture_report import report_capture
from rlx_datapipe.store.keys import add_key, read_key_file

DIES = """
import os, signal, sys
from pathlib import Path
from tests.capture.scripted import recorder, trade
from rlx_datapipe.capture.limits import RecorderLimits
from rlx_datapipe.store.keys import read_key_file
limits = RecorderLimits(ballast_bytes=0, resume_bytes=0)
keys = read_key_file(Path(sys.argv[2])) if sys.argv[2:] else None
into = recorder(Path(sys.argv[1]), keys, limits=limits)
for number in range(12):
    into.record(trade(number))
into.tick_now()
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, *key_file: Path) -> Path:
    """A capture of twelve trades whose process was killed."""
    done = subprocess.run([sys.executable, "-c", DIES, folder, *key_file], check=False)
    assert done.returncode == -signal.SIGKILL
    return folder


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    return killed(tmp_path / "capture")


def test_who_looks_into_a_dead_capture_is_told_what_to_do(dead: Path, tmp_path: Path) -> None:
    said = rlx("capture", "inspect", dead)
    assert said.status == 0
    assert "left open, 0 segments" in said.out
    assert f"nobody writes it: seal what it left by: rlx capture seal {dead}" in said.out
    said = rlx("reconstruct", dead, "--out", tmp_path / "dataset")
    assert said.status == 2
    assert f"rlx capture seal {dead}" in said.err
    assert "Wait for" not in said.err


def test_it_is_sealed_once_and_whole(dead: Path) -> None:
    said = rlx("capture", "seal", dead, "--json")
    assert said.status == 0, said.err
    # The trades, and the note that a dead process was recovered from.
    assert said.json()["records"] == 13
    assert trades(dead) == list(range(12))
    assert report_capture(dead)["state"] == "finished"
    before = sorted((dead / "segments").iterdir())
    again = rlx("capture", "seal", dead)
    assert (again.status, again.out) == (0, "")
    assert again.err.startswith("nothing was open in")
    assert sorted((dead / "segments").iterdir()) == before


def test_a_later_start_goes_on_behind_it(dead: Path) -> None:
    rlx("capture", "seal", dead)
    into = recorder(dead)
    assert into.last_ids == {"btcusdt@trade": 11}
    into.record(trade(12))
    into.close()
    assert trades(dead) == list(range(13))


def test_a_capture_that_is_written_is_left_alone(tmp_path: Path) -> None:
    into = recorder(tmp_path / "capture")
    into.record(trade(0))
    said = rlx("capture", "seal", tmp_path / "capture")
    assert said.status == 2
    assert "is being written by another process" in said.sentence()
    assert report_capture(tmp_path / "capture")["state"] == "being written"
    into.close()
    assert trades(tmp_path / "capture") == [0]


def test_an_encrypted_one_needs_its_key(tmp_path: Path) -> None:
    add_key(tmp_path / "keys")
    dead = killed(tmp_path / "capture", tmp_path / "keys")
    said = rlx("capture", "seal", dead)
    assert said.status == 2
    assert "is encrypted (key id k1). Give its key by --key-file" in said.sentence()
    said = rlx("capture", "seal", dead, "--key-file", tmp_path / "keys")
    assert said.status == 0, said.err
    assert trades(dead, read_key_file(tmp_path / "keys")) == list(range(12))


def test_what_is_no_capture_is_told(tmp_path: Path) -> None:
    said = rlx("capture", "seal", tmp_path)
    assert said.status == 2
    assert "is no capture" in said.sentence()
    assert list(tmp_path.iterdir()) == []
