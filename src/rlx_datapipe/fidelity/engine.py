"""MetricEngine: metrics in the order of their dependencies, some at a time; a failure is a finding."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.fidelity.accepted import cause
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.plugin import MetricResult
from rlx_datapipe.fidelity.registry import MetricRegistry
from rlx_datapipe.fidelity.tiers import TierCoordinator, TierSettings


@dataclass(frozen=True)
class Measured:
    """What all metrics said, by name in alphabetical order; and findings of those that failed."""

    results: dict[str, MetricResult]
    findings: list[Finding] = field(default_factory=list)

    def by_category(self, registry: MetricRegistry) -> dict[str, dict[str, int]]:
        """How many metrics of each category have a number, have none, or failed."""
        table: dict[str, dict[str, int]] = {}
        failed = {finding.rule for finding in self.findings}
        for name in sorted({*self.results, *(name for name in failed if name in registry)}):
            row = table.setdefault(registry.get(name).category, {"measured": 0, "without": 0, "failed": 0})
            if name in failed:
                row["failed"] += 1
            else:
                row["without" if self.results[name].value is None else "measured"] += 1
        return dict(sorted(table.items()))


def run_metrics(
    registry: MetricRegistry,
    data: Comparison,
    names: Iterable[str] | None = None,
    settings: TierSettings | None = None,
) -> Measured:
    """Measure all metrics, or those named, and what they depend on; each once.

    A metric that fails, is out of time, or depends on one that failed, is a finding with its cause and never
    a null.

    Raises
    ------
    OptionError
        For a name that nothing has, or dependencies in a circle.
    """
    wanted = list(registry if names is None else names)
    coordinator = TierCoordinator(registry, data, settings or TierSettings())
    run = _Run(registry, registry.graph(wanted), coordinator)
    try:
        run.all()
    finally:
        coordinator.end(is_stuck=run.is_stuck)
    metrics = {name: value for name, value in run.values.items() if isinstance(value, MetricResult)}
    findings = sorted(run.findings.items())
    return Measured(dict(sorted(metrics.items())), [finding for _, finding in findings])


class _Run:
    """One pass over the graph."""

    def __init__(
        self, registry: MetricRegistry, graph: dict[str, set[str]], coordinator: TierCoordinator
    ) -> None:
        self.registry, self.graph, self.coordinator = registry, graph, coordinator
        self.values: dict[str, Any] = {}
        self.findings: dict[str, Finding] = {}
        self.is_stuck = False

    def all(self) -> None:
        """Begin each node when what it depends on is there."""
        order = TopologicalSorter(self.graph)
        order.prepare()
        at_work: dict[Future[Any], str] = {}
        while order.is_active():
            for name in self.coordinator.order(list(order.get_ready())):
                if cause := self._cause(name):
                    self._failed(name, cause)
                    order.done(name)
                else:
                    at_work[self._begin(name)] = name
            if not at_work:
                continue
            for future in self._some(at_work):
                name = at_work.pop(future)
                self._ended(name, future)
                order.done(name)

    def _some(self, at_work: dict[Future[Any], str]) -> set[Future[Any]]:
        """Those that have come to an end, or whose tier is out of time; at least one."""
        left_s = {future: self.coordinator.left_s(name, future) for future, name in at_work.items()}
        first = min(left_s, key=lambda future: left_s[future])
        done, _ = wait(at_work, timeout=max(0.0, left_s[first]), return_when=FIRST_COMPLETED)
        return done or {first}

    def _begin(self, name: str) -> Future[Any]:
        needed = {one: self.values[one] for one in sorted(self.graph[name])}
        return self.coordinator.begin(name, self.registry.compute(name), needed)

    def _cause(self, name: str) -> str:
        lost = sorted(self.graph[name] & self.findings.keys())
        return f"depends on {lost[0]}, which failed" if lost else ""

    def _ended(self, name: str, future: Future[Any]) -> None:
        if not future.done():
            self.is_stuck = not future.cancel() or self.is_stuck
            self._failed(name, self.coordinator.out_of_time(name))
        elif (error := future.exception()) is not None:
            self._failed(name, cause(error))
        else:
            self.values[name] = future.result()

    def _failed(self, name: str, cause: str) -> None:
        self.findings[name] = Finding(rule=name, severity=Severity.WARN, message=f"{name} failed: {cause}")
