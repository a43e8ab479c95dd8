"""MMD over the array API: theory, and the same answers from NumPy and from the strict array library."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np
import pytest

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.mmd import block_mmd, golden_bandwidth, linear_mmd, stride_above

KNOWN = 2 / np.sqrt(3) * (1 - np.exp(-1 / 24))
"""MMD^2 of N(0,1) and N(.5,1) under k = exp(-r^2 / 2): .047124."""


def pair(count: int, shift: float) -> tuple[Any, Any]:
    rng = np.random.default_rng(2)
    return rng.normal(size=(count, 1)), rng.normal(shift, 1, (count, 1))


@pytest.mark.parametrize("measure", [linear_mmd, block_mmd])
def test_two_normal_laws_are_as_far_apart_as_theory_says(measure: Any) -> None:
    x, y = pair(8_000, 0.5)
    found = measure(x, y, [1.0])
    assert found.value == pytest.approx(KNOWN, abs=4 * found.error)
    assert found.z > 3


@pytest.mark.parametrize("measure", [linear_mmd, block_mmd])
def test_one_law_has_a_small_z(measure: Any) -> None:
    x, y = pair(4_000, 0.0)
    assert abs(measure(x, y, [0.5, 1.0, 2.0]).z) < 3
    assert measure(x, x, [1.0]).value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("measure", [linear_mmd, block_mmd])
def test_any_array_library_gives_the_same(measure: Any) -> None:
    x, y = np.random.default_rng(3).normal(size=(2, 600, 3))
    strict = [array_api_strict.asarray(side) for side in (x, y)]
    expected = measure(x, y, [1.0, 2.0], stride=2)
    found = measure(*strict, [1.0, 2.0], stride=2)
    assert (found.value, found.error) == pytest.approx((expected.value, expected.error), rel=1e-12)
    assert golden_bandwidth(strict[0]) == pytest.approx(golden_bandwidth(x), rel=1e-12)


def test_the_block_statistic_equals_its_definition() -> None:
    x, y = np.random.default_rng(4).normal(size=(2, 6, 2))

    def k(a: Any, b: Any) -> float:
        return float(np.exp(-((a - b) ** 2).sum() / 2))

    blocks = [
        sum(k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i]) for i in b for j in b if i != j) / 6
        for b in (range(3), range(3, 6))
    ]
    assert block_mmd(x, y, [1.0], block=3).value == pytest.approx(np.mean(blocks), rel=1e-9)


def test_blocks_buy_power_and_keep_the_level() -> None:
    """One-sided at 5 %: the share of 100 trials that is seen of a shift of 0.25, and of one law."""
    rng = np.random.default_rng(7)
    seen = {}
    for shift in (0.0, 0.25):
        pairs = [(rng.normal(size=(3_000, 1)), rng.normal(shift, 1, (3_000, 1))) for _ in range(100)]
        for measure in (linear_mmd, block_mmd):
            seen[measure, shift] = np.mean([measure(x, y, [1.0]).z > 1.645 for x, y in pairs])
    assert max(seen[linear_mmd, 0.0], seen[block_mmd, 0.0]) <= 0.12, "5 %, and three standard errors"
    assert seen[block_mmd, 0.25] > 0.6
    assert seen[linear_mmd, 0.25] < 0.4


def test_the_bandwidth_is_the_median_distance() -> None:
    points = np.random.default_rng(5).normal(size=(100, 2))
    apart = [float(np.linalg.norm(a - b)) for i, a in enumerate(points) for b in points[:i]]
    assert golden_bandwidth(points) == pytest.approx(np.median(apart), rel=0.01)
    with pytest.raises(OptionError, match="equal"):
        golden_bandwidth(np.zeros((10, 2)))


def test_dependent_series_need_a_stride() -> None:
    """At stride 1 the z of equal laws is far too wide; above the correlation time it is about normal."""
    from rlx_datapipe.fidelity.rehearsal import ar1

    rng = np.random.default_rng(6)
    stride = stride_above(1 / (1 - 0.97))
    z = np.array(
        [
            [linear_mmd(x, y, [1.0], stride=step).z for step in (1, stride)]
            for x, y in ((ar1(0.97, 6000, rng)[:, None], ar1(0.97, 6000, rng)[:, None]) for _ in range(150))
        ]
    )
    wide, right = z.std(axis=0)
    assert stride == 100
    assert wide > 2
    assert right == pytest.approx(1.0, abs=0.2)


def test_too_few_points_are_refused() -> None:
    x, y = pair(10, 0.0)
    with pytest.raises(OptionError, match="too few"):
        linear_mmd(x, y, [1.0], stride=9)
    with pytest.raises(OptionError, match="too few"):
        block_mmd(x, y, [1.0], block=9)
    with pytest.raises(OptionError):
        linear_mmd(x, y, [])
    with pytest.raises(OptionError):
        linear_mmd(x[:, 0], y[:, 0], [1.0])
