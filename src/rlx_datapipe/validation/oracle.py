"""Update-id oracle: the published best against the venue's own quote of the same update id, or receipt."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import Flag, Int64Array, Kind
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.validation.reading import Stretch, read_quotes
from rlx_datapipe.validation.result import NAMED_MAX
from rlx_datapipe.validation.rule import Outcome, Rule, Subject, plural, share
from rlx_datapipe.venues import tardis

EQUAL_SHARE_MIN = 0.999
"""Share of groups that must agree. Not 1: on Binance spot the ticker itself skips a state at times (in a real
recording for 2 of 6,493 update groups, 0.03 %, each time right again in the next group)."""
FIELDS = ("bid_price", "bid_quantity", "ask_price", "ask_quantity")


class UpdateIdOracle(Rule):
    """For each applied update group, the last quote with an id not above the group's must equal its best.

    Where ids are receive times (Tardis) the last quote that had come by then should: a difference may be that
    of two connections, and is no more than a warning.
    """

    name = "update_id_oracle"
    severity = Severity.GATE
    reference = "Binance: bookTicker and depth share one counter of update ids"
    purpose = "After every update group the best prices and quantities are those that the venue quoted."
    remembers = ("compared", "equal", "before", "beyond", "longest_run", "_run", "differing")

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        golden = subject.golden
        given = golden is not None and golden.quotes.shape[1] > 0
        quotes = golden.quotes if golden and given else read_quotes(subject.dataset, subject.chain)
        self.source = golden.name if golden and given else ("own quotes" if quotes.shape[1] else "no quotes")
        self._is_by_receipt = not given and subject.chain.source_format == tardis.FORMAT
        self._worst = Severity.WARN if self._is_by_receipt else Severity.GATE
        # Sorted by id whatever the arrival; of equal ids the last to arrive counts.
        if (np.diff(quotes[0]) < 0).any():
            quotes = quotes[:, np.argsort(quotes[0], kind="stable")]
        self._ids: Int64Array = quotes[0]
        self._best: Int64Array = quotes[1:]
        self._reach = golden.reach_id if golden and given else np.iinfo(np.int64).max
        self.compared = self.equal = self.before = self.beyond = self.longest_run = 0
        self._run = 0
        self.differing: list[dict[str, Any]] = []

    def observe(self, stretch: Stretch) -> None:
        """Compare each applied group's last row."""
        ends = (
            (stretch.kind == Kind.BOOK_DELTA) & stretch.has(Flag.GROUP_END) & ~stretch.has(Flag.NOT_APPLIED)
        )
        rows = np.flatnonzero(ends)
        at = np.searchsorted(self._ids, stretch.update_id[rows], side="right") - 1
        beyond = stretch.update_id[rows] > self._reach
        self.before += int((at < 0).sum())
        self.beyond += int(((at >= 0) & beyond).sum())
        usable = (at >= 0) & ~beyond
        rows, at = rows[usable], at[usable]
        wrong = (stretch.best[:, rows] != self._best[:, at]).any(axis=0)
        self.compared += len(rows)
        self.equal += int((~wrong).sum())
        self._measure_runs(wrong)
        named = np.flatnonzero(wrong)[: NAMED_MAX - len(self.differing)]
        self.differing += [self._difference(stretch, int(rows[k]), int(at[k])) for k in named]

    def _measure_runs(self, wrong: npt.NDArray[np.bool_]) -> None:
        # Where each right group stands, with the open run as wrong groups before the first.
        right = np.concatenate(([-1 - self._run], np.flatnonzero(~wrong), [len(wrong)]))
        lengths = np.diff(right) - 1
        self.longest_run = max(self.longest_run, int(lengths.max()))
        self._run = int(lengths[-1])

    def _difference(self, stretch: Stretch, row: int, quote: int) -> dict[str, Any]:
        expected, found = self._best[:, quote], stretch.best[:, row]
        text = self.subject.level_text
        update = int(stretch.update_id[row])
        return {
            "update_id": update,
            "event_id": int(stretch.event_id[row]),
            "origin_time": int(stretch.origin_time[row]),
            "fields": [name for name, a, b in zip(FIELDS, expected, found, strict=True) if a != b],
            "expected": {name: text(name, int(v)) for name, v in zip(FIELDS, expected, strict=True)},
            "found": {name: text(name, int(v)) for name, v in zip(FIELDS, found, strict=True)},
            "quote_update_id": int(self._ids[quote]),
            "quote_ids_behind": update - int(self._ids[quote]),
        }

    def told(self) -> dict[str, Any]:
        """The oracle's part of the report."""
        return {
            "compared": self.compared,
            "equal": self.equal,
            "source": self.source,
            "differing": self.differing,
        }

    def conclude(self) -> Outcome:
        """Gate below the share that must agree, or where quotes are there but nothing could be compared."""
        quotes = len(self._ids)
        measures = {
            "quotes": quotes,
            "source": self.source,
            "compared": self.compared,
            "equal": self.equal,
            "equal_share": share(self.equal, self.compared),
            "differing": self.compared - self.equal,
            "longest_run_differing": self.longest_run,
            "groups_before_first_quote": self.before,
            "groups_beyond_golden": self.beyond,
        }
        if not quotes:
            return Outcome("No quotes to compare with.", measures, skipped=True)
        headline = (
            f"{self.equal:,} of {plural(self.compared, 'update group')} equal the "
            + ("last quote received before" if self._is_by_receipt else "venue's quote of the same update id")
            + f" ({self.source})."
        )
        return Outcome(headline, measures, self._findings())

    def _findings(self) -> list[Finding]:
        different = self.compared - self.equal
        if self.compared == 0:
            told = "none was applied, for want of a snapshot"
            if self.before or self.beyond:
                told = f"{self.before:,} before the first quote, {self.beyond:,} after the golden's end"
            return [self.found(self._worst, f"quotes are there, but no update group to compare: {told}")]
        if not different:
            return []
        failed = self.equal < EQUAL_SHARE_MIN * self.compared
        return [
            self.found(
                self._worst if failed else Severity.WARN,
                f"{plural(different, 'update group')} of {self.compared:,} differ from the quote, "
                f"at most {self.longest_run:,} in a row",
                update_ids=[one["update_id"] for one in self.differing],
            )
        ]
