"""The decision rule, row by row; resampling that it stands on; pairs; and many metrics at once."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.bins import golden_bins
from rlx_datapipe.fidelity.blocks import BlockCounts, BlockNumbers, BlockVectors, Statistic, distance
from rlx_datapipe.fidelity.decision import (
    DecisionSettings,
    Evidence,
    Standing,
    decide,
    errors_allowed,
    two_fits,
)
from rlx_datapipe.fidelity.dependence import block_histograms
from rlx_datapipe.fidelity.distances import FloatArray, from_histograms
from rlx_datapipe.fidelity.equivalence import (
    draw_matrix,
    half_floor,
    matched_pairs,
    resampled_distances,
    window_floor,
)
from rlx_datapipe.fidelity.judge import Case, judge
from rlx_datapipe.fidelity.paired import decide_paired, paired
from rlx_datapipe.fidelity.permutation import (
    false_discovery,
    label_matrix,
    max_t,
    p_value,
    permuted_distances,
)

GOOD = Evidence(distance=0.01, upper=0.02, floor=0.03, pairs=45, p_adjusted=0.5)


def said(**changes: Any) -> tuple[Standing, str]:
    verdict = decide(msgspec.structs.replace(GOOD, **changes))
    return verdict.standing, verdict.reason


def test_a_metric_within_the_floor_passes() -> None:
    assert said()[0] is Standing.PASS


def test_a_scale_below_three_steps_of_the_stamps_is_not_identifiable_whatever_else_is_true() -> None:
    standing, reason = said(scale_ns=2_999, resolution_ns=1_000, missing="nothing", upper=9.0)
    assert standing is Standing.NOT_IDENTIFIABLE
    assert "2,999 ns" in reason
    assert said(scale_ns=3_000, resolution_ns=1_000)[0] is Standing.PASS


@pytest.mark.parametrize(
    "changes",
    [{"pairs": 39}, {"missing": "3 trades, 100 needed"}, {"pairs": 39, "upper": 9.0, "p_adjusted": 0.0}],
)
def test_too_little_data_is_inconclusive_before_anything_is_compared(changes: dict[str, Any]) -> None:
    standing, reason = said(**changes)
    assert standing is Standing.INCONCLUSIVE
    assert reason.startswith("too little data")


def test_golden_of_one_day_says_less_and_says_so() -> None:
    one = decide(GOOD)
    assert (one.standing, one.scope.startswith("golden is of 1 day, 2 are needed")) == (Standing.PASS, True)
    assert decide(msgspec.structs.replace(GOOD, days=2)).scope == ""
    assert decide(msgspec.structs.replace(GOOD, pairs=1)).scope == "", "what decides nothing claims nothing"
    assert decide(GOOD, DecisionSettings(days_min=1)).scope == ""


@pytest.mark.parametrize("changes", [{"pairs": 3}, {"tolerable": 0.001}, {}])
def test_a_gross_difference_fails_even_where_golden_could_not_vouch_for_likeness(
    changes: dict[str, Any],
) -> None:
    gross = {"distance": 1.0, "lower": 0.9, "upper": 1.0, "p_adjusted": 0.002} | changes
    assert said(**gross)[0] is Standing.FAIL
    assert said(**gross | {"p_adjusted": 0.2})[0] is Standing.INCONCLUSIVE, "beyond the margin, not chance"
    assert said(**gross | {"scale_ns": 1, "resolution_ns": 1})[0] is Standing.NOT_IDENTIFIABLE
    assert said(**gross | {"missing": "nothing"})[0] is Standing.INCONCLUSIVE


def test_a_golden_side_too_far_from_itself_decides_nothing() -> None:
    standing, reason = said(tolerable=0.029, upper=0.001)
    assert standing is Standing.INCONCLUSIVE
    assert "itself" in reason


def test_a_small_p_alone_does_not_fail() -> None:
    assert said(p_adjusted=0.0001)[0] is Standing.PASS


def test_beyond_the_margin_it_fails_only_with_a_rejection() -> None:
    assert said(upper=0.04, p_adjusted=0.05)[0] is Standing.FAIL
    standing, reason = said(upper=0.04, p_adjusted=0.06)
    assert standing is Standing.INCONCLUSIVE
    assert "more hours" in reason


def test_the_margin_is_the_greater_of_floor_and_what_engineering_tolerates() -> None:
    assert said(upper=0.04, engineering_floor=0.05)[0] is Standing.PASS
    assert decide(GOOD).margin == 0.03


@pytest.mark.parametrize(
    ("golden", "error", "recon", "standing"),
    [
        (1.0, 0.01, 1.05, Standing.PASS),
        (1.0, 0.01, 1.2, Standing.FAIL),
        (1.0, 0.08, 1.0, Standing.INCONCLUSIVE),
        (1.0, float("nan"), 1.0, Standing.INCONCLUSIVE),
        (1.0, 0.08, 3.0, Standing.FAIL),
        (1.0, 0.04, 1.11, Standing.INCONCLUSIVE),
    ],
)
def test_two_noisy_fits(golden: float, error: float, recon: float, standing: Standing) -> None:
    assert two_fits(golden, error, recon, error, 0.1).standing is standing


def test_many_fits_are_allowed_more_errors_so_that_together_they_keep_their_share() -> None:
    one, five = errors_allowed(DecisionSettings(), 1), errors_allowed(DecisionSettings(), 5)
    assert one == pytest.approx(stats.t.isf(0.05 * 0.2 / 2, 9))
    assert five == pytest.approx(stats.t.isf(0.05 * 0.2 / 10, 9))
    assert two_fits(1.0, 0.04, 1.13, 0.04, 0.1, one).standing is not Standing.FAIL
    assert two_fits(1.0, 0.04, 1.13, 0.04, 0.1, 2.0).standing is Standing.FAIL


def counts(statistic: Statistic = Statistic.KS, shift: float = 0.0, windows: int = 12) -> BlockCounts:
    rng = np.random.default_rng(5)
    golden, recon = rng.normal(size=(windows, 50)), rng.normal(shift, 1, (windows, 50))
    bins = golden_bins(golden, 32)
    sides = [block_histograms(list(side), 50, bins) for side in (golden, recon)]
    return BlockCounts(sides[0], sides[1], bins.centres, statistic)


@pytest.mark.parametrize("statistic", Statistic)
def test_a_distance_by_matrix_product_is_that_of_the_merge_pass(statistic: Statistic) -> None:
    blocks = counts(statistic, 0.3)
    expected = from_histograms(blocks.centres, blocks.golden.sum(axis=0), blocks.recon.sum(axis=0))
    found = distance(blocks)
    if statistic is Statistic.ANDERSON_DARLING:  # ties: right-hand sums here, midranks there
        assert found == pytest.approx(expected.anderson_darling_per_pair, rel=0.1)
    elif statistic is Statistic.TOTAL_VARIATION:
        shares = [side.sum(axis=0) / side.sum() for side in (blocks.golden, blocks.recon)]
        assert found == pytest.approx(np.abs(shares[0] - shares[1]).sum() / 2, rel=1e-12)
    else:
        assert found == pytest.approx(getattr(expected, statistic.value), rel=1e-12)


def test_permuted_distances_are_those_of_permuted_sides() -> None:
    blocks = counts(shift=0.2)
    labels = label_matrix(12, 12, 20, np.random.default_rng(1))
    every = np.concatenate([blocks.golden, blocks.recon])
    found = permuted_distances(labels, blocks)
    for row, told in zip(labels.astype(bool), found, strict=True):
        expected = from_histograms(blocks.centres, every[row].sum(axis=0), every[~row].sum(axis=0))
        assert told == expected.ks
    assert labels[0].tolist() == [1.0] * 12 + [0.0] * 12
    assert (labels.sum(axis=1) == 12).all()


def test_outcomes_do_not_depend_on_the_order_of_sums() -> None:
    """Exact integers: a product over blocks in another order, as threads sum them, is the same to the bit."""
    blocks = counts(shift=0.2)
    labels = label_matrix(12, 12, 50, np.random.default_rng(1))
    order = np.random.default_rng(2).permutation(24)
    every = np.concatenate([blocks.golden, blocks.recon])[order]
    turned = BlockCounts(every[:12], every[12:], blocks.centres)
    assert np.array_equal(
        turned.apart(labels[:, order], 1 - labels[:, order]), permuted_distances(labels, blocks)
    )


def test_numbers_per_block_are_compared_by_their_means() -> None:
    blocks = BlockNumbers(np.array([1.0, np.nan, 3.0]), np.array([5.0, 7.0]))
    assert distance(blocks) == 4.0
    assert np.isnan(blocks.apart(np.array([[0.0, 1, 0, 0, 0]]), np.array([[0.0, 0, 0, 1, 0]]))).all()


def test_of_several_numbers_the_one_furthest_apart_decides() -> None:
    nan = np.nan
    golden, recon = np.array([[1.0, 5.0, nan], [3.0, nan, nan]]), np.array([[2.5, 9.0, nan]])
    assert distance(BlockVectors(golden, recon)) == 4.0
    assert np.isnan(distance(BlockVectors(golden[:, 2:], recon[:, 2:])))
    assert BlockVectors(golden, recon).levels[0].tolist() == [3.0, 3.0]


def test_max_t_is_exact_for_one_metric_and_stricter_for_many() -> None:
    rng = np.random.default_rng(3)
    distances = rng.random((5, 200))
    distances[0, 0] = 2.0
    adjusted = max_t(distances)
    assert max_t(distances[:1]) == pytest.approx([p_value(distances[0])])
    assert adjusted[0] == pytest.approx(1 / 200)
    assert all(adjusted[k] >= p_value(distances[k]) for k in range(5))
    assert max_t(np.zeros((1, 10))).tolist() == [1.0], "a metric that never differs rejects nothing"


def test_false_discovery_is_that_of_benjamini_and_hochberg() -> None:
    plain = np.array([0.01, 0.04, 0.03, 0.5])
    assert false_discovery(plain) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])


def test_draws_take_as_many_blocks_as_there_are() -> None:
    draws = draw_matrix(7, 30, np.random.default_rng(0))
    assert (draws.sum(axis=1) == 7).all()
    found = resampled_distances(np.ones((1, 12)), np.ones((1, 12)), counts(shift=0.2))
    assert found[0] == distance(counts(shift=0.2))
    with pytest.raises(OptionError):
        draw_matrix(0, 1, np.random.default_rng(0))


def test_only_windows_of_one_hour_and_one_volatility_are_matched() -> None:
    pairs = matched_pairs(np.array([9, 9, 9, 10, 9]), np.array([1.0, 1.1, 5.0, 1.0, 1.2]), buckets=2)
    assert pairs.tolist() == [[0, 1], [2, 4]], "window 3 is of another hour"
    floor = window_floor(counts(), np.array([[0, 1], [2, 3]]))
    blocks = counts()
    expected = from_histograms(blocks.centres, blocks.golden[2], blocks.golden[3]).ks
    assert floor.distances[1] == expected
    assert floor.pairs == 2


def test_a_floor_of_nothing_is_infinite() -> None:
    assert half_floor(counts(windows=1), 0, np.random.default_rng(0)).quantile(0.95) == float("inf")


def judged(shift: float, seed: int = 1, **settings: Any) -> Any:
    cases = {name: Case(counts(Statistic(name), shift, 40), 0.15) for name in ("ks", "anderson_darling")}
    rule = DecisionSettings(permutations=99, rounds=99, **settings)
    return judge(cases, np.random.default_rng(seed), rule)


def test_one_law_passes_and_another_fails() -> None:
    assert {verdict.standing for verdict in judged(0.0).verdicts.values()} == {Standing.PASS}
    assert {verdict.standing for verdict in judged(0.8).verdicts.values()} == {Standing.FAIL}


def test_a_judgement_repeats_by_its_seed_and_tells_all_p_values() -> None:
    one = judged(0.3)
    assert judged(0.3) == one
    assert judged(0.3, seed=2) != one
    assert one.p_plain.keys() == one.p_discovery.keys() == one.verdicts.keys()


def test_few_golden_windows_decide_nothing() -> None:
    case = Case(counts(windows=8))
    found = judge({"few": case}, np.random.default_rng(0), DecisionSettings(permutations=9, rounds=9))
    assert found.verdicts["few"].standing is Standing.INCONCLUSIVE
    assert "pairs of independent ones" in found.verdicts["few"].reason
    assert found.evidence["few"].pairs <= 28, "eight windows, if they were independent"
    with pytest.raises(OptionError, match="same windows"):
        judge({"a": case, "b": Case(counts())}, np.random.default_rng(0))
    assert judge({}, np.random.default_rng(0)).verdicts == {}


def drifting(mean: float, windows: int = 60) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(8)
    golden = np.cumsum(rng.normal(size=windows))
    return golden, golden + rng.normal(mean, 0.1, windows)


@pytest.mark.parametrize(("mean", "standing"), [(0.0, Standing.PASS), (0.5, Standing.FAIL)])
def test_pairs_see_a_small_difference_in_a_series_that_wanders_far(mean: float, standing: Standing) -> None:
    golden, recon = drifting(mean)
    found = paired(golden, recon, np.random.default_rng(0), rounds=200)
    assert decide_paired(found, 0.1).standing is standing
    assert stats.ks_2samp(golden, recon).pvalue > 0.05, "unpaired, nothing is seen"


def test_a_mean_at_the_margin_is_inconclusive_and_exact_equality_passes() -> None:
    golden, recon = drifting(0.1)
    found = paired(golden, recon, np.random.default_rng(0), rounds=200)
    assert decide_paired(found, 0.1).standing is Standing.INCONCLUSIVE
    equal = paired(golden, golden, np.random.default_rng(0))
    assert decide_paired(equal, 0.0).standing is Standing.PASS
    few = paired(golden[:5], recon[:5], np.random.default_rng(0))
    assert "too little data" in decide_paired(few, 0.1).reason
    with pytest.raises(OptionError):
        paired(golden, recon[1:], np.random.default_rng(0))


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"significance": 1.0}, {"pairs_min": 0}):
        with pytest.raises(OptionError):
            DecisionSettings(**wrong)
