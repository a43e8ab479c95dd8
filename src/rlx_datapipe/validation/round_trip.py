"""Decimal round trip: every number fits its scale exactly, and the golden's rows are all there unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.core.event import Flag, Kind
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.schema import PRICE
from rlx_datapipe.core.units import parse_many
from rlx_datapipe.store.columns import to_decimals
from rlx_datapipe.validation.condense import digest_runs
from rlx_datapipe.validation.golden import Golden
from rlx_datapipe.validation.groups import Difference, Groups
from rlx_datapipe.validation.ledger import Ledger
from rlx_datapipe.validation.reading import DECIMAL_COLUMNS, Stretch, decimals_of
from rlx_datapipe.validation.result import NAMED_MAX
from rlx_datapipe.validation.rule import Outcome, Rule, Subject, plural

PRICES = ("price", "best_bid_price", "best_ask_price")
QUANTITIES = ("quantity", "best_bid_quantity", "best_ask_quantity")
_SHARED_MIN = 0.5
"""Below this share of shared ids the golden speaks of other messages (another cadence, aggregated trades)."""


class DecimalRoundTrip(Rule):
    """Stored decimals are multiples of the scale, survive the way over text, and equal the golden's."""

    name = "decimal_round_trip"
    severity = Severity.GATE
    reference = "DESIGN: from the wire string to decimal128(38,18) nothing changes by one unit"
    purpose = "No price or quantity was changed, lost or added between the wire and the tables."
    remembers = (
        *("values", "distinct", "changed_by_text", "unscaled"),
        *("_deltas", "_trades", "_aggregates"),
    )

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.values = self.distinct = self.changed_by_text = 0
        self.unscaled: dict[str, int] = {}
        golden = subject.golden
        self._deltas = Ledger(golden.deltas if golden else Groups.none())
        self._trades = Ledger(golden.trades if golden else Groups.none())
        self._aggregates = False

    def observe(self, stretch: Stretch) -> None:
        """Check the numbers of the next events, and digest their rows."""
        for name in DECIMAL_COLUMNS:
            self.values += len(stretch.rows) - stretch.rows[name].null_count
        for names in (PRICES, QUANTITIES):
            self._check_texts(
                [_once_a_run(stretch, name) for name in names], decimals_of(names[0], self.subject.instrument)
            )
        for name, count in stretch.unscaled.items():
            self.unscaled[name] = self.unscaled.get(name, 0) + count
        if self.subject.golden:
            self._digest(stretch)

    def _check_texts(self, columns: list[pa.ChunkedArray], decimals: int) -> None:
        distinct = pc.unique(pa.chunked_array([c for one in columns for c in one.chunks], PRICE)).drop_null()
        texts = pl.Series(pl.from_arrow(distinct)).cast(pl.String).to_list()
        values, _ = parse_many(texts, decimals)
        same = pc.equal(to_decimals(values, decimals), distinct)
        self.distinct += len(distinct)
        self.changed_by_text += len(distinct) - int(pc.sum(same).as_py() or 0)

    def _digest(self, stretch: Stretch) -> None:
        deltas = (stretch.kind == Kind.BOOK_DELTA) & ~stretch.has(Flag.EMPTY_GROUP)
        trades = stretch.kind == Kind.TRADE
        self._aggregates |= bool((trades & stretch.has(Flag.AGGREGATE)).any())
        for chosen, ids, ledger in (
            (deltas, stretch.update_id, self._deltas),
            (trades, stretch.trade_id, self._trades),
        ):
            runs = np.empty((3, len(ids)), dtype=np.int64)
            count = digest_runs(chosen, ids, stretch.side, stretch.price, stretch.quantity, runs)
            ledger.add(runs[:, :count])

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
        for noun, ledger, comparable in (
            ("update group", self._deltas, True),
            ("trade", self._trades, same_trades),
        ):
            key = noun.replace(" ", "_") + "s"
            difference, smaller = ledger.difference(whole=golden.is_source)
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


def _once_a_run(stretch: Stretch, name: str) -> pa.ChunkedArray:
    """A column without the repetitions of a value; whole where some values do not fit the scale."""
    column = stretch.rows[name]
    if name in stretch.unscaled or column.num_chunks != 1:
        return column
    values = stretch.column(name)
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    return column.take(pa.array(np.concatenate(([0], starts))))
