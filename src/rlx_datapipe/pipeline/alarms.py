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

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.period import time_text
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.core.state import State
from rlx_datapipe.pipeline.measures import WINDOW_NS, Measure, close_window
from rlx_datapipe.telemetry.counters import count_alarm

NS_PER_MS = 1_000_000
_TOLD = (
    Measure.LOW_NS,
    Measure.HIGH_NS,
    Measure.LOW_WINDOW,
    Measure.HIGH_WINDOW,
    Measure.IDS,
    Measure.EVENTS,
    Measure.WITHOUT_BOOK,
)


@dataclass
class _Measured:
    """What the records of quality add up to, as plain numbers, so that it survives a resume as it is."""

    ids_missing: int = 0
    worst_gap: int = 0
    worst_gap_time: int = NONE
    compared: int = 0
    squares: float = 0.0
    worst_error: float = 0.0
    worst_error_time: int = NONE

    @property
    def best_price_error(self) -> float:
        return math.sqrt(self.squares / self.compared) if self.compared else 0.0


class Alarms:
    """Measures one chain as it is replayed; judged at the end of each epoch and of the chain.

    Telemetry counts an alarm once for each kind, at the first judgement that finds its value above the
    threshold. A finding tells what the whole chain came to: it does not depend on where epochs end.

    Parameters
    ----------
    instrument, settings
        The chain, and the thresholds.
    measures
        What is measured of the events, see `measures`; read, and its last window closed.
    """

    def __init__(self, instrument: Instrument, settings: Settings, measures: Int64Array) -> None:
        self._words = measures
        self._chain = (instrument.exchange, instrument.symbol)
        self._thresholds = {
            "time_drift": float(settings.alarm_drift_ms),
            "gap": settings.alarm_gap_share,
            "best_price": settings.alarm_best_price_error,
        }
        self._measured = _Measured()
        self._counted: set[str] = set()

    def add(self, quality: Iterable[Quality]) -> None:
        """Take in what is said of a stretch of events; the events themselves are in the measures already."""
        for record in quality:
            self._add_record(record)

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
        words, ids = self._words, int(self._words[Measure.IDS])
        has_lag = words[Measure.HIGH_WINDOW] != NONE
        drift_ns = max(0, int(words[Measure.HIGH_NS] - words[Measure.LOW_NS])) if has_lag else 0
        return {
            "time_drift": drift_ns / NS_PER_MS,
            "gap": max(
                self._measured.ids_missing / ids if ids else 0.0,
                int(words[Measure.WITHOUT_BOOK]) / max(1, int(words[Measure.EVENTS])),
            ),
            "best_price": self._measured.best_price_error,
        }

    def finish(self) -> list[dict[str, Any]]:
        """Close the last window and judge for the last time; the findings, ready for JSON."""
        close_window(self._words)
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
        low_ns, high_ns, low_window, high_window, ids, events, without_book = (
            int(self._words[word]) for word in _TOLD
        )
        if kind == "time_drift":
            message = (
                f"the clocks moved by {value:,.0f} ms against each other, threshold {threshold:,.0f} ms: "
                f"least lag {low_ns / NS_PER_MS:,.0f} ms at {_window_text(low_window)}, "
                f"{high_ns / NS_PER_MS:,.0f} ms at {_window_text(high_window)}"
            )
            measures: dict[str, Any] = {"drift_ms": value, "low_ns": low_ns, "high_ns": high_ns}
        elif kind == "gap":
            message = (
                f"gaps of {value:.3%}, threshold {threshold:.3%}: {held.ids_missing:,} of {ids:,} "
                f"update ids missing{_at(held.worst_gap_time)}, {without_book:,} of "
                f"{events:,} events without a valid book since the first"
            )
            measures = {
                "share": value,
                "ids_missing": held.ids_missing,
                "ids": ids,
                "events_without_book": without_book,
                "events": events,
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
