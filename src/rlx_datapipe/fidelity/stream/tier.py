"""StreamTier: tier 1 of one chain in the replay loop: windows of sums, alerts at once, saved states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlx_datapipe.core.event import NONE, Field, Int64Array, Kind, Side, empty_events
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.period import time_text
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.state import State, Value
from rlx_datapipe.core.units import to_text
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.stream.kernel import LOST_MAX, Stop, close_window, open_window, see_rows
from rlx_datapipe.fidelity.stream.layout import (
    CARRY,
    MEMORY,
    NUMBERS,
    SECOND_NS,
    WINDOW_NS,
    WORDS,
    Carry,
    Rate,
    new_carry,
    new_memory,
)
from rlx_datapipe.fidelity.stream.measured import Measured
from rlx_datapipe.fidelity.stream.rates import ONE

RECENT = 32
"""Events that an alert shows: those up to the one that raised it."""
ALERTS_MAX = 20
"""Alerts of a chain that are kept with their events; further ones are counted."""


@dataclass(frozen=True)
class Alert:
    """Something that should be looked at now: its kind, when it was, and a sentence that says what it is.

    ``recent`` are the last events up to it, oldest first, each with its time, kind, side, price and quantity.
    """

    kind: str
    time_ns: int
    message: str
    recent: list[dict[str, Value]]


@dataclass(frozen=True)
class _Closed:
    """A window that is over: most of its words are 0, so only those that are ``held`` are kept."""

    start_ns: int
    end_ns: int
    held: Int64Array
    words: Int64Array
    numbers: FloatArray


class StreamTier:
    """An `Observer` that measures a chain in windows on the clock while it is replayed.

    Every window is a struct of sums that add up, see `layout`; it depends on the events alone, and on neither
    batches nor epochs.

    Parameters
    ----------
    instrument
        Scales, and the price step.
    on_alert
        Told of each alert in the moment in which its event is replayed.
    """

    def __init__(self, instrument: Instrument, on_alert: Callable[[Alert], None] = lambda _: None) -> None:
        self._instrument, self._on_alert = instrument, on_alert
        self._carry, self._memory = new_carry(), new_memory(instrument.price_step)
        self._words = np.zeros(WORDS, dtype=np.int64)
        self._numbers = np.zeros(NUMBERS, dtype=np.float64)
        self._recent = empty_events(RECENT)
        self._total = Measured(0, 0, np.zeros_like(self._words), np.zeros_like(self._numbers))
        self._windows = 0
        self._closed: list[_Closed] = []
        self._alerts: list[dict[str, Value]] = []
        self._alerted: dict[str, int] = {}
        self._start = NONE

    def see(self, replayed: Replayed) -> None:
        """See `Observer`."""
        events, count = replayed.events, replayed.events.shape[1]
        at = 0
        while at < count:
            at, stop = see_rows(
                events, replayed.best, replayed.flags, at,
                self._carry, self._memory, self._words, self._numbers,
            )  # fmt: skip
            if stop == Stop.WINDOW:
                self._turn(max(int(events[Field.ORIGIN_TIME, at]), int(self._carry[Carry.CLOCK])))
            elif stop != Stop.DONE:
                self._alert(Stop(stop), self._last(events[:, :at]))
        self._recent = self._last(events)

    def _turn(self, time_ns: int) -> None:
        """Go on to the window that a time lies in."""
        is_first = self._start == NONE
        if not is_first:
            self._close(int(self._carry[Carry.WINDOW_END]))
        open_window(self._carry, self._memory, time_ns)
        self._start = int(self._carry[Carry.SINCE])

    def _close(self, end_ns: int) -> None:
        close_window(self._carry, self._memory, self._words, self._numbers, end_ns)
        held = np.flatnonzero(self._words)
        self._closed.append(_Closed(self._start, end_ns, held, self._words[held], self._numbers.copy()))
        self._total = self._total.joined(Measured(self._start, end_ns, self._words, self._numbers))
        self._windows += 1
        self._words[:], self._numbers[:] = 0, 0.0

    def finish(self) -> None:
        """Close the window that is open, right behind the last event: it is shorter than the others."""
        if self._start != NONE:
            self._close(int(self._carry[Carry.CLOCK]) + 1)
            self._start = NONE

    def told(self) -> dict[str, Value]:
        """What all closed windows came to, for the summary of the run; see `Measured.told`."""
        return {"windows": self._windows, **self._total.told(self._instrument)}

    def take_closed(self) -> State | None:
        """The windows that were closed since this was last asked; None if there are none."""
        closed, self._closed = self._closed, []
        if not closed:
            return None
        return State(
            {},
            {
                "spans": np.array([[one.start_ns, one.end_ns] for one in closed], dtype=np.int64),
                "held": np.array([len(one.held) for one in closed], dtype=np.int64),
                "at": np.concatenate([one.held for one in closed]),
                "words": np.concatenate([one.words for one in closed]),
                "numbers": np.stack([one.numbers for one in closed]).view(np.int64),
            },
        )

    def findings(self) -> list[Finding]:
        """One for each kind of alert that there was, with the first of them and the events before each."""
        told = []
        for kind, count in sorted(self._alerted.items()):
            mine = [alert for alert in self._alerts if alert["kind"] == kind]
            more = f", and {count - 1} more" if count > 1 else ""
            message = f"{mine[0]['message']}{more}" if mine else f"{count} alerts"
            measures: dict[str, Any] = {"count": count, "alerts": mine}
            told.append(Finding(rule=kind, severity=Severity.WARN, message=message, measures=measures))
        return told

    def state(self) -> State:
        """See `Observer`; only when the closed windows were taken."""
        assert not self._closed  # noqa: S101 (an epoch takes them before its states)
        return State(
            {
                "start": self._start,
                "windows": self._windows,
                "alerts": [*self._alerts],
                "alerted": {**self._alerted},
            },
            {
                "carry": self._carry.copy(),
                "memory": self._memory.view(np.int64).copy(),
                "words": self._words.copy(),
                "numbers": self._numbers.view(np.int64).copy(),
                "total_words": self._total.words.copy(),
                "total_numbers": self._total.numbers.view(np.int64).copy(),
                "recent": self._recent.copy(),
            },
        )

    def restore(self, state: State) -> None:
        """See `Observer`."""
        values: dict[str, Any] = state.values
        self._start, self._windows = state.integer("start"), state.integer("windows")
        self._alerts, self._alerted = [*values["alerts"]], {**values["alerted"]}
        self._carry, self._words = state.array("carry", CARRY), state.array("words", WORDS)
        self._memory = state.array("memory", MEMORY).view(np.float64)
        self._numbers = state.array("numbers", NUMBERS).view(np.float64)
        total = state.array("total_words", WORDS), state.array("total_numbers", NUMBERS)
        self._total = Measured(0, 0, total[0], total[1].view(np.float64))
        self._recent = state.array("recent", *empty_events(RECENT).shape)

    def _last(self, events: Int64Array) -> Int64Array:
        """The last events up to the end of a stretch, int64 (FIELDS, RECENT), NONE where there were fewer."""
        fresh = events[:, -RECENT:]
        kept = self._recent[:, fresh.shape[1] :]
        return np.concatenate([kept, fresh], axis=1)

    def _alert(self, stop: Stop, recent: Int64Array) -> None:
        kind, what = self._told(stop)
        time_ns = int(self._carry[Carry.CLOCK])
        alert = Alert(kind, time_ns, f"{what} (at {time_text(time_ns)})", self._readable(recent))
        self._alerted[kind] = self._alerted.get(kind, 0) + 1
        if len(self._alerts) < ALERTS_MAX:
            rows: list[Value] = [*alert.recent]
            self._alerts.append({"kind": kind, "time_ns": time_ns, "message": alert.message, "recent": rows})
        self._on_alert(alert)

    def _told(self, stop: Stop) -> tuple[str, str]:
        """Kind of an alert and what it says."""
        if stop == Stop.SEQUENCE:
            minutes = WINDOW_NS // (60 * SECOND_NS)
            return "sequence", f"the book was lost {LOST_MAX} times within {minutes} minutes"
        rate = Carry.FINE if stop == Stop.BURST else Carry.COARSE
        usual = 2.0 ** (int(self._carry[rate + Rate.LEVEL]) / ONE)
        if stop == Stop.SILENCE:
            silent_s = int(self._carry[Carry.GAP]) / SECOND_NS
            return "message_rate", f"no message for {silent_s:,.0f} s, {usual:,.0f} a second are usual"
        count, step = int(self._carry[rate + Rate.COUNT]), "100 ms" if rate == Carry.FINE else "a second"
        return "message_rate", f"{count:,} depth messages within {step}, where {usual:,.0f} are usual"

    def _readable(self, recent: Int64Array) -> list[dict[str, Value]]:
        """Events as people read them, prices and quantities as exact decimals."""
        instrument = self._instrument
        rows: list[dict[str, Value]] = []
        for row in recent[:, recent[Field.KIND] != NONE].T:
            kind = Kind(row[Field.KIND])
            sides = ("buy", "sell") if kind == Kind.TRADE else ("bid", "ask")
            rows.append(
                {
                    "time_ns": int(row[Field.ORIGIN_TIME]),
                    "type": kind.name,
                    "side": None if row[Field.SIDE] == NONE else sides[Side(row[Field.SIDE])],
                    "price": _decimal(int(row[Field.PRICE]), instrument.price_decimals),
                    "quantity": _decimal(int(row[Field.QUANTITY]), instrument.quantity_decimals),
                }
            )
        return rows


def _decimal(value: int, decimals: int) -> str | None:
    return None if value == NONE else to_text(value, decimals)
