"""Chronology: dense event ids, times that never run backwards unexplained, and the recorder's lag."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import Flag, Int64Array, Kind
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.validation.reading import Stretch
from rlx_datapipe.validation.result import NAMED_MAX
from rlx_datapipe.validation.rule import Outcome, Rule, Subject, plural

_UNSET = np.iinfo(np.int64).min


class Chronology(Rule):
    """Event ids count from 0 without a hole; origin time never steps back without a reason in the data.

    Two reasons count: the row is flagged LATE, or it belongs to a depth message that follows by its update id
    although the exchange's clock stepped back.
    """

    name = "chronology"
    severity = Severity.GATE
    reference = "DESIGN: total order of events"
    purpose = "Events are numbered without a hole and in the order of the exchange's time."
    remembers = (
        *("events", "misnumbered", "late", "stepped_back", "unexplained", "negative_lags"),
        *("_next_id", "_last_row", "_newest_time", "_newest_update", "_lags", "_named", "_misnumbered_ids"),
    )

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.events = self.misnumbered = self.late = self.stepped_back = self.unexplained = 0
        self.negative_lags = 0
        self._next_id = 0
        self._last_row: Int64Array = np.full((2, 1), _UNSET, dtype=np.int64)
        self._newest_time = self._newest_update = _UNSET
        self._lags = [np.iinfo(np.int64).max, _UNSET]
        self._named: list[int] = []
        self._misnumbered_ids: list[int] = []

    def observe(self, stretch: Stretch) -> None:
        """Check numbers, times and lags of the next events."""
        ids = stretch.event_id
        wrong = np.diff(ids, prepend=self._next_id - 1) != 1
        self.misnumbered += int(wrong.sum())
        self._misnumbered_ids += ids[wrong][: NAMED_MAX - len(self._misnumbered_ids)].tolist()
        self._next_id = int(ids[-1]) + 1
        self.events += len(ids)
        self._check_times(stretch)
        lags = stretch.received_time - stretch.origin_time
        self.negative_lags += int((lags < 0).sum())
        self._lags = [min(self._lags[0], int(lags.min())), max(self._lags[1], int(lags.max()))]

    def _check_times(self, stretch: Stretch) -> None:
        times = stretch.origin_time
        newest = np.maximum.accumulate(np.concatenate(([self._newest_time], times)))
        back = times < newest[:-1]
        self._newest_time = int(newest[-1])
        updates = np.where(stretch.kind == Kind.BOOK_DELTA, stretch.update_id, _UNSET)
        leading = np.maximum.accumulate(np.concatenate(([self._newest_update], updates)))
        follows = (updates >= leading[:-1]) & (updates != _UNSET)
        self._newest_update = int(leading[-1])
        # Rows of one message share its time: a step inside a message is no step of the clock.
        before = np.concatenate((self._last_row, np.stack([times, updates])), axis=1)
        torn = (np.diff(before[0]) != 0) & (np.diff(before[1]) == 0) & (updates != _UNSET)
        self._last_row = before[:, -1:]
        late = back & stretch.has(Flag.LATE)
        stepped = back & ~late & follows & ~torn
        unexplained = back & ~late & ~stepped
        self.late += int(late.sum())
        self.stepped_back += int(stepped.sum())
        self.unexplained += int(unexplained.sum())
        named: Int64Array = stretch.event_id[unexplained]
        self._named += named[: NAMED_MAX - len(self._named)].tolist()

    def conclude(self) -> Outcome:
        """Gate for a hole in the numbers or an unexplained step back."""
        measures = {
            "events": self.events,
            "misnumbered": self.misnumbered,
            "late": self.late,
            "clock_stepped_back": self.stepped_back,
            "unexplained_steps_back": self.unexplained,
            "negative_lags": self.negative_lags,
            "lag_ns_min": self._lags[0] if self.events else None,
            "lag_ns_max": self._lags[1] if self.events else None,
        }
        back = self.late + self.stepped_back + self.unexplained
        order = "never step back" if not back else f"step back at {plural(back, 'event')}"
        numbers = (
            "without a hole" if not self.misnumbered else f"with {plural(self.misnumbered, 'wrong number')}"
        )
        headline = f"{plural(self.events, 'event')}, numbered {numbers}; times {order}."
        return Outcome(headline, measures, self._findings())

    def _findings(self) -> list[Finding]:
        findings = []
        if not self.events:
            findings.append(self.found(Severity.GATE, "the chain holds no events"))
        if self.misnumbered:
            findings.append(
                self.found(
                    Severity.GATE,
                    f"{plural(self.misnumbered, 'event id')} not one above the last, from 0",
                    event_ids=self._misnumbered_ids,
                )
            )
        if self.unexplained:
            findings.append(
                self.found(
                    Severity.GATE,
                    f"time steps back at {plural(self.unexplained, 'event')} without a reason in the data",
                    event_ids=self._named,
                )
            )
        if self.late:
            findings.append(
                self.found(Severity.WARN, f"{plural(self.late, 'event')} came too late for their place")
            )
        if self.stepped_back:
            findings.append(
                self.found(
                    Severity.WARN,
                    f"the exchange's clock stepped back under {plural(self.stepped_back, 'row')}",
                )
            )
        if self.negative_lags:
            findings.append(
                self.found(
                    Severity.NOTE,
                    f"{plural(self.negative_lags, 'event')} received before they happened: "
                    "the recorder's clock is behind the exchange's",
                    lag_ns_min=self._lags[0],
                )
            )
        return findings
