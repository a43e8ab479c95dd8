"""A full disk: nothing is lost without being told, and with room again the capture goes on by itself."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.capture.scripted import BEGIN_NS, RING, lines, recorder, trade, trades

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.disk_full import BALLAST, DiskFull
from rlx_datapipe.capture.limits import RecorderLimits
from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.store.frames import RecordKind

ROOT = Path(__file__).parents[2]
DISKS = [f"size={4096 * pages}" for pages in range(9, 21)] + [f"size=4m,nr_inodes={n}" for n in range(11, 20)]
RUNS = [f"{disk}/{rotate_bytes}" for disk in DISKS for rotate_bytes in (9_000, 12_000, 15_500)]
RUNS += [f"{disk}/12000/threads" for disk in DISKS]


def accounted(found: list[int], gaps: list[dict[str, Any]]) -> list[int]:
    """Every id that is there or declared missing, in order."""
    missing = [number for gap in gaps for number in range(gap["from_id"], gap["to_id"] + 1)]
    return sorted(found + missing)


def test_on_small_disks_every_id_is_there_or_declared(tmp_path: Path) -> None:
    """F13 on a real file system: full of bytes or of names, at many sizes, whatever is hit."""
    own = next((c for c in (["unshare", "-m"], ["unshare", "-rm"]) if _allowed([*c, "true"])), None)
    if own is None:
        pytest.skip("no right to mount a tmpfs, neither as root nor in a user namespace")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(
        [*own, sys.executable, "-m", "tests.capture.full_disk", tmp_path, *RUNS],
        capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=ROOT,
    )  # fmt: skip
    if "permission denied" in done.stderr:
        pytest.skip("no right to mount a tmpfs")
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    started = [told for told in runs if "error" not in told]
    assert len(started) > len(RUNS) * 3 // 4, runs
    assert all("No space left on device" in told["error"] for told in runs if "error" in told), runs
    hit = [told for told in started if told["full_since"] >= 0]
    assert len(hit) > 40, [told["full_since"] for told in started]
    assert {told["has_failed"] for told in hit} == {True, False}, "in the midst of a rotation, and elsewhere"
    for told in started:
        assert accounted(told["trades"], told["gaps"]) == list(range(400)), told
        assert told["open"] == [".lock"], "all is sealed in the end"
    assert all(1 <= told["lost"] < 60 for told in hit)


def _allowed(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


Refuse = Callable[[bool], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Switch a disk to full, at which it takes a part of a write, and to empty again."""
    real, is_full = os.write, [False]

    def write(handle: int, content: Any) -> int:
        if is_full[0]:
            if len(content) > 40:
                return real(handle, bytes(content[:40]))
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, content)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(DiskFull, "has_room", lambda self: not is_full[0])

    def switch(full: bool) -> None:
        is_full[0] = full

    return switch


def test_what_a_full_disk_took_of_a_write_is_taken_back(tmp_path: Path, refuse: Refuse) -> None:
    """The record itself is not lost: it waits, and comes before the gap."""
    into = recorder(tmp_path / "c", RING)
    into.record(trade(0))
    refuse(True)
    for number in (1, 2, 3):
        into.record(trade(number))
        into.tick_now()
    assert into.status.state == "disk full"
    assert trades(tmp_path / "c", RING) == [0]
    refuse(False)
    into.tick_now()
    assert into.status.state == "recording"
    into.record(trade(4))
    into.close()
    held = lines(tmp_path / "c", RING)
    assert [line["data"].get("t") for line in held] == [0, 1, None, 4]
    assert held[2]["data"] == {
        "stream": "btcusdt@trade",
        "from_id": 2,
        "to_id": 3,
        "reason": "disk full",
        "records": 2,
    }


def test_what_happened_meanwhile_is_kept_and_each_stream_has_its_gap(tmp_path: Path, refuse: Refuse) -> None:
    into = recorder(tmp_path / "c")
    refuse(True)
    into.record(trade(0))
    into.record(trade(1))
    into.record(Arrival(RecordKind.SNAPSHOT, 0, "btcusdt@snapshot", b"{}", BEGIN_NS, 5))
    close = b'{"reason":"cut"}'
    into.record(Arrival(RecordKind.CLOSE, 1, "!close", close, BEGIN_NS, 5))
    gap = b'{"stream":"btcusdt@trade","from_id":2,"to_id":7,"reason":"reconnect"}'
    into.record(Arrival(RecordKind.GAP, 1, "!gap", gap, BEGIN_NS, 5))
    refuse(False)
    into.tick_now()
    into.close()
    held = lines(tmp_path / "c")
    assert [line["stream"] for line in held] == ["btcusdt@trade", "!close", "!gap", "!gap", "!gap"]
    assert [line["data"]["stream"] for line in held[2:]] == [
        "btcusdt@trade",
        "btcusdt@snapshot",
        "btcusdt@trade",
    ]
    assert held[3]["data"]["from_id"] is None


def test_a_disk_that_fills_again_while_it_goes_on_loses_no_gap(tmp_path: Path, refuse: Refuse) -> None:
    into = recorder(tmp_path / "c")
    number = 0
    for _ in range(6):
        refuse(True)
        for _ in range(4):
            into.record(trade(number))
            into.tick_now()
            number += 1
        refuse(False)
        into.tick_now()
        into.record(trade(number))
        number += 1
    into.close()
    held = lines(tmp_path / "c")
    gaps = [line["data"] for line in held if line["stream"] == "!gap"]
    assert len(gaps) == 6
    assert accounted(trades(tmp_path / "c"), gaps) == list(range(number))


def test_the_ballast_is_given_back_and_made_again(tmp_path: Path, refuse: Refuse) -> None:
    into = recorder(tmp_path / "c", limits=RecorderLimits(ballast_bytes=8_192))
    ballast = tmp_path / "c" / BALLAST
    assert ballast.stat().st_blocks * 512 >= 8_192
    refuse(True)
    into.record(trade(0))
    assert not ballast.exists()
    refuse(False)
    into.tick_now()
    assert ballast.stat().st_size == 8_192
    into.close()


def test_a_capture_that_ends_on_a_full_disk_says_what_is_not_declared(tmp_path: Path, refuse: Refuse) -> None:
    into = recorder(tmp_path / "c")
    into.record(trade(0))
    refuse(True)
    for number in (1, 2, 3):
        into.record(trade(number))
    with pytest.raises(OutputError, match="on a disk that is full: what arrived since is lost") as caught:
        into.close()
    assert caught.value.facts["records"] == 3
    refuse(False)
    again = recorder(tmp_path / "c")
    assert again.last_ids == {"btcusdt@trade": 0}, "from here the gap is declared"
    again.close()


def test_what_is_kept_in_memory_is_bounded(tmp_path: Path) -> None:
    full = DiskFull(tmp_path, 0, 0)
    for number in range(100_200):
        full.lose(Arrival(RecordKind.NOTE, 0, "!note", b"{}", number, number))
        full.lose(trade(number))
    told = full.end(0, 0)
    assert len(told) == 100_001
    assert json.loads(told[-1].payload)["records"] == full.lost_records == 100_200
