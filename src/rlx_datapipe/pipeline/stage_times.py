"""Where the time of a run goes: seconds of each stage, in the thread that works on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, TypeVar

from rlx_datapipe.core.observer import Observer
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.state import State

Item = TypeVar("Item")
_END = object()


class StageTimes:
    """Sums up the seconds of each stage. A stage is measured by one thread at a time."""

    def __init__(self) -> None:
        self._spent: dict[str, list[float]] = {}

    @contextmanager
    def of(self, stage: str, within: str = "") -> Iterator[None]:
        """Add what happens here to a stage, and take it from that ``within`` which it happens."""
        spent = self._spent.setdefault(stage, [0.0, 0.0])
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            wall_s, cpu_s = time.perf_counter() - wall_s, time.thread_time() - cpu_s
            spent[0] += wall_s
            spent[1] += cpu_s
            if within:
                outer = self._spent[within]
                outer[0] -= wall_s
                outer[1] -= cpu_s

    def taking(self, items: Iterator[Item], stage: str) -> Iterator[Item]:
        """The same items; the making of each is added to a stage."""
        while True:
            with self.of(stage):
                item = next(items, _END)
            if item is _END:
                return
            yield item  # type: ignore[misc]

    def told(self) -> dict[str, dict[str, float]]:
        """Stages in the order in which they began: ``wall_s`` and ``cpu_s`` of each."""
        return {
            stage: {"wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3)}
            for stage, (wall_s, cpu_s) in self._spent.items()
        }


class TimedObserver:
    """An `Observer` whose work is the stage ``tier1``, and none of ``replay`` in which it is done."""

    def __init__(self, observer: Observer, times: StageTimes) -> None:
        self._observer, self._times = observer, times

    def see(self, replayed: Replayed) -> None:
        """See `Observer`."""
        with self._times.of("tier1", within="replay"):
            self._observer.see(replayed)

    def state(self) -> State:
        """See `Observer`."""
        with self._times.of("tier1", within="replay"):
            return self._observer.state()

    def restore(self, state: State) -> None:
        """See `Observer`."""
        self._observer.restore(state)


class Measured(Executor):
    """An executor of one thread or none, whose work is added to a stage."""

    def __init__(self, times: StageTimes, stage: str, executor: Executor) -> None:
        self._times, self._stage, self._executor = times, stage, executor

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As ever, but measured."""
        return self._executor.submit(self._measured, work, *args, **kwargs)

    def _measured(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._times.of(self._stage):
            return work(*args, **kwargs)
