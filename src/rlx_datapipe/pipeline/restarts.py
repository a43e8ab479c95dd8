"""What follows a worker's death: another life, a skipped range, or the end of the chain for this run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rlx_datapipe.core.breaker import Breaker, delays
from rlx_datapipe.core.config import Settings
from rlx_datapipe.pipeline.job import Begins

_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Retry:
    """Start it again after so many seconds."""

    wait_s: float


@dataclass(frozen=True)
class Poison:
    """Skip these rows, then start it again after so many seconds."""

    rows: Begins
    wait_s: float


@dataclass(frozen=True)
class GiveUp:
    """Leave the chain as it is after so many deaths without a commit; it can be resumed."""

    deaths: int


class Restarts:
    """Decides for one chain. Pure but for the clock: the same deaths have the same consequences.

    `Settings.tries_max` deaths without a commit between them open a circuit breaker. If the last of them, all
    but the first, came by content and while the worker was at the same rows, these are poison: they are
    skipped, and it begins anew. Otherwise one probe follows after a pause, for what was short may be there
    again by then, such as memory that others held; if it dies too, the chain is given up.

    Parameters
    ----------
    settings
        How many tries, and the waits between them.
    name
        Of the chain: waits differ between names, so that those who died together do not come back together.
    clock
        Seconds that never run backwards.
    """

    def __init__(self, settings: Settings, name: str, clock: Callable[[], float]) -> None:
        self._settings, self._name, self._clock = settings, name, clock
        self._skipped = 0
        self._epochs = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        settings = self._settings
        self._breaker = Breaker(settings.tries_max, settings.probe_ms / 1000, self._clock)
        self._waits: Iterator[float] = delays(
            settings.restart_ms / 1000, _LONGEST_WAIT_S, settings.tries_max, self._name
        )
        self._deaths = self._same = 0
        self._blamed: Begins | None = None

    def died(self, epochs: int, suspect: Begins | None) -> Retry | Poison | GiveUp:
        """What follows a death.

        ``epochs`` were committed so far; ``suspect`` are the rows that it worked on, if they can be to blame.
        """
        if epochs > self._epochs:
            self._begin_anew()
        self._epochs = epochs
        self._deaths += 1
        self._same = 0 if suspect is None else self._same + 1 if suspect == self._blamed else 1
        self._blamed = suspect
        was_probe = self._breaker.state == "half-open"
        self._breaker.failed()
        if self._breaker.state != "open":
            return Retry(next(self._waits))
        is_poison = self._blamed is not None and self._same >= max(1, self._settings.tries_max - 1)
        if is_poison and self._skipped < self._settings.skips_max:
            return self._skip()
        if was_probe:
            return GiveUp(self._deaths)
        return Retry(self._settings.probe_ms / 1000)

    def starts(self) -> None:
        """A life begins; behind an open breaker it is the probe."""
        self._breaker.allows()

    def _skip(self) -> Poison:
        assert self._blamed is not None  # noqa: S101
        rows = self._blamed
        self._skipped += 1
        self._begin_anew()
        return Poison(rows, next(self._waits))
