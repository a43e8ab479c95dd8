"""Distances and exponents of binned counts have their known answers; a source is at a distance of nought."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.depth import thinned
from tests.validation.harness import capture, market, measures, rebuilt, weighty

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.spread import EDGES, HALF, count_values, no_spreads
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.simulation import faults
from rlx_datapipe.validation.distributions import COMPARED, MARGIN, ks_distance, ks_p_value
from rlx_datapipe.validation.histograms import NAMES, Histograms, _ByTime
from rlx_datapipe.validation.power_law import TAILS, fit_tail, tail_start

VALUES = st.lists(st.one_of(st.integers(0, 50), st.integers(0, 10**12)), min_size=1, max_size=60)


def _counts(values: Int64Array | list[int]) -> Int64Array:
    counts = no_spreads()
    count_values(counts, np.asarray(values, dtype=np.int64))
    return counts


@settings(max_examples=60)
@given(VALUES, VALUES)
def test_the_true_distance_lies_within_the_error_told(first: list[int], second: list[int]) -> None:
    distance, error = ks_distance(_counts(first), _counts(second))
    every = np.unique(first + second)
    f, g = (np.searchsorted(np.sort(one), every, side="right") / len(one) for one in (first, second))
    true = float(np.abs(f - g).max())
    assert distance - 1e-12 <= true <= distance + error + 1e-12


@settings(max_examples=40)
@given(VALUES, st.integers(1, 5))
def test_the_same_law_is_at_a_distance_of_exactly_nought(values: list[int], times: int) -> None:
    assert ks_distance(_counts(values * times), _counts(values))[0] == 0.0


def test_two_normal_laws_are_as_far_apart_as_is_known() -> None:
    rng = np.random.default_rng(5)
    draws = rng.normal(size=(2, 500_000)) * 1e6
    draws[1] += 0.5e6
    distance, error = ks_distance(*(_counts(np.rint(one).astype(np.int64)) for one in draws))
    assert distance == pytest.approx(2 * stats.norm.cdf(0.25) - 1, abs=0.004)
    assert 0 <= error < 0.002


@pytest.mark.parametrize("distance", [0.01, 0.03, 0.05, 0.1])
def test_the_classical_p_value_is_that_of_scipy(distance: float) -> None:
    expected = stats.kstwobign.sf(distance * np.sqrt(1_000))
    assert ks_p_value(distance, 2_000, 2_000) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("alpha", [1.8, 2.5, 3.0, 4.0])
def test_the_exponent_of_a_pareto_law_is_found_within_its_error(alpha: float) -> None:
    rng = np.random.default_rng(int(alpha * 10))
    values = 50_000 * (1 - rng.random(100_000)) ** (-1 / (alpha - 1))
    counts = _counts(np.minimum(values, 1e18).astype(np.int64))
    first = int(np.searchsorted(EDGES, 50_001, side="left"))
    found = fit_tail(counts, first)
    assert found is not None
    assert abs(found.alpha - alpha) < 3 * found.error
    # The error of independent values: the exponent's distance from 1 over the root of their number.
    assert found.error == pytest.approx((alpha - 1) / np.sqrt(found.count), rel=0.05)


def test_the_errors_told_are_those_of_repeated_draws() -> None:
    rng = np.random.default_rng(8)
    found = []
    for _ in range(200):
        values = (10_000 * (1 - rng.random(2_000)) ** (-1 / 1.5)).astype(np.int64)
        fit = fit_tail(_counts(values), int(np.searchsorted(EDGES, 10_001)))
        assert fit is not None
        found.append((fit.alpha, fit.error))
    alphas, errors = np.array(found).T
    assert alphas.std() == pytest.approx(errors.mean(), rel=0.15)
    assert (np.abs(alphas - 2.5) < 2 * errors).mean() > 0.9


def test_a_tail_begins_where_the_greatest_twentieth_does() -> None:
    start = tail_start(_counts(np.arange(1, 100_001)))
    assert start is not None
    assert EDGES[start] == pytest.approx(95_000, rel=0.003)
    assert tail_start(_counts([5] * 99)) is None
    assert tail_start(no_spreads()) is None
    assert start > HALF


def test_what_never_falls_has_no_exponent() -> None:
    assert fit_tail(_counts([2_000] * 500), int(np.searchsorted(EDGES, 2_000, side="right")) - 1) is None


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(0, 9)), max_size=50),
    st.lists(st.integers(0, 50), max_size=4),
    st.integers(0, 5),
)
def test_histograms_in_parts_and_out_of_order_are_those_of_all(
    rows: list[tuple[int, int, int]], cuts: list[int], stop: int
) -> None:
    trades = np.array(rows, dtype=np.int64).reshape(-1, 3)
    trades[:, 0] *= 300_000_000
    whole = trades[np.argsort(trades[:, 0], kind="stable")]
    times, prices, quantities = whole.T
    found = Histograms()
    for number, part in enumerate(np.split(trades, sorted(min(cut, len(trades)) for cut in cuts))):
        if number == stop:
            again = Histograms()
            again.restore(found.state())
            found = again
        found.add_trades(*np.ascontiguousarray(part.T))
        found.add_messages(part[:, 0])
        found.add_levels(part[:, 2])
    told = dict(zip(NAMES, found.finish(), strict=True))
    assert (told["trade_quantity"] == _counts(quantities)).all()
    assert (told["delta_quantity"] == _counts(quantities)).all()
    assert (told["trade_interval_ns"] == _counts(np.diff(times))).all()
    assert (told["depth_interval_ns"] == _counts(np.diff(times))).all()
    assert (told["price_step"] == _counts(np.diff(prices))).all()
    closes = {int(second): int(price) for second, price in zip(times // 10**9, prices, strict=True)}
    logs = np.abs(np.diff(np.log(np.array(list(closes.values()), dtype=np.float64))))
    assert (told["second_return_ppb"] == _counts(np.rint(logs * 1e9).astype(np.int64))).all()


def test_one_that_comes_too_late_to_be_waited_for_counts_where_it_came() -> None:
    order = _ByTime(1)
    times = [np.array([part], dtype=np.int64) for part in ([10, 20, 30, 40], [15, 50], [25, 60])]
    given = [order.push(part, held=2)[0].tolist() for part in times]
    assert [*given, order.push(np.zeros((1, 0), dtype=np.int64), held=0)[0].tolist()] == [
        [10, 20],
        [15, 30],
        [25, 40],
        [50, 60],
    ]


HARMLESS: dict[str, Callable[[Iterable[bytes]], Iterable[bytes]]] = {
    "none": lambda lines: lines,
    "twice": lambda lines: faults.duplicate_depth(lines, 20),
    "swapped": lambda lines: faults.swap_depth(lines, 20),
}


@pytest.mark.parametrize("fault", thinned(HARMLESS, 3))
def test_the_source_is_at_a_distance_of_exactly_nought(fault: str, tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, HARMLESS[fault](market()))
    report = validate(dataset, golden=tmp_path / "capture.gz")
    told = measures(report, "distributions")
    assert [told[name]["distance"] for name in COMPARED] == [0.0] * len(COMPARED)
    assert told["margin"] == 0.0
    tails = measures(report, "power_laws")
    for name in set(TAILS) & tails.keys():
        assert tails[name]["dataset_alpha"] == tails[name]["golden_alpha"]
    assert "trade_quantity" in tails


def test_another_market_is_told_apart_but_does_not_fail_for_it(tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())
    lines = [_with_trades_tripled(line) for line in market()]
    report = validate(dataset, golden=capture(tmp_path, lines, "other"))
    finding = next(one for one in report.findings if one.rule == "distributions")
    assert "trade quantity" in finding.message
    assert finding.severity in ("warn", "note")
    told = measures(report, "distributions")["trade_quantity"]
    assert told["distance"] > MARGIN
    assert told["p_value_is_valid"] is False
    assert "distributions" not in weighty(report)


def _with_trades_tripled(line: bytes) -> bytes:
    if b'"e":"trade"' not in line:
        return line
    head, key, rest = line.partition(b'"q":"')
    quantity, _, tail = rest.partition(b'"')
    return head + key + f"{float(quantity) * 3:.5f}".encode() + b'"' + tail
