"""A dataset written in the shape of a Crypto Lake archive, as derived test material."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.core.event import Flag, Int64Array, Kind
from rlx_datapipe.core.schema import BOOKS, EVENTS
from rlx_datapipe.store.files import publish_bytes, publishing, unwritable
from rlx_datapipe.venues import crypto_lake as lake

Batch: TypeAlias = pa.RecordBatch | pa.Table

ROW_GROUP = 10_000
DAY_NS = 86_400 * 10**9
NOT_TOLD = (
    "trades_merged",
    "trades_not_market",
    "empty_groups",
    "snapshot_rows",
    "books_without_update",
    "books_beyond_events",
)

_EVENTS = pa.schema([field for field in EVENTS if not field.name.startswith("best_")])
_KIND_NAMES = pa.array([kind.name for kind in Kind])
_LADDERS = (("bid_prices", "bid_quantities"), ("ask_prices", "ask_quantities"))

_TITLE = "# Derived files\n"
_NOTE = """
These files have the layout and the column types of a Crypto Lake archive, but **Crypto Lake did not make
them**. `rlx` derived them from another recording, to test readers of that layout.

- `trades`: single trades of equal time, price and side that follow each other are one row, with the first id.
- `book_delta_v2`: every delta as received; messages without levels can't be told in this layout.
- `book`: our rebuilt book at each event group, not the exchange's statement: it proves nothing about drift.
"""


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """A refusal of the system in one sentence."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


