"""The registry and the engine: names, near misses, plugins, order of dependencies, failures told."""

from __future__ import annotations

import threading
import time
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import numpy as np
import pytest

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.engine import run_metrics
from rlx_datapipe.fidelity.families import NumberMetric
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult
from rlx_datapipe.fidelity.registry import MetricRegistry
from rlx_datapipe.fidelity.synthetic import INSTRUMENT, synthetic_comparison
from rlx_datapipe.fidelity.tiers import TierCoordinator, TierSettings

NOTHING = Comparison(MarketSide("golden", INSTRUMENT, ()), MarketSide("recon", INSTRUMENT, ()))


def made(name: str, dependencies: tuple[str, ...] = (), compute: Any = None) -> type[MetricPlugin]:
    """A metric of this name that says what it computes, 0 by default."""

    class Made(MetricPlugin):
        category = "made"
        tier = 1
        purpose, reference = "none", "none"

        def calculate(self, data: Comparison) -> MetricResult:
            return self.says(compute(data) if compute else 0.0)

    Made.name, Made.dependencies = name, dependencies
    return Made


def holding(*plugins: type[MetricPlugin]) -> MetricRegistry:
    registry = MetricRegistry()
    for plugin in plugins:
        registry.metric(plugin)
    return registry


def test_a_name_has_one_holder() -> None:
    first = made("spread")
    registry = holding(first)
    registry.metric(first)
    with pytest.raises(OptionError, match="'spread' is taken"):
        registry.metric(made("spread"))
    with pytest.raises(OptionError, match="is taken"):
        registry.intermediate("spread")(lambda _: 1)


def test_an_unknown_name_gets_near_misses() -> None:
    registry = holding(made("spread_l1"), made("spread_l5"), made("kurtosis"))
    with pytest.raises(OptionError, match=r"no metric 'sprad_l1'.*Did you mean spread_l1"):
        registry.get("sprad_l1")
    with pytest.raises(OptionError, match="which 'lonely' depends on"):
        run_metrics(holding(made("lonely", ("nobody",))), NOTHING)


def test_metrics_are_listed_by_category_and_tier() -> None:
    registry = holding(made("b"), made("a"))
    assert registry.names() == registry.names(category="made", tier=1) == ["a", "b"]
    assert registry.names(tier=3) == []
    assert (list(registry), len(registry), "a" in registry) == (["a", "b"], 2, True)


def test_what_is_no_metric_is_refused() -> None:
    with pytest.raises(OptionError, match="made from MetricPlugin"):
        MetricRegistry().metric(int)  # type: ignore[type-var]


def test_plugins_come_by_entry_points_and_a_broken_one_is_a_finding() -> None:
    registry = MetricRegistry()
    module = "rlx_datapipe.fidelity.metrics.noise"
    points = [
        EntryPoint("all", module, "rlx_datapipe.metrics"),
        EntryPoint("again", f"{module}:NoiseShare", "rlx_datapipe.metrics"),
        EntryPoint("gone", "no_such_module:Metric", "rlx_datapipe.metrics"),
        EntryPoint("wrong", "math:pi", "rlx_datapipe.metrics"),
    ]
    registry.load_entry_points(points)
    assert registry.names() == ["noise_share"]
    assert [finding.rule for finding in registry.problems] == ["gone", "wrong"]
    assert "no_such_module" in registry.problems[0].message


def test_dependencies_are_computed_first_and_once() -> None:
    registry, calls = MetricRegistry(), []

    @registry.intermediate("mids")
    def _mids(data: Comparison) -> float:
        calls.append("mids")
        return 2.0

    @registry.intermediate("moves", ("mids",))
    def _moves(data: Comparison) -> float:
        return float(data.results["mids"]) + 1

    registry.metric(made("a", ("moves", "mids"), lambda data: data.results["moves"] * data.results["mids"]))
    registry.metric(made("b", ("a", "moves"), lambda data: data.results["a"].value + data.results["moves"]))
    measured = run_metrics(registry, NOTHING, ["b"])
    assert {name: one.value for name, one in measured.results.items()} == {"a": 6.0, "b": 9.0}
    assert calls == ["mids"]


def test_a_circle_is_refused_with_a_sentence() -> None:
    registry = holding(made("a", ("b",)), made("b", ("c",)), made("c", ("a",)))
    with pytest.raises(OptionError, match=r"in a circle: \w needs \w needs \w needs \w"):
        run_metrics(registry, NOTHING)


