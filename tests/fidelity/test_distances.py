"""Distances of two samples: equal to SciPy, to a plain twin, and to what theory says."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.bins import golden_bins
from rlx_datapipe.fidelity.distances import classical_ks_p, from_histograms, two_sample

tied = st.lists(st.integers(0, 6), min_size=1, max_size=25)
exact = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=25)


def plain(x: list[float], y: list[float]) -> tuple[float, float, float, float, float]:
    """D, A2 (midranks), T, energy and W1 by their definitions."""
    n, m, pooled = len(x), len(y), sorted({*x, *y})
    both = n + m
    f = [sum(v <= z for v in x) / n for z in pooled]
    g = [sum(v <= z for v in y) / m for z in pooled]
    a2 = 0.0
    for z in pooled:
        ties = x.count(z) + y.count(z)
        middle = sum(v < z for v in x + y) + ties / 2
        below = sum(v < z for v in x) + x.count(z) / 2
        spread = middle * (both - middle) - both * ties / 4
        if spread > 0:
            a2 += ties / both * (both * below - n * middle) ** 2 / spread * (1 / n + 1 / m)
    gaps = np.diff(pooled)
    apart = np.abs(np.array(f) - np.array(g))
    ranks = stats.rankdata(sorted(x) + sorted(y))
    u = (
        n * ((ranks[:n] - np.arange(1, n + 1)) ** 2).sum()
        + m * ((ranks[n:] - np.arange(1, m + 1)) ** 2).sum()
    )
    t = u / (n * m * both) - (4 * n * m - 1) / (6 * both)
    return (
        float(apart.max()),
        a2 * (both - 1) / both,
        float(t),
        float(2 * (apart[:-1] ** 2 * gaps).sum()),
        float((apart[:-1] * gaps).sum()),
    )


@given(tied | exact, tied | exact)
def test_one_pass_equals_the_definitions(x: list[float], y: list[float]) -> None:
    found, expected = two_sample(x, y), plain(x, y)
    told = (found.ks, found.anderson_darling, found.cramer_von_mises, found.energy, found.wasserstein)
    assert told == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", ["continuous", "tied"])
def test_all_distances_equal_scipy(kind: str) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=3000), rng.normal(0.1, 1, 2000)
    if kind == "tied":
        x, y = np.rint(5 * x), np.rint(5 * y)
    found = two_sample(x, y)
    assert found.ks == pytest.approx(stats.ks_2samp(x, y).statistic, rel=1e-12)
    assert found.wasserstein == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-12)
    assert found.energy == pytest.approx(stats.energy_distance(x, y) ** 2, rel=1e-12)
    # SciPy's T subtracts two numbers of about 800 here, so its own rounding is some 1e-12.
    assert found.cramer_von_mises == pytest.approx(stats.cramervonmises_2samp(x, y).statistic, abs=1e-11)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its p-value is clipped
        told = stats.anderson_ksamp([x, y], variant="midrank").statistic
    assert found.anderson_darling_normalised == pytest.approx(told, rel=1e-12)


def test_two_normal_laws_are_as_far_apart_as_theory_says() -> None:
    rng = np.random.default_rng(1)
    found = two_sample(rng.normal(size=400_000), rng.normal(0.5, 1, 400_000))
    assert found.ks == pytest.approx(0.19741, abs=0.004)
    assert found.wasserstein == pytest.approx(0.5, abs=0.008)
    assert found.energy == pytest.approx(0.139596, abs=0.004)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=8), tied)
def test_a_weight_is_so_many_copies(weighted: list[tuple[int, int]], y: list[int]) -> None:
    values, weights = (list(column) for column in zip(*weighted, strict=True))
    copies = np.repeat(values, weights)
    found, expected = two_sample(values, y, weights, [1] * len(y)), two_sample(copies, y)
    for name in ("ks", "energy", "wasserstein"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-12)


def test_equal_weights_are_no_weights() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=50), rng.normal(size=70)
    found, expected = two_sample(x, y, np.full(50, 7), np.full(70, 7)), two_sample(x, y)
    assert found.anderson_darling == pytest.approx(expected.anderson_darling, rel=1e-12)
    assert found.cramer_von_mises == pytest.approx(expected.cramer_von_mises, rel=1e-12)


def test_a_time_weighted_distance_sees_what_counting_events_does_not() -> None:
    values = [1.0, 2.0]
    assert two_sample(values, values).ks == 0
    assert two_sample(values, values, [9, 1], [1, 9]).ks == pytest.approx(0.8)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=300), st.lists(st.integers(-5, 45), min_size=1))
def test_histograms_over_golden_bins_miss_at_most_one_share(golden: list[int], recon: list[int]) -> None:
    bins = golden_bins(golden, 16)
    found = from_histograms(bins.centres, bins.count(golden), bins.count(recon))
    true = two_sample(golden, recon)
    assert true.ks - 1 / 16 - 1 / len(golden) <= found.ks <= true.ks + 1e-12


def test_histograms_of_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(5)
    golden, recon = rng.normal(size=20_000), rng.normal(0.1, 1, 20_000)
    bins = golden_bins(golden)
    parts = sum(bins.count(part) for part in np.array_split(recon, 7))
    found = from_histograms(bins.centres, bins.count(golden), parts)
    true = two_sample(golden, recon)
    assert np.array_equal(np.asarray(parts), bins.count(recon))
    assert found.ks == pytest.approx(true.ks, abs=1 / 1024)
    assert found.wasserstein == pytest.approx(true.wasserstein, rel=0.02)
    assert found.anderson_darling == pytest.approx(true.anderson_darling, rel=0.01)


def test_the_classical_p_value_is_that_of_scipy() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=900), rng.normal(size=1100)
    told = stats.ks_2samp(x, y, method="asymp")
    assert classical_ks_p(float(told.statistic), 900, 1100) == pytest.approx(told.pvalue)


@pytest.mark.parametrize(
    ("x", "y", "weights"),
    [
        ([], [1.0], None),
        ([float("nan")], [1.0], None),
        ([1.0], [2.0], ([0.0], [1.0])),
        ([1.0], [2.0], ([1.0], None)),
    ],
)
def test_what_is_no_sample_is_refused(x: list[float], y: list[float], weights: object) -> None:
    with pytest.raises(OptionError):
        two_sample(x, y, *weights) if isinstance(weights, tuple) else two_sample(x, y)