class _Writer:
    """One Parquet file under a temporary name, in row groups of equal size."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        if path.exists():
            raise OutputError("a file of this name is there already", file=path)
        self.path = path
        self._publication = publishing(path)
        self.temporary = self._publication.__enter__()
        self._held = schema.empty_table()
        with _telling(path):
            self._file = pq.ParquetWriter(self.temporary, schema, compression="snappy")

    def append(self, rows: pa.Table) -> None:
        self._held = pa.concat_tables([self._held, rows])
        if self._held.num_rows >= ROW_GROUP:
            self._write(self._held.num_rows // ROW_GROUP * ROW_GROUP)

    def close(self) -> None:
        if self._held.num_rows:
            self._write(self._held.num_rows)
        with _telling(self.path):
            self._file.close()

    def publish(self) -> None:
        self._publication.__exit__(None, None, None)

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()
        self.temporary.unlink(missing_ok=True)

    def _write(self, count: int) -> None:
        with _telling(self.path):
            self._file.write_table(self._held.slice(0, count), row_group_size=ROW_GROUP)
        self._held = self._held.slice(count)


class _Archive:
    """All files of one export: one per table and UTC day of the origin time, named when all are whole."""

    def __init__(self, out: Path, exchange: str, symbol: str) -> None:
        self.out, self.exchange, self.symbol = out, exchange, symbol
        self._open: dict[tuple[str, int], _Writer] = {}
        self._written: list[_Writer] = []

    def append(self, table: str, rows: pa.Table) -> None:
        days = _int64(rows["timestamp"]) // DAY_NS
        for day in np.unique(days).tolist():
            mine = days == day
            self._writer(table, day).append(rows if mine.all() else rows.filter(pa.array(mine)))

    def _writer(self, table: str, day: int) -> _Writer:
        if (table, day) not in self._open:
            for key in [key for key in self._open if key[0] == table and key[1] < day - 1]:
                self._close(key)
            date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
            # A row later than a day behind the rest goes to a second file, as an archive may have them.
            path = self.out / lake.archive_path(table, self.exchange, self.symbol, date)
            number = 1 + sum(writer.path.parent == path.parent for writer in self._written)
            path = path.with_name(f"{number}.snappy.parquet")
            self._open[table, day] = _Writer(path, lake.SCHEMAS[table])
        return self._open[table, day]

    def _close(self, key: tuple[str, int]) -> None:
        self._open[key].close()
        self._written.append(self._open.pop(key))

    def publish(self, source: str) -> list[str]:
        """Label the folder, then give all files their names; the names relative to the folder."""
        for key in list(self._open):
            self._close(key)
        told = [str(writer.path.relative_to(self.out)) for writer in self._written]
        _label(self.out, f"\n## {self.exchange} {self.symbol}\n\nFrom: {source or 'not told'}\n", told)
        for writer in self._written:
            writer.publish()
        return told

    def discard(self) -> None:
        """Remove what has no name yet."""
        for writer in [*self._open.values(), *self._written]:
            writer.discard()


def write_lake(
    tables: Mapping[str, Iterable[Batch]], out: Path, exchange: str, symbol: str, source: str = ""
) -> dict[str, Any]:
    """Write one symbol's events and books as ``trades``, ``book_delta_v2`` and ``book`` of a Lake archive.

    Files are named only when all are written; a failure leaves none. Memory is bounded by a batch of each
    table and two row groups per open day.

    Parameters
    ----------
    tables
        ``events`` and ``books``: batches in the columns of `core.schema`, by rising event id, of one chain.
        Further columns are left aside.
    out
        Root of the archive; a note ``DERIVED.md`` at the root says what the files are.
    exchange, symbol
        The symbol in any spelling that `lake_symbol` reads.
    source
        What they are derived from, for the note.

    Returns
    -------
    ``exchange``, ``symbol`` (as spelt), ``files`` (relative to ``out``), ``rows`` by table, and the counts of
    `NOT_TOLD`: what this layout can't tell.

    Raises
    ------
    OutputError
        When a file is there already or can't be written.
    DatasetError
        When event ids do not rise.
    """
    spelt = lake.lake_symbol(symbol, exchange)
    archive = _Archive(out, exchange, spelt)
    counts: Counter[str] = Counter()
    try:
        _export(tables, archive, counts)
        files = archive.publish(source)
    finally:
        archive.discard()
    return {
        "exchange": exchange,
        "symbol": spelt,
        "files": sorted(files),
        "rows": {table: counts[table] for table in lake.SCHEMAS},
        **{name: counts[name] for name in NOT_TOLD},
    }


def _export(tables: Mapping[str, Iterable[Batch]], archive: _Archive, counts: Counter[str]) -> None:
    books = _Books(iter(tables.get("books", ())))
    trades = _Trades()
    update = _Updates()

    def put(table: str, rows: pa.Table) -> None:
        counts[table] += rows.num_rows
        if rows.num_rows:
            archive.append(table, rows)

    last = -1
    for batch in tables["events"]:
        events = _table(batch, _EVENTS)
        if not events.num_rows:
            continue
        ids = _int64(events["event_id"])
        last = _check_rising(ids, last, "events")
        flags = _int64(events["flags"])
        kind = _int64(pc.index_in(events["event_type"], value_set=_KIND_NAMES))
        empty = (kind == Kind.BOOK_DELTA) & (flags & Flag.EMPTY_GROUP != 0)
        outside = (kind == Kind.TRADE) & (flags & Flag.NOT_MARKET != 0)
        counts["empty_groups"] += int(empty.sum())
        counts["trades_not_market"] += int(outside.sum())
        counts["snapshot_rows"] += int((kind == Kind.BOOK_SNAPSHOT).sum())
        put(lake.DELTAS, _delta_rows(events.filter(pa.array((kind == Kind.BOOK_DELTA) & ~empty))))
        put(lake.TRADES, trades.add(events.filter(pa.array((kind == Kind.TRADE) & ~outside)), counts))
        update.extend(ids, events, kind)
        for rows in books.until(last):
            known = update.of(_int64(rows["event_id"]))
            counts["books_without_update"] += int((~known[0]).sum())
            put(lake.BOOK, _book_rows(rows, *known))
    put(lake.TRADES, trades.rest())
    counts["books_beyond_events"] += sum(rows.num_rows for rows in books.until(None))


class _Trades:
    """Single trades put together as the exchange's aggregate feed has them, across batches."""

    def __init__(self) -> None:
        self._held: pa.Table | None = None
        """The last run so far, as one row."""

    def add(self, rows: pa.Table, counts: Counter[str]) -> pa.Table:
        """Finished runs of these trades and those held; the last run is held back."""
        if self._held is not None:
            rows = pa.concat_tables([self._held, rows])
        if not rows.num_rows:
            return _trade_rows(rows)
        singles = rows.num_rows
        rows = lake.aggregated(rows)
        counts["trades_merged"] += singles - rows.num_rows
        self._held = rows.slice(rows.num_rows - 1)
        return _trade_rows(rows.slice(0, rows.num_rows - 1))

    def rest(self) -> pa.Table:
        """The run held back."""
        return lake.SCHEMAS[lake.TRADES].empty_table() if self._held is None else _trade_rows(self._held)


class _Updates:
    """Which update id and receive time held at an event: those of the last batch of events and its eve."""

    def __init__(self) -> None:
        self._ids = np.empty(0, dtype=np.int64)
        self._update = np.empty(0, dtype=np.int64)
        self._received = np.empty(0, dtype=np.int64)

    def extend(self, ids: Int64Array, events: pa.Table, kind: Int64Array) -> None:
        """Go on to the next batch of events."""
        update = _int64(pc.fill_null(events["update_id"], -1))
        update = np.concatenate([self._update[-1:], np.where(kind == Kind.TRADE, -1, update)])
        seen = np.maximum.accumulate(np.where(update >= 0, np.arange(len(update)), 0))
        self._update = update[seen]
        self._ids = np.concatenate([self._ids[-1:], ids])
        self._received = np.concatenate([self._received[-1:], _int64(events["received_time"])])

    def of(self, ids: Int64Array) -> tuple[npt.NDArray[np.bool_], Int64Array, Int64Array]:
        """Whether it is known, update id and receive time at these events."""
        at = np.searchsorted(self._ids, ids, side="right") - 1
        known = (at >= 0) & (self._update[at] >= 0)
        return known, self._update[at], self._received[at]


