"""A process of ours is started with the variables that suit it, unless the user has set them."""

from __future__ import annotations

import sys
import time

import pytest

from rlx_datapipe.pipeline.child import Child

_TELL = """
import os, sys
os.write(int(sys.argv[-3]), os.environ["NUMPY_MADVISE_HUGEPAGE"].encode() + b"\\n")
"""


def told() -> bytes:
    child = Child([sys.executable, "-c", _TELL], b"{}\n")
    until = time.monotonic() + 60
    lines: list[bytes] = []
    while not lines and time.monotonic() < until:
        time.sleep(0.01)
        lines = child.lines()
    child.kill()
    child.close()
    return lines[0]


def test_pages_are_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMPY_MADVISE_HUGEPAGE", raising=False)
    assert told() == b"0"


def test_the_users_own_setting_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMPY_MADVISE_HUGEPAGE", "1")
    assert told() == b"1"
