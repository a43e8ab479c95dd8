"""Times of a file: in range, of the day, in order, in nanoseconds, and which minutes of the day have any."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa

from rlx_datapipe.acquisition.blame import Blame
from rlx_datapipe.acquisition.columns import Int64Array, integers
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.period import NS_PER_S, time_text
from rlx_datapipe.venues.crypto_lake import EARLIEST_NS, LATEST_NS

RULE = "time"
MINUTES = 1_440
_MINUTE_NS = 60 * NS_PER_S
_DAY_NS = MINUTES * _MINUTE_NS
_AROUND_NS = _MINUTE_NS
"""By how much a row may lie outside its day: the archive divides days by one clock, and there are two."""
_PARTIAL_MINUTES = 15
"""Silence at an edge of the day that is a partial day, if it is also twice as long as any within it."""
_FLOAT_NS = 256
"""Seconds since 1970 as float64 are multiples of 2**-22 s; as nanoseconds, of 256 ns."""
_FAR_NS = 3_600 * NS_PER_S
_UNITS = {"seconds": NS_PER_S, "milliseconds": 10**6, "microseconds": 10**3}
_OUTSIDE = "outside 2017 to 2100 as nanoseconds since 1970"


class TimeCheck:
    """Both times of every row, in one pass.

    Parameters
    ----------
    date
        The UTC day that the file is said to be of; None if nothing says it, then that of the first row.
    """

    def __init__(self, date: dt.date | None) -> None:
        self._day = None if date is None else (date - dt.date(1970, 1, 1)).days * _DAY_NS
        self._is_told = date is not None
        self._covered = np.zeros(MINUTES, dtype=np.bool_)
        self._last = {"timestamp": 0, "receipt_timestamp": 0}
        self._first_ns, self._last_ns = 0, 0
        self._backwards_ns = 0
        self._through_floats = True
        self._lags = [0, 0, 0]
        """Sum over a thousandth of the rows in microseconds, how many, and the least in ns."""
        self._unit = ""

    def observe(self, rows: pa.Table, first_row: int, blame: Blame) -> None:
        """Look at the next rows."""
        origin = self._judge(rows, "timestamp", first_row, blame)
        received = self._judge(rows, "receipt_timestamp", first_row, blame)
        both = (origin > 0) & (received > 0)
        if both.any():
            lags = received[both] - origin[both]
            self._lags[0] += int((lags // 1_000).sum())
            self._lags[1] += len(lags)
            self._lags[2] = min(self._lags[2], int(lags.min()))
        times = origin[origin > 0]
        if not times.size:
            return
        self._through_floats &= bool((times % _FLOAT_NS == 0).all())
        self._first_ns = min(self._first_ns or int(times.min()), int(times.min()))
        self._last_ns = max(self._last_ns, int(times.max()))
        if self._day is None:
            self._day = int(times[0]) // _DAY_NS * _DAY_NS
        minutes = (times - self._day) // _MINUTE_NS
        self._covered[minutes[(minutes >= 0) & (minutes < MINUTES)]] = True
        if self._is_told:
            beyond = np.maximum(self._day - origin, origin - (self._day + _DAY_NS - 1))
            outside = (origin > 0) & (beyond > 0)
            far = outside & (beyond > _AROUND_NS)
            reason = "not of the day that the folder names"
            blame.rows(RULE, Severity.GATE, "timestamp", reason, far, first_row, origin)
            near = "up to a minute outside the day"
            blame.rows(RULE, Severity.NOTE, "timestamp", near, outside & ~far, first_row, origin)

    def _judge(self, rows: pa.Table, name: str, first_row: int, blame: Blame) -> Int64Array:
        """The times of one column, 0 where they are none."""
        times, absent = integers(rows[name])
        blame.rows(RULE, Severity.GATE, name, "no value", absent, first_row)
        outside = ~absent & ((times < EARLIEST_NS) | (times >= LATEST_NS))
        blame.rows(RULE, Severity.GATE, name, _OUTSIDE, outside, first_row, times)
        if outside.any() and not self._unit:
            self._unit = _guessed(int(np.median(times[outside])))
        good = np.where(absent | outside, 0, times)
        seen = good[good > 0]
        if seen.size:
            before = np.concatenate(([self._last[name]], np.maximum.accumulate(seen)[:-1]))
            back = seen < before
            if back.any():
                severity = Severity.WARN if name == "timestamp" else Severity.NOTE
                wrong = np.zeros(len(times), dtype=np.bool_)
                wrong[np.flatnonzero(good > 0)[back]] = True
                blame.rows(RULE, severity, name, "earlier than a row before", wrong, first_row, times)
                if name == "timestamp":
                    self._backwards_ns = max(self._backwards_ns, int((before - seen).max()))
            self._last[name] = max(self._last[name], int(seen.max()))
        return good

    def conclude(self, rows: int) -> tuple[list[Finding], dict[str, Any]]:
        """What is to be said of all rows together, and the facts."""
        findings = []

        def say(severity: Severity, message: str, **measures: Any) -> None:
            findings.append(Finding(rule=RULE, severity=severity, message=message, measures=measures))

        if self._unit:
            say(Severity.GATE, f"times look like {self._unit} since 1970, not nanoseconds", unit=self._unit)
        if not self._last_ns:
            if not rows:
                say(Severity.WARN, "no rows: an empty day", rows=0)
            return findings, {"first_time": None, "last_time": None, "silent_minutes": []}
        silent = _ranges(self._covered)
        facts = {"first_time": self._first_ns, "last_time": self._last_ns, "silent_minutes": silent}
        covered = int(self._covered.sum())
        told = f"{time_text(self._first_ns)} to {time_text(self._last_ns)}"
        if covered and _is_partial(silent):
            say(Severity.WARN, f"a partial day: {told}", minutes=covered)
        elif silent:
            say(Severity.NOTE, f"{MINUTES - covered:,} minutes without a row", silent_minutes=len(silent))
        if self._backwards_ns:
            moved = f"times run backwards by up to {self._backwards_ns / 1e6:,.3f} ms"
            say(Severity.NOTE, moved, backwards_ns=self._backwards_ns)
        if self._through_floats:
            say(Severity.NOTE, "times came through floats: all are multiples of 256 ns")
        if self._lags[1]:
            mean_ns = self._lags[0] * 1_000 // self._lags[1]
            if abs(mean_ns) > _FAR_NS:
                say(Severity.WARN, "received hours away from the origin time", lag_mean_ns=mean_ns)
            elif self._lags[2] < 0:
                say(Severity.NOTE, "the recorder's clock was behind", lag_min_ns=self._lags[2])
        return findings, facts


def _is_partial(silent: list[list[int]]) -> bool:
    """Whether the silence at an edge of the day is one that the market did not make."""
    edges = [last - first + 1 for first, last in silent if first == 0 or last == MINUTES - 1]
    within = [last - first + 1 for first, last in silent if first != 0 and last != MINUTES - 1]
    return max(edges, default=0) > max(_PARTIAL_MINUTES, 2 * max(within, default=0))


def _guessed(value: int) -> str:
    """In which unit a time would lie in the range, told in words; empty if in none."""
    for name, factor in _UNITS.items():
        if EARLIEST_NS <= value * factor < LATEST_NS:
            return name
    return ""


def _ranges(covered: np.ndarray[Any, np.dtype[np.bool_]]) -> list[list[int]]:
    """Minutes of the day without a row, as ranges: first and last, inclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ~covered, [False])).astype(np.int8)))
    return [[int(start), int(stop) - 1] for start, stop in edges.reshape(-1, 2)]
