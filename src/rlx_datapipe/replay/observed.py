"""A strategy that is looked on: an observer sees each stretch as soon as it is replayed."""

from __future__ import annotations

from collections.abc import Iterator

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.observer import Observer
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.state import State
from rlx_datapipe.replay.strategies import Strategy

_PART = "observer"


class ObservedReplay:
    """A `Strategy` that shows all that it replays to an observer, whose state is kept with its own."""

    def __init__(self, strategy: Strategy, observer: Observer) -> None:
        self._strategy, self._observer = strategy, observer

    def replay(self, events: Int64Array) -> Iterator[Replayed]:
        """See `Strategy`."""
        for replayed in self._strategy.replay(events):
            self._observer.see(replayed)
            yield replayed

    def finish(self) -> Replayed:
        """See `Strategy`."""
        replayed = self._strategy.finish()
        self._observer.see(replayed)
        return replayed

    def state(self) -> State:
        """See `Strategy`."""
        state = self._strategy.state()
        state.put(_PART, self._observer.state())
        return state

    def restore(self, state: State) -> None:
        """See `Strategy`."""
        self._strategy.restore(state)
        part = state.part(_PART)
        # A run that was begun by a release without observers goes on with a new one.
        if part.values or part.arrays:
            self._observer.restore(part)
