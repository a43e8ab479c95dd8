"""A download that is killed goes on at the byte: equal at the end, and nothing entered is asked for again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.acquisition.bucket import KEYS, Bucket, arrived, blobs
from tests.acquisition.fault_proxy import FaultProxy, proxied

from rlx_datapipe.acquisition.partial import journal_of

KILLS = int(os.environ.get("RLX_TEST_KILLS", "20"))
SIZES = (7_000_003, 1, 2_500_000)
PARTS, PART = 3, 1_000_000
CHILD = """
import os, sys
from pathlib import Path
from tests.acquisition.bucket import QUICK, prepared
from rlx_datapipe.acquisition.acquire import fetch
import msgspec
url, endpoint, staging = sys.argv[1:]
settings = msgspec.structs.replace(QUICK, endpoint=endpoint, parts=3)
if "KILL_AT" in os.environ:
    from rlx_datapipe.core.crash import arm

    point, passing = os.environ["KILL_AT"].split(":")
    arm(point, int(passing))
outcome = fetch(prepared(url, Path(staging), settings))
assert not outcome.failed, outcome.failed
"""


def overlap(stretches: list[tuple[int, int]], others: list[tuple[int, int]]) -> int:
    """Bytes that lie in both."""
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in stretches for b in others)


def held(staging: Path, paths: list[str]) -> dict[str, list[tuple[int, int]]]:
    """What is here of each file: whole ones, and what the journals say of the others."""
    found = {}
    for path in paths:
        whole = staging / "raw" / path
        journal = journal_of(whole.with_name(f".{whole.name}.partial"))
        lines = journal.read_text().splitlines()[1:] if journal.exists() else []
        entries = [json.loads(line) for line in lines if line.endswith("]")]
        entered = [(at, at + length) for at, length, _ in entries]
        found[path] = [(0, whole.stat().st_size)] if whole.exists() else entered
    return found


def test_killed_at_twenty_points_it_asks_for_no_byte_again_that_was_entered(
    bucket: Bucket, tmp_path: Path
) -> None:
    wanted = blobs(SIZES, tmp_path / "archive")
    bucket.fill(tmp_path / "archive")
    staging, total = tmp_path / "staging", sum(SIZES)
    environment = os.environ | KEYS
    killed = asked = asked_again = 0
    with proxied(FaultProxy(bucket.address)) as proxy:
        command = [sys.executable, "-c", CHILD, bucket.url, proxy.url, str(staging)]
        for number in range(KILLS + 5):
            before, seen = held(staging, list(wanted)), len(proxy.answers)
            child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
            due = proxy.sent_bytes + total // (KILLS + 3) if number < KILLS else 2 * total + 10**9

            def strike(sent: int, due: int = due, pid: int = child.pid) -> None:
                if sent >= due:
                    os.kill(pid, signal.SIGKILL)

            proxy.on_sent = strike
            _, told = child.communicate(timeout=60)
            proxy.on_sent = lambda _: None
            proxy.settle()
            killed += child.returncode == -signal.SIGKILL
            for path, stretches in before.items():
                answers = [one for one in proxy.answers[seen:] if one.path.endswith(path)]
                asked += len(answers)
                asked_again += overlap([(one.start, one.end) for one in answers], stretches)
            if child.returncode == 0:
                break
            assert child.returncode == -signal.SIGKILL, told.decode()
    assert killed >= min(KILLS, 15)
    assert asked > killed
    assert asked_again == 0
    assert arrived(staging) == wanted
    # What lay in sockets when a process died comes once more: never more than the parts in flight.
    twice = sum(one.sent for one in proxy.answers) - total
    assert 0 <= twice <= killed * PARTS * PART


@pytest.mark.parametrize("at", ["piece written:3", "piece entered:5", "file fetched:2", "change recorded:1"])
def test_killed_at_a_point_of_its_own_work_it_goes_on(at: str, bucket: Bucket, tmp_path: Path) -> None:
    wanted = blobs((300_000, 200_000), tmp_path / "archive")
    bucket.fill(tmp_path / "archive")
    staging = tmp_path / "staging"
    command = [sys.executable, "-c", CHILD, bucket.url, bucket.endpoint, str(staging)]
    killed = subprocess.run(command, env=os.environ | KEYS | {"KILL_AT": at}, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    subprocess.run(command, env=os.environ | KEYS, timeout=60, check=True)
    assert arrived(staging) == wanted
    # Nothing is left beside the files.
    assert [path for path in (staging / "raw").rglob(".*") if path.is_file()] == []
