"""What a run met, counted for its summary."""

from __future__ import annotations

import math
from collections import Counter
from copy import copy
from typing import Any

import msgspec

from rlx_datapipe.core.event import NONE, Field, Kind
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.ingest import Ingested
from rlx_datapipe.pipeline.measures import MEASURES, Measure, measure_events, new_measures

_COUNTED = (
    *("duplicate", "late", "not_market", "stale_check", "check", "trade_off_book", "clock_skew"),
    *("inferred", "trade_mismatch", "snapshot_met", "snapshot_reset"),
)
"""Kinds whose records carry a count; the others are counted by record."""
_RECORDS_MAX = 10_000


class Tally:
    """Counts what a run met, for its summary."""

    def __init__(self) -> None:
        self.measures = new_measures()
        """What is measured of every event, see `measures`."""
        self._messages: Counter[str] = Counter()
        self._quality: Counter[str] = Counter()
        self._drift = {"samples": 0, "exact": 0, "best_price_rms_error_max": 0.0, "depth_error_max": 0.0}
        self._first_time, self._last_time = NONE, NONE
        self._records: list[dict[str, Any]] = []
        """What the source said of itself."""

    @property
    def events(self) -> int:
        """Events so far."""
        return int(self.measures[: len(Kind)].sum())

    def add_messages(self, batch: Ingested) -> None:
        """Count the messages of a batch by type, and keep what the source says of itself."""
        self._messages.update(batch.counts)
        for record in batch.records:
            self._quality[record.kind] += 1
            if self._quality[record.kind] <= _RECORDS_MAX:
                self._records.append(msgspec.to_builtins(record))

    def add_events(self, replayed: Replayed) -> None:
        """Count the events of a stretch and what is wrong with them."""
        events = replayed.events
        measure_events(events, replayed.flags, self.measures)
        if events.shape[1]:
            times = events[Field.ORIGIN_TIME]
            self._first_time = int(times[0]) if self._first_time == NONE else self._first_time
            self._last_time = int(times[-1])
        for record in replayed.quality:
            self._count(record)

    def _count(self, record: Quality) -> None:
        self._quality[record.kind] += record.measures.get("count", 1) if record.kind in _COUNTED else 1
        if record.kind == "drift":
            self._drift["samples"] += 1
            self._drift["exact"] += record.severity is Severity.NOTE
            for name in ("best_price_rms_error", "depth_error"):
                value = record.measures[name]
                if not math.isnan(value) and value > self._drift[f"{name}_max"]:
                    self._drift[f"{name}_max"] = value
        if record.kind == "check":
            self._drift["samples"] += record.measures["count"]
            self._drift["exact"] += record.measures["count"]

    def source_records(self) -> list[Quality]:
        """What the source said of itself, in its order; of each kind so many at most, the others as a count.

        Batches end where they may, so these can't stand among the records of the events.
        """
        records = [msgspec.convert(record, Quality) for record in self._records]
        for kind in dict.fromkeys(record.kind for record in records):
            if (more := self._quality[kind] - _RECORDS_MAX) > 0:
                detail = "more of this kind than are told one by one"
                records.append(
                    Quality(kind=kind, severity=Severity.WARN, detail=detail, measures={"count": more})
                )
        return records

    def set_aside(self) -> list[Quality]:
        """Records of messages that are kept out of the events on purpose."""
        return [
            Quality(
                kind="set_aside",
                severity=Severity.NOTE,
                detail=f"messages of type {name}: no events are made of them",
                measures={"count": count},
            )
            for name, count in sorted(self._messages.items())
            if name.startswith(("set aside:", "unknown:", "trade without"))
        ]

    def state(self) -> State:
        """All counts."""
        values = {n: copy(value) for n, value in vars(self).items() if n != "measures"}
        return State(values, {"measures": self.measures.copy()})

    def restore(self, state: State) -> None:
        """Go on counting."""
        self.measures[:] = state.array("measures", MEASURES)
        values: dict[str, Any] = state.values
        for name, value in values.items():
            setattr(self, name, Counter(value) if isinstance(getattr(self, name), Counter) else value)

    def told(self) -> dict[str, Any]:
        """The counts, by name."""
        return {
            "events": self.events,
            "events_by_type": {kind.name: int(self.measures[kind]) for kind in Kind},
            "messages": dict(sorted(self._messages.items())),
            "first_time": self._first_time,
            "last_time": self._last_time,
            "gaps": self._quality["gap"] + self._quality["reset"],
            "capture_gaps": self._quality["capture_gap"],
            "resyncs": self._quality["resync"],
            "crossed": self._quality["crossed"],
            "locked": self._quality["locked"],
            "duplicates": self._quality["duplicate"],
            "late": self._quality["late"],
            "drift": self._drift,
            "events_without_book": int(self.measures[Measure.INVALID]),
            "trades_off_book": int(self.measures[Measure.OFF_BOOK]),
            "quality": dict(sorted(self._quality.items())),
        }