def test_a_failure_is_a_finding_with_its_cause_and_stops_what_depends_on_it() -> None:
    def broken(_: Comparison) -> float:
        return float(np.array([1.0])[3])

    registry = holding(made("bad", (), broken), made("after", ("bad",)), made("other"))
    measured = run_metrics(registry, NOTHING)
    assert list(measured.results) == ["other"]
    assert [finding.rule for finding in measured.findings] == ["after", "bad"]
    assert "IndexError" in measured.findings[1].message
    assert "depends on bad" in measured.findings[0].message
    assert measured.by_category(registry) == {"made": {"measured": 1, "without": 0, "failed": 2}}


def test_a_metric_that_gives_no_result_is_a_finding() -> None:
    wrong = made("wrong")
    wrong.calculate = lambda self, data: 1.0  # type: ignore[assignment, method-assign, return-value]
    assert "gave float" in run_metrics(holding(wrong), NOTHING).findings[0].message


def test_no_more_than_so_many_run_at_a_time() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def busy(_: Comparison) -> float:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        return 0.0

    run_metrics(
        holding(*(made(f"m{k}", (), busy) for k in range(8))), NOTHING, settings=TierSettings(workers=3)
    )
    assert 2 <= most[0] <= 3
    with pytest.raises(OptionError):
        TierSettings(workers=0)


def test_a_metric_that_does_not_end_is_a_finding() -> None:
    freed = threading.Event()
    registry = holding(made("stuck", (), lambda _: float(freed.wait(20))), made("waits", ("stuck",)))
    measured = run_metrics(registry, NOTHING, settings=TierSettings(workers=1, tier1_s=0.1))
    freed.set()
    assert "the 0.1 s of tier 1 were over before it came to an end" in measured.findings[0].message
    assert "depends on stuck, which failed" in measured.findings[1].message


def test_what_waits_behind_something_stuck_is_not_waited_for_one_by_one() -> None:
    freed = threading.Event()
    waiting = [made(f"waits{k}") for k in range(20)]
    for plugin in waiting:
        plugin.tier = 2
    stuck = made("stuck", (), lambda _: float(freed.wait(20)))
    began = time.monotonic()
    settings = TierSettings(workers=1, tier1_s=0.1, tier2_s=0.2)
    measured = run_metrics(holding(stuck, *waiting), NOTHING, settings=settings)
    freed.set()
    assert time.monotonic() - began < 5.0
    assert (len(measured.results), len(measured.findings)) == (0, 21)


def test_other_tiers_go_on_when_one_is_out_of_time() -> None:
    freed = threading.Event()
    stuck = made("stuck", (), lambda _: float(freed.wait(20)))
    light, queued = made("light"), made("queued")
    light.tier, queued.tier = 2, 2
    settings = TierSettings(workers=2, tier1_s=0.1, tier2_s=20.0)
    measured = run_metrics(holding(stuck, light, queued), NOTHING, settings=settings)
    freed.set()
    assert list(measured.results) == ["light", "queued"]
    assert [one.rule for one in measured.findings] == ["stuck"]


def test_heavy_metrics_are_begun_first_and_only_large_sides_are_worth_processes() -> None:
    registry = standard_registry(with_plugins=False)
    small = synthetic_comparison(1, windows=2, window_s=60)
    for apart, place in ((10**9, "threads"), (1, "processes")):
        coordinator = TierCoordinator(registry, small, TierSettings(events_apart=apart))
        assert coordinator.place("garch_persistence") == place
        assert coordinator.place("spread_stream") == coordinator.place("spread_l1") == "threads"
        names = coordinator.order(["spread_l1", "spread_stream", "garch_persistence"])
        assert names == ["garch_persistence", "spread_stream", "spread_l1"]
        coordinator.end(is_stuck=False)


class Elsewhere(NumberMetric):
    """Which process it is in, for the test of processes."""

    name = "elsewhere"
    category, purpose, reference = "made", "none", "none"
    windows_min: ClassVar[int] = 0

    def number(self, window: Window, data: Comparison) -> float:
        return 1.0

    def calculate(self, data: Comparison) -> MetricResult:
        import os

        return self.says(float(os.getpid()))


def test_metrics_run_in_processes_too() -> None:
    import os

    measured = run_metrics(holding(Elsewhere), NOTHING, settings=TierSettings(workers=1, events_apart=0))
    assert measured.findings == []
    assert measured.results["elsewhere"].value != os.getpid()
