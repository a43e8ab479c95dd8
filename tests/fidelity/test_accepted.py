"""Metrics that break their contract: each is a finding with its name and the reason, and the run goes on."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.depth import deep

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.blocks import BlockCounts, BlockNumbers, BlockVectors
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing
from rlx_datapipe.fidelity.families import FitMetric, NumberMetric
from rlx_datapipe.fidelity.generator import ReportGenerator
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.metrics.spread import METRICS
from rlx_datapipe.fidelity.plot_data import HeatMap
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult, Need
from rlx_datapipe.fidelity.registry import MetricRegistry
from rlx_datapipe.fidelity.reporter import FidelityReporter, Named
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.fidelity.synthetic import synthetic_comparison
from rlx_datapipe.fidelity.tiers import TierSettings

DATA = synthetic_comparison(3, noise=0.0)
WINDOWS = len(DATA.golden.windows)
SPREAD = METRICS[0]


class Told(MetricPlugin):
    """Says whatever it is made to."""

    name, category, tier, purpose, reference = "told", "outside", 1, "none", "none"

    def calculate(self, data: Comparison) -> MetricResult:
        raise NotImplementedError


def telling(said: Callable[[Any, Comparison], Any], base: type[MetricPlugin] = Told) -> type[MetricPlugin]:
    """A metric that says this."""
    return type("Telling", (base,), {"name": "told", "calculate": said})


def over(blocks: Any) -> type[MetricPlugin]:
    """A metric with a good number over these blocks."""
    return telling(lambda self, data: self.says(0.1, blocks=blocks))


def report(*plugins: type[MetricPlugin], data: Comparison = DATA) -> FidelityReport:
    registry = MetricRegistry()
    for plugin in (SPREAD, *plugins):
        registry.metric(plugin)
    reporter = FidelityReporter(registry, decision=DecisionSettings(permutations=99, rounds=99))
    side = Named("here")
    return reporter.report(data, dataset=side, golden=side, window_ns=60 * 10**9)


@dataclasses.dataclass(frozen=True)
class Odd(BlockNumbers):
    """Blocks that answer in other ways than asked."""

    answer: Any = None

    def apart(self, first: Any, second: Any) -> Any:
        return self.answer(first)


ROWS = np.linspace(0.0, 1.0, WINDOWS)
ONE = np.ones((WINDOWS, 3), dtype=np.int64)
CENTRES = np.array([1.0, 2.0, 3.0])
RAISING: dict[str, Any] = {
    "raises": lambda self, data: 1 / 0,
    "ends the program": lambda self, data: sys.exit(3),
    "takes no data": lambda self: self.says(0.0),
    "gives nothing": lambda self, data: None,
    "gives an array": lambda self, data: np.zeros(3),
    "no number": lambda self, data: MetricResult("told", "", float("nan")),
    "an infinite number": lambda self, data: MetricResult("told", "", float("inf")),
    "text for a number": lambda self, data: MetricResult("told", "", "0.1"),  # type: ignore[arg-type]
    "an array for a number": lambda self, data: MetricResult("told", "", np.zeros(2)),  # type: ignore[arg-type]
    "no reason": lambda self, data: MetricResult("told", "", None),
    "measures without names": lambda self, data: MetricResult("told", "", 0.1, "", {3: 1.0}),  # type: ignore[dict-item]
    "no measures": lambda self, data: MetricResult("told", "", 0.1, "", None),  # type: ignore[arg-type]
    "an array for a heat map": lambda self, data: self.says(0.1, heat_map=np.zeros((2, 2))),
    "a heat map of arrays": lambda self, data: self.says(
        0.1,
        heat_map=HeatMap(told="", rows=["a"], columns=["b"], values=[np.zeros(1)]),  # type: ignore[list-item]
    ),
}
BLOCKS: dict[str, Callable[[], Any]] = {
    "fewer blocks than windows": lambda: BlockNumbers(ROWS[1:], ROWS[1:]),
    "blocks of one side": lambda: BlockNumbers(ROWS, ROWS[:0]),
    "lists": lambda: BlockNumbers(list(ROWS), list(ROWS)),  # type: ignore[arg-type]
    "objects": lambda: BlockNumbers(ROWS.astype(object), ROWS.astype(object)),
    "numbers as a table": lambda: BlockNumbers(ONE.astype(float), ONE.astype(float)),
    "a table as numbers": lambda: BlockVectors(ROWS, ROWS),
    "sides of other widths": lambda: BlockVectors(ONE.astype(float), ONE[:, :2].astype(float)),
    "no blocks at all": lambda: ROWS,
    "other bins": lambda: BlockCounts(ONE, ONE, CENTRES[:2]),
    "bins without order": lambda: BlockCounts(ONE, ONE, CENTRES[::-1]),
    "bins of nothing": lambda: BlockCounts(ONE, ONE, CENTRES * np.nan),
    "counts below 0": lambda: BlockCounts(-ONE, ONE, CENTRES),
    "infinite numbers": lambda: BlockNumbers(ROWS, np.full(WINDOWS, np.inf)),
    "a distance that raises": lambda: Odd(ROWS, ROWS, answer=lambda first: first[9, 9]),
    "one distance for all": lambda: Odd(ROWS, ROWS, answer=lambda first: 0.5),
    "a distance below 0": lambda: Odd(ROWS, ROWS, answer=lambda first: -np.ones(len(first))),
}


def failed(told: FidelityReport) -> str:
    """What is said of the one that failed, when all else is as it must be."""
    (finding,) = told.findings
    assert finding.rule == "told"
    assert finding.message.startswith("told failed: ")
    assert [(one.name, one.verdict) for one in told.metrics] == [(SPREAD.name, ALONE.metrics[0].verdict)]
    assert told.verdict is Standing.INCONCLUSIVE, "no PASS is given over a metric that failed"
    assert told.to_json()
    return finding.message


ALONE = report()


@pytest.mark.parametrize("fault", RAISING)
def test_whatever_a_metric_does_is_a_finding(fault: str) -> None:
    assert len(failed(report(telling(RAISING[fault])))) > len("told failed: ")


@pytest.mark.parametrize("fault", BLOCKS)
def test_blocks_that_no_verdict_can_stand_on_are_a_finding(fault: str) -> None:
    def said(self: Any, data: Comparison) -> MetricResult:
        return self.says(0.1, blocks=BLOCKS[fault]())  # type: ignore[no-any-return]

    failed(report(telling(said)))


def test_the_reason_says_what_was_found_and_what_was_expected() -> None:
    told = report(over(BlockNumbers(ROWS[1:], ROWS[1:])))
    said = failed(told)
    assert "its blocks are no windows" in ReportGenerator(told).html()
    assert "its blocks are no windows" in said
    assert f"({WINDOWS - 1}, {WINDOWS - 1})" in said
    assert f"({WINDOWS}, {WINDOWS})" in said


def test_a_family_whose_method_raises_or_gives_another_shape_is_a_finding() -> None:
    class Number(NumberMetric):
        name, category, purpose, reference = "told", "outside", "none", "none"

        def number(self, window: Window, data: Comparison) -> float:
            return [1.0, 2.0]  # type: ignore[return-value]

    failed(report(Number))
    gone: dict[str, float] = {}
    broken: Any = type("Broken", (Number,), {"number": lambda self, window, data: gone["it"]})
    assert "KeyError" in failed(report(broken))
    words = {"category": "outside", "purpose": "none", "reference": "none", "fit": None}
    fit: Any = FitMetric
    lame = type("Lame", (telling(lambda self, data: self.says(0.1, golden=1.0), fit),), words)
    assert "golden_error" in failed(report(lame))


def test_one_that_cannot_be_made_is_a_finding() -> None:
    half: Any = type("Half", (MetricPlugin,), {**vars_of(Told), "tier": 2})
    assert "abstract" in failed(report(half))

    def refuse(self: Any) -> None:
        raise ValueError("needs a licence")

    made = type("Made", (Told,), {"__init__": refuse})
    assert "needs a licence" in failed(report(made))


def vars_of(plugin: type) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(plugin).items()
        if name in ("name", "category", "purpose", "reference")
    }


class Killer(Told):
    """Takes its process along."""

    tier = 3

    def calculate(self, data: Comparison) -> MetricResult:
        os._exit(9)


@deep
def test_one_that_takes_its_process_along_is_a_finding() -> None:
    registry = MetricRegistry()
    for plugin in (SPREAD, Killer):
        registry.metric(plugin)
    apart = TierSettings(events_apart=0)
    told = FidelityReporter(registry, engine=apart).report(
        DATA, dataset=Named("here"), golden=Named("here"), window_ns=60 * 10**9
    )
    assert [one.rule for one in told.findings] == ["told"]
    assert [one.name for one in told.metrics] == [SPREAD.name]


@pytest.mark.parametrize(
    ("attribute", "value", "told"),
    [
        ("category", "", "declares no category"),
        ("tier", 4, "cost tier"),
        ("severity", "gate", "Severity"),
        ("goal", "least", "Goal"),
        ("bounds", (1.0, 0.0), "bounds"),
        ("bounds", None, "bounds"),
        ("requirements", frozenset({"quotes of tomorrow"}), "no Needs: quotes of tomorrow"),
        ("dependencies", "spread_l1", "dependencies"),
        ("engineering_floor", float("nan"), "engineering_floor"),
        ("scale_ns", "1s", "scale_ns"),
    ],
)
def test_a_declaration_that_is_not_whole_is_refused_with_the_reason(
    attribute: str, value: Any, told: str
) -> None:
    with pytest.raises(OptionError, match=told):
        MetricRegistry().metric(type("Made", (Told,), {attribute: value}))
    MetricRegistry().metric(type("Made", (Told,), {"requirements": frozenset({Need.QUOTES})}))


def test_a_module_that_raises_anything_is_told_and_others_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    contents = {"raising_one": "1 / 0", "leaving_one": "raise SystemExit(3)", "sound_one": "METRICS = ()"}
    for name, content in contents.items():
        (tmp_path / f"{name}.py").write_text(content, "utf-8")
    registry = MetricRegistry()
    registry.load_entry_points(EntryPoint(name, name, "rlx_datapipe.metrics") for name in contents)
    assert sorted(one.rule for one in registry.problems) == ["leaving_one", "raising_one"]
    assert "ZeroDivisionError" in registry.problems[1].message
