"""Sequence: the gaps that the dataset admits, and its chain of update ids recounted from the golden."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from rlx_datapipe.core.event import NONE, Flag, Int64Array, Kind
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.validation.golden import Golden
from rlx_datapipe.validation.reading import Stretch
from rlx_datapipe.validation.result import NAMED_MAX
from rlx_datapipe.validation.rule import Outcome, Rule, Subject, plural, share

MISSING_SHARE_MAX = 0.0001
"""Share of depth messages that gaps on record may come to: 0.01 %, below which a dataset is still usable."""


class Sequence(Rule):
    """No depth message is missing: neither by the dataset's own records nor by the venue's rule.

    A gap on record is known and its stretch can be left out: it is a warning as long as the messages lost are
    below `MISSING_SHARE_MAX` of all. How many were lost is the ids that were jumped over by the ids that a
    message takes on average, at least one a gap. Where ids started anew, or the record does not tell ids, it
    can't be told. A break that is not on record is always a gate.

    With a golden capture the claim is verified: for each two applied groups in a row, the later one's
    message is looked up by its update id, and its first id (or previous id) must join the earlier group's id.
    """

    name = "sequence"
    severity = Severity.GATE
    reference = "the venue's rule for a local order book: U = u + 1, or pu = u; at most 0.01 % may be missing"
    purpose = "Every depth message between the first and the last is there."
    remembers = (
        *("events", "invalid", "groups", "span", "links_checked", "links_unknown", "breaks"),
        *("_last", "_applied_ids", "_named"),
    )

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        golden = subject.golden
        rule = golden.rule if golden else None
        provable = rule is not None and rule.link != Link.UNPROVABLE
        self._golden = golden if golden and provable and golden.links.shape[1] else None
        lost = subject.records.of("gap", "reset")
        self.gaps, self.resets = len(lost), len(subject.records.of("reset"))
        self._lost_at = np.sort(lost.column("to_event_id"))
        self.events = self.invalid = self.links_checked = self.links_unknown = self.breaks = 0
        self.groups = 0
        self.span = [np.iinfo(np.int64).max, NONE]
        """Least and greatest update id of all groups."""
        self._last = [NONE, NONE, 0]
        self._applied_ids = [NONE, NONE]
        self._named: list[int] = []

    def observe(self, stretch: Stretch) -> None:
        """Count events without a book, and check the links between applied groups."""
        self.events += len(stretch.event_id)
        self.invalid += int(stretch.has(Flag.BOOK_INVALID).sum())
        rows = np.flatnonzero((stretch.kind == Kind.BOOK_DELTA) & stretch.has(Flag.GROUP_END))
        if not len(rows):
            return
        seen = stretch.update_id[rows]
        self.groups += len(rows)
        self.span = [min(self.span[0], int(seen.min())), max(self.span[1], int(seen.max()))]
        last_event, last_id, last_applied = self._last
        events = np.concatenate(([last_event], stretch.event_id[rows]))
        ids = np.concatenate(([last_id], seen))
        applied = np.concatenate(([bool(last_applied)], ~stretch.has(Flag.NOT_APPLIED)[rows]))
        self._last = [int(events[-1]), int(ids[-1]), int(applied[-1])]
        self._note_span(ids[1:][applied[1:]])
        if self._golden:
            self._check_links(self._golden, events, ids, applied)

    def _note_span(self, ids: Int64Array) -> None:
        if len(ids):
            first, last = self._applied_ids
            self._applied_ids = [int(ids.min()) if first == NONE else first, max(last, int(ids.max()))]

    def _check_links(
        self, golden: Golden, events: Int64Array, ids: Int64Array, applied: npt.NDArray[np.bool_]
    ) -> None:
        """Links of groups 1.. to the one before, where both are applied and no loss is recorded between."""
        lost = np.searchsorted(self._lost_at, events, side="right")
        pairs = np.flatnonzero(applied[1:] & applied[:-1] & (lost[1:] == lost[:-1])) + 1
        at = np.minimum(np.searchsorted(golden.links[0], ids[pairs]), golden.links.shape[1] - 1)
        known = golden.links[0, at] == ids[pairs]
        self.links_unknown += int((~known).sum())
        pairs, at = pairs[known], at[known]
        joined = _joins(golden, at, ids[pairs - 1])
        self.links_checked += len(pairs)
        self.breaks += int((~joined).sum())
        self._named += ids[pairs[~joined]][: NAMED_MAX - len(self._named)].tolist()

    def _golden_breaks(self) -> int | None:
        """Breaks in the golden's own chain, in the order of update ids, within what the dataset applied."""
        first, last = self._applied_ids
        if self._golden is None or first == NONE:
            return None
        links = self._golden.links[0]
        start, stop = np.searchsorted(links, [first, last + 1]).tolist()
        at = np.arange(start + 1, stop)
        return int((~_joins(self._golden, at, links[at - 1])).sum()) if len(at) else 0

    def _missing(self) -> int | None:
        """Depth messages that the gaps on record come to; None where that can't be told."""
        gaps = self.subject.records.of("gap")
        expected, found = (
            np.asarray(pc.fill_null(gaps.measure(name), NONE), dtype=np.int64)
            for name in ("expected_id", "found_id")
        )
        jumped = found - expected
        if self.resets or not self.groups or (jumped < 0).any() or (expected == NONE).any():
            return None if self.gaps else 0
        ids_of_one = max(1.0, (self.span[1] - self.span[0] - int(jumped.sum())) / self.groups)
        return int(np.maximum(np.rint(jumped / ids_of_one), 1).sum())

    def conclude(self) -> Outcome:
        """Gate for a gap that was found, or for too much that is missing by the gaps on record."""
        golden_breaks = self._golden_breaks()
        missing = self._missing()
        missing_share = None if missing is None else share(missing, missing + self.groups)
        records = self.subject.records
        measures = {
            "gaps": self.gaps,
            "messages": self.groups,
            "messages_missing": missing,
            "messages_missing_share": missing_share,
            "messages_missing_share_max": MISSING_SHARE_MAX,
            "resyncs": len(records.of("resync")),
            "unsynced_stretches": len(records.of("unsynced")),
            "unprovable": len(records.of("sequence_unprovable")) > 0,
            "events_without_book": self.invalid,
            "events_without_book_share": share(self.invalid, self.events),
            "links_checked": self.links_checked,
            "links_broken": self.breaks,
            "links_unknown_to_golden": self.links_unknown,
            "golden_breaks": golden_breaks,
        }
        headline = f"{plural(self.gaps, 'gap')} on record{_lost(missing, missing_share)}; "
        if self._golden is None and measures["unprovable"]:
            headline += "the source names no predecessors, so a missing message would not show."
        elif self._golden is None:
            headline += "not recounted (no golden messages with their first or previous ids)."
        else:
            headline += f"{self.links_checked - self.breaks:,} of {plural(self.links_checked, 'link')} hold."
        return Outcome(headline, measures, self._findings(golden_breaks or 0, missing, missing_share))

    def _findings(
        self, golden_breaks: int, missing: int | None, missing_share: float | None
    ) -> list[Finding]:
        findings = []
        if self.gaps:
            few = missing is not None and missing < MISSING_SHARE_MAX * (missing + self.groups)
            message = f"{plural(self.gaps, 'gap')} or reset on record{_lost(missing, missing_share)}"
            findings.append(self.found(Severity.WARN if few else Severity.GATE, message))
        if self.breaks:
            findings.append(
                self.found(
                    Severity.GATE,
                    f"{plural(self.breaks, 'applied group')} not joined to the one before; no gap on record",
                    update_ids=self._named,
                )
            )
        if golden_breaks and not self.gaps and not self.breaks:
            findings.append(
                self.found(
                    Severity.GATE if self._golden and self._golden.is_source else Severity.WARN,
                    f"the golden messages have {plural(golden_breaks, 'break')} where the dataset has none",
                )
            )
        if len(self.subject.records.of("unsynced")):
            findings.append(
                self.found(Severity.WARN, "a stretch to the end has no valid book: no snapshot came")
            )
        return findings


def _lost(missing: int | None, missing_share: float | None) -> str:
    """What the gaps on record come to, in brackets; nothing where there are none."""
    if missing is None:
        return " (how many messages they lost can't be told)"
    return f" (about {plural(missing, 'message')}, {missing_share or 0:.4%})" if missing else ""


def _joins(golden: Golden, at: Int64Array, before: Int64Array) -> npt.NDArray[np.bool_]:
    """Whether the golden messages at these places follow the update ids ``before``."""
    assert golden.rule is not None  # noqa: S101 (only goldens with a rule come here)
    if golden.rule.link == Link.PREVIOUS_ID:
        return np.asarray(golden.links[2, at] == before, dtype=np.bool_)
    return np.asarray(golden.links[1, at] <= before + 1, dtype=np.bool_)
