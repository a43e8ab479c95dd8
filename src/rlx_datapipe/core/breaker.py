"""Circuit breaker and backoff, for what can fail outside: stop asking, wait, then ask once."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Refuses to ask what keeps failing; after a pause one probe is let through, and its answer decides.

    For one caller at a time: answers are told in the order of the questions.

    Parameters
    ----------
    failures_max
        Failures in a row that open it.
    pause_s
        Seconds from opening to the probe. A probe without an answer for as long counts as lost: another is
        let through.
    clock
        Seconds that never run backwards.

    Raises
    ------
    ValueError
        When there is no failure to open it, or no pause.
    """

    def __init__(
        self, failures_max: int, pause_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if failures_max < 1 or pause_s <= 0:
            raise ValueError(f"needs a failure and a pause, not {failures_max} and {pause_s} s")
        self._failures_max, self._pause_s, self._clock = failures_max, pause_s, clock
        self._failures, self._since_s = 0, 0.0
        self.state: State = "closed"
        self.transitions: Counter[State] = Counter()

    def allows(self) -> bool:
        """Whether to ask now; each yes wants one `succeeded` or `failed`."""
        if self.state == "closed":
            return True
        if self._clock() - self._since_s < self._pause_s:
            return False
        self._turn("half-open")
        return True

    def succeeded(self) -> None:
        """What was asked has answered. While open it is a late answer, and changes nothing."""
        if self.state != "open":
            self._failures = 0
            self._turn("closed")

    def failed(self) -> None:
        """What was asked has failed. While open it is a late answer, and changes nothing."""
        self._failures += 1
        if self.state == "half-open" or (self.state == "closed" and self._failures >= self._failures_max):
            self._turn("open")

    def _turn(self, state: State) -> None:
        self._since_s = self._clock()
        if state != self.state:
            self.state = state
            self.transitions[state] += 1


def delays(first_s: float, longest_s: float, tries: int, seed: int | str) -> Iterator[float]:
    """Seconds to wait before each of ``tries`` further tries: exponential backoff with full jitter.

    Each lies evenly between 0 and a bound that doubles from ``first_s`` up to ``longest_s``, so that many who
    failed together do not come back together.

    Parameters
    ----------
    first_s, longest_s
        Upper end of the first wait, and of every wait, in seconds.
    tries
        How many waits there are; then it is time to give up.
    seed
        Same seed, same waits; give each waiter its own, such as the name of its chain.
    """
    dice = random.Random(seed)  # noqa: S311 (spreads waits; no secret)
    bound_s = min(first_s, longest_s)
    for _ in range(tries):
        yield dice.uniform(0, bound_s)
        bound_s = min(2 * bound_s, longest_s)
