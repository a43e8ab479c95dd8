"""Decimal round trip: every number fits its scale exactly, and the golden's rows are all there unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.core.event import NONE, Flag, Int64Array, Kind
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.units import parse_many
from rlx_datapipe.store.columns import to_decimals
from rlx_datapipe.validation.golden import Golden
from rlx_datapipe.validation.groups import Difference, Gatherer, Groups, compare, row_digests
from rlx_datapipe.validation.reading import DECIMAL_COLUMNS, Stretch, decimals_of
from rlx_datapipe.validation.result import NAMED_MAX
from rlx_datapipe.validation.rule import Outcome, Rule, Subject, plural

_SHARED_MIN = 0.5
"""Below this share of shared ids the golden speaks of other messages (another cadence, aggregated trades)."""


class DecimalRoundTrip(Rule):
    """Stored decimals are multiples of the scale, survive the way over text, and equal the golden's."""

    name = "decimal_round_trip"
    severity = Severity.GATE
    reference = "DESIGN: from the wire string to decimal128(38,18) nothing changes by one unit"
    purpose = "No price or quantity was changed, lost or added between the wire and the tables."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.values = self.distinct = self.changed_by_text = 0
        self.unscaled: dict[str, int] = {}
        self._deltas, self._trades = Gatherer(), Gatherer()
        self._aggregates = False

    def observe(self, stretch: Stretch) -> None:
        """Check the numbers of the next events, and digest their rows."""
        for name in DECIMAL_COLUMNS:
            self.values += len(stretch.rows) - stretch.rows[name].null_count
            self._check_texts(stretch.rows[name], decimals_of(name, self.subject.instrument))
        for name, count in stretch.unscaled.items():
            self.unscaled[name] = self.unscaled.get(name, 0) + count
        if self.subject.golden:
            self._digest(stretch)

    def _check_texts(self, column: pa.ChunkedArray, decimals: int) -> None:
        distinct = pc.unique(column.combine_chunks()).drop_null()
        texts = pl.Series(pl.from_arrow(distinct)).cast(pl.String).to_list()
        values, _ = parse_many(texts, decimals)
        same = pc.equal(to_decimals(values, decimals), distinct)
        self.distinct += len(distinct)
        self.changed_by_text += len(distinct) - int(pc.sum(same).as_py() or 0)

    def _digest(self, stretch: Stretch) -> None:
        deltas = (stretch.kind == Kind.BOOK_DELTA) & ~stretch.has(Flag.EMPTY_GROUP)
        trades = stretch.kind == Kind.TRADE
        self._aggregates |= bool((trades & stretch.has(Flag.AGGREGATE)).any())
        for chosen, ids, gatherer in (
            (deltas, stretch.update_id, self._deltas),
            (trades, stretch.trade_id, self._trades),
        ):
            columns = (ids, stretch.side, stretch.price, stretch.quantity)
            gatherer.add(ids[chosen], row_digests(*(column[chosen] for column in columns)))

    def conclude(self) -> Outcome:
        """Gate for any number that does not fit or differs, and for rows missing, extra or changed."""
        findings = []
        unscaled = sum(self.unscaled.values())
        if unscaled:
            message = f"{plural(unscaled, 'value')} no multiple of the scale, or out of its range"
            findings.append(self.found(Severity.GATE, message, columns=self.unscaled))
        if self.changed_by_text > unscaled:
            message = f"{plural(self.changed_by_text, 'distinct value')} changed on the way over text"
            findings.append(self.found(Severity.GATE, message))
        measures: dict[str, Any] = {
            "values": self.values,
            "unscaled": unscaled,
            "distinct_values_over_text": self.distinct,
            "changed_over_text": self.changed_by_text,
        }
        headline = f"{self.values - unscaled:,} of {plural(self.values, 'number')} exact"
        if golden := self.subject.golden:
            told = self._compare(golden, measures, findings)
            return Outcome(f"{headline}; {told}.", measures, findings)
        return Outcome(f"{headline}; no golden rows to compare with.", measures, findings)

    def _compare(self, golden: Golden, measures: dict[str, Any], findings: list[Finding]) -> str:
        """Compare update groups and trades with the golden's; the sentence that tells it."""
        told = []
        same_trades = golden.aggregates == self._aggregates
        for noun, theirs, ours, comparable in (
            ("update group", golden.deltas, self._deltas.groups(), True),
            ("trade", golden.trades, self._trades.groups(), same_trades),
        ):
            key = noun.replace(" ", "_") + "s"
            difference = compare(*_overlap(theirs, ours, whole=golden.is_source))
            smaller = min(len(theirs.ids), len(ours.ids))
            if not comparable or (not golden.is_source and difference.shared < _SHARED_MIN * smaller):
                measures[key] = {"compared": 0, "shared_ids": difference.shared}
                told.append(f"{noun}s not comparable")
                findings.append(
                    self.found(Severity.NOTE, f"the golden's {noun}s are not the dataset's; not compared")
                )
                continue
            measures[key] = {
                "compared": difference.shared,
                "missing": len(difference.missing),
                "extra": len(difference.extra),
                "changed": len(difference.changed),
            }
            wrong = len(difference.missing) + len(difference.extra) + len(difference.changed)
            told.append(f"{difference.shared:,} {noun}s compared, {wrong:,} differ")
            if wrong:
                findings.append(self._different(noun, difference))
        return "; ".join(told)

    def _different(self, noun: str, difference: Difference) -> Finding:
        parts = {"missing": difference.missing, "extra": difference.extra, "changed": difference.changed}
        told = ", ".join(f"{len(ids):,} {name}" for name, ids in parts.items() if len(ids))
        named = {f"{name}_ids": ids[:NAMED_MAX].tolist() for name, ids in parts.items() if len(ids)}
        return self.found(Severity.GATE, f"{noun}s against the golden: {told}", **named)


def _overlap(golden: Groups, ours: Groups, *, whole: bool) -> tuple[Groups, Groups]:
    """Both within the span of ids that they share; all of both where ``whole``."""
    if whole:
        return golden, ours
    if not len(golden.ids) or not len(ours.ids):
        return golden.within(NONE, NONE - 1), ours.within(NONE, NONE - 1)
    low, high = _span(golden.ids, ours.ids)
    return golden.within(low, high), ours.within(low, high)


def _span(left: Int64Array, right: Int64Array) -> tuple[int, int]:
    return int(np.maximum(left[0], right[0])), int(np.minimum(left[-1], right[-1]))
