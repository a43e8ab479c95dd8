"""Capture files hold the lines that were written, packed or not, and the same bytes for the same lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlx_datapipe.ingestion.lines import read_frames
from rlx_datapipe.simulation.capture_file import read_capture, write_capture

LINES = [b'%d {"u": %d}' % (1_723_161_570_000_000_000 + number, number) for number in range(2_000)]


@pytest.mark.parametrize("suffix", [".txt", ".gz", ".zst"])
def test_lines_come_back_and_are_the_same_bytes_each_time(suffix: str, tmp_path: Path) -> None:
    one, other = (tmp_path / f"{name}{suffix}" for name in ("one", "other"))
    assert write_capture(LINES, one) == write_capture(iter(LINES), other) == len(LINES)
    assert list(read_capture(one)) == LINES
    assert one.read_bytes() == other.read_bytes()
    assert (one.stat().st_size < sum(map(len, LINES)) / 2) == (suffix != ".txt")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_the_line_reads_what_was_packed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"capture{suffix}"
    write_capture(LINES, path)
    [(frames, rejects, _)] = read_frames(path, 5_000)
    assert not rejects
    assert len(frames.rows) == len(LINES)


def test_a_file_in_the_way_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "capture.zst"
    write_capture(LINES, path)
    write_capture(LINES[:3], path)
    assert list(read_capture(path)) == LINES[:3]
