"""Strategies: the ways in which ordered events become events with book state, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.sequence import SequenceRule
from rlx_datapipe.core.state import State
from rlx_datapipe.replay.inference import INFERRED, Inference, WindowInference
from rlx_datapipe.replay.merge import MergeReplayer
from rlx_datapipe.replay.replayer import EventReplayer


class Strategy(Protocol):
    """Chronological replay of one chain, whatever stands behind the book that it tells.

    The outcome depends on the events alone, not on how they are cut into batches.
    """

    def replay(self, events: Int64Array) -> Iterator[Replayed]:
        """Replay ordered events, int64 (FIELDS, n), whole groups; yields stretches, cut at epochs."""

    def finish(self) -> Replayed:
        """Close what is open at the end of the input."""

    def state(self) -> State:
        """All that the rest of the input is replayed by; only between two batches."""

    def restore(self, state: State) -> None:
        """Become a replay of the same rule and settings; called before any event.

        Raises
        ------
        ValueError
            When the state is not one of such a replay.
        """


class SnapshotReplayer:
    """Snapshots are the clock: an inference fills the windows between them, a replay keeps the book.

    The two hold a book each. So every snapshot is compared with what was made of it, and a difference, which
    there never is, would be a record of drift.
    """

    def __init__(
        self, instrument: Instrument, settings: Settings, opening: Quality, inference: Inference | None = None
    ) -> None:
        self._inference = inference or WindowInference(instrument, settings)
        self._replayer = EventReplayer(instrument, INFERRED, settings, (opening,))

    def replay(self, events: Int64Array) -> Iterator[Replayed]:
        """See `Strategy`."""
        for inferred in self._inference.infer(events):
            yield from self._replayer.replay(inferred)

    def finish(self) -> Replayed:
        """See `Strategy`."""
        replayed = self._replayer.finish()
        replayed.quality += self._inference.records(replayed.first_event_id - 1)
        return replayed

    def state(self) -> State:
        """See `Strategy`."""
        state = State()
        state.put("inference", self._inference.state())
        state.put("replay", self._replayer.state())
        return state

    def restore(self, state: State) -> None:
        """See `Strategy`."""
        self._inference.restore(state.part("inference"))
        self._replayer.restore(state.part("replay"))


def _full(instrument: Instrument, rule: SequenceRule, settings: Settings) -> Strategy:
    return EventReplayer(instrument, rule, settings)


def _snapshot(instrument: Instrument, _: SequenceRule, settings: Settings) -> Strategy:
    told = (
        "snapshot: the book is known at snapshots, as deep as these go. Changes between them are inferred "
        "from trades and from the next snapshot (flag INFERRED). When and in which order they happened, and "
        "what came and went between two snapshots, can't be known"
    )
    return SnapshotReplayer(instrument, settings, _opening(told))


def _origin_time_sort(instrument: Instrument, rule: SequenceRule, settings: Settings) -> Strategy:
    told = (
        "origin_time_sort: events as they were, in order; no delta is applied and no book is kept. Best "
        "prices are those of the last snapshot, if there was any; what they became since can't be known"
    )
    return MergeReplayer(instrument, rule, settings, (_opening(told),))


STRATEGIES: dict[str, Callable[[Instrument, SequenceRule, Settings], Strategy]] = {
    "full": _full,
    "snapshot": _snapshot,
    "origin_time_sort": _origin_time_sort,
}
"""Strategies by name: what replays a chain of an instrument by the rule of its source.

``full`` has no record of its own: what it can't know is told by those that it has (`sequence_unprovable`,
gaps, `unsynced`).
"""


def _opening(told: str) -> Quality:
    return Quality(kind="strategy", severity=Severity.WARN, detail=told)
