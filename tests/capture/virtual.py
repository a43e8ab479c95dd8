"""An event loop whose time is virtual: nothing ever waits, and a run depends on its seed alone."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

EPOCH_NS = 1_760_000_000_000_000_000


class _Selector(selectors.SelectSelector):
    """Lets the time that would be waited pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "everything waits for something that never comes"
        self.now_s += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


class VirtualClock:
    """Both clocks on the time of a loop; the wall clock can be stepped."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self.offset_ns = loop, 0

    def wall_ns(self) -> int:
        return EPOCH_NS + self.monotonic_ns() + self.offset_ns

    def monotonic_ns(self) -> int:
        return int(self._loop.time() * 1e9)


def run_virtual(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a virtual loop to its end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
