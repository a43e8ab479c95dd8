"""Opening one Crypto Lake file with all its checks: every defect is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.instrument import same_symbol
from rlx_datapipe.venues.crypto_lake import (
    PARTITION_COLUMNS,
    SCHEMAS,
    Layout,
    SchemaProblem,
    is_text,
    match_table,
)

_MAGIC = b"PAR1"
_MOST_CELLS = 2**36
"""A day of the busiest table is 110 M rows of 6 columns: 2**29 cells."""
_ROWS_UNSUSPECTED = 10_000_000
_ROWS_PER_BYTE = 100
_LEAST_BYTES = 12
_TEXT_MAX = 256


def open_lake(path: Path) -> tuple[pq.ParquetFile, Layout]:
    """An open Parquet file and which table it is.

    Raises
    ------
    SourceError
        When it is no whole Parquet file, no table of Crypto Lake, or claims absurd numbers of rows.
    """
    file = open_parquet(path)
    layout = match_table(file.schema_arrow)
    if isinstance(layout, SchemaProblem):
        file.close()
        raise SourceError(
            "columns are not those of a Crypto Lake table",
            file=path,
            found=layout.sentence(),
            expected=f"one of {', '.join(SCHEMAS)}",
        )
    check_metadata(path, file.metadata)
    return file, layout


def open_parquet(path: Path) -> pq.ParquetFile:
    """An open Parquet file, whatever its columns; checksums of pages are held to, where there are any.

    Raises
    ------
    SourceError
        When it is no whole Parquet file.
    """
    _check_ends(path)
    try:
        file = _opened(path)
        _ = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise SourceError("Parquet footer can't be read", file=path, found=_first_line(error)) from error
    return file


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _check_ends(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(4)
            size = path.stat().st_size
            file.seek(max(0, size - 4))
            tail = file.read(4)
    except OSError as error:
        raise SourceError("can't be read", file=path, found=error.strerror or type(error).__name__) from error
    if not size:
        raise SourceError("empty file", file=path, found="0 bytes", expected="a Parquet file")
    if head != _MAGIC:
        raise SourceError(
            "not a Parquet file", file=path, found=f"starts with {head!r}", expected=f"{_MAGIC!r}"
        )
    if tail != _MAGIC or size < _LEAST_BYTES:
        raise SourceError(
            "truncated Parquet file",
            file=path,
            found=f"{size} bytes ending with {tail!r}",
            expected=f"a footer and {_MAGIC!r}",
            remedy="Download it again.",
        )


def _opened(path: Path, **how: Any) -> pq.ParquetFile:
    # Buffered ahead, as by default, all that was read of the file would stay in memory until its end.
    return pq.ParquetFile(path, memory_map=False, pre_buffer=False, page_checksum_verification=True, **how)


def check_metadata(path: Path, metadata: pq.FileMetaData) -> None:
    """Refuse a footer that claims more than a day can hold, before anything is read or allocated.

    Raises
    ------
    SourceError
        When it does.
    """
    rows, size = metadata.num_rows, path.stat().st_size
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    absurd = rows < 0 or min(groups, default=0) < 0 or sum(groups) != rows
    dense = rows > _ROWS_UNSUSPECTED and rows > size * _ROWS_PER_BYTE
    if absurd or dense or rows * metadata.num_columns > _MOST_CELLS:
        raise SourceError(
            "row count in the footer can't be true",
            file=path,
            found=f"{rows} rows of {metadata.num_columns} columns, {size} bytes; {sum(groups)} in row groups",
            expected=f"at most {_MOST_CELLS} cells and the same count in both places",
        )


def read_batches(
    file: pq.ParquetFile,
    layout: Layout,
    path: Path,
    names: tuple[str, str],
    batch_rows: int,
    start_row: int = 0,
) -> Iterator[pa.Table]:
    """Rows of an open file in batches, with the archive's column names and types of one kind each.

    Times and ids come as int64, sides as bool or string. Columns that name the symbol or exchange are checked
    against ``names``, the exchange and the symbol, and left out. The first ``start_row`` rows are passed
    over; the batches end at the same rows as without that.
    """
    # Where texts come as dictionaries, Arrow ends batches at row groups as well: they are cut by us.
    group, row = _group_of(file.metadata, start_row)
    tables = _read_groups(file, layout, path, names, batch_rows, group, row)
    yield from _cut(tables, start_row - row, batch_rows - start_row % batch_rows, batch_rows)


def _group_of(metadata: pq.FileMetaData, row: int) -> tuple[int, int]:
    """The row group that holds a row, counted from 0, and the first row of that group."""
    first = 0
    for group in range(metadata.num_row_groups):
        behind = first + metadata.row_group(group).num_rows
        if row < behind:
            return group, first
        first = behind
    return metadata.num_row_groups, first


def _cut(tables: Iterator[pa.Table], skip: int, first: int, rows: int) -> Iterator[pa.Table]:
    """The rows behind the first ``skip``, in tables of ``rows`` each but the first, which has ``first``."""
    held: list[pa.Table] = []
    missing = first
    for table in tables:
        at = min(skip, table.num_rows)
        skip -= at
        while table.num_rows - at >= missing:
            yield pa.concat_tables([*held, table.slice(at, missing)])
            at += missing
            held, missing = [], rows
        if at < table.num_rows:
            held.append(table.slice(at))
            missing -= table.num_rows - at
    if held:
        yield pa.concat_tables(held)


def _read_groups(
    file: pq.ParquetFile,
    layout: Layout,
    path: Path,
    names: tuple[str, str],
    batch_rows: int,
    first_group: int,
    done: int,
) -> Iterator[pa.Table]:
    """Rows from the row group ``first_group`` on, which has ``done`` rows before it."""
    known = dict(zip(PARTITION_COLUMNS, names, strict=False))
    told = [name for name in known if name in file.schema_arrow.names]
    columns = [*layout.columns.values(), *told]
    groups = list(range(first_group, file.metadata.num_row_groups))
    try:
        texts = [name for name in columns if is_text(file.schema_arrow.field(name).type)]
        if texts:
            # One long text that stands in every row would be in memory as often as there are rows.
            file = _opened(path, metadata=file.metadata, read_dictionary=texts)
        for batch in file.iter_batches(
            # In its own threads Arrow needs half as much work again, and the cores have other stages to run.
            batch_rows,
            row_groups=groups,
            columns=columns,
            use_threads=False,
        ):
            for name in texts:
                _check_texts(path, batch.column(name), name, done)
            for name in told:
                _check_one(path, batch.column(name), name, known[name], done)
            yield _canonical(batch, layout)
            done += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            "damaged Parquet data",
            file=path,
            row=done + 1,
            found=_first_line(error),
            remedy="Download it again.",
        ) from error
    if done != file.metadata.num_rows:
        raise SourceError(
            "fewer rows than the footer states", file=path, found=done, expected=file.metadata.num_rows
        )


def _check_texts(path: Path, column: pa.Array, name: str, done: int) -> None:
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    longest = pc.max(pc.binary_length(values)).as_py() or 0
    if longest > _TEXT_MAX:
        raise SourceError(
            "text is too long to be a side or a name",
            file=path,
            field=name,
            found=f"{longest} bytes",
            expected=f"at most {_TEXT_MAX}",
            rows=f"{done + 1} to {done + len(column)}",
            remedy="Download it again.",
        )


def _check_one(path: Path, column: pa.Array, name: str, expected: str, done: int) -> None:
    """One file holds one symbol of one exchange: nothing is guessed apart."""
    found = [str(value) for value in pc.unique(column).to_pylist()]
    wrong = [value for value in found if not same_symbol(value, expected)]
    if wrong:
        raise SourceError(
            f"mixed or wrong {name}",
            file=path,
            field=name,
            found=", ".join(wrong[:3]),
            expected=expected,
            rows=f"{done + 1} to {done + len(column)}",
            remedy="Split the file, or put it under its own folder.",
        )


def _canonical(batch: pa.RecordBatch, layout: Layout) -> pa.Table:
    columns = {}
    for field in SCHEMAS[layout.table]:
        column = batch.column(layout.columns[field.name])
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
        elif pa.types.is_integer(column.type):
            column = column.cast(pa.int64())
        elif not pa.types.is_boolean(column.type) and not pa.types.is_floating(column.type):
            column = column.cast(pa.string())
        columns[field.name] = column
    return pa.table(columns)
