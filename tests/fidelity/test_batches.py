"""Tier 2 over the array API: what NumPy says, the strict library says, and the merge pass says."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.batches import Correlation, batch_distances, library, sorted_distances
from rlx_datapipe.fidelity.distances import two_sample

values = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60)
NAMES = ("ks", "anderson_darling", "energy", "wasserstein")


@settings(deadline=None)
@given(values, values)
def test_distances_are_those_of_the_merge_pass(x: list[float], y: list[float]) -> None:
    expected = two_sample(x, y)
    ways = ((np, sorted_distances), (np, batch_distances), (array_api_strict, batch_distances))
    for xp, way in ways:
        made: Any = [xp.asarray(side, dtype=xp.float64) for side in (x, y)]
        found = way(*made)
        for name in NAMES:
            assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-9), name


def test_correlations_of_batches_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(5)
    rows = 1e8 + rng.normal(size=(5_000, 6)) @ rng.normal(size=(6, 6))
    rows[:, 2] = 7.0
    expected = np.corrcoef(rows[:, [0, 1, 3, 4, 5]].T)
    for xp in (np, array_api_strict):
        sums = Correlation()
        for part in np.array_split(rows, 7):
            sums.update(xp.asarray(part))
        table = np.asarray(sums.table())
        assert np.isnan(table[2]).all()
        kept = table[np.ix_([0, 1, 3, 4, 5], [0, 1, 3, 4, 5])]
        assert np.allclose(kept, expected, atol=1e-9)


def test_too_little_is_refused() -> None:
    with pytest.raises(OptionError, match="at least one value"):
        batch_distances(np.zeros(0), np.zeros(3))
    with pytest.raises(OptionError, match="two rows"):
        Correlation().table()


@pytest.mark.parametrize("devices", [0, 1])
def test_a_device_is_used_where_one_answers(devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library().empty(0).shape == (0,)
    runtime = SimpleNamespace(getDeviceCount=lambda: devices)
    fake = SimpleNamespace(cuda=SimpleNamespace(runtime=runtime), empty=array_api_strict.empty)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    assert ("strict" in library().__name__) == bool(devices)
