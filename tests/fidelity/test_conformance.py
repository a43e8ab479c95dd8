"""The conformance suite: every metric of the package passes, each planted bad plugin is caught."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import Any, Self

import numpy as np
import pytest

from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.conformance import CHECKS, check_metric
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.metrics.spread import SpreadStream
from rlx_datapipe.fidelity.metrics.trades import TradeSizeAtoms
from rlx_datapipe.fidelity.plugin import Goal, MetricPlugin, MetricResult, Need, State
from rlx_datapipe.fidelity.synthetic import synthetic_comparison

REGISTRY = standard_registry(with_plugins=False)
LONG = {"acf_squares", "jump_activity", "jump_ratio", "jumps_per_hour"}
"""What says nothing on windows of a minute, or is not worse but other when the whole market is spoiled."""


MANY = {"garch_persistence", "tail_index"}
"""What needs hundreds of returns."""


@cache
def suite(noise: float, windows: int = 5) -> Comparison:
    return synthetic_comparison(7, noise=noise, windows=windows)


@cache
def spoiled(noise: float) -> Comparison:
    """Windows of 25 minutes, so many of them spoiled as noise says."""
    clean, bad = (synthetic_comparison(7, noise=one, windows=3, window_s=1500) for one in (0.0, 1.0))
    first = round(noise * 3)
    windows = (*bad.recon.windows[:first], *clean.golden.windows[first:])
    return replace(clean, recon=replace(clean.recon, windows=windows))


@pytest.mark.parametrize("name", REGISTRY.names())
def test_a_metric_of_the_package_keeps_the_contract(name: str) -> None:
    data = spoiled if name in LONG else partial(suite, windows=12 if name in MANY else 5)
    assert check_metric(REGISTRY.get(name), registry=REGISTRY, data=data) == []


def caught(plugin: type[MetricPlugin]) -> list[str]:
    return [breach.check for breach in check_metric(plugin, data=suite)]


class Good(MetricPlugin):
    """Mean spread in ticks, relative; the base of the bad ones."""

    name = "good"
    category, tier, purpose, reference = "test", 2, "mean spread", "none"
    bounds = (0.0, 1.0)
    requirements = frozenset({Need.QUOTES})

    def calculate(self, data: Comparison) -> MetricResult:
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        a, b = (np.mean([(w.quotes.ask - w.quotes.bid).mean() for w in side.windows]) for side in data.sides)
        return self.says(self.told(float(abs(a - b) / max(a, b)), data))

    def told(self, value: float, data: Comparison) -> float:
        return value


class Nameless(Good):
    purpose = ""


class NeverBest(Good):
    def told(self, value: float, data: Comparison) -> float:
        return value / 2 + 0.1


class Blind(Good):
    def told(self, value: float, data: Comparison) -> float:
        return 0.0


class TurnsRound(Good):
    def told(self, value: float, data: Comparison) -> float:
        return value * (0.6 - value) * 4 if value else 0.0


class WrongGoal(Good):
    goal = Goal.MAXIMISE


class OutOfBounds(Good):
    def told(self, value: float, data: Comparison) -> float:
        return value * 100


class Unseeded(Good):
    def told(self, value: float, data: Comparison) -> float:
        return value * (1 - 0.01 * float(np.random.random()))


class Meddling(Good):
    def told(self, value: float, data: Comparison) -> float:
        data.recon.windows[0].events[0, 0] += 1
        return value


class Inventive(Good):
    def validate_requirements(self, data: Comparison) -> str:
        return ""

    def calculate(self, data: Comparison) -> MetricResult:
        if super().validate_requirements(data):
            return self.says(0.5)
        return super().calculate(data)


class Crashing(Good):
    def validate_requirements(self, data: Comparison) -> str:
        return ""


class Endless(Good):
    def says(self, value: float, **_: Any) -> MetricResult:
        return MetricResult(self.name, self.unit, value if value == 0 else float("nan"))


class Stream(SpreadStream):
    """A right streaming metric, the base of wrong ones."""

    name = "stream"


class LosesParts(Stream):
    def merge(self, other: Self) -> None:
        self.sketch.merge(other.sketch)


class CountsBatches(Stream):
    def update(self, batch: Window) -> None:
        super().update(batch)
        self.moments.update(np.ones(1))


class Forgetful(Stream):
    def restore(self, state: State) -> None:
        self.sketch, self.moments = type(self.sketch)(), type(self.moments)()


class SharesItsState(Stream):
    def state(self) -> State:
        return {"sketch": self.sketch.words, "moments": self.moments.words}


def test_the_bases_of_the_bad_ones_are_good() -> None:
    assert caught(Good) == []
    assert caught(Stream) == []
    assert caught(TradeSizeAtoms) == []


@pytest.mark.parametrize(
    ("plugin", "check"),
    [
        (Nameless, "declares_itself"),
        (NeverBest, "same_data_give_the_best_value"),
        (WrongGoal, "same_data_give_the_best_value"),
        (Blind, "noise_makes_it_worse"),
        (TurnsRound, "noise_makes_it_worse"),
        (OutOfBounds, "stays_within_its_bounds"),
        (Unseeded, "repeats_by_its_seed"),
        (Meddling, "leaves_its_data_alone"),
        (Inventive, "too_little_data_is_a_statement"),
        (Crashing, "too_little_data_is_a_statement"),
        (Endless, "says_finite_numbers"),
        (LosesParts, "parts_merge_into_the_whole"),
        (CountsBatches, "parts_merge_into_the_whole"),
        (Forgetful, "survives_a_checkpoint"),
        (SharesItsState, "survives_a_checkpoint"),
    ],
)
def test_a_planted_bad_plugin_is_caught_by_its_own_check(plugin: type[MetricPlugin], check: str) -> None:
    found = caught(plugin)
    assert check in found
    if plugin not in {WrongGoal, Meddling, Endless, TurnsRound}:
        assert found == [check]


def test_each_check_is_proven_by_a_bad_plugin() -> None:
    assert len({check.__name__ for check in CHECKS}) == 10
