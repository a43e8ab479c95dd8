"""Sketches and moments: right, mergeable, and themselves again after a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.distances import two_sample
from rlx_datapipe.fidelity.moments import Moments
from rlx_datapipe.fidelity.sketch import ERROR, Sketch, Word, ks_bounds, wasserstein_bounds

finite = st.floats(-1e15, 1e15).filter(lambda value: value == 0 or abs(value) > 1e-8)
samples = st.lists(finite, min_size=1, max_size=60)


def sketch(values: list[float]) -> Sketch:
    one = Sketch()
    one.update(np.array(values, dtype=np.float64))
    return one


@given(samples, st.floats(0, 1))
def test_a_quantile_is_right_to_one_per_cent(values: list[float], share: float) -> None:
    true = np.quantile(values, share, method="lower")
    assert sketch(values).quantile(share) == pytest.approx(true, rel=ERROR * 1.0001, abs=1e-12)


@given(samples, samples)
def test_sketches_of_parts_add_up_to_the_whole(first: list[float], second: list[float]) -> None:
    merged = sketch(first)
    merged.merge(sketch(second))
    assert np.array_equal(merged.state(), sketch(first + second).state())


@given(samples, samples)
def test_distances_lie_between_their_bounds(x: list[float], y: list[float]) -> None:
    true = two_sample(x, y)
    low, high = ks_bounds(sketch(x), sketch(y))
    assert low - 1e-12 <= true.ks <= high + 1e-12
    low, high = wasserstein_bounds(sketch(x), sketch(y))
    assert low * (1 - 1e-9) <= true.wasserstein + 1e-12 <= high * (1 + 1e-9) + 1e-12


def test_a_weight_is_so_many_copies() -> None:
    weighted = Sketch()
    weighted.update(np.array([1.0, 5.0]), np.array([3, 2], dtype=np.int64))
    assert np.array_equal(weighted.state(), sketch([1, 1, 1, 5, 5]).state())


def test_the_state_is_all_there_is() -> None:
    one = sketch([1.0, 2.0, -3.0])
    again = Sketch(one.state())
    again.update(np.array([9.0]))
    assert np.array_equal(again.state(), sketch([1.0, 2.0, -3.0, 9.0]).state())
    assert one.total == 3, "a state is a copy"


def test_what_is_no_number_is_counted_apart() -> None:
    one = sketch([1.0, float("nan"), float("inf"), 1e30])
    assert (one.total, one.words[Word.NOT_FINITE], one.words[Word.CLAMPED]) == (2, 2, 1)


def test_the_heavy_tail_of_a_t_law() -> None:
    values = np.random.default_rng(0).standard_t(10, 400_000)
    assert sketch(values.tolist()).quantile(0.99) == pytest.approx(np.quantile(values, 0.99), rel=ERROR)


def test_what_is_no_sketch_is_refused() -> None:
    with pytest.raises(OptionError):
        Sketch(np.zeros(3, dtype=np.int64))
    with pytest.raises(OptionError):
        Sketch(error=2.0)
    with pytest.raises(OptionError):
        Sketch().merge(Sketch(error=0.02))
    assert np.isnan(Sketch().quantile(0.5))
    assert np.isnan(ks_bounds(Sketch(), Sketch())[0])


numbers = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50)


@given(numbers, st.integers(0, 50))
def test_moments_of_parts_are_those_of_the_whole(values: list[float], cut: int) -> None:
    first, second, whole = Moments(), Moments(), Moments()
    first.update(np.array(values[:cut]))
    second.update(np.array(values[cut:]))
    whole.update(np.array(values))
    first.merge(second)
    scale = np.array([1.0] + [max(1.0, np.abs(values).max()) ** k for k in (1, 2, 3, 4)])
    assert np.abs((first.words - whole.words) / scale).max() <= 1e-12 * len(values)


@pytest.mark.parametrize("mean", [0.0, 65_000.0])
def test_moments_are_those_of_numpy_whatever_the_mean(mean: float) -> None:
    values = np.round(np.random.default_rng(1).standard_t(10, 100_000), 2) + mean
    found = Moments()
    found.update(values)
    centred = values - values.mean()
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    assert found.variance == pytest.approx((centred**2).mean(), rel=1e-9)
    kurtosis = (centred**4).mean() / (centred**2).mean() ** 2 - 3
    assert found.excess_kurtosis == pytest.approx(kurtosis, rel=1e-9)
    assert found.skewness == pytest.approx((centred**3).mean() / (centred**2).mean() ** 1.5, abs=1e-9)


def test_moments_with_weights_and_from_their_state() -> None:
    weighted, copies = Moments(), Moments()
    weighted.update(np.array([1.0, 4.0]), np.array([3.0, 2.0]))
    copies.update(np.array([1.0, 1.0, 1.0, 4.0, 4.0]))
    assert weighted.state() == pytest.approx(copies.state(), rel=1e-12)
    assert np.array_equal(Moments(weighted.state()).words, weighted.words)
    assert np.isnan(Moments().mean)
    assert np.isnan(Moments().excess_kurtosis)
    with pytest.raises(OptionError):
        Moments(np.zeros(2))
