"""The conformance suite of metrics: what every plugin must keep, checked on a seeded market."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from rlx_datapipe.fidelity.accepted import undeclared
from rlx_datapipe.fidelity.engine import run_metrics
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window
from rlx_datapipe.fidelity.plugin import Goal, MetricPlugin, MetricResult, StreamingMetric
from rlx_datapipe.fidelity.registry import MetricRegistry
from rlx_datapipe.fidelity.synthetic import synthetic_comparison
from rlx_datapipe.fidelity.tiers import TierSettings

NOISES = (0.0, 0.3, 1.0)
SEED = 7
_EQUAL = 1e-9


@dataclass(frozen=True)
class Breach:
    """A part of the contract that a metric does not keep, and how it was seen."""

    check: str
    message: str


Data = Callable[[float], Comparison]
Check = Callable[["_Case"], str]


@dataclass
class _Case:
    """A metric under test, the registry that it stands in, and what makes its data from a level of noise."""

    plugin: type[MetricPlugin]
    registry: MetricRegistry
    data: Data

    def measure(self, data: Comparison) -> MetricResult:
        """The metric on these data, with all that it depends on.

        A metric that fails is a breach of whatever was being checked.
        """
        name = self.plugin.name
        measured = run_metrics(self.registry, data, [name], TierSettings(workers=1))
        if measured.findings:
            raise _BrokenError(measured.findings[0].message)
        return measured.results[name]

    def value(self, noise: float) -> float:
        """Its number at a level of noise."""
        result = self.measure(self.data(noise))
        if result.value is None:
            raise _BrokenError(f"no number on the data of the suite: {result.reason}")
        return result.value


class _BrokenError(Exception):
    """Raised when a metric fails in the middle of a check."""


def check_metric(
    plugin: type[MetricPlugin], *, registry: MetricRegistry | None = None, data: Data | None = None
) -> list[Breach]:
    """All breaches of the contract by a metric; an empty list is a pass.

    Parameters
    ----------
    plugin
        The class of the metric.
    registry
        Where what it depends on stands; by default it stands alone.
    data
        Makes a comparison from a level of noise from 0 to 1, for metrics that need what the market of the
        suite (`synthetic.synthetic_comparison`) does not have. At 0 both sides must be equal.
    """
    if wrong := undeclared(plugin):
        return [Breach(declares_itself.__name__, wrong)]
    stands_in = registry or MetricRegistry()
    stands_in.metric(plugin)
    case = _Case(plugin, stands_in, data or partial(_suite_data, SEED))
    breaches = []
    for check in CHECKS:
        try:
            message = check(case)
        except _BrokenError as error:
            message = str(error)
        if message:
            breaches.append(Breach(check.__name__, message))
    return breaches


def declares_itself(case: _Case) -> str:
    """Name, category, cost tier, purpose and reference are there; the best bound is finite."""
    if wrong := undeclared(case.plugin):
        return wrong
    return "" if np.isfinite(case.plugin().best()) else "the best of its values is not finite"


def same_data_give_the_best_value(case: _Case) -> str:
    """Golden against golden is perfect likeness."""
    value, best = case.value(0.0), case.plugin().best()
    return "" if abs(value - best) <= _EQUAL else f"{value!r} on equal sides, the best is {best!r}"


def noise_makes_it_worse(case: _Case) -> str:
    """More noise is never better, and all of it is worse than none."""
    sign = 1.0 if case.plugin.goal is Goal.MINIMISE else -1.0
    values = [sign * case.value(noise) for noise in NOISES]
    told = ", ".join(f"{sign * value:.6g}" for value in values)
    if any(later < earlier - _EQUAL for earlier, later in pairwise(values)):
        return f"gets better as noise grows: {told}"
    return "" if values[-1] > values[0] + _EQUAL else f"does not see noise: {told}"


def stays_within_its_bounds(case: _Case) -> str:
    """No value lies outside the declared bounds."""
    low, high = case.plugin.bounds
    for noise in NOISES:
        value = case.value(noise)
        if not low - _EQUAL <= value <= high + _EQUAL:
            return f"{value!r} lies outside {case.plugin.bounds}"
    return ""


def repeats_by_its_seed(case: _Case) -> str:
    """Twice the same data, twice the same result, whatever NumPy's global generator says."""
    before = np.random.get_state()
    told = []
    try:
        for seed in (0, 1):
            np.random.seed(seed)
            told.append(case.measure(case.data(NOISES[1])).told())
    finally:
        np.random.set_state(before)
    return "" if _same(told[0], told[1]) else f"other results for the same data: {told[0]} and {told[1]}"


