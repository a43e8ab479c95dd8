"""MetricRegistry: metrics by name, from this package and from plugins; in the order in which they depend."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias, TypeVar

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.fidelity.accepted import accepted, cause, undeclared
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult

GROUP = "rlx_datapipe.metrics"

M = TypeVar("M", bound=type[MetricPlugin])
Compute: TypeAlias = Callable[[Comparison], Any]


@dataclass(frozen=True)
class Intermediate:
    """Something that several metrics need and that is computed once: a function of the data, by name."""

    name: str
    compute: Compute
    dependencies: tuple[str, ...] = ()


class MetricRegistry:
    """Metrics and intermediate results by name; a name has one holder.

    ``problems`` are findings of plugins that could not be loaded: they are told, and all others work.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, type[MetricPlugin]] = {}
        self._intermediates: dict[str, Intermediate] = {}
        self.problems: list[Finding] = []

    def metric(self, plugin: M) -> M:
        """Add a metric; a decorator of its class.

        Raises
        ------
        OptionError
            When its name is taken, or what it declares is not whole.
        """
        if not isinstance(plugin, type) or not issubclass(plugin, MetricPlugin):
            raise OptionError("a metric is a class, made from MetricPlugin", found=repr(plugin))
        if wrong := undeclared(plugin):
            raise OptionError(f"the metric {plugin.__qualname__} can't be taken: {wrong}")
        name = plugin.name
        if self._metrics.get(name) is not plugin:
            self._claim(name)
            self._metrics[name] = plugin
        return plugin

    def intermediate(self, name: str, dependencies: tuple[str, ...] = ()) -> Callable[[Compute], Compute]:
        """Add an intermediate result; a decorator of the function that computes it."""

        def added(compute: Compute) -> Compute:
            self.add(Intermediate(name, compute, dependencies))
            return compute

        return added

    def add(self, intermediate: Intermediate) -> None:
        """Add an intermediate result.

        Raises
        ------
        OptionError
            When its name is taken.
        """
        self._claim(intermediate.name)
        self._intermediates[intermediate.name] = intermediate

    def _claim(self, name: str) -> None:
        holder: Any = self._metrics.get(name) or self._intermediates.get(name)
        if holder is not None:
            raise OptionError(
                f"the name {name!r} is taken", found=getattr(holder, "__qualname__", "an intermediate result")
            )

    def load_entry_points(self, points: Iterable[EntryPoint] | None = None) -> None:
        """Add the metrics of installed plugins: entry points of the group ``rlx_datapipe.metrics``.

        Each names a metric's class, or a module or object with a tuple ``METRICS`` of them. One that can't be
        loaded becomes a finding in `problems`.
        """
        found = entry_points(group=GROUP) if points is None else points
        with ThreadPoolExecutor(1, thread_name_prefix="plugin") as apart:
            for point in sorted(found, key=lambda one: (one.name, one.value)):
                # What strangers wrote may raise anything, and end the thread that loads it, not us.
                if (error := apart.submit(self._load, point).exception()) is not None:
                    message = f"the plugin {point.name} ({point.value}) can't be loaded: {cause(error)}"
                    self.problems.append(Finding(rule=point.name, severity=Severity.WARN, message=message))

    def _load(self, point: EntryPoint) -> None:
        loaded = point.load()
        for plugin in getattr(loaded, "METRICS", (loaded,)):
            self.metric(plugin)

    def __contains__(self, name: str) -> bool:
        return name in self._metrics

    def __iter__(self) -> Any:
        return iter(sorted(self._metrics))

    def __len__(self) -> int:
        return len(self._metrics)

    def get(self, name: str) -> type[MetricPlugin]:
        """The metric of a name.

        Raises
        ------
        OptionError
            When there is none; the sentence has near misses.
        """
        if name not in self._metrics:
            raise self._unknown(name, list(self._metrics))
        return self._metrics[name]

    def names(self, *, category: str | None = None, tier: int | None = None) -> list[str]:
        """Names of all metrics, sorted, or of those of a category or cost tier."""
        return [
            name
            for name, plugin in sorted(self._metrics.items())
            if category in (None, plugin.category) and tier in (None, plugin.tier)
        ]

    def graph(self, names: Iterable[str]) -> dict[str, set[str]]:
        """Metrics and all that they depend on, each with what it depends on itself.

        Raises
        ------
        OptionError
            For a name that nothing has, or metrics that depend on each other in a circle.
        """
        graph: dict[str, set[str]] = {}
        waiting = [(name, "") for name in names]
        while waiting:
            name, because = waiting.pop()
            if name in graph:
                continue
            if name not in self._metrics and name not in self._intermediates:
                raise self._unknown(name, [*self._metrics, *self._intermediates], because)
            graph[name] = set(self._dependencies(name))
            waiting += [(one, name) for one in sorted(graph[name])]
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = " needs ".join(reversed(error.args[1]))
            raise OptionError(f"metrics depend on each other in a circle: {circle}") from error
        return graph

    def compute(self, name: str) -> Compute:
        """What computes a metric or an intermediate result of the data; a metric's result is `accepted`."""
        if name in self._intermediates:
            return self._intermediates[name].compute
        return partial(_measured, self.get(name))

    def _dependencies(self, name: str) -> tuple[str, ...]:
        if name in self._intermediates:
            return self._intermediates[name].dependencies
        return self._metrics[name].dependencies

    @staticmethod
    def _unknown(name: str, known: list[str], because: str = "") -> OptionError:
        near = difflib.get_close_matches(name, known, 3)
        needed = f", which {because!r} depends on" if because else ""
        remedy = f"Did you mean {' or '.join(near)}?" if near else "See the list of metrics"
        return OptionError(f"no metric {name!r}{needed}", remedy=remedy)


def _measured(plugin: type[MetricPlugin], data: Comparison) -> MetricResult:
    """What a metric says of the data, if it can be judged."""
    return accepted(plugin, plugin().calculate(data), data)
