"""Without a terminal a long run says now and then how far it is."""

from __future__ import annotations

import pytest

from rlx_datapipe.cli.progress import _PlainLines
from rlx_datapipe.pipeline.watching import Progress


def test_a_line_comes_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter([0.0, 1.0, 9.9, 10.0, 10.0, 15.0, 20.1, 20.1])
    lines = _PlainLines(lambda: next(moments))
    for symbol, done in (("A", 10), ("B", 20), ("A", 100), ("B", 50), ("B", 100)):
        lines.show(Progress("X", symbol, done, 100, 7 * done))
    assert capsys.readouterr().err.splitlines() == [
        "60% read, 840 events, 1 of 2 symbols read",
        "100% read, 1,400 events, 2 of 2 symbols read",
    ]


def test_a_source_that_grows_is_never_read_beyond_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter([0.0, 10.0, 10.0])
    _PlainLines(lambda: next(moments)).show(Progress("X", "A", 169, 100, 7))
    assert capsys.readouterr().err.splitlines() == ["100% read, 7 events"]