class _Books:
    """Rows of ``books`` in step with the events."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self._rows: pa.Table | None = None
        self._last = -1

    def until(self, event_id: int | None) -> Iterator[pa.Table]:
        """Rows up to an event, or all that are left."""
        while (rows := self._rows if self._rows is not None else self._next()) is not None:
            ids = _int64(rows["event_id"])
            count = len(ids) if event_id is None else int(np.searchsorted(ids, event_id, side="right"))
            self._rows = rows.slice(count) if count < len(ids) else None
            if count:
                yield rows.slice(0, count)
            if self._rows is not None:
                return

    def _next(self) -> pa.Table | None:
        for batch in self._batches:
            if batch.num_rows:
                rows = _table(batch, BOOKS)
                self._last = _check_rising(_int64(rows["event_id"]), self._last, "books")
                return rows
        return None


def _delta_rows(events: pa.Table) -> pa.Table:
    return _shaped(
        lake.DELTAS,
        timestamp=events["origin_time"],
        receipt_timestamp=events["received_time"],
        sequence_number=events["update_id"],
        side_is_bid=pc.equal(events["side"], "bid"),
        price=_doubles(events["price"]),
        size=_doubles(events["quantity"]),
    )


def _trade_rows(events: pa.Table) -> pa.Table:
    return _shaped(
        lake.TRADES,
        timestamp=events["origin_time"],
        receipt_timestamp=events["received_time"],
        id=events["trade_id"],
        side=events["side"],
        price=_doubles(events["price"]),
        amount=_doubles(events["quantity"]),
    )


def _book_rows(
    books: pa.Table, known: npt.NDArray[np.bool_], update: Int64Array, received: Int64Array
) -> pa.Table:
    cells = np.concatenate(
        [np.stack([_grid(books[name]) for name in pair], axis=2) for pair in _LADDERS], axis=1
    ).reshape(books.num_rows, len(lake.LEVEL_NAMES))
    rows = _shaped(
        lake.BOOK,
        timestamp=books["origin_time"],
        receipt_timestamp=received,
        sequence_number=update,
        **dict(zip(lake.LEVEL_NAMES, np.ascontiguousarray(cells.T), strict=True)),
    )
    return rows if known.all() else rows.filter(pa.array(known))


def _grid(ladder: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """The first 20 of each list as float64 of shape (n, 20), NaN behind the last."""
    sizes = _int64(pc.list_value_length(ladder))
    values = _doubles(pc.list_flatten(ladder)).to_numpy()
    row = np.repeat(np.arange(len(sizes)), sizes)
    level = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    grid = np.full((len(sizes), lake.LEVELS), np.nan)
    kept = level < lake.LEVELS
    grid[row[kept], level[kept]] = values[kept]
    return grid


def _shaped(table: str, **columns: Any) -> pa.Table:
    schema = lake.SCHEMAS[table]
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def _doubles(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The nearest doubles: Arrow reads texts rightly rounded, which its cast from decimals is not."""
    return column.cast(pa.string()).cast(pa.float64())


def _int64(column: pa.ChunkedArray) -> Int64Array:
    values: Int64Array = column.cast(pa.int64()).to_numpy()
    return values


def _table(batch: Batch, schema: pa.Schema) -> pa.Table:
    """A batch with these columns and types, whatever Arrow variants its reader chose."""
    rows = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    return rows.select(schema.names).cast(schema)


def _check_rising(ids: Int64Array, last: int, table: str) -> int:
    if ids[0] <= last or (np.diff(ids) <= 0).any():
        raise DatasetError("event ids do not rise", field="event_id", found=f"in {table}")
    return int(ids[-1])


def _label(out: Path, section: str, files: list[str]) -> None:
    """Say at the root that the files are derived, before any of them has its name."""
    note = out / "DERIVED.md"
    section += "\n" + "".join(f"- `{name}`\n" for name in sorted(files))
    if not note.exists():
        publish_bytes(note, (_TITLE + _NOTE + section).encode())
        return
    before = note.read_text(encoding="utf-8")
    if not before.startswith(_TITLE):
        raise OutputError("a file of this name is there already, and not ours", file=note)
    draft = out / f".DERIVED.md.{os.getpid()}"
    publish_bytes(draft, (before + section).encode())
    draft.replace(note)
