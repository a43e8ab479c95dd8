"""TierCoordinator: which metrics run where and when, and how much time the metrics of a tier may take."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from time import monotonic
from typing import Any

import msgspec

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.mapped import share_mapped_arrays
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.registry import Compute, MetricRegistry

HEAVY = 3
"""The cost tier that runs in processes."""


class TierSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where metrics run, and for how long.

    ``workers`` threads run metrics of tiers 1 and 2, and what several metrics need, for kernels and NumPy let
    go of the interpreter; as many processes run those of tier 3, but only where the sides have
    ``events_apart`` events or more together: below that a process takes longer to start than they to run.
    ``tier1_s``, ``tier2_s`` and ``tier3_s`` bound the time for which metrics of a tier are waited for, from
    when the first of them is at work; they are bounds for what has gone wrong, not what is aimed for.
    """

    workers: int = 2
    events_apart: int = 2_000_000
    tier1_s: float = 600.0
    tier2_s: float = 600.0
    tier3_s: float = 600.0

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 256 or not min(self.tier1_s, self.tier2_s, self.tier3_s) > 0:
            raise OptionError("metrics need 1 to 256 workers, and time", found=self.workers)

    def budget_s(self, tier: int) -> float:
        """Seconds that metrics of a tier may take."""
        return {1: self.tier1_s, 2: self.tier2_s}.get(tier, self.tier3_s)


class TierCoordinator:
    """Runs what it is given: light things in threads, heavy ones in processes that share the mapped sides.

    Parameters
    ----------
    registry
        Tells the tier of each metric; what is no metric is as light as tier 1.
    data
        The comparison. Processes get it once, when they start; arrays in mapped files by their place.
    settings
        Where, and for how long.
    """

    def __init__(self, registry: MetricRegistry, data: Comparison, settings: TierSettings) -> None:
        self._registry, self._data, self._settings = registry, data, settings
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="metric")
        self._processes: ProcessPoolExecutor | None = None
        events = sum(window.event_count for side in data.sides for window in side.windows)
        self._are_apart = events >= settings.events_apart
        self._began: dict[int, float] = {}

    def tier(self, name: str) -> int:
        """Cost tier of a metric, or of an intermediate result."""
        return self._registry.get(name).tier if name in self._registry else 1

    def place(self, name: str) -> str:
        """Where something runs: ``threads`` or ``processes``."""
        return "processes" if self._are_apart and self.tier(name) == HEAVY else "threads"

    def order(self, names: list[str]) -> list[str]:
        """Names in the order in which they are begun: the heavy ones, then the lightest."""
        return sorted(names, key=lambda name: (self.tier(name) != HEAVY, self.tier(name), name))

    def left_s(self, name: str, future: Future[Any]) -> float:
        """Seconds left for the tier of something; they count from when the first of it is at work."""
        tier = self.tier(name)
        if future.running() or future.done():
            self._began.setdefault(tier, monotonic())
        return self._settings.budget_s(tier) - (monotonic() - self._began.get(tier, monotonic()))

    def out_of_time(self, name: str) -> str:
        """What is said of something that did not come to its end; its tier has no time from now on."""
        tier = self.tier(name)
        self._began[tier] = float("-inf")
        return f"the {self._settings.budget_s(tier):g} s of tier {tier} were over before it came to an end"

    def begin(self, name: str, compute: Compute, needed: dict[str, Any]) -> Future[Any]:
        """Begin to compute something from the data and from what it needs."""
        if self.place(name) == "threads":
            return self._threads.submit(compute, replace(self._data, results=needed))
        if self._processes is None:
            share_mapped_arrays()
            self._processes = ProcessPoolExecutor(
                self._settings.workers, get_context("spawn"), initializer=_hold, initargs=(self._data,)
            )
        try:
            return self._processes.submit(_compute, compute, needed)
        except BrokenExecutor as error:  # one before it took its process along
            lost: Future[Any] = Future()
            lost.set_exception(error)
            return lost

    def end(self, *, is_stuck: bool) -> None:
        """Let go of threads and processes; what is stuck is not waited for, and its process is ended."""
        pools: list[Executor] = [self._threads, *([self._processes] if self._processes else [])]
        held = list((self._processes._processes or {}).values()) if is_stuck and self._processes else []
        for pool in pools:
            pool.shutdown(wait=not is_stuck, cancel_futures=True)
        for process in held:
            process.kill()


_held: list[Comparison] = []


def _hold(data: Comparison) -> None:
    """What a process begins with."""
    _held[:] = [data]


def _compute(compute: Compute, needed: dict[str, Any]) -> Any:
    return compute(replace(_held[0], results=needed))
