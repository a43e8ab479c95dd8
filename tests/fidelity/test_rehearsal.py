"""The whole decision rehearsed on series whose truth is known; and planted errors that must break it."""

from __future__ import annotations

import os

import msgspec
import numpy as np
import pytest
from tests.depth import thinned

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.decision import DecisionSettings
from rlx_datapipe.fidelity.rehearsal import FAULTS, Fault, RehearsalSettings, coverage, rehearse

TRIALS = int(os.environ.get("RLX_TEST_TRIALS", "30"))
FAST = RehearsalSettings(
    phis=(0.9, 0.98),
    windows=40,
    points=400,
    trials=TRIALS,
    bins=64,
    decision=DecisionSettings(permutations=99, rounds=99),
)


def test_one_law_is_rejected_as_seldom_as_promised_and_passes() -> None:
    found = rehearse(FAST, FAULTS["none"], 20261121)
    assert found.max_t_rejects <= 0.17, "5 % are due; 30 trials have a standard error of 4 %"
    assert np.mean(found.passes) >= 0.85
    assert min(found.naive_rejects) >= 0.5, "the classical p-value is as invalid here as it is elsewhere"


def test_another_law_is_rejected_and_never_passes_where_the_series_is_fast() -> None:
    found = rehearse(FAST, Fault(shift=0.5), 20261121)
    assert found.max_t_rejects >= 0.95
    assert found.passes[0] <= 0.1
    assert found.fails[0] >= 0.9


@pytest.mark.parametrize(("block_points", "points"), thinned([(1, 100), (20, 600)], 2))
def test_blocks_that_are_too_short_are_found_out_and_raise_no_false_alarm(
    block_points: int, points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted errors, i.i.d. permutation and blocks of less than a correlation time, harmless; and denied."""
    trials = max(8, TRIALS // 4)
    short = msgspec.structs.replace(FAST, block_points=block_points, points=points, trials=trials)
    found = rehearse(short, FAULTS["none"], 20261121)
    assert found.max_t_rejects <= 0.17
    monkeypatch.setattr("rlx_datapipe.fidelity.judge.inflation", lambda _: 1.0)
    monkeypatch.setattr("rlx_datapipe.fidelity.judge.windows_per_block", lambda *_: 1)
    assert rehearse(short, FAULTS["none"], 20261121).max_t_rejects > 0.2


def test_the_iid_bootstrap_covers_far_too_seldom() -> None:
    assert coverage(0.98, 6_000, 1, 12, 1) <= 0.4
    assert coverage(0.98, 6_000, 400, 12, 1) >= 0.7


def test_the_same_seed_gives_the_same_figures() -> None:
    few = msgspec.structs.replace(FAST, trials=2)
    assert rehearse(few, FAULTS["scale 1.1"], 1) == rehearse(few, FAULTS["scale 1.1"], 1)
    assert rehearse(few, FAULTS["scale 1.1"], 1) != rehearse(few, FAULTS["scale 1.1"], 2)


def test_settings_without_a_meaning_are_refused() -> None:
    for wrong in ({"phis": ()}, {"phis": (1.0,)}, {"trials": 1}):
        with pytest.raises(OptionError):
            RehearsalSettings(**wrong)
