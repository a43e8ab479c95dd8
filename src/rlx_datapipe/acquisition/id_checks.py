"""Ids of a file: there, rising, none twice; on Binance none missing between trades."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.acquisition.blame import Blame, BoolArray
from rlx_datapipe.acquisition.columns import Int64Array, floats, integers, mask
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.venues.crypto_lake import BOOK, DELTAS, TRADES

RULE = "ids"
_LARGEST_MESSAGE = 1_000_000
_HOLES_SHARE = 0.01
"""Holes between the ids of so many trades are no losses: something else counts, too."""


class IdCheck:
    """The ids of one table in one pass; of deltas also what the rows of one message have in common.

    Parameters
    ----------
    table
        Which one.
    is_dense
        Whether the venue counts its trades without a hole.
    """

    def __init__(self, table: str, *, is_dense: bool) -> None:
        self._table, self._is_dense = table, is_dense and table == TRADES
        self._name = "id" if table == TRADES else "sequence_number"
        self._first, self._highest = -1, -1
        self._missing, self._holes, self._rows = 0, 0, 0
        self._message = 0
        self._held: pa.Table | None = None
        """The last row so far: what follows it may repeat it."""

    def observe(self, rows: pa.Table, first_row: int, blame: Blame) -> None:
        """Look at the next rows."""
        if not rows.num_rows:
            return
        ids, absent = integers(rows[self._name])
        self._rows += len(ids)
        blame.rows(RULE, Severity.GATE, self._name, "no value", absent, first_row)
        blame.rows(RULE, Severity.GATE, self._name, "negative", ~absent & (ids < 0), first_row, ids)
        if self._highest < 0:
            self._first = int(ids[0])
        highest = np.maximum.accumulate(np.concatenate(([self._highest], ids)))
        before = highest[:-1]
        seen = before >= 0
        # Snapshots of a book that did not change bear one number: only trades are each of a number.
        back = seen & (ids < before)
        blame.rows(RULE, Severity.WARN, self._name, "lower than one before", back, first_row, ids)
        if self._is_dense:
            ahead = ids - before - 1
            missing = seen & (ahead > 0)
            self._missing += int(ahead[missing].sum())
            self._holes += int(missing.sum())
        self._highest = int(highest[-1])
        self._repeats(rows, ids, first_row, blame)
        if self._table == DELTAS:
            self._messages(rows, ids, first_row, blame)
        self._held = rows.slice(rows.num_rows - 1)

    def _repeats(self, rows: pa.Table, ids: Int64Array, first_row: int, blame: Blame) -> None:
        """Rows that say what the row before them says."""
        if self._table == BOOK:
            return
        same = self._as_before(rows, self._name)
        if self._table == DELTAS:
            same &= self._as_before(rows, "price") & self._as_before(rows, "side_is_bid")
        reason = "twice in a row" if self._table == TRADES else "the same level twice in one message"
        blame.rows(RULE, Severity.WARN, self._name, reason, same, first_row, ids)

    def _messages(self, rows: pa.Table, ids: Int64Array, first_row: int, blame: Blame) -> None:
        same = self._as_before(rows, self._name)
        other = same & ~self._as_before(rows, "timestamp")
        blame.rows(RULE, Severity.WARN, "timestamp", "differs within one message", other, first_row)
        ends = np.flatnonzero(~same)
        sizes = np.diff(np.concatenate((ends, [rows.num_rows])))
        self._message += int(ends[0]) if ends.size else rows.num_rows
        longest = max([self._message, *sizes[:-1].tolist()]) if ends.size else self._message
        if ends.size:
            self._message = int(sizes[-1])
        wrong = np.full(rows.num_rows, longest > _LARGEST_MESSAGE)
        reason = "too many rows with one number"
        blame.rows(RULE, Severity.GATE, self._name, reason, wrong, first_row, ids)

    def _as_before(self, rows: pa.Table, name: str) -> BoolArray:
        """Where a column has the value of the row before; False in the first row of all."""
        values = _comparable(rows[name])
        head = values[:1] if self._held is None else _comparable(self._held[name])
        same: BoolArray = np.concatenate((head, values[:-1])) == values
        same[0] &= self._held is not None
        return same

    def conclude(self) -> tuple[list[Finding], dict[str, Any]]:
        """What is to be said of all rows together, and the facts."""
        facts: dict[str, Any] = {}
        if self._highest >= 0:
            facts = {"first_id": self._first, "last_id": self._highest}
        if self._is_dense:
            facts["missing_ids"] = self._missing
        findings = []
        if self._missing and self._holes > _HOLES_SHARE * self._rows:
            told = "ids are not dense: those of single trades, perhaps; missing ones can't be told"
            measures = {"holes": self._holes}
            findings.append(Finding(rule=RULE, severity=Severity.NOTE, message=told, measures=measures))
            facts["missing_ids"] = None
        elif self._missing:
            told = f"{self._missing:,} trades are missing in {self._holes:,} places, by their ids"
            measures = {"missing": self._missing, "holes": self._holes}
            findings.append(Finding(rule=RULE, severity=Severity.WARN, message=told, measures=measures))
        return findings, facts


def _comparable(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """A column as numbers, of which equal ones are the same; sides as whether they are bids."""
    if pa.types.is_floating(column.type):
        return floats(column)
    if pa.types.is_integer(column.type):
        return integers(column)[0]
    return mask(column if pa.types.is_boolean(column.type) else pc.equal(column, "bid"))
