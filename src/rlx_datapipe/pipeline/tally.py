"""What a run met, counted for its summary."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from rlx_datapipe.core.event import NONE, Field, Flag, Kind
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.ingest import Ingested

_COUNTED = ("duplicate", "late", "not_market", "stale_check", "check", "trade_off_book", "clock_skew")
"""Kinds whose records carry a count; the others are counted by record."""


class Tally:
    """Counts what a run met, for its summary."""

    def __init__(self) -> None:
        self.events = 0
        self._kinds = [0] * len(Kind)
        self._messages: Counter[str] = Counter()
        self._quality: Counter[str] = Counter()
        self._drift = {"samples": 0, "exact": 0, "best_price_rms_error_max": 0.0, "depth_error_max": 0.0}
        self._invalid = 0
        self._off_book = 0
        self._first_time, self._last_time = NONE, NONE

    def add_messages(self, batch: Ingested) -> None:
        """Count the messages of a batch by type."""
        self._messages.update(batch.counts)

    def add_events(self, replayed: Replayed) -> None:
        """Count the events of a stretch and what is wrong with them."""
        events, flags = replayed.events, replayed.flags
        count = events.shape[1]
        self.events += count
        for kind in Kind:
            self._kinds[kind] += int((events[Field.KIND] == kind).sum())
        self._invalid += int((flags & Flag.BOOK_INVALID != 0).sum())
        self._off_book += int((flags & Flag.OFF_BOOK != 0).sum())
        if count:
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
        return State({n: dict(v) if isinstance(v, dict) else v for n, v in vars(self).items()})

    def restore(self, state: State) -> None:
        """Go on counting."""
        values: dict[str, Any] = state.values
        for name, value in values.items():
            setattr(self, name, Counter(value) if isinstance(getattr(self, name), Counter) else value)

    def told(self) -> dict[str, Any]:
        """The counts, by name."""
        return {
            "events": self.events,
            "events_by_type": {kind.name: self._kinds[kind] for kind in Kind},
            "messages": dict(sorted(self._messages.items())),
            "first_time": self._first_time,
            "last_time": self._last_time,
            "gaps": self._quality["gap"] + self._quality["reset"],
            "resyncs": self._quality["resync"],
            "crossed": self._quality["crossed"],
            "locked": self._quality["locked"],
            "duplicates": self._quality["duplicate"],
            "late": self._quality["late"],
            "drift": self._drift,
            "events_without_book": self._invalid,
            "trades_off_book": self._off_book,
            "quality": dict(sorted(self._quality.items())),
        }
