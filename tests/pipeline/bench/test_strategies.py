"""`rlx bench strategies` tells how right each strategy is; on known courses the errors are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.depth import deep
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.core.event import NONE
from rlx_datapipe.pipeline.bench import strategies
from rlx_datapipe.pipeline.bench.strategy_errors import STEP_NS, Course, errors_of, moments_between


def course(best: list[tuple[int, int, int, int]], quantity: int = 5) -> Course:
    """One state a step; ladders of 20 levels of one quantity."""
    times = np.arange(len(best), dtype=np.int64) * STEP_NS
    ladders = np.zeros((len(best), 4, 20), dtype=np.int64)
    for i, (bid, _, ask, _) in enumerate(best):
        ladders[i, 0], ladders[i, 2] = bid - np.arange(20), ask + np.arange(20)
        ladders[i, 1::2] = quantity
    return Course(times, np.array(best, dtype=np.int64).T, times, ladders)


def test_errors_are_shares_of_time_and_of_the_truth() -> None:
    truth = course([(100, 5, 101, 5)] * 5)
    other = course(
        [(100, 5, 101, 5), (100, 4, 101, 5), (100, 5, 103, 5), (100, 5, 101, 5), (100, 5, 101, 5)], 6
    )
    moments = moments_between([truth, other], np.array([3 * STEP_NS]))
    # The first step is before all have begun, the last where one ends; in step 3 a snapshot came.
    assert moments.tolist() == [2 * STEP_NS, 3 * STEP_NS]
    told = errors_of(other, truth, moments)
    assert told["best_prices_right"] == 0.5
    assert told["best_right"] == 0.0
    assert told["best_price_rms_error"] == pytest.approx(np.sqrt((2 / 101) ** 2 / 4))
    assert told["levels"]["1"]["depth_error"] == pytest.approx(0.2)
    assert told["levels"]["20"]["right"] == 0.0
    assert told["side_prices_right"] == 0.75
    assert told["mid_rms_error"] == pytest.approx(np.sqrt((1 / 100.5) ** 2 / 2))
    assert told["best_unknown"] == 0.0
    other.best[2:, 1] = NONE, 0
    emptied = errors_of(other, truth, moments)
    assert emptied["best_unknown"] == 0.5, "a price that is not there is no price of -1"
    assert emptied["best_price_rms_error"] == pytest.approx(np.sqrt((2 / 101) ** 2 / 3))
    same = errors_of(truth, truth, moments)
    assert (same["best_right"], same["levels"]["5"]) == (1.0, {"right": 1.0, "depth_error": 0.0})


@deep
def test_each_strategy_is_told_at_each_cadence(tmp_path: Path) -> None:
    measured = strategies.measure(small(tmp_path, messages=2_500))
    figures = named(measured.figures)
    assert len(figures) == 8
    assert measured.wrong == []
    for compared in measured.told["cadences"]:
        runs = compared["runs"]
        assert runs["full"]["best_right"] == 1.0
        assert runs["full"]["levels"]["20"] == {"right": 1.0, "depth_error": 0.0}
        assert runs["full"]["inferred"] == 0 < runs["snapshot"]["inferred"]
        assert runs["full"]["trades"] == runs["snapshot"]["trades"] == runs["origin_time_sort"]["trades"]
        assert runs["origin_time_sort"]["deltas"] == 0
        assert 0 < runs["snapshot"]["best_right"] < 1


def test_a_book_that_is_not_its_snapshot_is_a_wrong_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"snapshots_every_ms": 100, "unmet": 2, "runs": {}}
    monkeypatch.setattr(strategies, "_compare", lambda *_: told)
    monkeypatch.setattr(strategies, "_figures", lambda _: [])
    wrong = strategies.measure(small(tmp_path, source=tmp_path)).wrong
    assert wrong[0] == "2 snapshots every 100 ms are not what the book became"
