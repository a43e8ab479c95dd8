"""What a metric is: what it declares, what it is given, and what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.blocks import Blocks
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window
from rlx_datapipe.fidelity.plot_data import HeatMap

State = dict[str, npt.NDArray[Any]]


class Goal(StrEnum):
    """Which value of a metric is the best."""

    MINIMISE = "minimise"
    MAXIMISE = "maximise"


class Need(StrEnum):
    """What of the market a metric looks at."""

    QUOTES = "quotes"
    TRADES = "trades"
    LADDERS = "ladders"
    SAME_TIME = "same time"
    """Both sides are one interval of one market: window k of the one is held against that of the other."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric declares, ready for JSON."""

    name: str
    category: str
    tier: int
    unit: str
    goal: str
    low: float
    high: float | None
    purpose: str
    reference: str
    requirements: list[str]
    dependencies: list[str]
    severity: str


@dataclass(frozen=True)
class MetricResult:
    """What a metric says of a comparison.

    Parameters
    ----------
    name, unit
        As the metric declares them.
    value
        The number; None when there is none, and then ``reason`` says why.
    reason
        Why there is no number, one sentence.
    measures
        More numbers, by name: other distances, the values of both sides.
    blocks
        What it says window by window, from which its verdict is resampled; None where there is no such thing.
    heat_map
        A table to draw beside the number, say a difference of correlations.
    """

    name: str
    unit: str
    value: float | None
    reason: str = ""
    measures: Mapping[str, Any] = field(default_factory=dict)
    blocks: Blocks | None = None
    heat_map: HeatMap | None = None

    def told(self) -> dict[str, Any]:
        """All but the blocks and what is drawn, ready for JSON."""
        told = {"name": self.name, "unit": self.unit, "value": self.value, "reason": self.reason}
        return told | {"measures": dict(self.measures)}


class MetricPlugin(ABC):
    """One measure of likeness between golden and recon.

    A metric is a class without arguments. It declares the class attributes below and implements `calculate`.
    Most are made from `DistributionMetric` or `NumberMetric`, which need one method of a few lines. Whether
    it keeps the contract is checked by `conformance.check_metric`.

    Attributes
    ----------
    name
        Lower case with underscores, unique in a registry.
    category
        Family under which reports list it.
    tier
        Cost tier: 1 streaming, 2 on batches, 3 heavy.
    unit
        Of the value; empty for a pure number.
    goal
        Whether the least or the greatest value is the best.
    bounds
        Least and greatest value; the best one is the bound that the goal points to.
    purpose, formula, reference
        What it measures, in a sentence, how it is computed, and where its definition stands.
    requirements
        What of the market it looks at: without it on a side there is a statement, no number.
    dependencies
        Names of metrics and intermediate results that it takes from ``data.results``.
    scale_ns
        Time scale that it speaks of; 0 for none. Below three steps of the stamps it is not identifiable.
    engineering_floor
        A distance that is always tolerable, in the unit of the value.
    tolerable
        The largest margin that a verdict may rest on.
    is_fact
        Whether its value, where both sides are of one interval, is a fact about that interval, not an
        estimate: each moment is compared and nothing is drawn, so there is no chance to allow for, and beyond
        the engineering floor it fails.
    severity
        Its weight in the verdict on the whole: without a PASS in each gate there is none; what only warns
        fails the whole, but does not hold it up; a note does neither.
    """

    name: ClassVar[str]
    category: ClassVar[str]
    tier: ClassVar[int]
    unit: ClassVar[str] = ""
    goal: ClassVar[Goal] = Goal.MINIMISE
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    purpose: ClassVar[str]
    formula: ClassVar[str] = ""
    reference: ClassVar[str]
    requirements: ClassVar[frozenset[Need]] = frozenset()
    dependencies: ClassVar[tuple[str, ...]] = ()
    scale_ns: ClassVar[int] = 0
    engineering_floor: ClassVar[float] = 0.0
    tolerable: ClassVar[float] = float("inf")
    is_fact: ClassVar[bool] = False
    severity: ClassVar[Severity] = Severity.WARN

    @classmethod
    def get_metadata(cls) -> Metadata:
        """What it declares."""
        low, high = cls.bounds
        return Metadata(
            name=cls.name,
            category=cls.category,
            tier=cls.tier,
            unit=cls.unit,
            goal=cls.goal.value,
            low=low,
            high=None if high == float("inf") else high,
            purpose=cls.purpose,
            reference=cls.reference,
            requirements=sorted(need.value for need in cls.requirements),
            dependencies=list(cls.dependencies),
            severity=cls.severity.value,
        )

    def validate_requirements(self, data: Comparison) -> str:
        """Why it can't be measured on these data, one sentence; empty when it can."""
        if Need.SAME_TIME in self.requirements and not data.is_paired:
            return "not the same interval: it can only be held against what was at the same time"
        for side in data.sides:
            for need in sorted(self.requirements - {Need.SAME_TIME}):
                if not any(_held(window, need) for window in side.windows):
                    return f"too little data: no {need.value} on the {side.name} side"
        return ""

    @abstractmethod
    def calculate(self, data: Comparison) -> MetricResult:
        """Measure. The data are not changed, and the same data give the same result."""

    def best(self) -> float:
        """The value of perfect likeness."""
        return self.bounds[0] if self.goal is Goal.MINIMISE else self.bounds[1]

    def tolerated(self, result: MetricResult) -> float:
        """The largest margin that a verdict on this result may rest on, in the unit of the value."""
        return self.tolerable

    def says(
        self, value: float, *, blocks: Blocks | None = None, heat_map: HeatMap | None = None, **measures: Any
    ) -> MetricResult:
        """A result with a number; one that is not finite is none, and told as that."""
        if not np.isfinite(value):
            return self.lacks("too little data: the number is not defined on one of the sides", **measures)
        return MetricResult(self.name, self.unit, float(value), "", measures, blocks, heat_map)

    def lacks(self, reason: str, **measures: Any) -> MetricResult:
        """A result without a number, and why."""
        return MetricResult(self.name, self.unit, None, reason, measures)


class StreamingMetric(MetricPlugin):
    """A metric whose instance takes in one side, window by window, in bounded memory.

    Instances of parts merge into that of the whole, exactly or to rounding (1e-9 relative), and survive a
    checkpoint by their state of plain arrays.
    """

    tier: ClassVar[int] = 1

    @abstractmethod
    def update(self, batch: Window) -> None:
        """Take in the next stretch of the side."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take in what another instance has, of a later part of the side."""

    @abstractmethod
    def state(self) -> State:
        """The whole state as named arrays, copied."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Become what `state` told."""

    @abstractmethod
    def compare(self, recon: Self) -> MetricResult:
        """Hold recon against this side, which is golden."""

    def calculate(self, data: Comparison) -> MetricResult:
        """Both sides streamed, then compared."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        golden, recon = (self.taken(side) for side in data.sides)
        return golden.compare(recon)

    @classmethod
    def taken(cls, side: MarketSide) -> Self:
        """An instance that has taken in a whole side."""
        one = cls()
        for window in side.windows:
            one.update(window)
        return one


def _held(window: Window, need: Need) -> bool:
    if need is Need.TRADES:
        return len(window.trades.time_ns) > 0
    if need is Need.LADDERS:
        return len(window.sample_times) > 0
    return len(window.quotes.time_ns) > 0
