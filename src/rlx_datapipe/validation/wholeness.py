"""Wholeness: how much of the source was read, and how much of the dataset the golden capture judges."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlx_datapipe.core.breaks import break_told
from rlx_datapipe.core.event import NONE, Int64Array, Kind
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.validation.reading import Stretch
from rlx_datapipe.validation.rule import Outcome, Rule, Subject, plural, share

UNREAD_SHARE_MAX = 0.01
"""Above this the dataset is not what was recorded, whatever the rest of it says."""


class EverythingRead(Rule):
    """The messages of the source became events or quotes; what could not be read is in quarantine."""

    name = "everything_read"
    severity = Severity.GATE
    reference = "quality records of kind quarantine"
    purpose = "Hardly a message of the source could not be read."

    def conclude(self) -> Outcome:
        """Share of messages in quarantine, with their reasons."""
        records = self.subject.records.of("quarantine")
        read = sum(self.subject.chain.summary.get("messages", {}).values())
        unread = int(sum(row["count"] or 0 for row in records.table["measures"].to_pylist()))
        told: dict[str, Any] = {"read": read, "unread": unread, "unread_share": share(unread, read + unread)}
        if not unread:
            return Outcome(f"All {plural(read, 'message')} were read.", told, skipped=read == 0)
        details = records.table["detail"].to_pylist()
        broken = [one.sentence for one in map(break_told, details) if one is not None]
        told["broken"] = broken
        severity = Severity.GATE if unread > UNREAD_SHARE_MAX * (read + unread) else Severity.WARN
        headline = (
            f"{unread:,} of {plural(read + unread, 'message')} could not be read. {'; '.join(details)}."
        )
        if broken:
            headline = f"{'; '.join(broken)}. {headline}"
        findings = [self.found(severity, headline.removesuffix("."), **told)]
        return Outcome(headline, told, findings)


class Coverage(Rule):
    """The golden capture and the dataset span the same update ids; what only one of them has is told."""

    name = "coverage"
    severity = Severity.WARN
    reference = "update ids of the depth messages of both"
    purpose = "The golden capture judges the whole dataset, and the dataset holds all of its span."
    remembers = ("groups", "judged", "span", "_last_id")

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        golden = subject.golden
        self._theirs = golden.links[0] if golden else np.zeros(0, dtype=np.int64)
        self.groups = self.judged = 0
        self.span = [np.iinfo(np.int64).max, NONE]
        self._last_id = NONE - 1

    def observe(self, stretch: Stretch) -> None:
        """Count the depth groups, and those inside the golden's span; a group is rows in a row of one id."""
        ids = stretch.update_id[stretch.kind == Kind.BOOK_DELTA]
        if not len(ids) or not len(self._theirs):
            return
        ids, self._last_id = ids[np.diff(ids, prepend=self._last_id) != 0], int(ids[-1])
        if len(ids):
            self.groups += len(ids)
            self.judged += _inside(ids, self._theirs[0], self._theirs[-1])
            self.span = [min(self.span[0], int(ids.min())), max(self.span[1], int(ids.max()))]

    def conclude(self) -> Outcome:
        """Share of the dataset's groups inside the golden's span, and the other way round."""
        theirs, groups, judged = self._theirs, self.groups, self.judged
        if not groups or not len(theirs):
            return Outcome("No golden capture to compare spans with.", {}, skipped=True)
        held = _inside(theirs, *self.span)
        told = {
            "groups": groups,
            "groups_judged": judged,
            "groups_judged_share": share(judged, groups),
            "golden_groups": len(theirs),
            "golden_groups_in_span": held,
        }
        headline = f"The golden covers {judged:,} of {plural(groups, 'update group')} of the dataset"
        headline += f", the dataset {held:,} of the golden's {len(theirs):,}."
        findings: list[Finding] = []
        if judged < groups or held < len(theirs):
            findings.append(self.found(Severity.WARN, headline, **told))
        return Outcome(headline, told, findings)


def _inside(ids: Int64Array, low: int, high: int) -> int:
    return int(((ids >= low) & (ids <= high)).sum())
