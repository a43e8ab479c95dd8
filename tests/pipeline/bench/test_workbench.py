"""The workbench makes its input once, and the same for the same seed."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.bench.workbenches import small

from rlx_datapipe.core.memory import peak_bytes
from rlx_datapipe.simulation.capture_file import read_capture


def test_an_archive_is_made_once_and_again_when_it_was_dropped(tmp_path: Path) -> None:
    said: list[str] = []
    bench = small(tmp_path)
    bench.on_step = said.append
    one = bench.archive(500, levels=50)
    assert bench.archive(500, levels=50) == one
    assert bench.archive(500, levels=60) != one
    bench.drop(one)
    assert not one.exists()
    assert bench.archive(500, levels=50).exists()
    assert len(said) == 3


def test_the_capture_has_as_many_messages_as_were_asked_for(tmp_path: Path) -> None:
    captures = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        captures.append(small(tmp_path / name, messages=2_500).capture)
    assert len(list(read_capture(captures[0]))) == 2_500
    assert captures[0].read_bytes() == captures[1].read_bytes()


def test_the_peak_of_a_run_is_not_that_of_its_parent(tmp_path: Path) -> None:
    bench = small(tmp_path)
    held = bytearray(800_000_000)
    held[::4096] = b"x" * len(held[::4096])
    told = bench.run(bench.archive(2_000, levels=50))
    assert told["peak_rss_bytes"] < len(held) < peak_bytes()
