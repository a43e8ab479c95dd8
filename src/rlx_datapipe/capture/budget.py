"""When a connection may be tried again: one budget for all of them, and full jitter for each."""

from __future__ import annotations

import asyncio
import random
from collections import deque

from rlx_datapipe.capture.clock import Clock
from rlx_datapipe.capture.settings import CaptureSettings

_WINDOW_NS = 300_000_000_000


class ConnectBudget:
    """Lets connections be opened no faster than the venue allows, whoever asks, in the order of asking.

    Parameters
    ----------
    clock
        Both clocks.
    settings
        Connections a second and in five minutes.
    """

    def __init__(self, clock: Clock, settings: CaptureSettings) -> None:
        self._clock, self._most = clock, settings.connects_per_5min
        self._apart_ns = int(1e9 / settings.connects_per_s)
        self._times: deque[int] = deque(maxlen=self._most)
        self._turn = asyncio.Lock()
        self._not_before_ns = 0

    async def take(self) -> None:
        """Wait until another connection may be opened."""
        async with self._turn:
            while (wait_ns := self._wait_ns()) > 0:
                await asyncio.sleep(wait_ns / 1e9)
            self._times.append(self._clock.monotonic_ns())

    def pause(self, seconds: float) -> None:
        """Open none for so long: the venue asked for it."""
        until_ns = self._clock.monotonic_ns() + int(seconds * 1e9)
        self._not_before_ns = max(self._not_before_ns, until_ns)

    def _wait_ns(self) -> int:
        due_ns = self._not_before_ns
        if self._times:
            due_ns = max(due_ns, self._times[-1] + self._apart_ns)
        if len(self._times) == self._most:
            due_ns = max(due_ns, self._times[0] + _WINDOW_NS)
        return due_ns - self._clock.monotonic_ns()


class Backoff:
    """Waits before further tries: each evenly between 0 and a bound that doubles, until something succeeds.

    Parameters
    ----------
    first_s, longest_s
        The first and the last bound, in seconds.
    dice
        Draws the waits.
    """

    def __init__(self, first_s: float, longest_s: float, dice: random.Random) -> None:
        self._first_s, self._longest_s, self._dice = first_s, longest_s, dice
        self._bound_s = min(first_s, longest_s)

    def next_s(self) -> float:
        """Seconds to wait now."""
        wait_s = self._dice.uniform(0, self._bound_s)
        self._bound_s = min(2 * self._bound_s, self._longest_s)
        return wait_s

    def succeeded(self) -> None:
        """Begin with short waits again."""
        self._bound_s = min(self._first_s, self._longest_s)
