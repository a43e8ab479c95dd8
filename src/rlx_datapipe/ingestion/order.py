"""The pending queue: events of one or several streams in the total order, with bounded waiting."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from rlx_datapipe.core.event import FIELDS, NONE, Field, Int64Array, empty_events, total_order
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.order_kernels import (
    BEFORE_ALL,
    CLOCK_WORDS,
    Clock,
    copy_rows,
    date_deltas,
    date_rows,
    merge_rows,
    precedes,
)

_AFTER_ALL = np.iinfo(np.int64).max

Piece = tuple[Int64Array, int, int]
"""Columns of an array from the first number up to the second."""


def _last_time(piece: Piece) -> int:
    chunk, _, stop = piece
    return int(chunk[Field.ORDER_TIME, stop - 1])


def _new_clock() -> Int64Array:
    return np.array([NONE, BEFORE_ALL, BEFORE_ALL], dtype=np.int64)


class DeltaClock:
    """Order times along a depth feed, never running backwards with its update ids.

    A delta never sorts before a delta with a smaller update id that arrived earlier, even if the exchange's
    clock stepped back; one that arrived behind a larger id keeps its own time.
    """

    def __init__(self) -> None:
        self._clock = _new_clock()

    def read(self, ids: Int64Array, times: Int64Array) -> Int64Array:
        """Order times of the next deltas, given their update ids and origin times in arrival order."""
        dated = np.empty(len(ids), dtype=np.int64)
        date_deltas(np.ascontiguousarray(ids), np.ascontiguousarray(times), self._clock, dated)
        return dated

    def state(self) -> State:
        """Where the clock stands."""
        return State({}, {"clock": self._clock.copy()})

    def restore(self, state: State) -> None:
        """Go on where a clock stood."""
        self._clock = state.array("clock", CLOCK_WORDS)


class Stream:
    """One source of events in arrival order: dates them, holds them in order, says how far it has come.

    Deltas are dated as by a `DeltaClock`. An event may arrive up to ``horizon_ns`` (exchange time) behind a
    later one and still find its place; one that comes later than that is put at the earliest place left and
    flagged LATE. Both are decided event by event, so batches can't change them.
    """

    def __init__(self, horizon_ns: int) -> None:
        self._horizon_ns = horizon_ns
        self._clock = _new_clock()
        self._chunks: list[Piece] = []
        """What is held, in the total order from the first column of the first to the last of the last."""
        self.is_open = True

    @property
    def watermark(self) -> int:
        """Time before which no event of this stream is missing any more."""
        newest = int(self._clock[Clock.NEWEST_TIME])
        if not self.is_open:
            return _AFTER_ALL
        return newest - self._horizon_ns if newest > BEFORE_ALL else BEFORE_ALL

    @property
    def held(self) -> int:
        """Events that are held."""
        return sum(stop - start for _, start, stop in self._chunks)

    def push(self, events: Int64Array) -> None:
        """Date the next events, int64 (FIELDS, n) in arrival order, and hold them in their place."""
        if not events.shape[1]:
            return
        events = np.ascontiguousarray(events)
        in_order, least = date_rows(events, self._clock, self._horizon_ns)
        if self._chunks:
            last, _, stop = self._chunks[-1]
            if not in_order or precedes(events, 0, last, stop - 1):
                overlapping = [chunk[:, a:b] for chunk, a, b in self._cut(int(least))]
                events, in_order = np.concatenate([*overlapping, events], axis=1), False
        if not in_order:
            events = np.ascontiguousarray(events[:, total_order(events)])
        self._chunks.append((events, 0, events.shape[1]))

    def _cut(self, time: int) -> list[Piece]:
        """Take back what is held from an order time on."""
        whole = bisect_left(self._chunks, time, key=_last_time)
        kept, taken = self._chunks[:whole], self._chunks[whole:]
        if taken:
            chunk, start, stop = taken[0]
            cut = start + int(np.searchsorted(chunk[Field.ORDER_TIME, start:stop], time))
            kept += [(chunk, start, cut)] if cut > start else []
            taken[0] = chunk, cut, stop
        self._chunks = kept
        return taken

    def take(self, watermark: int) -> list[Piece]:
        """Give out what stands before an order time: the time itself may still be met."""
        behind = self._cut(watermark)
        taken, self._chunks = self._chunks, behind
        return taken

    def state(self) -> State:
        """How far the stream has come, and what it holds."""
        held = [empty_events(), *(chunk[:, start:stop] for chunk, start, stop in self._chunks)]
        return State(
            {"is_open": self.is_open}, {"clock": self._clock.copy(), "held": np.concatenate(held, axis=1)}
        )

    def restore(self, state: State) -> None:
        """Go on where a stream of the same horizon had come to."""
        held = state.array("held", FIELDS, None)
        self._clock, self.is_open = state.array("clock", CLOCK_WORDS), bool(state.integer("is_open"))
        self._chunks = [(held, 0, held.shape[1])] if held.shape[1] else []


class OrderBuffer:
    """Holds events until nothing can come before them, then gives them out in the total order."""

    def __init__(self, streams: int, horizon_ns: int) -> None:
        self.streams = [Stream(horizon_ns) for _ in range(streams)]

    def push(self, stream: int, events: Int64Array) -> None:
        """Add the next events of a stream, int64 (FIELDS, n), ORIGIN_TIME known, in arrival order."""
        self.streams[stream].push(events)

    def close(self, stream: int) -> None:
        """Say that a stream has ended."""
        self.streams[stream].is_open = False

    def behind(self) -> int | None:
        """The open stream that holds the others up, or None when all have ended."""
        waiting = [(stream.watermark, index) for index, stream in enumerate(self.streams) if stream.is_open]
        return min(waiting)[1] if waiting else None

    def ready(self) -> Int64Array:
        """Events that nothing can precede any more, int64 (FIELDS, n), in the total order."""
        watermark = min(stream.watermark for stream in self.streams)
        taken = [(number, stream.take(watermark)) for number, stream in enumerate(self.streams)]
        # The smallest first, so that most columns are copied once.
        taken.sort(key=lambda numbered: sum(stop - start for _, start, stop in numbered[1]))
        whole, first = empty_events(), len(self.streams)
        for number, pieces in taken:
            if pieces:
                whole, first = _merged(pieces, whole, number < first), min(number, first)
        return whole

    def state(self) -> State:
        """What each stream holds and how far it has come."""
        state = State({"streams": len(self.streams)})
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
        for number, stream in enumerate(self.streams):
            stream.restore(state.part(f"stream{number}"))


def _merged(pieces: list[Piece], others: Int64Array, is_first: bool) -> Int64Array:
    """Pieces of one stream together with columns of others; ``is_first`` tells which of equal ones lead."""
    count = sum(stop - start for _, start, stop in pieces) + others.shape[1]
    out = np.empty((FIELDS, count), dtype=np.int64)
    at = done = 0
    for chunk, start, stop in pieces:
        at, done = merge_rows(chunk, start, stop, others, at, out, done, is_first)
    copy_rows(others, at, others.shape[1], out, done)
    return out