def leaves_its_data_alone(case: _Case) -> str:
    """No array that it is given is changed."""
    data = case.data(NOISES[1])
    before = [window.events.copy() for side in data.sides for window in side.windows]
    more = [window.samples.copy() for side in data.sides for window in side.windows]
    case.measure(data)
    windows = [window for side in data.sides for window in side.windows]
    same = all(
        np.array_equal(a, w.events) and np.array_equal(b, w.samples)
        for a, b, w in zip(before, more, windows, strict=True)
    )
    return "" if same else "it changed the data that it was given"


def too_little_data_is_a_statement(case: _Case) -> str:
    """Without windows, and with empty ones, there is no number but a sentence."""
    full = case.data(0.0)
    for told, empty in (("no windows", _without_windows), ("empty windows", _with_empty_windows)):
        data = replace(full, golden=empty(full.golden), recon=empty(full.recon))
        result = case.measure(data)
        if result.value is not None:
            return f"{result.value!r} from {told}; expected no number and a reason"
        if not result.reason:
            return f"no number from {told}, and no reason"
    return ""


def says_finite_numbers(case: _Case) -> str:
    """A value is a finite float, never NaN in place of a statement."""
    value = case.measure(case.data(NOISES[1])).value
    if value is None or (isinstance(value, float) and np.isfinite(value)):
        return ""
    return f"its value is {value!r}"


def parts_merge_into_the_whole(case: _Case) -> str:
    """Streaming: two halves merged, and windows cut finer, say what the whole says."""
    if not issubclass(case.plugin, StreamingMetric):
        return ""
    data = case.data(NOISES[1])
    recon = _streamed(case.plugin, data.recon.windows)
    whole = _streamed(case.plugin, data.golden.windows).compare(recon).told()
    half = len(data.golden.windows) // 2
    merged = _streamed(case.plugin, data.golden.windows[:half])
    merged.merge(_streamed(case.plugin, data.golden.windows[half:]))
    if not _same(merged.compare(recon).told(), whole):
        return f"merged halves say {merged.compare(recon).told()}, the whole {whole}"
    finer = _streamed(case.plugin, [part for window in data.golden.windows for part in _halves(window)])
    if not _same(finer.compare(recon).told(), whole):
        return f"finer batches say {finer.compare(recon).told()}, the whole {whole}"
    return ""


def survives_a_checkpoint(case: _Case) -> str:
    """Streaming: a state of arrays, taken in the middle, restores an instance that goes on the same."""
    if not issubclass(case.plugin, StreamingMetric):
        return ""
    data = case.data(NOISES[1])
    recon = _streamed(case.plugin, data.recon.windows)
    half = len(data.golden.windows) // 2
    first = _streamed(case.plugin, data.golden.windows[:half])
    state = first.state()
    if not all(isinstance(array, np.ndarray) and array.dtype != object for array in state.values()):
        return "its state is not made of plain arrays"
    for window in data.golden.windows[half:]:
        first.update(window)  # what was told must not change with the teller
    restored = case.plugin()
    restored.restore({name: array.copy() for name, array in state.items()})
    for window in data.golden.windows[half:]:
        restored.update(window)
    before, after = first.compare(recon).told(), restored.compare(recon).told()
    return "" if _same(before, after) else f"restored it says {after}, uninterrupted {before}"


CHECKS: tuple[Check, ...] = (
    declares_itself,
    same_data_give_the_best_value,
    noise_makes_it_worse,
    stays_within_its_bounds,
    repeats_by_its_seed,
    leaves_its_data_alone,
    too_little_data_is_a_statement,
    says_finite_numbers,
    parts_merge_into_the_whole,
    survives_a_checkpoint,
)


def _suite_data(seed: int, noise: float) -> Comparison:
    return synthetic_comparison(seed, noise=noise)


def _streamed(plugin: type[StreamingMetric], windows: Any) -> StreamingMetric:
    one = plugin()
    for window in windows:
        one.update(window)
    return one


def _halves(window: Window) -> list[Window]:
    middle = (window.start_ns + window.end_ns) // 2
    return [window.cut(window.start_ns, middle), window.cut(middle, window.end_ns)]


def _without_windows(side: MarketSide) -> MarketSide:
    return replace(side, windows=())


def _with_empty_windows(side: MarketSide) -> MarketSide:
    empty = [
        Window(window.instrument, window.start_ns, window.end_ns, window.events[:, :0], window.best[:, :0])
        for window in side.windows
    ]
    return replace(side, windows=empty)


def _same(first: Any, second: Any) -> bool:
    """Whether two results are equal, numbers to 1e-9 relative."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[name], second[name]) for name in first)
    if isinstance(first, float) and isinstance(second, float):
        return bool(np.isclose(first, second, rtol=1e-9, atol=1e-12, equal_nan=True))
    return bool(first == second)
