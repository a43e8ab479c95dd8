"""Each stage is charged with its own time, whichever thread works on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.pipeline.captures import SPOT, capture

from rlx_datapipe.core.config import Settings
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.stage_times import Measured, StageTimes


def test_a_stage_is_charged_with_the_making_of_its_items_not_with_their_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now_s[0])
    times = StageTimes()

    def made() -> Iterator[int]:
        for number in range(3):
            now_s[0] += 2.0
            yield number

    for _ in times.taking(made(), "making"):
        now_s[0] += 50.0
    assert times.told()["making"]["wall_s"] == 6.0


def test_what_is_done_within_a_stage_is_taken_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now_s[0])
    times = StageTimes()
    with times.of("replay"):
        now_s[0] += 5.0
        with times.of("tier1", within="replay"):
            now_s[0] += 2.0
    assert {stage: spent["wall_s"] for stage, spent in times.told().items()} == {"replay": 5.0, "tier1": 2.0}


def test_what_another_thread_does_is_told_and_its_errors_are_given_back() -> None:
    times = StageTimes()
    with ThreadPoolExecutor(1, "rlx-write") as thread:
        pool = Measured(times, "write", thread)
        assert pool.submit(lambda: threading.current_thread().name).result().startswith("rlx-write")
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 // 0).result()
    assert list(times.told()) == ["write"]


def test_a_run_tells_all_its_stages(tmp_path: Path) -> None:
    source = capture(tmp_path / "capture.gz", SPOT)
    for threads, stages in (
        (1, {"ingestion", "replay", "tier1", "sink", "commit"}),
        (2, {"write", "digest", "commit"}),
    ):
        settings = Settings(threads=threads)
        [chain] = reconstruct(source, tmp_path / f"out-{threads}", settings)["chains"]
        assert stages <= set(chain["stages"])
        assert all(spent["wall_s"] >= 0 for spent in chain["stages"].values())
