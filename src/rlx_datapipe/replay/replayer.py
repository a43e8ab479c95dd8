"""EventReplayer: ordered events become events with book state; what the kernel can't do alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, empty_events
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Keyframe, Quality, Replayed
from rlx_datapipe.core.sequence import Link, SequenceRule
from rlx_datapipe.core.state import State
from rlx_datapipe.replay.control import (
    CONFIGURED,
    COUNTERS,
    NO_LIMIT,
    NOTE_WORDS,
    WORDS,
    Mode,
    Note,
    Status,
    Word,
    new_control,
)
from rlx_datapipe.replay.groups import close_odd_state, follows_snapshot, publish_best, write_note
from rlx_datapipe.replay.kept import count_kept, keep_rows
from rlx_datapipe.replay.kernel import publish_row, replay_rows, take_sample
from rlx_datapipe.replay.records import counted_records, note_records, skew_record, unprovable_record
from rlx_datapipe.replay.snapshots import Statement, drift_record, initialise, resynchronise

_SAMPLES = 4096
_NOTES = 256
_NOTES_OF_A_GROUP = 4
_TRADES = 4096


class EventReplayer:
    """Chronological replay of one chain: the book at every event, and what is wrong with it.

    The outcome depends on the events alone, not on how they are cut into batches.

    Parameters
    ----------
    instrument
        Its ``price_step`` is the tick of the book's window.
    rule
        The venue's sequence rule.
    settings
        Cadences of samples, keyframes and epochs.
    opening
        Records that stand before all others.
    """

    def __init__(
        self,
        instrument: Instrument,
        rule: SequenceRule,
        settings: Settings,
        opening: Sequence[Quality] = (),
    ) -> None:
        self.engine = OrderBookEngine(tick=instrument.price_step)
        self.control = new_control(rule, settings)
        self._settings = settings
        self._samples = np.zeros((_SAMPLES, 4, settings.books_levels), dtype=np.int64)
        self._sample_heads = np.zeros((_SAMPLES, 4), dtype=np.int64)
        self._notes = np.zeros((_NOTES, NOTE_WORDS), dtype=np.int64)
        self._recent_trades = np.zeros(_TRADES, dtype=np.int64)
        self._pending: Statement | None = None
        self._quality: list[Quality] = []
        self._keyframes: list[Keyframe] = []
        self._epoch_first = 0
        self._skewed, self._least_lag_ns = 0, 0
        self._opening = [*opening, *([unprovable_record(rule)] if rule.link == Link.UNPROVABLE else [])]
        self._quality += self._opening
        self._is_between = True
        """Whether it stands between two batches, where nothing waits to be handed over."""

    def replay(self, events: Int64Array) -> Iterator[Replayed]:
        """Replay ordered events, int64 (FIELDS, n), whole groups; yields stretches, cut at epochs."""
        self._is_between = False
        count = events.shape[1]
        best = np.full((4, count), NONE, dtype=np.int64)
        flags = np.zeros(count, dtype=np.int64)
        at = done = 0
        while at < count:
            first_event = int(self.control[Word.NEXT_EVENT])
            while at < count and not self._must_yield():
                at, status = replay_rows(
                    events, at, self.control, self.engine.state, best, flags,
                    self._samples, self._sample_heads, self._notes, self._recent_trades,
                )  # fmt: skip
                at = self._serve(Status(status), events, at, best, flags)
            yield self._stretch(first_event, events[:, done:at], best[:, done:at], flags[done:at])
            done = at
        self._is_between = True

    def state(self) -> State:
        """All that the rest of the input is replayed by; only between two batches, each replayed to its end.

        Raises
        ------
        RuntimeError
            Inside a batch, or after `finish`.
        """
        if not self._is_between:
            raise RuntimeError("a replay has a state only between two batches")
        # Only the notice that opens the replay can still be here: batches without events hand nothing over.
        assert not self._keyframes  # noqa: S101
        assert self._quality in ([], self._opening)  # noqa: S101
        state = State(
            {
                "is_opened": not self._quality,
                "epoch_first": self._epoch_first,
                "skewed": self._skewed,
                "least_lag_ns": self._least_lag_ns,
                "is_pending": self._pending is not None,
            },
            {
                "control": self.control.copy(),
                "book": self.engine.to_array(),
                "recent_trades": self._recent_trades.copy(),
            },
        )
        if self._pending is not None:
            state.put("pending", self._pending.state())
        return state

    def restore(self, state: State) -> None:
        """Become a replay of the same rule and settings; called before any event.

        Raises
        ------
        ValueError
            When the state is not one of such a replay.
        """
        control = state.array("control", WORDS)
        words = [*CONFIGURED, Word.SAMPLES, Word.NOTES]
        if (control[words] != self.control[words]).any():
            raise ValueError("state of a replay by another sequence rule or other settings")
        trades = state.array("recent_trades", _TRADES)
        pending = Statement.from_state(state.part("pending")) if state.integer("is_pending") else None
        self._epoch_first = state.integer("epoch_first")
        self._skewed, self._least_lag_ns = state.integer("skewed"), state.integer("least_lag_ns")
        self._quality = [] if state.integer("is_opened") else list(self._opening)
        self.engine = OrderBookEngine.from_array(state.arrays.get("book", np.zeros(0, dtype=np.int64)))
        self.control, self._recent_trades, self._pending = control, trades, pending

    def finish(self) -> Replayed:
        """Close what is open at the end of the input: the last sample, states, the last epoch."""
        self._is_between = False
        control = self.control
        close_odd_state(control, self._notes, int(control[Word.LAST_TIME]))
        self._drain_notes()
        last = int(control[Word.NEXT_EVENT]) - 1
        if control[Word.MODE] == Mode.UNSYNCED and last >= 0:
            self._quality.append(self._unsynced(last))
        if self._pending is not None:
            self._quality.append(_not_compared(self._pending, last))
        if control[Word.SAMPLE_DUE] == 1:
            take_sample(control, self.engine.state, self._samples, self._sample_heads)
        control[Word.NEXT_EPOCH] = control[Word.NEXT_EVENT]
        nothing = np.zeros((4, 0), dtype=np.int64)
        return self._stretch(last + 1, empty_events(), nothing, np.zeros(0, dtype=np.int64))

    def _must_yield(self) -> bool:
        control = self.control
        return bool(
            control[Word.NEXT_EVENT] >= control[Word.NEXT_EPOCH]
            or control[Word.SAMPLES] == _SAMPLES
            or control[Word.NOTES] + _NOTES_OF_A_GROUP > _NOTES
        )

    def _serve(self, status: Status, events: Int64Array, at: int, best: Int64Array, flags: Int64Array) -> int:
        """Do what the kernel came back for; the column to go on from."""
        control = self.control
        self._drain_notes()
        if control[Word.PENDING_ID] == NONE:
            self._pending = None
        if status in (Status.GROW, Status.REGRID):
            self.engine.make_room(int(status), int(events[Field.PRICE, control[Word.GROUP_START]]))
        elif status == Status.SNAPSHOT:
            at = self._snapshot(events, at, best, flags)
        elif status == Status.GAP_UNDER_SNAPSHOT:
            self._bridge_gap(events, at)
        elif self._pending is not None and control[Word.LAST_ID] >= self._pending.update_id:
            group = events[:, control[Word.GROUP_START] : control[Word.GROUP_STOP]]
            self._pending.apply(group)
            self._compare(self._pending)
        if control[Word.NEXT_EVENT] >= control[Word.NEXT_KEYFRAME]:
            self._keyframe()
        return at

    def _snapshot(self, events: Int64Array, start: int, best: Int64Array, flags: Int64Array) -> int:
        """Take in the snapshot that begins at ``start``; the column behind it."""
        control = self.control
        stop = int(control[Word.GROUP_STOP])
        statement = Statement(events, start, stop)
        sampled = bool(events[Field.FLAGS, start] & Flag.SAMPLED)
        unsynced = control[Word.MODE] == Mode.UNSYNCED
        flags[stop - 1] = Flag.GROUP_END
        control[Word.LAST_ORDER_TIME] = events[Field.ORDER_TIME, start]
        if statement.update_id < control[Word.SEEN_ID if unsynced else Word.LAST_ID]:
            flags[start:stop] |= Flag.NOT_APPLIED
            self._publish(events, start, stop, best, flags)
            self._quality.append(_stale(statement, int(control[Word.NEXT_EVENT]) - 1))
            return stop
        # Where ids name no predecessor, a snapshot in the stream itself makes void all that was before it.
        is_new_start = not sampled and control[Word.LINK] == Link.UNPROVABLE
        if not unsynced and not sampled and not is_new_start and statement.update_id > control[Word.LAST_ID]:
            self._pending = statement
            control[Word.PENDING_ID] = statement.update_id
            self._publish(events, start, stop, best, flags)
            return stop
        # All rows but the last are published with the state as it was.
        self._publish(events, start, stop - 1, best, flags)
        flags[stop - 1] |= Flag.RESYNC
        event, time = int(control[Word.NEXT_EVENT]), int(events[Field.ORIGIN_TIME, stop - 1])
        if unsynced:
            initialise(self.engine, control, statement)
            self._quality.append(self._resynced(event, time, stop - start))
            control[Word.MODE] = Mode.LOADED
        else:
            drift, _ = resynchronise(self.engine, control, statement)
            self._quality.append(drift_record(drift, event, time))
            if is_new_start:
                initialise(self.engine, control, statement)
            if statement.update_id > control[Word.LAST_ID]:
                control[Word.MODE] = Mode.LOADED
        control[Word.LAST_ID] = statement.update_id
        publish_best(control, self.engine.state, self._notes, time)
        self._publish(events, stop - 1, stop, best, flags)
        self._keyframe()
        return stop

    def _publish(
        self, events: Int64Array, start: int, stop: int, best: Int64Array, flags: Int64Array
    ) -> None:
        for row in range(start, stop):
            publish_row(events, row, self.control, best, flags)

    def _compare(self, statement: Statement) -> None:
        """Compare book and statement at one update id; make the book the statement's where it differs."""
        control = self.control
        self._pending = None
        control[Word.PENDING_ID] = NONE
        event, time = int(control[Word.NEXT_EVENT]) - 1, int(control[Word.LAST_TIME])
        drift, changes = resynchronise(self.engine, control, statement)
        self._quality.append(drift_record(drift, event, time))
        publish_best(control, self.engine.state, self._notes, time)
        if changes:
            self._keyframe()

    def _bridge_gap(self, events: Int64Array, at: int) -> None:
        """Close a gap with the pending snapshot if the group at ``at`` follows it."""
        control, statement = self.control, self._pending
        assert statement is not None  # noqa: S101 (the kernel reports this gap only while one is pending)
        self._pending = None
        control[Word.PENDING_ID] = NONE
        if not follows_snapshot(events, at, control, statement.update_id):
            return
        event, time = int(control[Word.NEXT_EVENT]), int(events[Field.ORIGIN_TIME, at])
        expected, found = int(control[Word.LAST_ID]) + 1, int(events[Field.FIRST_ID, at])
        write_note(
            control, self._notes, Note.GAP, event - 1, event, control[Word.LAST_TIME], time, expected, found
        )
        self._drain_notes()
        initialise(self.engine, control, statement)
        control[Word.MODE], control[Word.LAST_ID] = Mode.LOADED, statement.update_id
        control[Word.INVALID_SINCE_EVENT], control[Word.INVALID_SINCE_TIME] = event, time
        self._quality.append(self._resynced(event, time, 0))
        publish_best(control, self.engine.state, self._notes, time)
        self._keyframe()

    def _keyframe(self) -> None:
        """Keep the full book after the last event; the next is due a cadence later."""
        control, every = self.control, self._settings.keyframe_events
        event = int(control[Word.NEXT_EVENT])
        if event >= control[Word.NEXT_KEYFRAME]:
            control[Word.NEXT_KEYFRAME] = (event // every + 1) * every
        if control[Word.MODE] == Mode.UNSYNCED:
            return
        low, high = int(control[Word.KNOWN_LOW]), int(control[Word.KNOWN_HIGH])
        self._keyframes.append(
            Keyframe(
                event_id=event - 1,
                origin_time=int(control[Word.LAST_TIME]),
                update_id=int(control[Word.LAST_ID]),
                levels=self.engine.levels(),
                known_low=low if low > 0 else NONE,
                known_high=high if high < NO_LIMIT else NONE,
            )
        )

    def _drain_notes(self) -> None:
        count = int(self.control[Word.NOTES])
        if count:
            self._quality += note_records(self._notes[:count])
            self.control[Word.NOTES] = 0

    def _stretch(self, first: int, events: Int64Array, best: Int64Array, flags: Int64Array) -> Replayed:
        """Hand over what has gathered, without dropped rows; closes the epoch if it is due."""
        control = self.control
        kept = count_kept(flags)
        if kept < len(flags):
            events, best, flags = _without_dropped(events, best, flags, kept)
        lag_ns = events[Field.RECEIVED_TIME] - events[Field.ORIGIN_TIME]
        self._skewed += int(np.count_nonzero(lag_ns < 0))
        self._least_lag_ns = min(self._least_lag_ns, int(lag_ns.min(initial=0)))
        ends = bool(control[Word.NEXT_EVENT] >= control[Word.NEXT_EPOCH])
        self._drain_notes()
        if ends:
            self._close_epoch()
        count = int(control[Word.SAMPLES])
        control[Word.SAMPLES] = 0
        keyframes, self._keyframes = self._keyframes, []
        quality, self._quality = self._quality, []
        samples, heads = self._samples[:count].copy(), self._sample_heads[:count].copy()
        return Replayed(first, events, best, flags, samples, heads, keyframes, quality, ends)

    def _close_epoch(self) -> None:
        control = self.control
        first, last = self._epoch_first, int(control[Word.NEXT_EVENT]) - 1
        self._quality += counted_records(control, first, last)
        if self._skewed:
            self._quality.append(skew_record(self._skewed, self._least_lag_ns, first, last))
        control[list(COUNTERS)] = 0
        self._skewed, self._least_lag_ns = 0, 0
        self._epoch_first = last + 1
        control[Word.NEXT_EPOCH] = last + 1 + self._settings.epoch_events

    def _resynced(self, event: int, time: int, levels: int) -> Quality:
        control = self.control
        since = int(control[Word.INVALID_SINCE_TIME])
        first = int(control[Word.INVALID_SINCE_EVENT]) == 0
        return Quality(
            kind="resync",
            severity=Severity.NOTE,
            detail="first snapshot: the book is valid from here"
            if first
            else "snapshot after a gap: valid again",
            from_event_id=int(control[Word.INVALID_SINCE_EVENT]),
            to_event_id=event,
            from_time=since,
            to_time=time,
            measures={"count": levels, **({"duration_ns": time - since} if since != NONE else {})},
        )

    def _unsynced(self, last: int) -> Quality:
        control = self.control
        return Quality(
            kind="unsynced",
            severity=Severity.WARN,
            detail="no snapshot came: events are kept, the book is not valid in this stretch",
            from_event_id=int(control[Word.INVALID_SINCE_EVENT]),
            to_event_id=last,
            from_time=int(control[Word.INVALID_SINCE_TIME]),
            to_time=int(control[Word.LAST_TIME]),
        )


def _without_dropped(
    events: Int64Array, best: Int64Array, flags: Int64Array, kept: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """The columns that are events, ``kept`` in number."""
    rows = np.empty((len(events), kept), dtype=np.int64), np.empty((4, kept), dtype=np.int64)
    rows_flags = np.empty(kept, dtype=np.int64)
    keep_rows(events, best, flags, *rows, rows_flags)
    return *rows, rows_flags


def _stale(statement: Statement, event: int) -> Quality:
    return Quality(
        kind="stale_snapshot",
        severity=Severity.NOTE,
        detail=f"snapshot {statement.update_id} is older than the deltas before it; kept, not applied",
        from_event_id=event,
        to_event_id=event,
        measures={"found_id": statement.update_id},
    )


def _not_compared(statement: Statement, event: int) -> Quality:
    return Quality(
        kind="stale_snapshot",
        severity=Severity.NOTE,
        detail=f"snapshot {statement.update_id} is newer than the last delta; kept, not compared",
        from_event_id=event,
        to_event_id=event,
        measures={"found_id": statement.update_id},
    )
