"""Books match events: the best level of each sampled or full book is the best that its event published."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.state import State
from rlx_datapipe.validation.reading import Stretch, read_tops
from rlx_datapipe.validation.result import NAMED_MAX
from rlx_datapipe.validation.rule import Outcome, Rule, Subject, plural

TABLES = ("books", "keyframes")


class _Held:
    """The best levels of one table, by event id, and what became of them."""

    def __init__(self, ids: Int64Array, tops: Int64Array) -> None:
        order = np.argsort(ids, kind="stable")
        self.ids, self.tops = ids[order], tops[:, order]
        self.met = self.equal = self.corrected = 0
        self.named: list[int] = []

    def state(self) -> State:
        """What became of them so far."""
        return State(
            {"met": self.met, "equal": self.equal, "corrected": self.corrected, "named": list(self.named)}
        )

    def restore(self, state: State) -> None:
        """Go on from there."""
        self.met, self.equal, self.corrected = map(state.integer, ("met", "equal", "corrected"))
        self.named = list(state.values["named"])  # type: ignore[arg-type]

    def observe(self, stretch: Stretch, corrected: Int64Array) -> None:
        """Compare the books whose events are in this stretch."""
        order = np.argsort(stretch.event_id, kind="stable")
        known = stretch.event_id[order]
        here = slice(*np.searchsorted(self.ids, [known[0], known[-1] + 1]).tolist())
        ids, tops = self.ids[here], self.tops[:, here]
        at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        met = known[at] == ids
        ids, tops, rows = ids[met], tops[:, met], order[at[met]]
        equal = (tops == stretch.best[:, rows]).all(axis=0)
        excused = ~equal & np.isin(ids, corrected)
        self.met += len(ids)
        self.equal += int(equal.sum())
        self.corrected += int(excused.sum())
        self.named += ids[~equal & ~excused][: NAMED_MAX - len(self.named)].tolist()

    def measures(self) -> dict[str, int]:
        """The counts, by name."""
        return {
            "books": len(self.ids),
            "equal": self.equal,
            "corrected_by_snapshot": self.corrected,
            "different": self.met - self.equal - self.corrected,
            "without_event": len(self.ids) - self.met,
        }


class BooksMatchEvents(Rule):
    """The tables agree with each other.

    A snapshot that differs from the rebuilt book corrects it after its event was published; a book kept right
    then may differ from the event, and the quality record says so.
    """

    name = "books_match_events"
    severity = Severity.GATE
    reference = "DESIGN: the unified event table"
    purpose = "Sampled and full books begin with the best prices that their event published."
    remembers = TABLES

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.books, self.keyframes = (
            _Held(*read_tops(subject.dataset, table, subject.chain)) for table in TABLES
        )
        self._held = dict(zip(TABLES, (self.books, self.keyframes), strict=True))
        records = subject.records
        self._corrected = np.concatenate(
            (records.of("drift").column("to_event_id"), records.of("resync").column("to_event_id") - 1)
        )

    def observe(self, stretch: Stretch) -> None:
        """Compare the books of these events."""
        for held in self._held.values():
            held.observe(stretch, self._corrected)

    def conclude(self) -> Outcome:
        """Gate for any book that differs from its event or has none."""
        measures: dict[str, Any] = {table: held.measures() for table, held in self._held.items()}
        findings = []
        told = []
        for table, held in self._held.items():
            counts = measures[table]
            told.append(f"{held.equal:,} of {len(held.ids):,} {table}")
            if counts["different"] or counts["without_event"]:
                message = (
                    f"{table}: {plural(counts['different'], 'best level')} unlike the event's, "
                    f"{counts['without_event']:,} without an event"
                )
                findings.append(self.found(Severity.GATE, message, event_ids=held.named))
        return Outcome(f"{' and '.join(told)} equal their event's best.", measures, findings)
