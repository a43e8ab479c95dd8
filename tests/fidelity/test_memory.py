"""Memory between windows: blocks of neighbours, and what the variance of a mean is inflated by."""

from __future__ import annotations

import numpy as np
import pytest

from rlx_datapipe.fidelity.memory import effective_pairs, grouped, inflation, windows_per_block
from rlx_datapipe.fidelity.rehearsal import ar1


def series(phi: float, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return ar1(phi, count, rng), ar1(phi, count, rng)


def test_neighbours_make_blocks_of_nearly_one_size() -> None:
    group = grouped(7, 5, 3)
    assert group.golden.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert group.recon.tolist() == [0] * 5
    assert (group.golden_blocks, group.recon_blocks) == (2, 1)
    assert group.spread(np.array([[2.0, 0.0, 1.0]])).tolist() == [[2.0] * 4 + [0.0] * 3 + [1.0] * 5]
    golden, recon = group.means((np.arange(7.0), np.array([np.nan] * 5)))
    assert golden.tolist() == [1.5, 5.0]
    assert np.isnan(recon).all()


def test_windows_that_remember_are_put_together_as_far_as_twenty_blocks_are_left() -> None:
    assert windows_per_block([series(0.0, 200)], 200) == 1
    assert 3 <= windows_per_block([series(0.0, 200), series(0.6, 200)], 200) <= 10
    assert windows_per_block([series(0.99, 200)], 200) == 10
    assert windows_per_block([series(0.99, 30)], 30) == 1


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_the_inflation_is_a_little_more_than_that_of_the_series(phi: float) -> None:
    found = [inflation([series(phi, 400, seed)]) for seed in range(20)]
    truth = (1 + phi) / (1 - phi)
    assert truth <= np.median(found) <= 1.6 * truth
    assert np.mean(np.array(found) >= truth) >= 0.8, "its upper 95 % bound, of a series that is an AR(1)"


def test_the_course_that_remembers_longest_counts_and_short_ones_are_not_trusted() -> None:
    assert inflation([series(0.0, 100), series(0.9, 100)]) > 5
    assert inflation([(np.zeros(3), np.zeros(9))]) > 60
    assert inflation([(np.zeros(9), np.full(9, 5.0))]) == 1.0


def test_dependent_windows_are_worth_fewer_pairs() -> None:
    assert effective_pairs(10, 1.0) == 45
    assert effective_pairs(60, 6.0) == 45
    assert effective_pairs(3, 60.0) == 0
