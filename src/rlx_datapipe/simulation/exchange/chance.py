"""Seeded chances: when a fault happens next, decided by seed and place alone."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable


class Chance:
    """Tells of each event whether a fault befalls it.

    Parameters
    ----------
    rate
        Chance of each event.
    at
        Ordinals, from 0, at which it happens for certain.
    seed
        Whatever makes this chance independent of others.
    """

    def __init__(self, rate: float, at: Iterable[int], seed: str) -> None:
        self._rate, self._at = rate, frozenset(at)
        self._random = random.Random(seed)  # noqa: S311 (faults need seeds, not secrets)
        self._ordinal = -1
        self._next = self._gap() - 1

    def happens(self) -> bool:
        """Whether it befalls the next event."""
        self._ordinal += 1
        is_due = self._ordinal == self._next
        if is_due:
            self._next += self._gap()
        return is_due or self._ordinal in self._at

    def below(self, stop: int) -> int:
        """A whole number from 0 up to but not ``stop``, by the same seed."""
        return self._random.randrange(max(1, stop))

    def _gap(self) -> int:
        """Events until the next one that is befallen: geometric."""
        if self._rate <= 0.0:
            return 1 << 62
        if self._rate >= 1.0:
            return 1
        return 1 + int(math.log1p(-self._random.random()) / math.log1p(-self._rate))
