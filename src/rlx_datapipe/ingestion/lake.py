"""Crypto Lake files: found, probed and read into events."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.feed import Parsed, Probe, Reject
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.core.units import Exactness, scale_many, to_text
from rlx_datapipe.ingestion.lake_rows import group_starts, integers, last_group_start, rows_to_parsed
from rlx_datapipe.ingestion.lake_sound import floats
from rlx_datapipe.venues.crypto_lake import (
    BOOK,
    DELTAS,
    EARLIEST_NS,
    LATEST_NS,
    LEVEL_NAMES,
    LEVELS,
    OTHER_TABLES,
    Layout,
    parse_path,
)
from rlx_datapipe.venues.crypto_lake_open import open_lake, read_batches

_SAMPLE_ROWS = 10_000
_SAMPLE_TEXTS = 4_000
_LARGEST_GROUP = 1_000_000
"""Rows of one depth message; a whole book of 5,000 levels a side is a hundredth of it."""
_MAX_PROBED_DECIMALS = 18


class LakeFile(msgspec.Struct, frozen=True):
    """One file of the archive; ``date`` is None only where neither path, argument nor a row tells it.

    ``begins`` is the time of its first row in ns, 0 where that is not sound, or not asked for.
    """

    path: Path
    table: str
    exchange: str
    symbol: str
    date: dt.date | None
    rows: int
    bytes: int
    begins: int = 0


def find_lake_files(
    paths: Iterable[str | Path], exchange: str = "", symbol: str = "", date: dt.date | None = None
) -> list[LakeFile]:
    """Crypto Lake files under folders or given one by one, by exchange, symbol, table, date and first row.

    Names of files tell no order: those of the archive are random. The table is recognised by its columns,
    whatever the file is called. Exchange, symbol and date come from the folders (``exchange=BINANCE``), else
    from the arguments, else from the columns of the same names and the first row. Other tables of the
    archive, and names that begin with ``.`` or ``_``, are passed over.

    Raises
    ------
    SourceError
        When nothing is found, or a file is damaged, no table of Crypto Lake, or of unknown symbol.
    """
    given = [Path(path) for path in paths]
    seen = {path.resolve(): path for start in given for path in _candidates(start)}
    found = [_describe(path, exchange, symbol, date) for path in seen.values()]
    if not found:
        raise SourceError(
            "no Crypto Lake files",
            file=", ".join(map(str, given)) or "(no path)",
            expected="<table>/exchange=.../symbol=.../dt=.../N.snappy.parquet",
        )
    return sorted(found, key=_order)


def _candidates(start: Path) -> list[Path]:
    if start.is_file():
        return [start]
    if not start.is_dir():
        raise SourceError("no such file or folder", file=start)
    return [
        path
        for path in sorted(start.rglob("*.parquet"))
        if path.is_file()
        and not any(part.startswith((".", "_")) for part in path.relative_to(start).parts)
        and parse_path(path).table not in OTHER_TABLES
    ]


def _order(file: LakeFile) -> tuple[str, str, str, dt.date, int, list[tuple[int, str]], str]:
    """By what files hold; where that does not tell, by their names, numbers in them as numbers."""
    parts = re.findall(r"\d+|\D+", file.path.name)
    name = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    day = file.date or dt.date.min
    return file.exchange, file.symbol, file.table, day, file.begins, name, str(file.path)


def _describe(path: Path, exchange: str, symbol: str, date: dt.date | None) -> LakeFile:
    told = parse_path(path)
    file, layout = open_lake(path)
    with file:
        if told.table and told.table != layout.table:
            raise SourceError(
                "columns are those of another table than the folder says",
                file=path,
                found=layout.table,
                expected=told.table,
            )
        first = _first_row(file, layout, path)
        begins = int(first.get("time", "0"))
        is_sound = EARLIEST_NS <= begins < LATEST_NS
        lake = LakeFile(
            path=path,
            table=layout.table,
            exchange=told.exchange or exchange or first.get("exchange", ""),
            symbol=told.symbol or symbol or first.get("symbol", ""),
            date=told.date or date or (_day(begins) if is_sound else None),
            rows=file.metadata.num_rows,
            bytes=path.stat().st_size,
            begins=begins if is_sound else 0,
        )
    missing = [name for name in ("exchange", "symbol") if not getattr(lake, name)]
    if missing:
        raise SourceError(
            f"unknown {' and '.join(missing)}",
            file=path,
            expected="folders exchange=.../symbol=... above the file",
            remedy="Say which they are.",
        )
    return lake


def describe_lake_file(path: Path, table: str, exchange: str, symbol: str) -> LakeFile:
    """A file of the archive whose place in it is known; its date is not asked for.

    Raises
    ------
    SourceError
        When it is damaged, or no table of Crypto Lake.
    """
    file, _ = open_lake(path)
    with file:
        return LakeFile(path, table, exchange, symbol, None, file.metadata.num_rows, path.stat().st_size)


def _first_row(file: pq.ParquetFile, layout: Layout, path: Path) -> dict[str, str]:
    """Symbol, exchange and time in ns of the first row, where there is one."""
    names = [name for name in ("exchange", "symbol") if name in file.schema_arrow.names]
    try:
        batch = next(file.iter_batches(1, columns=[*names, layout.columns["timestamp"]]), None)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            "damaged Parquet data", file=path, row=1, found=str(error).splitlines()[0]
        ) from error
    if batch is None or not batch.num_rows:
        return {}
    time = batch.column(layout.columns["timestamp"])
    if pa.types.is_timestamp(time.type):
        time = time.cast(pa.timestamp("ns", time.type.tz)).cast(pa.int64())
    told = {name: str(batch.column(name)[0].as_py() or "") for name in names}
    return told | {"time": str(time[0].as_py() or 0)}


def _day(time_ns: int) -> dt.date:
    return dt.datetime.fromtimestamp(time_ns // 10**9, dt.UTC).date()


def probe_lake(files: Iterable[LakeFile]) -> Probe:
    """What the heads of the files say: rows by symbol and table, and the decimals of up to 10,000 rows each.

    ``symbols`` and ``kinds`` count rows of whole files from their footers. Decimals are the fewest with which
    every sampled float is read without refusal; the sample is the head of the first file with rows of each
    symbol and table, so a finer price further on is still possible.
    """
    probe = Probe()
    prices: list[npt.NDArray[np.float64]] = []
    sizes: list[npt.NDArray[np.float64]] = []
    sampled = set()
    for file in files:
        probe.exchange = probe.exchange or file.exchange
        probe.symbols[file.symbol] += file.rows
        probe.kinds[file.table] += file.rows
        if file.rows and (file.symbol, file.table) not in sampled:
            sampled.add((file.symbol, file.table))
            price, size = _sample(file)
            prices.append(price)
            sizes.append(size)
    probe.price_decimals, probe.price_largest, probe.price_texts = _needs(prices)
    probe.quantity_decimals, probe.quantity_largest, _ = _needs(sizes)
    return probe


def _sample(file: LakeFile) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    parquet, layout = open_lake(file.path)
    rows = _SAMPLE_ROWS // LEVELS if file.table == BOOK else _SAMPLE_ROWS
    with parquet:
        head = next(read_batches(parquet, layout, file.path, (file.exchange, file.symbol), rows))
    if file.table == BOOK:
        cells = np.stack([floats(head[name]) for name in LEVEL_NAMES])
        return cells[0::2].ravel(), cells[1::2].ravel()
    return floats(head["price"]), floats(head["size" if file.table == DELTAS else "amount"])


def _needs(samples: list[npt.NDArray[np.float64]]) -> tuple[int, int, list[str]]:
    """Decimals needed, largest whole part and texts of sampled numbers."""
    values = np.unique(np.concatenate(samples)) if samples else np.empty(0)
    values = values[np.isfinite(values) & (values > 0.0)]
    largest = int(values[-1]) if values.size else 0
    shown = values[:: len(values) // _SAMPLE_TEXTS + 1]
    decimals = 0
    left = values
    while left.size:
        _, status = scale_many(left, decimals)
        left = left[status == Exactness.TOO_FINE]
        if not left.size or decimals == _MAX_PROBED_DECIMALS:
            break
        decimals += 1
    scaled, status = scale_many(shown, decimals)
    return decimals, largest, [to_text(value, decimals) for value in scaled[status == Exactness.OK].tolist()]


def read_lake(
    file: LakeFile, instrument: Instrument, batch_rows: int = 65_536, start_row: int = 0
) -> Iterator[tuple[Parsed, int]]:
    """Events and rejects of a file in batches, each with the bytes of the file done so far.

    Whatever ``batch_rows``, the batches put together are the same: a depth message is never cut. ``MESSAGE``
    is the row number, from 1, of the first row of its message. A row of ``book`` becomes one event per level,
    bids from the best down, then asks; as many rows are read at once as make ``batch_rows`` events. The first
    ``start_row`` rows are passed over; after as many as a batch ends with, the same batches follow.

    Raises
    ------
    SourceError
        When the file is damaged, holds another symbol, has a depth message of over a million rows, or fewer
        rows than ``start_row``.
    """
    for parsed, row in read_lake_rows(file, instrument, batch_rows, start_row):
        yield parsed, file.bytes * row // max(file.rows, row)


def read_lake_rows(
    file: LakeFile,
    instrument: Instrument,
    batch_rows: int,
    start_row: int,
    span_ns: int = 1 << 62,
    *,
    skips: Sequence[Skip] = (),
    begin: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[tuple[Parsed, int]]:
    """As `read_lake`, each batch with the number of rows up to its end: the ``start_row`` to go on from.

    A batch is also cut where its origin times pass a multiple of ``span_ns``. Rows of ``skips`` make one
    reject a batch; ``begin`` is told the first and last row of what comes next.
    """
    if batch_rows < 1:
        raise ValueError("batch_rows must be 1 or more")
    rows_at_once = max(1, batch_rows // (2 * LEVELS)) if file.table == BOOK else batch_rows
    parquet, layout = open_lake(file.path)
    name = str(file.path)
    with parquet:
        if layout.table != file.table:
            raise SourceError("not the table it was", file=name, found=layout.table, expected=file.table)
        if start_row > parquet.metadata.num_rows:
            raise SourceError(
                "fewer rows than were read before",
                file=name,
                found=parquet.metadata.num_rows,
                expected=f"at least {start_row}",
                remedy="Put the file back that was read, or start anew.",
            )
        done = start_row
        names = (file.exchange, file.symbol)
        batches = read_batches(parquet, layout, file.path, names, rows_at_once, start_row)
        whole = _whole_messages(batches, file)
        for rows in (part for some in whole for part in _cut_by_time(some, file.table, span_ns)):
            for piece, reason in _cut_at(skips, rows, done + 1):
                begin(done + 1, done + piece.num_rows)
                if reason:
                    reject = Reject(name, done + 1, reason, found=f"rows up to {done + piece.num_rows}")
                    parsed = Parsed(rejects=[reject])
                else:
                    parsed = rows_to_parsed(file.table, piece, done + 1, name, instrument)
                done += piece.num_rows
                yield parsed, done


def _cut_at(skips: Sequence[Skip], rows: pa.Table, first: int) -> Iterator[tuple[pa.Table, str]]:
    """The same rows in pieces that are skipped, with the reason, or are not; ``first`` is their first row."""
    at = 0
    for skip in sorted(skips, key=lambda skip: skip.from_row):
        start, stop = max(at, skip.from_row - first), min(rows.num_rows, skip.to_row + 1 - first)
        if start < stop:
            if at < start:
                yield rows.slice(at, start - at), ""
            yield rows.slice(start, stop - start), skip.reason
            at = stop
    if at < rows.num_rows:
        yield rows.slice(at), ""


def _whole_messages(batches: Iterator[pa.Table], file: LakeFile) -> Iterator[pa.Table]:
    """The same rows, cut only where a new sequence number begins."""
    if file.table != DELTAS:
        yield from batches
        return
    held: list[pa.Table] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        cut = last_group_start(integers(batch["sequence_number"]))
        if held and (cut or not _continues(held[-1], batch)):
            yield pa.concat_tables([*held, batch.slice(0, cut)])
            held = []
        elif cut:
            yield batch.slice(0, cut)
        held.append(batch.slice(cut))
        if sum(part.num_rows for part in held) > _LARGEST_GROUP:
            raise SourceError(
                "too many rows with one sequence number",
                file=file.path,
                field="sequence_number",
                found=f"over {_LARGEST_GROUP}",
                expected="the rows of one depth message",
            )
    if held:
        yield pa.concat_tables(held)


def _cut_by_time(rows: pa.Table, table: str, span_ns: int) -> Iterator[pa.Table]:
    """The same rows, cut where their times first pass a multiple of ``span_ns`` and a message begins.

    A cut depends on the rows behind the cut before it alone, so that a reader which goes on from one finds
    the same ones again.
    """
    times = integers(rows["timestamp"])
    if times.size and times.min() // span_ns == times.max() // span_ns:
        yield rows
        return
    spans = np.maximum.accumulate(times // span_ns)
    cuts = np.flatnonzero(np.diff(spans)) + 1
    if len(cuts) and table == DELTAS:
        starts = np.append(group_starts(integers(rows["sequence_number"])), rows.num_rows)
        cuts = np.unique(starts[np.searchsorted(starts, cuts)])
    for start, stop in itertools.pairwise([0, *cuts.tolist(), rows.num_rows]):
        if stop > start:
            yield rows.slice(start, stop - start)


def _continues(held: pa.Table, batch: pa.Table) -> bool:
    same: bool = held["sequence_number"][-1].as_py() == batch["sequence_number"][0].as_py()
    return same
