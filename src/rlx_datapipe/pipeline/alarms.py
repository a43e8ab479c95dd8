"""Alarms: drift and gaps beyond their thresholds, as findings of a run and as counts for telemetry.

They look at what the replay hands over and change none of it. What they measure:

- ``time_drift``: how far the difference of the two clocks (received minus origin) has moved. The least
  difference of each ten seconds of market is taken, because the network can only add to it; the drift is the
  highest of these less the lowest. A constant offset is no drift. Only trades and deltas count: the time of
  a snapshot is not always its own.
- ``gap``: the share of update ids that are missing, or of events after the first valid book that have none,
  whichever is larger. Where update ids name no predecessor (Crypto Lake) a missing one can't be seen.
- ``best_price``: the root mean square, over all comparisons with the venue's snapshots, of the relative
  error of both best prices. Comparisons that found the books equal count with 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.period import time_text
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.state import State
from rlx_datapipe.telemetry.counters import count_alarm

NS_PER_MS = 1_000_000
WINDOW_NS = 10_000_000_000
_NO_LAG = 2**62


@dataclass
class _Measured:
    """Everything that is measured, as plain numbers, so that it survives a resume as it is."""

    window: int = NONE
    window_least_ns: int = _NO_LAG
    low_ns: int = _NO_LAG
    low_window: int = NONE
    high_ns: int = -_NO_LAG
    high_window: int = NONE
    last_id: int = NONE
    ids: int = 0
    ids_missing: int = 0
    worst_gap: int = 0
    worst_gap_time: int = NONE
    has_book: bool = False
    events: int = 0
    events_without_book: int = 0
    compared: int = 0
    squares: float = 0.0
    worst_error: float = 0.0
    worst_error_time: int = NONE

    @property
    def drift_ms(self) -> float:
        return max(0, self.high_ns - self.low_ns) / NS_PER_MS if self.high_window != NONE else 0.0

    @property
    def missing_share(self) -> float:
        return self.ids_missing / self.ids if self.ids else 0.0

    @property
    def without_book_share(self) -> float:
        return self.events_without_book / self.events if self.events else 0.0

    @property
    def best_price_error(self) -> float:
        return math.sqrt(self.squares / self.compared) if self.compared else 0.0


class Alarms:
    """Measures one chain as it is replayed; judged at the end of each epoch and of the chain.

    Telemetry counts an alarm once for each kind, at the first judgement that finds its value above the
    threshold. A finding tells what the whole chain came to: it does not depend on where epochs end.
    """

    def __init__(self, instrument: Instrument, settings: Settings) -> None:
        self._chain = (instrument.exchange, instrument.symbol)
        self._thresholds = {
            "time_drift": float(settings.alarm_drift_ms),
            "gap": settings.alarm_gap_share,
            "best_price": settings.alarm_best_price_error,
        }
        self._measured = _Measured()
        self._counted: set[str] = set()

    def add(self, replayed: Replayed) -> None:
        """Take in a stretch of events and what is said of it."""
        if replayed.events.shape[1]:
            self._add_lags(replayed.events)
            self._add_ids(replayed.events)
            self._add_books(replayed.flags)
        for record in replayed.quality:
            self._add_record(record)

    def _add_lags(self, events: Int64Array) -> None:
        """Fold the least lag of each window into the range of all windows that are complete."""
        held = self._measured
        own = events[:, events[Field.KIND] != Kind.BOOK_SNAPSHOT]
        if not own.shape[1]:
            return
        lags_ns = own[Field.RECEIVED_TIME] - own[Field.ORIGIN_TIME]
        # A late event counts where it came: its lag is large, so it is never the least.
        windows = np.maximum.accumulate(np.maximum(own[Field.ORIGIN_TIME] // WINDOW_NS, held.window))
        starts = np.flatnonzero(np.diff(windows, prepend=windows[0] - 1))
        for window, least_ns in zip(
            windows[starts].tolist(), np.minimum.reduceat(lags_ns, starts).tolist(), strict=True
        ):
            if window == held.window:
                held.window_least_ns = min(held.window_least_ns, least_ns)
                continue
            self._close_window()
            held.window, held.window_least_ns = window, least_ns

    def _close_window(self) -> None:
        held = self._measured
        if held.window == NONE:
            return
        if held.window_least_ns < held.low_ns:
            held.low_ns, held.low_window = held.window_least_ns, held.window
        if held.window_least_ns > held.high_ns:
            held.high_ns, held.high_window = held.window_least_ns, held.window

    def _add_ids(self, events: Int64Array) -> None:
        """Count the update ids that the deltas have come forward by, over gaps too."""
        ids = events[Field.UPDATE_ID, events[Field.KIND] == Kind.BOOK_DELTA]
        if len(ids):
            held = self._measured
            steps = np.diff(ids, prepend=held.last_id if held.last_id != NONE else ids[0] - 1)
            held.ids += int(steps[steps > 0].sum())
            held.last_id = int(ids[-1])

    def _add_books(self, flags: Int64Array) -> None:
        held, invalid = self._measured, flags & Flag.BOOK_INVALID != 0
        start = 0 if held.has_book else int(np.argmin(invalid))
        if not held.has_book and invalid[start]:
            return
        held.has_book = True
        held.events += len(flags) - start
        held.events_without_book += int(np.count_nonzero(invalid[start:]))

    def _add_record(self, record: Quality) -> None:
        held, told = self._measured, record.measures
        if record.kind == "gap":
            missing = max(0, told["found_id"] - told["expected_id"])
            held.ids_missing += missing
            if missing > held.worst_gap:
                held.worst_gap, held.worst_gap_time = missing, record.from_time
        elif record.kind == "check":
            held.compared += told["count"]
        elif record.kind == "drift" and not math.isnan(told["best_price_rms_error"]):
            error = told["best_price_rms_error"]
            held.compared += 1
            held.squares += error * error
            if error > held.worst_error:
                held.worst_error, held.worst_error_time = error, record.from_time

    def judge(self) -> None:
        """Count what is above its threshold now; to be called at the end of each epoch and of the chain."""
        for kind, value in self._values().items():
            if value > self._thresholds[kind] and kind not in self._counted:
                count_alarm(*self._chain, kind)
                self._counted.add(kind)

    def _values(self) -> dict[str, float]:
        held = self._measured
        return {
            "time_drift": held.drift_ms,
            "gap": max(held.missing_share, held.without_book_share),
            "best_price": held.best_price_error,
        }

    def finish(self) -> list[dict[str, Any]]:
        """Close the last window and judge for the last time; the findings, ready for JSON."""
        self._close_window()
        self.judge()
        raised = {kind: value for kind, value in self._values().items() if value > self._thresholds[kind]}
        return [
            {
                "rule": finding.rule,
                "severity": finding.severity.value,
                "message": finding.message,
                "measures": finding.measures,
            }
            for finding in (self._finding(kind, value) for kind, value in raised.items())
        ]

    def _finding(self, kind: str, value: float) -> Finding:
        held, threshold = self._measured, self._thresholds[kind]
        if kind == "time_drift":
            message = (
                f"the clocks moved by {value:,.0f} ms against each other, threshold {threshold:,.0f} ms: "
                f"least lag {held.low_ns / NS_PER_MS:,.0f} ms at {_window_text(held.low_window)}, "
                f"{held.high_ns / NS_PER_MS:,.0f} ms at {_window_text(held.high_window)}"
            )
            measures: dict[str, Any] = {"drift_ms": value, "low_ns": held.low_ns, "high_ns": held.high_ns}
        elif kind == "gap":
            message = (
                f"gaps of {value:.3%}, threshold {threshold:.3%}: {held.ids_missing:,} of {held.ids:,} "
                f"update ids missing{_at(held.worst_gap_time)}, {held.events_without_book:,} of "
                f"{held.events:,} events without a valid book since the first"
            )
            measures = {
                "share": value,
                "ids_missing": held.ids_missing,
                "ids": held.ids,
                "events_without_book": held.events_without_book,
                "events": held.events,
            }
        else:
            message = (
                f"best prices off by {value:.6f} relative (RMS of {held.compared:,} comparisons), threshold "
                f"{threshold:.6f}: worst {held.worst_error:.6f}{_at(held.worst_error_time)}"
            )
            measures = {"error": value, "compared": held.compared, "worst": held.worst_error}
        return Finding(
            rule=kind,
            severity=Severity.WARN,
            message=message,
            measures={**measures, "threshold": threshold},
        )

    def state(self) -> State:
        """All that is measured and raised."""
        return State({"measured": asdict(self._measured), "counted": [*sorted(self._counted)]})

    def restore(self, state: State) -> None:
        """Go on measuring; what was raised before is not counted again.

        Raises
        ------
        ValueError
            When the state is not one of alarms.
        """
        values: dict[str, Any] = state.values
        names = {field.name for field in fields(_Measured)}
        if set(values) != {"measured", "counted"} or set(values["measured"]) != names:
            raise ValueError(f"not a state of alarms: it holds {', '.join(sorted(values)) or 'nothing'}")
        self._measured = _Measured(**values["measured"])
        self._counted = set(values["counted"])


def _window_text(window: int) -> str:
    return time_text(window * WINDOW_NS)


def _at(time_ns: int) -> str:
    return f" (worst at {time_text(time_ns)})" if time_ns != NONE else ""


def count_findings(chains: Iterable[dict[str, Any]]) -> None:
    """Count the alarms that other processes raised, told by the summaries of their chains, in this one."""
    for chain in chains:
        for finding in chain["findings"]:
            count_alarm(chain["exchange"], chain["symbol"], finding["rule"])
