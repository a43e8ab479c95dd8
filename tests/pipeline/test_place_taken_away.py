"""The place of a dataset is forbidden, frozen, removed or out of handles in the middle of a run."""

from __future__ import annotations

import pytest
from tests.pipeline.conftest import Bench


@pytest.mark.parametrize("at", [1, 4, 7, 16])
def test_read_only_in_the_middle(at: int, tmpfs: Bench) -> None:
    told = tmpfs.suffer(act="remount", at=at, threads=1 + at % 2)
    assert (told["status"], "Read-only file system" in told["said"]) == (3, True), told


@pytest.mark.parametrize("at", [1, 5])
def test_rights_withdrawn_in_the_middle(at: int, bench: Bench) -> None:
    told = bench.suffer(act="forbid", at=at, plain=True)
    assert (told["status"], "Permission denied" in told["said"]) == (3, True), told


@pytest.mark.parametrize("act", ["delete", "move"])
@pytest.mark.parametrize("at", [1, 5, 8, 17])
def test_a_folder_that_goes_away(act: str, at: int, bench: Bench) -> None:
    told = bench.suffer(act=act, at=at, threads=1 + at % 2)
    assert told["status"] == 2, told
    assert "was removed or replaced while it was being written" in told["said"]


def test_too_few_handles_from_the_start(bench: Bench) -> None:
    told = bench.suffer(limits={"NOFILE": 30})
    assert (told["status"], "too few open files are allowed (found 30" in told["said"]) == (2, True)


def test_out_of_handles_in_the_middle(bench: Bench) -> None:
    told = bench.suffer(act="few handles", at=6)
    assert (told["status"], "Too many open files" in told["said"]) == (3, True), told
