"""A verdict follows from the pairs alone: confirmed, refuted, or not to be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.pipeline.bench.ablation import CONFIRMED, OPEN, REFUTED, Pairs, Verdict, in_turn, judge


def verdict(ours: list[float], plain: list[float], bound: float = 1.5) -> Verdict:
    return judge("name", "claim", ("one", "other"), bound, Pairs(ours, plain))


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([2.0, 2.1, 1.9, 2.05, 1.95], CONFIRMED),
        ([1.0, 1.1, 0.9, 1.05, 0.95], REFUTED),
        ([1.0, 2.5, 1.2, 2.0, 1.4], OPEN),
        ([1.5, 1.5, 1.5], CONFIRMED),
        ([1.49, 1.49, 1.49], REFUTED),
        ([9.0], OPEN),
    ],
)
def test_the_whole_interval_must_lie_on_one_side(ratios: list[float], expected: str) -> None:
    assert verdict([1.0] * len(ratios), ratios).verdict == expected


@given(st.floats(1e-6, 1e6))
def test_only_ratios_count(machine: float) -> None:
    one = verdict([1.0, 2.0, 3.0], [2.0, 3.0, 7.0])
    other = verdict([machine * 1.0, 2.0, 3.0], [machine * 2.0, 3.0, 7.0])
    assert other.ratio == pytest.approx(one.ratio)
    assert (other.low, other.high) == pytest.approx((one.low, one.high))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    dice = np.random.default_rng(5)
    held = 0
    for _ in range(2_000):
        plain = 2.0 * np.exp(dice.normal(0, 0.3, 5))
        told = verdict([1.0] * 5, plain.tolist())
        held += told.low <= 2.0 <= told.high
    assert 0.94 <= held / 2_000 <= 0.96


def test_both_ways_are_taken_once_before_the_clock_starts_and_then_in_turn() -> None:
    calls: list[str] = []
    clock = iter(range(1_000))
    pairs = in_turn(
        lambda: calls.append("ours"), lambda: calls.append("plain"), 3, lambda: next(clock), "ticks"
    )
    assert calls == ["ours", "plain", "plain", "ours", "ours", "plain", "plain", "ours"]
    assert (list(pairs.ours), list(pairs.plain), pairs.unit) == ([1, 1, 1], [1, 1, 1], "ticks")
