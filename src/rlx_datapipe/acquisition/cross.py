"""Tables of one market and day held against each other: trades and deltas against the book that was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from rlx_datapipe.acquisition.columns import FloatArray, Int64Array, floats, integers
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.venues.crypto_lake import BOOK, DELTAS, LEVEL_NAMES, LEVELS, TRADES, Layout, match_table
from rlx_datapipe.venues.crypto_lake_open import open_parquet

RULE = "cross"
_BATCH_ROWS = 65_536
_NUMBERS_MAX = 20_000_000
"""Sequence numbers of one day's book that are held: a day has some 700,000."""
_OUTSIDE_SHARE = 0.001
_OTHER_MARKET_SHARE = 0.5
_PRICES = tuple(name for name in LEVEL_NAMES if name.endswith("_price"))


class Crossed(msgspec.Struct, frozen=True):
    """What was found of the tables together: findings by the table that they speak of, and the measures."""

    findings: dict[str, tuple[Finding, ...]]
    measures: dict[str, Any]


def cross_check(
    files: dict[str, Sequence[Path]], on_bytes: Callable[[int], None] = lambda _: None
) -> Crossed:
    """Hold the trades and deltas of a day against its book; files that can't be read are passed over.

    A book that neither the trades nor the deltas fit is of another market itself.

    Parameters
    ----------
    files
        Paths by table; without a book nothing can be said.
    on_bytes
        Called after each piece of work.
    """
    said: dict[str, list[Finding]] = {}
    measures: dict[str, Any] = {}
    book = _Book()
    for _ in book.read(files.get(BOOK, ())):
        on_bytes(0)
    if not book.rows:
        return Crossed({}, {})
    strangers = []
    for table, look in ((TRADES, book.trades), (DELTAS, book.deltas)):
        if not files.get(table):
            continue
        found, told, is_stranger = look(files[table], on_bytes)
        measures.update(told)
        said.setdefault(table, []).extend(found)
        strangers += [table] if is_stranger else []
    if strangers:
        present = [table for table in (TRADES, DELTAS) if files.get(table)]
        blamed = [BOOK] if len(strangers) == len(present) == 2 else strangers
        for table in blamed:
            told_as = "book and the other tables" if table == BOOK else f"{table} and book"
            message = f"{told_as} are not of one market: their prices don't meet"
            said.setdefault(table, []).append(
                Finding(rule=RULE, severity=Severity.GATE, message=message, measures=dict(measures))
            )
    return Crossed({table: tuple(found) for table, found in said.items() if found}, measures)


class _Book:
    """The book of a day: from when to when, between which prices, with which sequence numbers."""

    def __init__(self) -> None:
        self.rows = 0
        self._first, self._last = np.iinfo(np.int64).max, 0
        self._low, self._high = np.inf, -np.inf
        self._numbers = np.empty(0, dtype=np.int64)

    def read(self, paths: Sequence[Path]) -> Iterator[None]:
        """Take in all files of the table."""
        held: list[Int64Array] = []
        for rows in _rows(paths, ("timestamp", "sequence_number", *_PRICES), _BATCH_ROWS // LEVELS):
            times = integers(rows["timestamp"])[0]
            prices = np.stack([floats(rows[name]) for name in _PRICES])
            prices = prices[np.isfinite(prices) & (prices > 0.0)]
            if not times.size or not prices.size:
                continue
            self.rows += len(times)
            self._first, self._last = min(self._first, int(times.min())), max(self._last, int(times.max()))
            self._low = min(self._low, float(prices.min()))
            self._high = max(self._high, float(prices.max()))
            held.append(integers(rows["sequence_number"])[0])
            if self.rows > _NUMBERS_MAX:
                break
            yield
        self._numbers = np.unique(np.concatenate(held)) if held else self._numbers

    def trades(
        self, paths: Sequence[Path], on_bytes: Callable[[int], None]
    ) -> tuple[list[Finding], dict[str, Any], bool]:
        """How many trades print outside all prices that the book showed that day."""
        seen = outside = 0
        for rows in _rows(paths, ("timestamp", "price"), _BATCH_ROWS):
            times, prices = integers(rows["timestamp"])[0], floats(rows["price"])
            during = (times >= self._first) & (times <= self._last) & np.isfinite(prices)
            seen += int(during.sum())
            outside += int((during & ((prices < self._low) | (prices > self._high))).sum())
            on_bytes(0)
        measures = {"trades_compared": seen, "trades_outside_book": outside}
        if not outside:
            return [], measures, False
        severity = Severity.WARN if outside > _OUTSIDE_SHARE * seen else Severity.NOTE
        told = f"{outside:,} of {seen:,} trades print outside the prices of the day's book"
        found = Finding(rule=RULE, severity=severity, message=told, measures=measures)
        return [found], measures, outside > _OTHER_MARKET_SHARE * seen

    def deltas(
        self, paths: Sequence[Path], on_bytes: Callable[[int], None]
    ) -> tuple[list[Finding], dict[str, Any], bool]:
        """How many sequence numbers of the book the deltas have, of those in the stretch that both cover."""
        met = np.zeros(len(self._numbers), dtype=np.bool_)
        first, last, inside, rows_seen = np.iinfo(np.int64).max, -1, 0, 0
        for rows in _rows(paths, ("timestamp", "sequence_number", "price"), _BATCH_ROWS):
            times, ids, prices = (
                integers(rows["timestamp"])[0],
                integers(rows["sequence_number"])[0],
                floats(rows["price"]),
            )
            if not ids.size:
                continue
            first, last = min(first, int(ids.min())), max(last, int(ids.max()))
            at = np.minimum(np.searchsorted(self._numbers, ids), len(self._numbers) - 1)
            met[at[self._numbers[at] == ids]] = True
            during = (times >= self._first) & (times <= self._last)
            rows_seen += int(during.sum())
            inside += int((during & _between(prices, self._low, self._high)).sum())
            on_bytes(0)
        both = (self._numbers >= first) & (self._numbers <= last)
        compared, count = int(both.sum()), int((met & both).sum())
        share = round(count / compared, 6) if compared else None
        measures = {"book_numbers_compared": compared, "book_numbers_in_deltas": count, "share": share}
        told = (
            f"{count:,} of {compared:,} sequence numbers of the book are those of deltas ({share:.2%})"
            if share is not None
            else "book and deltas have no stretch of sequence numbers in common"
        )
        severity = Severity.NOTE if share else Severity.WARN
        found = Finding(rule=RULE, severity=severity, message=told, measures=measures)
        return [found], measures, bool(rows_seen) and not inside


def _between(prices: FloatArray, low: float, high: float) -> Any:
    return (prices >= low) & (prices <= high)


def _rows(paths: Sequence[Path], names: tuple[str, ...], at_once: int) -> Iterator[pa.Table]:
    """Some columns of some files, under the archive's names; a damaged file ends where it is damaged."""
    for path in paths:
        try:
            with open_parquet(path) as file:
                layout = match_table(file.schema_arrow)
                if not isinstance(layout, Layout):
                    continue
                columns = [layout.columns[name] for name in names]
                for batch in file.iter_batches(at_once, columns=columns, use_threads=False):
                    yield _named(batch, names, layout)
        except (SourceError, pa.ArrowException, OSError):
            continue


def _named(batch: pa.RecordBatch, names: tuple[str, ...], layout: Layout) -> pa.Table:
    columns = {}
    for name in names:
        column = batch.column(layout.columns[name])
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
        elif pa.types.is_integer(column.type):
            column = column.cast(pa.int64())
        columns[name] = column
    return pa.table(columns)
