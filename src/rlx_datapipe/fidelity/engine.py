"""MetricEngine: metrics in the order of their dependencies, some at a time; a failure is a finding."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from multiprocessing import get_context
from typing import Any

import msgspec

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.plugin import MetricResult
from rlx_datapipe.fidelity.registry import Compute, MetricRegistry


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How metrics are run.

    ``workers`` run at a time, in threads (kernels let go of the interpreter) or in processes. When for
    ``seconds_max`` none of those at work has come to an end, they become findings and nothing else is begun.
    """

    workers: int = 2
    in_processes: bool = False
    seconds_max: float = 600.0

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 256 or not self.seconds_max > 0:
            raise OptionError("metrics need 1 to 256 workers, and time", found=self.workers)


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
    settings: EngineSettings | None = None,
) -> Measured:
    """Measure all metrics, or those named, and what they depend on; each once.

    A metric that fails, or depends on one that failed, is a finding with its cause and never a null.

    Raises
    ------
    OptionError
        For a name that nothing has, or dependencies in a circle.
    """
    how = settings or EngineSettings()
    wanted = list(registry if names is None else names)
    graph = registry.graph(wanted)
    pool: Executor
    if how.in_processes:
        pool = ProcessPoolExecutor(how.workers, mp_context=get_context("spawn"))
    else:
        pool = ThreadPoolExecutor(how.workers, thread_name_prefix="metric")
    run = _Run(registry, data, graph, pool, how.seconds_max)
    try:
        run.all()
    finally:
        pool.shutdown(wait=not run.is_stuck, cancel_futures=True)
    metrics = {name: value for name, value in run.values.items() if isinstance(value, MetricResult)}
    findings = sorted(run.findings.items())
    return Measured(dict(sorted(metrics.items())), [finding for _, finding in findings])


class _Run:
    """One pass over the graph."""

    def __init__(
        self,
        registry: MetricRegistry,
        data: Comparison,
        graph: dict[str, set[str]],
        pool: Executor,
        seconds_max: float,
    ) -> None:
        self.registry, self.data, self.graph, self.pool, self.seconds_max = (
            registry,
            data,
            graph,
            pool,
            seconds_max,
        )
        self.values: dict[str, Any] = {}
        self.findings: dict[str, Finding] = {}
        self.is_stuck = False

    def all(self) -> None:
        """Begin each node when what it depends on is there."""
        order = TopologicalSorter(self.graph)
        order.prepare()
        at_work: dict[Future[Any], str] = {}
        while order.is_active():
            for name in sorted(order.get_ready()):
                if cause := self._cause(name):
                    self._failed(name, cause)
                    order.done(name)
                else:
                    at_work[self._begin(name)] = name
            if not at_work:
                continue
            done, _ = wait(at_work, timeout=self.seconds_max, return_when=FIRST_COMPLETED)
            if not done:
                self._stuck(list(at_work.values()))
                return
            for future in done:
                name = at_work.pop(future)
                self._ended(name, future)
                order.done(name)

    def _begin(self, name: str) -> Future[Any]:
        needed = {one: self.values[one] for one in sorted(self.graph[name])}
        return self.pool.submit(_compute, self.registry.compute(name), replace(self.data, results=needed))

    def _cause(self, name: str) -> str:
        lost = sorted(self.graph[name] & self.findings.keys())
        return f"depends on {lost[0]}, which failed" if lost else ""

    def _ended(self, name: str, future: Future[Any]) -> None:
        error = future.exception()
        if error is not None:
            self._failed(name, f"{type(error).__name__}: {error}")
        elif name in self.registry and not isinstance(future.result(), MetricResult):
            self._failed(name, f"gave {type(future.result()).__name__}, no MetricResult")
        else:
            self.values[name] = future.result()

    def _stuck(self, names: list[str]) -> None:
        self.is_stuck = True
        for name in self.graph.keys() - self.values.keys() - self.findings.keys():
            told = "did not come to an end" if name in names else "not begun: others did not come to an end"
            self._failed(name, f"{told} in {self.seconds_max:g} s")

    def _failed(self, name: str, cause: str) -> None:
        self.findings[name] = Finding(rule=name, severity=Severity.WARN, message=f"{name} failed: {cause}")


def _compute(compute: Compute, data: Comparison) -> Any:
    return compute(data)
