"""The recorder killed at any time: every id is in one recorded message or in one declared gap."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.capture.account import ListRecorder, account, doubled_payloads
from tests.cli.live_exchange import STREAMS, Trading, trading
from tests.depth import deep

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.store.capture_files import CaptureFolder
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.store.keys import KeyRing, add_key, read_key_file

RLX = Path(sys.executable).with_name("rlx")
KILLS = int(os.environ.get("RLX_TEST_KILLS", "3"))
_KINDS = {
    "!gap": RecordKind.GAP,
    "!note": RecordKind.NOTE,
    "!open": RecordKind.OPEN,
    "!close": RecordKind.CLOSE,
}


def recorded(folder: Path, keys: KeyRing | None = None) -> ListRecorder:
    """All that a capture folder holds, read from its lines."""
    found = ListRecorder()
    capture = CaptureFolder(folder, keys)
    for file in capture.files():
        for line in capture.open_lines(file):
            told = json.loads(line)
            kind = _KINDS.get(told["stream"], RecordKind.MESSAGE)
            data = line[line.index(b',"data":') + 8 : line.rindex(b"}")]
            head = f'{{"stream":"{told["stream"]}","data":'.encode()
            payload = head + data + b"}" if kind is RecordKind.MESSAGE else data
            found.record(
                Arrival(
                    kind,
                    told["connection"],
                    told["stream"],
                    payload,
                    told["capture_ns"],
                    told["monotonic_ns"],
                )
            )
    return found


def start(market: Trading, out: Path, *options: str | Path) -> subprocess.Popen[bytes]:
    what = ["--symbols", "BTCUSDT", "--streams", "trade,depth,bookTicker", "--out", str(out)]
    command = [str(RLX), "capture", "run", *what, *market.addresses, *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill(process: subprocess.Popen[bytes]) -> None:
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("is_encrypted", [pytest.param(False, marks=deep), True])
def test_after_any_kill_messages_and_gaps_account_for_every_id(tmp_path: Path, is_encrypted: bool) -> None:
    dice, out, options = random.Random(5), tmp_path / "capture", list[str | Path]()
    keys = None
    if is_encrypted:
        key_file = tmp_path / "keys"
        add_key(key_file, "first")
        keys, options = read_key_file(key_file), ["--key-file", key_file]
    with trading() as market:
        for number in range(KILLS):
            process = start(market, out, *options)
            if number % 3 < 2:
                # While it records; every third one while it starts, and seals what the last one left.
                until(lambda: market.listeners > 0)
                time.sleep(dice.uniform(0.05, 0.6))
            else:
                time.sleep(dice.uniform(0.5, 1.5))
            kill(process)
            until(lambda: market.listeners == 0)
        process = start(market, out, *options, "--duration", "4", "--json")
        told, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert json.loads(told)["stopped_by"] == "duration"
    recorder = recorded(out, keys)
    for stream in STREAMS[:2]:
        found = account(recorder, stream)
        assert not found.doubled
        assert not found.unaccounted
        assert found.messages > 100
    assert not doubled_payloads(recorder, STREAMS)
    gaps = recorder.told(RecordKind.GAP)
    for stream in STREAMS:
        restarts = sum(gap["stream"] == stream and gap["reason"] == "restart" for gap in gaps)
        assert KILLS * 2 // 3 <= restarts <= KILLS
