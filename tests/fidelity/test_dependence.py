"""Dependence: correlation times that are known, block lengths that follow, and blocks that add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.bins import golden_bins
from rlx_datapipe.fidelity.dependence import (
    BLOCKS_MIN,
    CORRELATION_TIMES,
    autocorrelation,
    block_histograms,
    block_length,
    correlation_time,
)
from rlx_datapipe.fidelity.rehearsal import ar1


def test_the_autocorrelation_is_its_definition() -> None:
    values = np.random.default_rng(0).normal(size=200)
    centred = values - values.mean()
    expected = [(centred[lag:] @ centred[: 200 - lag]) / (centred @ centred) for lag in range(6)]
    assert autocorrelation(values, 5) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(autocorrelation(np.full(10, 0.1), 2)).all(), "constant"
    with pytest.raises(OptionError):
        autocorrelation(values, 200)


@pytest.mark.parametrize(("phi", "tolerance"), [(0.0, 0.1), (0.9, 0.2), (0.99, 0.3)])
def test_the_correlation_time_of_an_ar1_is_known(phi: float, tolerance: float) -> None:
    series = ar1(phi, 100_000, np.random.default_rng(1))
    assert correlation_time(series) == pytest.approx(1 / (1 - phi), rel=tolerance)


def test_a_block_spans_five_correlation_times_and_twice_the_optimal_length() -> None:
    found = block_length(ar1(0.9, 20_000, np.random.default_rng(2)))
    assert found.needed >= CORRELATION_TIMES * found.correlation_time
    assert found.needed >= 2 * found.optimal
    assert found.length == found.needed
    assert found.is_enough


def test_returns_without_correlation_remember_by_their_size() -> None:
    rng = np.random.default_rng(3)
    volatility = np.exp(ar1(0.99, 20_000, rng))
    returns = rng.normal(size=20_000) * volatility
    assert correlation_time(returns) < 5
    assert block_length(returns).needed > 100


def test_a_series_too_short_for_its_memory_says_so() -> None:
    found = block_length(ar1(0.999, 4_000, np.random.default_rng(4)))
    assert found.length == 4_000 // BLOCKS_MIN < found.needed
    assert not found.is_enough
    assert not block_length([1.0, 2.0]).is_enough
    assert block_length(np.ones(1000)).needed >= 1


@given(st.lists(st.lists(st.integers(0, 9), max_size=30), max_size=4), st.integers(1, 12))
def test_blocks_add_up_to_what_their_segments_hold(segments: list[list[int]], length: int) -> None:
    bins = golden_bins(range(10), 4)
    arrays = [np.array(one, dtype=np.float64) for one in segments]
    counts = block_histograms(arrays, length, bins)
    whole = [one for one in arrays if len(one) >= length]
    assert len(counts) == sum(len(one) // length for one in whole)
    assert (counts.sum(axis=1) >= length).all()
    assert np.array_equal(counts.sum(axis=0), bins.count(np.concatenate([*whole, np.zeros(0)])))
    ones = [np.full(len(one), 3, dtype=np.int64) for one in arrays]
    assert np.array_equal(block_histograms(arrays, length, bins, ones), 3 * counts)


@example(golden=[0, 1, 1, 2], shares=2)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(2, 40))
def test_between_two_edges_lies_at_most_one_golden_share(golden: list[int], shares: int) -> None:
    bins = golden_bins(golden, shares)
    counts = bins.count(golden)
    frequent = np.isin(bins.edges, np.unique(golden)) & (counts[:-1] > -(-len(golden) // shares))
    for k in np.flatnonzero(frequent):
        inside = np.array(golden)[bins.index(golden) == k]
        assert len(set(inside.tolist())) == 1, "a bin above its share holds one value"
    assert (np.diff(bins.centres) > 0).all()
    assert bins.count([min(golden) - 1, max(golden) + 1])[[0, -1]].tolist() == [1, 1]
    with pytest.raises(OptionError):
        golden_bins([])
