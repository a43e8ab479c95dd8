"""A bound on bytes a second over several threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_BURST_S = 0.25


class Pace:
    """Makes those who read wait, so that together they stay at a rate.

    Parameters
    ----------
    bytes_per_s
        The rate; 0 for none.
    clock
        Seconds that never run backwards.
    """

    def __init__(self, bytes_per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = bytes_per_s, clock
        self._lock = threading.Lock()
        self._due_s = clock()

    def after(self, count: int) -> float:
        """Seconds to wait now that ``count`` bytes have come; a quarter second's worth may be saved up."""
        if not self._rate:
            return 0.0
        with self._lock:
            now = self._clock()
            self._due_s = max(self._due_s, now - _BURST_S) + count / self._rate
            return max(0.0, self._due_s - now)
