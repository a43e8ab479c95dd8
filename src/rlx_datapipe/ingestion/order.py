"""The pending queue: events of one or several streams in the total order, with bounded waiting."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import FIELDS, NONE, Field, Flag, Int64Array, Kind, empty_events, total_order
from rlx_datapipe.core.state import State

_BEFORE_ALL = np.iinfo(np.int64).min
_AFTER_ALL = np.iinfo(np.int64).max


class DeltaClock:
    """Order times along a depth feed, never running backwards with its update ids.

    A delta never sorts before a delta with a smaller update id that arrived earlier, even if the exchange's
    clock stepped back; one that arrived behind a larger id keeps its own time.
    """

    def __init__(self) -> None:
        self._newest_id = NONE
        self._newest_time = _BEFORE_ALL

    def read(self, ids: Int64Array, times: Int64Array) -> Int64Array:
        """Order times of the next deltas, given their update ids and origin times in arrival order."""
        highest = np.maximum.accumulate(np.concatenate(([self._newest_id], ids)))
        # Rows of one message share their id, so "not behind" rather than "ahead".
        leads = ids >= highest[:-1]
        led = np.where(leads, times, _BEFORE_ALL)
        latest = np.maximum.accumulate(np.concatenate(([self._newest_time], led)))
        self._newest_id, self._newest_time = int(highest[-1]), int(latest[-1])
        return np.where(leads, latest[1:], times)

    def state(self) -> State:
        """Where the clock stands."""
        return State({"newest_id": self._newest_id, "newest_time": self._newest_time})

    def restore(self, state: State) -> None:
        """Go on where a clock stood."""
        self._newest_id, self._newest_time = state.integer("newest_id"), state.integer("newest_time")


class Stream:
    """One source of events in arrival order: it dates them and says how far it has come.

    Deltas are dated by a `DeltaClock`. An event may arrive up to ``horizon_ns`` (exchange time) behind a
    later one and still find its place; one that comes later than that is put at the earliest place left and
    flagged LATE. Both are decided event by event, so batches can't change them.
    """

    def __init__(self, horizon_ns: int) -> None:
        self._horizon_ns = horizon_ns
        self._newest_time = _BEFORE_ALL
        self._deltas = DeltaClock()
        self.is_open = True

    @property
    def watermark(self) -> int:
        """Time before which no event of this stream is missing any more."""
        if not self.is_open:
            return _AFTER_ALL
        return self._newest_time - self._horizon_ns if self._newest_time > _BEFORE_ALL else _BEFORE_ALL

    def date(self, events: Int64Array) -> None:
        """Fill ORDER_TIME of the events, int64 (FIELDS, n), in arrival order; flag what came late."""
        order = events[Field.ORIGIN_TIME].copy()
        deltas = np.flatnonzero(events[Field.KIND] == Kind.BOOK_DELTA)
        order[deltas] = self._deltas.read(events[Field.UPDATE_ID, deltas], order[deltas])
        before = np.maximum.accumulate(np.concatenate(([self._newest_time], order)))
        if before[-1] == _BEFORE_ALL:
            events[Field.ORDER_TIME] = order
            return
        limit = np.where(before[:-1] > _BEFORE_ALL, before[:-1] - self._horizon_ns, _BEFORE_ALL)
        late = order < limit
        order[late] = limit[late]
        events[Field.FLAGS, late] |= Flag.LATE
        events[Field.ORDER_TIME] = order
        self._newest_time = int(before[-1])

    def state(self) -> State:
        """How far the stream has come."""
        state = State({"newest_time": self._newest_time, "is_open": self.is_open})
        state.put("deltas", self._deltas.state())
        return state

    def restore(self, state: State) -> None:
        """Go on where a stream of the same horizon had come to."""
        self._newest_time, self.is_open = state.integer("newest_time"), bool(state.integer("is_open"))
        self._deltas.restore(state.part("deltas"))


class OrderBuffer:
    """Holds events until nothing can come before them, then gives them out in the total order."""

    def __init__(self, streams: int, horizon_ns: int) -> None:
        self.streams = [Stream(horizon_ns) for _ in range(streams)]
        self._held: list[Int64Array] = []

    def push(self, stream: int, events: Int64Array) -> None:
        """Add the next events of a stream, int64 (FIELDS, n), ORIGIN_TIME known, in arrival order."""
        self.streams[stream].date(events)
        self._held.append(events)

    def close(self, stream: int) -> None:
        """Say that a stream has ended."""
        self.streams[stream].is_open = False

    def behind(self) -> int | None:
        """The open stream that holds the others up, or None when all have ended."""
        waiting = [(stream.watermark, index) for index, stream in enumerate(self.streams) if stream.is_open]
        return min(waiting)[1] if waiting else None

    def ready(self) -> Int64Array:
        """Events that nothing can precede any more, int64 (FIELDS, n), in the total order."""
        if not self._held:
            return empty_events()
        watermark = min(stream.watermark for stream in self.streams)
        held = self._held[0] if len(self._held) == 1 else np.concatenate(self._held, axis=1)
        # The watermark itself may still be met, and a group must not be cut.
        complete = held[Field.ORDER_TIME] < watermark
        kept = held[:, ~complete]
        self._held = [kept] if kept.shape[1] else []
        out = held[:, complete]
        return np.ascontiguousarray(out[:, total_order(out)])

    def state(self) -> State:
        """The held events and how far each stream has come."""
        held = np.concatenate([empty_events(), *self._held], axis=1)
        state = State({"streams": len(self.streams)}, {"held": held})
        for number, stream in enumerate(self.streams):
            state.put(f"stream{number}", stream.state())
        return state

    def restore(self, state: State) -> None:
        """Go on as a buffer of as many streams and the same horizon would have.

        Raises
        ------
        ValueError
            When the state is not one of such a buffer.
        """
        if state.integer("streams") != len(self.streams):
            raise ValueError(f"state of {state.integer('streams')} streams, expected {len(self.streams)}")
        held = state.array("held", FIELDS, None)
        self._held = [held] if held.shape[1] else []
        for number, stream in enumerate(self.streams):
            stream.restore(state.part(f"stream{number}"))
