"""A recording that changes while it is read makes no dataset that claims to come from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.pipeline.conftest import Bench


@pytest.fixture
def original(bench: Bench) -> Iterator[bytes]:
    content = bench.capture.read_bytes()
    yield content
    bench.capture.write_bytes(content)


@pytest.mark.parametrize("act", ["shrink", "grow", "change", "replace"])
@pytest.mark.parametrize("at", [1, 9])
def test_a_changed_recording_is_noticed(act: str, at: int, bench: Bench, original: bytes) -> None:
    told = bench.suffer(act=f"{act} source", at=at, at_bytes=len(original) // 2)
    assert told["status"] == 2, told
    assert told["said"].startswith(f"{bench.capture}: changed while it was being read")
    assert told["commits"] < 6


def test_a_recording_that_goes_away(bench: Bench, original: bytes) -> None:
    told = bench.suffer(act="remove source", at=5)
    assert (told["status"], told["said"].startswith(f"{bench.capture}: can't be read")) == (2, True), told
