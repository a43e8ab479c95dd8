"""Timing: how late messages came, how finely they are stamped, silences, and steps of the clocks."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.spread import Spread, count_values, no_spreads
from rlx_datapipe.validation.reading import Stretch
from rlx_datapipe.validation.rule import Outcome, Rule, Subject, plural

WINDOW_NS = 60_000_000_000
STEP_NS = 250_000_000
"""The least lag of a minute is that of the way alone, which never changes by so much: a clock was set."""
_UNSET = np.iinfo(np.int64).max
_MS = 1_000_000


class Timing(Rule):
    """Lags between the two clocks, their resolutions, the longest silence, and steps of either clock.

    All is measured, and none of it fails a dataset: what a recorder's clock did is no fault of the events.
    Percentiles are right to two in a thousand; the greatest lag is exact.
    """

    name = "timing"
    severity = Severity.WARN
    reference = (
        "lag is received_time - origin_time; a step is a change of the least lag of a minute by 250 ms"
    )
    purpose = "How late events were received, and whether the clocks that say so can be believed."
    remembers = (
        *("lags", "events", "longest_silence_ns", "steps", "largest_step_ns"),
        *("_lag_max", "_resolution", "_last_time", "_first_times", "_window", "_least", "_least_before"),
    )

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.lags: Int64Array = no_spreads()
        self.events = self.longest_silence_ns = self.steps = self.largest_step_ns = 0
        self._lag_max: int | None = None
        self._resolution = [0, 0]
        """Greatest common divisor of the differences of origin and of receive times."""
        self._last_time = self._window = NONE
        self._first_times = [0, 0]
        self._least, self._least_before = _UNSET, _UNSET

    def observe(self, stretch: Stretch) -> None:
        """Count lags, and look at both clocks."""
        origin, received = stretch.origin_time, stretch.received_time
        known = received != NONE
        lags = received[known] - origin[known]
        if not self.events:
            self._first_times = [int(origin[0]), int(received[0])]
        count_values(self.lags, lags)
        self.events += len(origin)
        if len(lags):
            self._lag_max = max(int(lags.max()), self._lag_max if self._lag_max is not None else int(lags[0]))
        for k, times in enumerate((origin, received[known])):
            self._resolution[k] = gcd(self._resolution[k], int(np.gcd.reduce(times - self._first_times[k])))
        newest = np.maximum.accumulate(np.concatenate(([self._last_time], origin)))
        silences = np.diff(newest)[int(self._last_time == NONE) :]
        self.longest_silence_ns = max(self.longest_silence_ns, int(silences.max(initial=0)))
        self._last_time = int(newest[-1])
        self._watch_steps(origin[known] // WINDOW_NS, lags)

    def _watch_steps(self, windows: Int64Array, lags: Int64Array) -> None:
        """Compare the least lag of each minute with that of the minute before that had any."""
        if not len(lags):
            return
        starts = np.flatnonzero(np.diff(windows, prepend=windows[0] - 1))
        for window, least in zip(
            windows[starts].tolist(), np.minimum.reduceat(lags, starts).tolist(), strict=True
        ):
            if window != self._window:
                self._close_minute()
                self._window = window
            self._least = min(self._least, least)

    def _close_minute(self) -> None:
        if _UNSET not in (self._least, self._least_before):
            step = abs(self._least - self._least_before)
            self.steps += step >= STEP_NS
            self.largest_step_ns = max(self.largest_step_ns, step)
        if self._least != _UNSET:
            self._least_before, self._least = self._least, _UNSET

    def conclude(self) -> Outcome:
        """Warn of a clock that stepped; all else is told."""
        self._close_minute()
        spread = Spread(self.lags)
        p50, p99 = (spread.quantile(at) for at in (0.5, 0.99))
        measures: dict[str, Any] = {
            "lags": spread.total,
            "lag_ns_p50": p50,
            "lag_ns_p99": p99,
            "lag_ns_max": self._lag_max,
            "origin_time_resolution_ns": self._resolution[0],
            "received_time_resolution_ns": self._resolution[1],
            "longest_silence_ns": self.longest_silence_ns,
            "silences_on_record": len(self.subject.records.of("silence")),
            "clock_steps": int(self.steps),
            "largest_clock_step_ns": self.largest_step_ns,
        }
        if p50 is None or p99 is None or self._lag_max is None:
            return Outcome("No receive times.", measures, skipped=True)
        headline = (
            f"Lag {p50 / _MS:,.4g} ms at P50, {p99 / _MS:,.4g} at P99, {self._lag_max / _MS:,.4g} at most; "
            f"exchange's stamps in steps of {_told(self._resolution[0])}; longest silence "
            f"{_told(self.longest_silence_ns)}; {plural(int(self.steps), 'step')} of a clock."
        )
        findings: list[Finding] = []
        if self.steps:
            message = (
                f"{plural(int(self.steps), 'step')} of a clock by 250 ms or more between two minutes, "
                f"the largest {_told(self.largest_step_ns)}"
            )
            findings.append(self.found(Severity.WARN, message, largest_clock_step_ns=self.largest_step_ns))
        return Outcome(headline, measures, findings)


def _told(duration_ns: int) -> str:
    """A duration in the largest unit of which it has one."""
    for unit, size in (("h", 3_600_000_000_000), ("s", 1_000_000_000), ("ms", _MS), ("us", 1_000)):
        if duration_ns >= size:
            told = duration_ns / size
            return f"{told:,.0f} {unit}" if told >= 1_000 else f"{told:.4g} {unit}"
    return f"{duration_ns} ns"
