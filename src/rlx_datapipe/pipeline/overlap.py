"""Overlap two stages: a thread runs ahead of its consumer by a bounded number of items."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from rlx_datapipe.core.pressure import PAUSE, THROTTLE, Gate, now_s

Item = TypeVar("Item")
_POLL_S = 0.1


class _End:
    """What the thread puts last, whether it came to the end or failed."""


class _Handed(Generic[Item]):
    """The queue between both: bounded, and the producer waits in front of it as the gate tells."""

    def __init__(self, waiting_max: int, gate: Gate | None) -> None:
        self._waiting: deque[Item | _End] = deque()
        self._waiting_max, self._gate = waiting_max, gate
        self._changed = threading.Condition()
        self._still_since_s = now_s()
        self._stopped = False

    def put(self, item: Item | _End) -> bool:
        """Hand over an item when there is room; False if nobody wants it any more."""
        with self._changed:
            while len(self._waiting) >= self._waiting_max and not self._stopped:
                self._changed.wait(_POLL_S)
            self._waiting.append(item)
            self._still_since_s = now_s()
            self._changed.notify_all()
            self._hold()
            return not self._stopped

    def take(self) -> Item | _End:
        """The next item, when there is one."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            item = self._waiting.popleft()
            self._still_since_s = now_s()
            self._changed.notify_all()
            return item

    def stop(self) -> None:
        """Tell the producer that nobody takes any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _hold(self) -> None:
        # With the lock, which every wait lets go of. A throttled producer waits for the next take, but not
        # long; a paused one for as long as the gate says.
        if self._gate is None:
            return
        rung = self._rung(self._gate)
        if rung == THROTTLE and not self._stopped:
            self._changed.wait(self._gate.throttle_s)
            rung = self._rung(self._gate)
        while rung >= PAUSE and not self._stopped:
            self._changed.wait(self._gate.poll_s)
            rung = self._rung(self._gate)

    def _rung(self, gate: Gate) -> int:
        return gate.read(len(self._waiting), now_s() - self._still_since_s)


def overlap(
    items: Iterable[Item], waiting_max: int, *, enabled: bool = True, gate: Gate | None = None
) -> Iterator[Item]:
    """Give the same items in the same order, made by a thread that is at most ``waiting_max`` ahead.

    With a ``gate`` the thread also waits where that tells it to. An error of the thread is raised here, after
    the items that came before it. Leaving the loop early stops the thread.
    """
    if not enabled:
        yield from items
        return
    handed: _Handed[Item] = _Handed(waiting_max, gate)

    def run() -> None:
        try:
            for item in items:
                if not handed.put(item):
                    return
        finally:
            handed.put(_End())

    with ThreadPoolExecutor(1, "rlx-overlap") as pool:
        try:
            made = pool.submit(run)
            while not isinstance(item := handed.take(), _End):
                yield item
            made.result()
        finally:
            handed.stop()
