"""From metrics to verdicts, on a seeded market: itself, another draw of it, and one that is spoiled."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from rlx_datapipe.core.event import Field
from rlx_datapipe.fidelity import planting
from rlx_datapipe.fidelity.blocks import BlockNumbers
from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing, Verdict
from rlx_datapipe.fidelity.engine import run_metrics
from rlx_datapipe.fidelity.judge import Case, Judgement, judge
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.rehearsal import ar1
from rlx_datapipe.fidelity.synthetic import synthetic_side
from rlx_datapipe.fidelity.verdicts import verdicts

REGISTRY = standard_registry(with_plugins=False)
RULE = DecisionSettings(permutations=199, rounds=199, floor_factor=1.5)


@cache
def judged(
    golden: int, recon: int, noise: float, *, is_paired: bool, resolution_ns: int = 1
) -> dict[str, Verdict]:
    sides = [synthetic_side(golden, windows=30), synthetic_side(recon, noise=noise, name="recon", windows=30)]
    if resolution_ns > 1:
        coarse = tuple(replace(window, resolution_ns=resolution_ns) for window in sides[1].windows)
        sides[1] = replace(sides[1], windows=coarse)
    data = Comparison(sides[0], sides[1], is_paired=is_paired)
    measured = run_metrics(REGISTRY, data)
    assert measured.findings == []
    return verdicts(measured, REGISTRY, data, np.random.default_rng(0), RULE)


def named(found: dict[str, Verdict], standing: Standing) -> set[str]:
    return {name for name, one in found.items() if one.standing is standing}


def test_a_capture_against_itself_passes_in_all_that_has_a_number() -> None:
    found = judged(1, 1, 0.0, is_paired=True)
    without = named(found, Standing.INCONCLUSIVE)
    assert all(found[name].reason.startswith("too little data") for name in without)
    assert named(found, Standing.PASS) == found.keys() - without
    assert len(without) <= 5


def test_another_draw_of_the_same_market_fails_nothing() -> None:
    found = judged(1, 2, 0.0, is_paired=False)
    assert named(found, Standing.FAIL) == set()
    assert named(found, Standing.PASS) >= {
        "spread_l1",
        "touch_depth",
        "trade_gaps",
        "trade_size",
        "returns_1s",
    }
    assert "same time" in found["touch_rms"].reason


@pytest.mark.parametrize("is_paired", [True, False])
def test_a_spoiled_market_fails(is_paired: bool) -> None:
    found = judged(1, 1 if is_paired else 2, 0.5, is_paired=is_paired)
    must = {"spread_l1", "spread_l10", "touch_depth", "imbalance", "trade_size", "trade_fano"}
    assert named(found, Standing.FAIL) >= must | ({"touch_rms", "touch_exact"} if is_paired else set())
    assert named(found, Standing.PASS) & must == set()


def test_where_each_moment_is_compared_one_window_that_is_wrong_is_no_chance() -> None:
    golden = synthetic_side(1, windows=40)
    first, *others = golden.windows
    share = 3_600 * 10**9 / (first.end_ns - first.start_ns)

    def stuck_for(seconds: float) -> dict[str, Verdict]:
        # `book_stuck` takes seconds an hour: all of them fall into this window.
        wrong = planting.book_stuck(first, np.random.default_rng(3), seconds * share)
        data = Comparison(golden, replace(golden, name="recon", windows=(wrong, *others)), is_paired=True)
        measured = run_metrics(REGISTRY, data, ["touch_exact", "touch_rms"])
        return verdicts(measured, REGISTRY, data, np.random.default_rng(0), RULE)

    short, long = stuck_for(0.05), stuck_for(20)
    assert named(short, Standing.PASS) == {"touch_exact", "touch_rms"}
    assert "touch_exact" in named(long, Standing.FAIL)
    assert "each moment" in long["touch_exact"].reason


def test_one_stuck_stretch_of_the_same_interval_fails_as_a_fact() -> None:
    """Two seconds in half an hour: no distribution shows them, and nothing is resampled to see them."""
    golden, recon = (synthetic_side(1, windows=30, name=name) for name in ("golden", "recon"))
    window = recon.windows[7]
    low, high = np.searchsorted(
        window.events[Field.ORDER_TIME], [window.start_ns + 20 * 10**9, window.start_ns + 22 * 10**9]
    )
    best = window.best.copy()
    best[:, low:high] = best[:, low - 1 : low]
    stuck = replace(recon, windows=(*recon.windows[:7], replace(window, best=best), *recon.windows[8:]))
    names = ("touch_stuck", "spread_l1")
    for recon_side, expected in ((recon, Standing.PASS), (stuck, Standing.FAIL)):
        data = Comparison(golden, recon_side, is_paired=True)
        measured = run_metrics(REGISTRY, data, names)
        found = verdicts(measured, REGISTRY, data, np.random.default_rng(0), RULE)
        assert found["touch_stuck"].standing is expected
        assert found["spread_l1"].standing is not Standing.FAIL
    assert measured.results["touch_stuck"].measures["window"] == 7


def test_what_the_stamps_cannot_resolve_is_not_identifiable() -> None:
    found = judged(1, 2, 0.0, is_paired=False, resolution_ns=400_000_000)
    assert "ofi_1s" in named(found, Standing.NOT_IDENTIFIABLE)
    assert "spread_l1" not in named(found, Standing.NOT_IDENTIFIABLE)


def remembering(seed: int, phi: float, windows: int, apart: float) -> Judgement:
    rng = np.random.default_rng([seed, windows])
    golden, recon = (ar1(phi, windows, rng) for _ in range(2))
    return judge({"slow": Case(BlockNumbers(golden, recon + apart))}, rng, RULE)


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.9])
def test_windows_that_remember_each_other_raise_no_more_false_alarms(phi: float) -> None:
    found = [remembering(seed, phi, 60, 0.0).verdicts["slow"].standing for seed in range(60)]
    assert found.count(Standing.FAIL) <= 7, "3 are due; 7 is beyond what 98 % of such rates would show"
    assert phi < 0.9 or found.count(Standing.PASS) == 0, "sixty windows that are worth six prove nothing"


def test_the_plain_permutation_of_such_windows_would_fail_one_market() -> None:
    """Planted: memory denied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rlx_datapipe.fidelity.judge.inflation", lambda _: 1.0)
        patch.setattr("rlx_datapipe.fidelity.judge.windows_per_block", lambda *_: 1)
        found = [remembering(seed, 0.9, 60, 0.0).verdicts["slow"].standing for seed in range(30)]
    assert found.count(Standing.FAIL) >= 12


def test_a_gross_difference_fails_though_windows_remember_each_other() -> None:
    found = remembering(3, 0.8, 200, 12.0)
    assert found.evidence["slow"].inflation > 1.5
    assert found.verdicts["slow"].standing is Standing.FAIL


def test_the_same_seed_gives_the_same_verdicts() -> None:
    first = judged(1, 2, 0.5, is_paired=False)
    judged.cache_clear()
    assert judged(1, 2, 0.5, is_paired=False) == first
