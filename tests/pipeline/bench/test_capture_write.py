"""`rlx bench capture_write` measures the disk half of a capture, encrypted where it can be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.bench import capture_write
from rlx_datapipe.pipeline.bench.capture_write import measure


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_write, "_PACED_S", 0.5)


def test_recording_and_sealing_are_measured_apart(tmp_path: Path) -> None:
    measured = measure(small(tmp_path))
    figures = named(measured.figures)
    assert list(figures) == [
        "capture, received, encrypted",
        "capture, sealed, encrypted",
        "capture, wait for the disk at 20,000/s, P95",
    ]
    received, sealed, wait = figures.values()
    assert received.detail["messages"] == sealed.detail["messages"] > 2_000
    assert measured.told["received_us"] == pytest.approx(received.detail["us_a_message"])
    assert 0 < wait.detail["p50_ms"] <= wait.figure <= wait.detail["p99_ms"]
    assert wait.detail["syncs"] >= 3
    assert not list(tmp_path.rglob("*.partial"))


def test_without_the_extra_it_says_that_nothing_is_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    measured = measure(small(tmp_path))
    assert measured.told["is_encrypted"] is False
    assert [figure.claim for figure in measured.figures][1] == "capture, sealed, not encrypted"


def test_what_has_no_messages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="there are no messages to record"):
        measure(small(tmp_path, messages=10))
