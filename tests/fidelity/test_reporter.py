"""One report of a comparison: verdict on the whole, score beside it, likely causes, the same to the byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Field, Int64Array, Kind
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.causes import CAUSES, likely_causes
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing, Verdict
from rlx_datapipe.fidelity.explain import explained
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window
from rlx_datapipe.fidelity.overall import overall
from rlx_datapipe.fidelity.reporter import FidelityReporter, Named
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.fidelity.score import likeness, scored, weight
from rlx_datapipe.fidelity.synthetic import synthetic_side

REGISTRY = standard_registry(with_plugins=False)
PLUGINS = {name: REGISTRY.get(name) for name in REGISTRY}
RULE = DecisionSettings(permutations=199, rounds=199, floor_factor=1.5)
GATES = sorted(name for name, plugin in PLUGINS.items() if plugin.severity is Severity.GATE)

Change = Callable[[Window], Window]


@cache
def market(seed: int) -> MarketSide:
    return synthetic_side(seed, windows=12)


def reported(data: Comparison, names: list[str] | None = None) -> FidelityReport:
    reporter = FidelityReporter(REGISTRY, decision=RULE)
    return reporter.report(data, names, dataset=Named("ours"), golden=Named("theirs"), window_ns=60 * 10**9)


def paired(change: Change = lambda window: window) -> Comparison:
    golden = market(1)
    changed = replace(golden, name="recon", windows=[change(window) for window in golden.windows])
    return Comparison(golden, changed, is_paired=True)


def verdict(standing: Standing, **numbers: float) -> Verdict:
    return Verdict(standing=standing, reason="as told", margin=0.1, numbers=numbers)


def passing() -> dict[str, Verdict]:
    return dict.fromkeys(PLUGINS, verdict(Standing.PASS, upper=0.05))


def test_a_market_against_itself_passes_with_a_score_of_one() -> None:
    report = reported(paired())
    assert report.verdict is Standing.PASS
    assert report.score.overall == 1.0
    assert {one.name for one in report.metrics} == set(REGISTRY)
    assert not [one for one in report.problems if one.standing is Standing.FAIL]
    assert "Best prices" in {one.title for one in report.strengths}
    assert report.header.dataset.events == report.header.golden.events > 0


def test_the_same_run_gives_the_same_bytes_and_another_seed_is_told() -> None:
    data = Comparison(market(1), replace(market(2), name="recon"))
    names = ["spread_l1", "trade_size", "returns_1s"]
    first = reported(data, names).to_json()
    assert reported(data, names).to_json() == first
    assert msgspec.json.decode(first)["header"]["seed"] == 0
    assert reported(replace(data, seed=1), names).to_json() != first


def test_only_what_is_asked_for_is_told() -> None:
    assert [one.name for one in reported(paired(), ["trade_size", "spread_l1"]).metrics] == [
        "spread_l1",
        "trade_size",
    ]
    with pytest.raises(OptionError, match="Did you mean spread_l1"):
        reported(paired(), ["spread_l_1"])


def test_numbers_of_a_comparison_of_other_times_stand_in_the_report() -> None:
    data = Comparison(market(1), replace(market(2), name="recon"))
    (metric,) = reported(data, ["spread_l1"]).metrics
    assert metric.value is not None
    assert metric.floor is not None
    assert metric.margin == max(metric.floor, 0.03)
    assert metric.low is not None
    assert metric.high is not None
    assert metric.low <= metric.high
    assert None not in (metric.p.adjusted, metric.p.plain, metric.p.discovery)
    assert metric.p.classical_ks_not_valid_under_dependence is not None
    assert metric.plots.histogram is not None


def test_any_failure_fails_the_whole_but_a_note() -> None:
    for name, plugin in PLUGINS.items():
        found = {**passing(), name: verdict(Standing.FAIL, upper=0.2)}
        whole = overall(found, PLUGINS, is_paired=True)
        is_note = plugin.severity is Severity.NOTE
        assert whole.standing is (Standing.PASS if is_note else Standing.FAIL), name
        assert is_note or name in whole.reason


def test_an_undecided_gate_holds_the_whole_up_and_other_metrics_do_not() -> None:
    for name, plugin in PLUGINS.items():
        found = {**passing(), name: verdict(Standing.INCONCLUSIVE)}
        whole = overall(found, PLUGINS, is_paired=True)
        is_gate = plugin.severity is Severity.GATE
        assert whole.standing is (Standing.INCONCLUSIVE if is_gate else Standing.PASS), name
        assert not is_gate or whole.reason == f"{name}: as told"


def test_what_cannot_be_asked_holds_nothing_up() -> None:
    touch = {"touch_rms", "touch_exact"}
    found = {**passing(), **dict.fromkeys(touch, verdict(Standing.INCONCLUSIVE))}
    assert overall(found, PLUGINS, is_paired=False).standing is Standing.PASS
    assert overall(found, PLUGINS, is_paired=True).standing is Standing.INCONCLUSIVE
    coarse = {**passing(), "quote_gaps": verdict(Standing.NOT_IDENTIFIABLE)}
    assert overall(coarse, PLUGINS, is_paired=True).standing is Standing.PASS


def test_no_pass_without_gates_or_over_a_metric_that_came_to_no_end() -> None:
    assert overall({}, PLUGINS, is_paired=True).standing is Standing.INCONCLUSIVE
    one = {"tail_ratio": verdict(Standing.INCONCLUSIVE)}
    assert overall(one, PLUGINS, is_paired=True).standing is Standing.INCONCLUSIVE
    assert overall({"tail_ratio": verdict(Standing.PASS)}, PLUGINS, is_paired=True).standing is Standing.PASS
    failed = overall(passing(), PLUGINS, ["returns_1s"], is_paired=True)
    assert (failed.standing, failed.reason) == (Standing.INCONCLUSIVE, "returns_1s: could not be measured")


def test_the_score_is_the_weighted_mean_of_what_was_decided() -> None:
    assert likeness(verdict(Standing.PASS, upper=0.09)) == 1
    assert likeness(verdict(Standing.FAIL, upper=0.4)) == pytest.approx(0.25)
    assert likeness(verdict(Standing.FAIL, low=-0.2, high=0.1)) == pytest.approx(0.5)
    assert likeness(verdict(Standing.INCONCLUSIVE, upper=0.4)) is None
    found = {
        "spread_l1": verdict(Standing.FAIL, upper=0.4),
        "touch_rms": verdict(Standing.PASS, upper=0.0),
        "kurtosis": verdict(Standing.INCONCLUSIVE),
    }
    told = scored(found, PLUGINS)
    first, second, third = (weight(PLUGINS[name]) for name in found)
    assert (first, second, third) == (6.0, 9.0, 1.0)
    assert told.overall == pytest.approx((0.25 * first + second) / (first + second))
    assert told.decided == pytest.approx((first + second) / (first + second + third))
    assert told.by_category == {"returns": None, "spread": pytest.approx(0.25), "touch": 1.0}
    assert told.by_tier == {"1": 1.0, "2": pytest.approx(0.25), "3": None}


def scaled(window: Window) -> Window:
    events, best = window.events.copy(), window.best.copy()
    events[Field.QUANTITY] *= 2
    best[1::2] = np.where(best[1::2] > 0, best[1::2] * 2, best[1::2])
    return replace(window, events=events, best=best)


def flipped(window: Window) -> Window:
    """Every other trade by the other side."""
    events: Int64Array = window.events.copy()
    trades = np.flatnonzero(events[Field.KIND] == Kind.TRADE)[::2]
    events[Field.SIDE, trades] = 1 - events[Field.SIDE, trades]
    return replace(window, events=events)


def shallow(window: Window) -> Window:
    """The tenth level and all behind it a hundred ticks further away."""
    samples = window.samples.copy()
    samples[:, 0, 4:] -= 100 * window.tick
    samples[:, 2, 4:] += 100 * window.tick
    return replace(window, samples=samples)


@pytest.mark.parametrize(
    ("change", "name"),
    [(scaled, "quantities scaled"), (flipped, "sides flipped"), (shallow, "deep levels missing")],
)
def test_a_planted_fault_is_named_as_the_likely_cause(change: Change, name: str) -> None:
    report = reported(paired(change))
    (cause,) = [one for one in CAUSES if one.name == name]
    assert report.verdict is Standing.FAIL
    assert any(cause.told in problem.causes for problem in report.problems), report.problems
    assert report.score.overall is not None
    assert report.score.overall < 1


def test_a_cause_needs_its_pattern() -> None:
    def found(*names: str) -> list[str]:
        failing = dict.fromkeys(names, verdict(Standing.FAIL))
        return [one.name for one in likely_causes({**passing(), **failing})]

    assert found() == []
    assert found("touch_rms", "touch_exact") == ["deltas lost"]
    assert found("touch_depth") == []
    assert found("touch_depth", "trade_size", "spread_l1") == []
    assert found(*PLUGINS) == ["another market"]
    known = set(PLUGINS)
    assert all(cause.moves | cause.stays <= known for cause in CAUSES)


@pytest.mark.parametrize("name", sorted(PLUGINS))
def test_each_metric_can_be_explained(name: str) -> None:
    told = explained(PLUGINS[name])
    assert told.formula != told.purpose
    assert told.reference
    assert told.threshold
    assert told.why.endswith(".")


def test_there_are_gates() -> None:
    assert {"touch_rms", "touch_exact", "spread_l1", "trade_size", "returns_1s"} <= set(GATES)
