"""A download that is killed goes on at the byte: equal at the end, and nothing entered is asked for again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.acquisition.bucket import KEYS, Bucket, arrived, blobs
from tests.acquisition.fault_proxy import FaultProxy, proxied
from tests.depth import DEEP

from rlx_datapipe.acquisition.partial import journal_of

KILLS = int(os.environ.get("RLX_TEST_KILLS", "20"))
SIZES = (7_000_003, 1, 2_500_000)
PARTS = 3
LONGEST = {1: 1_250_000, 64: 3_500_002}
"""Of requests, by the bound in MB that they are held to: half of the last file, or of the first."""
PARENT = """
import os, signal, sys
from pathlib import Path
import msgspec
from rlx_datapipe.acquisition.acquire import fetch
from rlx_datapipe.core.crash import arm
from tests.acquisition.bucket import QUICK, prepared

def download(longest_mb, url, endpoint, staging):
    settings = msgspec.structs.replace(QUICK, endpoint=endpoint, parts=3, part_mb_max=int(longest_mb))
    outcome = fetch(prepared(url, Path(staging), settings))
    assert not outcome.failed, outcome.failed

for line in sys.stdin:
    point, passing, *arguments = line.rstrip("\\n").split("|")
    child = os.fork()
    if not child:
        if point:
            arm(point, int(passing))
        download(*arguments)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Downloads:
    """Downloads, each in a process of its own; forked from one that has imported all, for speed."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", PARENT]
        self._parent = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | KEYS
        )

    def begin(self, url: str, endpoint: str, staging: Path, at: str = ":", longest_mb: int = 64) -> int:
        """Start one, to be killed at a point if one is named; its process id."""
        point, _, passing = at.partition(":")
        assert self._parent.stdin
        self._parent.stdin.write(f"{point}|{passing}|{longest_mb}|{url}|{endpoint}|{staging}\n")
        self._parent.stdin.flush()
        return self._told()

    def ended(self) -> int:
        """Exit status of the one that was started; below zero the signal that killed it."""
        return self._told()

    def close(self) -> None:
        """No more."""
        self._parent.communicate(timeout=60)

    def _told(self) -> int:
        assert self._parent.stdout
        return int(self._parent.stdout.readline())


@pytest.fixture(scope="module")
def downloads() -> Iterator[Downloads]:
    started = Downloads()
    yield started
    started.close()


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


@pytest.mark.parametrize("longest_mb", LONGEST if DEEP else [1])
def test_killed_at_twenty_points_it_asks_for_no_byte_again_that_was_entered(
    longest_mb: int, bucket: Bucket, downloads: Downloads, tmp_path: Path
) -> None:
    wanted = blobs(SIZES, tmp_path / "archive")
    bucket.fill(tmp_path / "archive")
    staging, total = tmp_path / "staging", sum(SIZES)
    killed = asked = asked_again = 0
    with proxied(FaultProxy(bucket.address)) as proxy:
        for number in range(KILLS + 5):
            before, seen = held(staging, list(wanted)), len(proxy.answers)
            due = proxy.sent_bytes + total // (KILLS + 3) if number < KILLS else 10**12
            child = downloads.begin(bucket.url, proxy.url, staging, longest_mb=longest_mb)

            def strike(sent: int, due: int = due, child: int = child) -> None:
                if sent >= due:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)

            proxy.on_sent = strike
            status = downloads.ended()
            proxy.on_sent = lambda _: None
            proxy.settle()
            killed += status == -signal.SIGKILL
            for path, stretches in before.items():
                answers = [one for one in proxy.answers[seen:] if one.path.endswith(path)]
                asked += len(answers)
                asked_again += overlap([(one.start, one.end) for one in answers], stretches)
            if status == 0:
                break
            assert status == -signal.SIGKILL
    assert killed >= min(KILLS, 15)
    assert asked > killed
    assert asked_again == 0
    assert arrived(staging) == wanted
    # What lay in sockets when a process died comes once more: never more than the parts in flight.
    twice = sum(one.sent for one in proxy.answers) - total
    assert max(one.end - one.start for one in proxy.answers) <= LONGEST[longest_mb]
    assert 0 <= twice <= killed * PARTS * LONGEST[longest_mb]


@pytest.mark.parametrize("at", ["piece written:3", "piece entered:5", "file fetched:2", "change recorded:1"])
def test_killed_at_a_point_of_its_own_work_it_goes_on(
    at: str, bucket: Bucket, downloads: Downloads, tmp_path: Path
) -> None:
    wanted = blobs((300_000, 200_000), tmp_path / "archive")
    bucket.fill(tmp_path / "archive")
    staging = tmp_path / "staging"
    downloads.begin(bucket.url, bucket.endpoint, staging, at)
    assert downloads.ended() == -signal.SIGKILL
    downloads.begin(bucket.url, bucket.endpoint, staging)
    assert downloads.ended() == 0
    assert arrived(staging) == wanted
    # Nothing is left beside the files.
    assert [path for path in (staging / "raw").rglob(".*") if path.is_file()] == []
