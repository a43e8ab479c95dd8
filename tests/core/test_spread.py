"""Distributions in bins of rising width."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.spread import BINS, Spread, count_value, no_spreads

INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = st.lists(st.one_of(INT64, st.integers(-200, 200), st.integers(0, 10**12)), min_size=1, max_size=200)


def counted(values: list[int]) -> Spread:
    counts = no_spreads()
    for value in values:
        count_value(counts, value)
    return Spread(counts)


@given(VALUES)
def test_every_value_lies_in_its_bar(values: list[int]) -> None:
    bars = counted(values).drawn(BINS)
    assert sum(count for *_, count in bars) == len(values)
    for low, high, count in bars:
        # The last bar ends with the largest integer there is.
        held = sum(low <= value < high or (value == high == 2**63 - 1) for value in values)
        assert held == count


@given(VALUES, st.sampled_from([0.01, 0.25, 0.5, 0.75, 0.99]))
def test_a_quantile_is_right_to_two_in_a_thousand(values: list[int], share: float) -> None:
    told = counted(values).quantile(share)
    true = sorted(values)[max(1, int(np.ceil(share * len(values)))) - 1]
    assert told is not None
    assert abs(told - true) <= max(1, abs(true) // 512)


def test_neighbours_are_joined_for_a_plot() -> None:
    values = list(range(1, 5_000))
    bars = counted(values).drawn(20)
    assert len(bars) <= 20
    assert sum(count for *_, count in bars) == len(values)
    assert all(one[1] == other[0] for one, other in pairwise(bars))


def test_nothing_has_no_quantiles() -> None:
    assert counted([]).quantile(0.5) is None
    assert counted([]).told()["p50"] is None
    assert counted([]).drawn() == []


@pytest.mark.parametrize("value", [0, 1, 63, 1_000, -1, -64])
def test_small_values_are_exact(value: int) -> None:
    assert counted([value]).quantile(0.5) == value


def test_even_bars_are_never_finer_than_what_was_counted() -> None:
    # At 1.27 s a bin is 2 ms wide: bars of a fifth of that would be a comb.
    values = list(range(-1_280_000_000, -1_260_000_000, 10_000))
    bars = counted(values).drawn_evenly()
    assert sum(count for *_, count in bars) == len(values)
    assert all(one[1] == other[0] for one, other in pairwise(bars))
    assert all(count for *_, count in bars)
    assert len({high - low for low, high, _ in bars}) == 1
