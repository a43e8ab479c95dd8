"""Snapshots without a time of their own: put where their update id belongs among the deltas."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import FIELDS, NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.order import DeltaClock


class SnapshotPlacer:
    """Dates snapshots that carry an update id but no time (Binance spot).

    A snapshot takes the time of the first delta that is newer than it: of those that arrived before it, the
    one with the smallest update id above the snapshot's, else the next to arrive. It then sorts right before
    that delta. Deltas more than ``horizon_ns`` behind the newest are past: a snapshot that old is stale, and
    the replay will say so.
    """

    def __init__(self, horizon_ns: int) -> None:
        self._horizon_ns = horizon_ns
        self._clock = DeltaClock()
        self._ids = np.zeros(0, dtype=np.int64)
        self._times = np.zeros(0, dtype=np.int64)
        self._waiting: list[Int64Array] = []

    def place(self, events: Int64Array) -> Int64Array:
        """Date the snapshots of a batch; those that must wait for a delta are held back."""
        deltas = np.flatnonzero(events[Field.KIND] == Kind.BOOK_DELTA)
        timeless = np.flatnonzero(events[Field.ORIGIN_TIME] == NONE)
        ids = events[Field.UPDATE_ID, deltas]
        times = self._clock.read(ids, events[Field.ORIGIN_TIME, deltas])
        pieces: list[tuple[int, Int64Array]] = []
        waiting, self._waiting = self._waiting, []
        for rows in waiting:
            self._settle(rows, 0, deltas, ids, times, pieces)
        for columns in _groups(events, timeless):
            self._settle(events[:, columns], int(columns[0]), deltas, ids, times, pieces)
        self._remember(ids, times)
        if len(timeless) == 0 and not pieces:
            return events
        return _insert(np.delete(events, timeless, axis=1), timeless, pieces)

    def finish(self, newest_time: int) -> Int64Array:
        """Snapshots that no delta followed, dated with the newest time there was (ns; or their receipt)."""
        waiting, self._waiting = self._waiting, []
        for rows in waiting:
            _date(rows, newest_time if newest_time > 0 else int(rows[Field.RECEIVED_TIME, 0]))
        return np.concatenate(waiting, axis=1) if waiting else empty_events()

    def state(self) -> State:
        """The deltas still in reach and the snapshots that wait."""
        state = State(
            {},
            {
                "ids": self._ids.copy(),
                "times": self._times.copy(),
                "waiting": np.concatenate([empty_events(), *self._waiting], axis=1),
                "waiting_rows": np.array([rows.shape[1] for rows in self._waiting], dtype=np.int64),
            },
        )
        state.put("clock", self._clock.state())
        return state

    def restore(self, state: State) -> None:
        """Go on as a placer of the same horizon would have.

        Raises
        ------
        ValueError
            When the state is not one of a placer.
        """
        ids = state.array("ids", None)
        times = state.array("times", len(ids))
        rows = state.array("waiting_rows", None)
        waiting = state.array("waiting", FIELDS, int(rows.sum()))
        self._clock.restore(state.part("clock"))
        self._ids, self._times = ids, times
        # Each is dated in place later on, so none may share its memory.
        self._waiting = [part.copy() for part in np.split(waiting, np.cumsum(rows)[:-1], axis=1)][: len(rows)]

    def _settle(
        self,
        rows: Int64Array,
        arrival: int,
        deltas: Int64Array,
        ids: Int64Array,
        times: Int64Array,
        pieces: list[tuple[int, Int64Array]],
    ) -> None:
        """Date one snapshot and say at which column of the batch it goes, or let it wait."""
        stated = int(rows[Field.UPDATE_ID, 0])
        before = int(np.searchsorted(deltas, arrival))
        past_ids = np.concatenate((self._ids, ids[:before]))
        past_times = np.concatenate((self._times, times[:before]))
        reachable = past_times >= int(past_times.max(initial=NONE)) - self._horizon_ns
        newer = reachable & (past_ids > stated)
        if newer.any():
            _date(rows, int(past_times[newer][np.argmin(past_ids[newer])]))
            pieces.append((arrival, rows))
            return
        following = np.flatnonzero(ids[before:] > stated)
        if len(following):
            at = before + int(following[0])
            _date(rows, int(times[at]))
            pieces.append((int(deltas[at]), rows))
        else:
            self._waiting.append(rows)

    def _remember(self, ids: Int64Array, times: Int64Array) -> None:
        ids, times = np.concatenate((self._ids, ids)), np.concatenate((self._times, times))
        recent = times >= int(times.max(initial=NONE)) - self._horizon_ns
        self._ids, self._times = ids[recent], times[recent]


def _date(rows: Int64Array, time: int) -> None:
    rows[Field.ORIGIN_TIME] = time
    rows[Field.FLAGS] |= Flag.DERIVED_TIME


def _groups(events: Int64Array, columns: Int64Array) -> list[Int64Array]:
    if not len(columns):
        return []
    messages = events[Field.MESSAGE, columns]
    cuts = np.flatnonzero((np.diff(messages) != 0) | (np.diff(columns) != 1)) + 1
    return np.split(columns, cuts)


def _insert(events: Int64Array, removed: Int64Array, pieces: list[tuple[int, Int64Array]]) -> Int64Array:
    """The batch with its snapshots put back at the columns that they were given (as numbered before)."""
    parts, done = [], 0
    for column, rows in sorted(pieces, key=lambda piece: piece[0]):
        at = column - int(np.searchsorted(removed, column))
        parts += [events[:, done:at], rows]
        done = at
    return np.concatenate([*parts, events[:, done:]], axis=1)
