"""What happened between two snapshots: ordered events in, the same with inferred deltas out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import FIELDS, Field, Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.core.sequence import Link, SequenceRule
from rlx_datapipe.core.state import State
from rlx_datapipe.replay.closing import WINDOW_WORDS, Window
from rlx_datapipe.replay.control import Mode, Word, new_control
from rlx_datapipe.replay.groups import group_stop
from rlx_datapipe.replay.snapshots import Statement
from rlx_datapipe.replay.windows import Need, infer_rows

_TRADES = 4096

INFERRED = SequenceRule(
    link=Link.INFERRED,
    keeps_equal=False,
    source="docs/strategies.md: what is inferred between snapshots follows from what stands before it",
)


class Inference(Protocol):
    """Fills the windows between snapshots.

    The outcome depends on the events alone, not on how they are cut into batches: what an inference holds
    back until a window is closed is part of its state. `WindowInference` is the plain one. One that draws
    the missing events from a model of order flow (seeded by the settings) would be another, and
    `SnapshotReplayer` would not know the difference.
    """

    def infer(self, events: Int64Array) -> Iterator[Int64Array]:
        """Ordered events, int64 (FIELDS, n), whole groups: the same without deltas, inferred ones in between.

        After the changes before a snapshot the book equals it, level by level, where it covers the book.
        """

    def records(self, last_event: int) -> list[Quality]:
        """What was inferred and what did not fit, over events 0 to ``last_event``."""

    def state(self) -> State:
        """All that the rest of the input is treated by."""

    def restore(self, state: State) -> None:
        """Become the inference that gave this state.

        Raises
        ------
        ValueError
            When the state is not one of such an inference.
        """


class WindowInference:
    """Trades take from the book as they come; all else is stamped with the snapshot that tells it.

    Nothing waits for its window to be closed: each trade is followed at once by the changes that it proves,
    each snapshot preceded by those that it proves. So no change bears a time before the venue's own word
    for it, and an agent that sees a change never sees the future.
    """

    def __init__(self, instrument: Instrument, settings: Settings) -> None:
        self.engine = OrderBookEngine(tick=instrument.price_step)
        self.control = np.zeros(WINDOW_WORDS, dtype=np.int64)
        shared = new_control(INFERRED, settings)
        self.control[: len(shared)] = shared
        self._recent_trades = np.zeros(_TRADES, dtype=np.int64)

    def infer(self, events: Int64Array) -> Iterator[Int64Array]:
        """See `Inference`."""
        at, stop = 0, events.shape[1]
        while at < stop:
            held = sum(self.engine.level_count(side) for side in (0, 1))
            # Room for whatever any group may need, so that each round gets on.
            out = np.empty((FIELDS, held + 2 * (stop - at)), dtype=np.int64)
            done, need = 0, Need.NOTHING
            while at < stop and need != Need.ROOM:
                at, done, need = infer_rows(
                    events, at, out, done, self.control, self.engine.state, self._recent_trades
                )
                if need == Need.FIRST:
                    at, done = self._begin(events, at, out, done)
                elif need == Need.APPLY:
                    self._apply(out[:, self.control[Window.APPLY_FROM] : done])
            if done:
                yield np.ascontiguousarray(out[:, :done])

    def _begin(self, events: Int64Array, at: int, out: Int64Array, done: int) -> tuple[int, int]:
        """Take the first snapshot as the book; the columns behind it in input and output."""
        end = int(group_stop(events, at))
        self.engine.load_snapshot(*Statement(events, at, end).levels())
        self.control[Word.MODE] = Mode.LIVE
        self.control[Word.LAST_ID] = events[Field.UPDATE_ID, at]
        out[:, done : done + end - at] = events[:, at:end]
        return end, done + end - at

    def _apply(self, rows: Int64Array) -> None:
        """Apply changes for which the book has to grow."""
        changes = rows[:, rows[Field.KIND] == rows[Field.KIND, 0]]
        self.engine.apply(changes[Field.SIDE], changes[Field.PRICE], changes[Field.QUANTITY])

    def records(self, last_event: int) -> list[Quality]:
        """See `Inference`."""
        words = self.control
        behind, closing = int(words[Window.TRADE_ROWS]), int(words[Window.CLOSING_ROWS])
        trades, filled, short = (int(words[w]) for w in (Window.TRADES, Window.FILLED, Window.SHORT))
        compared, matched = int(words[Window.COMPARED]), int(words[Window.MATCHED])
        told = [
            ("inferred", behind + closing,
             f"changes inferred: {behind} from trades, {closing} from {words[Window.CLOSED]} snapshots, "
             f"before which {matched} of {compared} levels were right",
             {"levels_compared": compared, "levels_matched": matched,
              "levels_missing": int(words[Window.MISSING]), "levels_extra": int(words[Window.EXTRA])}),
            ("trade_mismatch", trades - filled,
             f"of {trades} trades {short} were of more than their level held, and {trades - filled - short} "
             "at a price where there was no level",
             {"levels_compared": trades, "levels_matched": filled}),
            ("snapshot_reset", int(words[Window.RESETS]),
             "snapshots whose update id is below that of the one before; by their time they are newer", {}),
            ("set_aside", int(words[Window.DELTAS]),
             "rows of deltas: this strategy makes no use of them", {}),
        ]  # fmt: skip
        return [
            Quality(
                kind=kind,
                severity=Severity.NOTE,
                detail=detail,
                from_event_id=0,
                to_event_id=last_event,
                measures={"count": count, **measures},
            )
            for kind, count, detail, measures in told
            if count
        ]

    def state(self) -> State:
        """See `Inference`."""
        return State(
            {},
            {
                "control": self.control.copy(),
                "book": self.engine.to_array(),
                "recent_trades": self._recent_trades.copy(),
            },
        )

    def restore(self, state: State) -> None:
        """See `Inference`."""
        control = state.array("control", WINDOW_WORDS)
        trades = state.array("recent_trades", _TRADES)
        self.engine = OrderBookEngine.from_array(state.arrays.get("book", np.zeros(0, dtype=np.int64)))
        self.control, self._recent_trades = control, trades
