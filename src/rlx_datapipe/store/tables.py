"""Delta Lake tables of a dataset: Parquet files published whole, then added by one log entry."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import Executor
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Schema

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.schema import PARTITION, SCHEMAS, TABLES, stored_schema
from rlx_datapipe.store.columns import written_schema
from rlx_datapipe.store.files import FileRecord, file_digest
from rlx_datapipe.store.layout import MANIFEST, epoch_name, partition_folder, table_folder
from rlx_datapipe.store.log import AddedFile, TableLog, Transaction, canonical, commit_actions, log_damaged
from rlx_datapipe.store.parts import ROW_GROUP_ROWS, PartFile

NS_PER_DAY = 86_400_000_000_000


class _Dated(NamedTuple):
    """A file in the making, and the UTC date of its rows in days since 1970."""

    day: int
    part: PartFile


class ChainTable:
    """One table of one chain (exchange and symbol): rows become files, and an epoch's files one log entry.

    The files of an epoch get their names when it is published. Until then rows of the next one may be added.

    Parameters
    ----------
    dataset
        Folder of the dataset.
    table
        Name of the table, a key of `SCHEMAS`.
    exchange, symbol
        The chain.
    pool
        What writes while further rows are gathered.
    """

    def __init__(
        self, dataset: Path, table: str, exchange: str, symbol: str, pool: Executor | None = None
    ) -> None:
        self.table, self.exchange, self.symbol, self._pool = table, exchange, symbol, pool
        self._folder = table_folder(dataset, table)
        self._parts: list[_Dated] = []
        """Files of the open epoch; rows go to the last one."""
        self._ended: list[_Dated] = []
        """Files of the epoch before it that are still to be published."""
        self._number = 1
        self._log = create_table(dataset, table)
        self.committed = self._log.last_epoch(f"{exchange}/{symbol}")

    def append(self, rows: pa.Table, times: Int64Array, epoch: int) -> None:
        """Add rows to the files of an epoch, one file per UTC date of ``times`` (ns, shape (n,), rising).

        A file that has grown to its full size is followed by another. The name tells the epoch, so that a
        repeated epoch can't hide.
        """
        one_day = times[0] // NS_PER_DAY == times[-1] // NS_PER_DAY
        for day in np.unique((times[:1] if one_day else times) // NS_PER_DAY).tolist():
            start, stop = np.searchsorted(times, [day * NS_PER_DAY, (day + 1) * NS_PER_DAY])
            rest = rows.slice(start, stop - start)
            while rest.num_rows:
                rest = self._part_of(day, epoch).append(rest)

    def _part_of(self, day: int, epoch: int) -> PartFile:
        """The file that takes rows of a day."""
        last = self._parts[-1] if self._parts else None
        if last is not None and last.day == day and not last.part.is_full:
            return last.part
        if last is not None:
            last.part.seal()
        self._number = self._number + 1 if last is not None and last.day == day else 1
        path = self._folder / self._name(day, epoch)
        part = PartFile(
            path,
            written_schema(self.table),
            ROW_GROUP_ROWS[self.table],
            adopt=epoch <= self.committed,
            pool=self._pool,
        )
        self._parts.append(_Dated(day, part))
        return part

    def spill(self) -> int:
        """Move rows that wait in memory to the disk, where that is worth it; their bytes."""
        return self._parts[-1].part.spill() if self._parts else 0

    def abandon(self) -> None:
        """Let go of all files that are not published."""
        for dated in (*self._ended, *self._parts):
            dated.part.abandon()
        self._ended, self._parts = [], []

    def end_epoch(self) -> None:
        """What was appended so far is one epoch, to be published; what comes from now on is the next."""
        self._ended, self._parts = self._parts, []

    def publish(self) -> tuple[list[AddedFile], tuple[FileRecord, ...]]:
        """Publish the epoch that has ended; the files for the log, and for the commit."""
        written, records = [], []
        while self._ended:
            written.append(self._published(*self._ended[0]))
            size_bytes, sha256 = file_digest(self._folder / written[-1].path)
            records.append(FileRecord(f"{self.table}/{written[-1].path}", size_bytes, sha256))
            del self._ended[0]
        return written, tuple(records)

    def _name(self, day: int, epoch: int) -> str:
        folder = partition_folder(self.exchange, self.symbol, _date_text(day))
        return f"{folder}/{epoch_name(epoch, self._number)}.parquet"

    def _published(self, day: int, part: PartFile) -> AddedFile:
        part.close()
        return AddedFile(
            path=part.path.relative_to(self._folder).as_posix(),
            size=part.path.stat().st_size,
            partition_values={"exchange": self.exchange, "symbol": self.symbol, "date": _date_text(day)},
            modification_time=day * 86_400_000,
            stats=json.dumps(part.statistics()),
        )

    def commit(self, added: list[AddedFile], epoch: int, told: str) -> None:
        """Add files by one durable log entry that carries the epoch of the chain and ``told`` (JSON).

        An epoch that this table has already is left alone: a crash came between it and ``events``.
        """
        if epoch <= self.committed:
            return
        transaction = Transaction(f"{self.exchange}/{self.symbol}", epoch)
        self._log.append(commit_actions(self.table, added, transaction, told), transaction)
        self.committed = epoch
        crash_point("table committed")


def last_epoch(dataset: Path, table: str, exchange: str, symbol: str) -> int:
    """The last epoch of a chain that is in the log of a table; -1 if there is none.

    Raises
    ------
    DatasetError
        When the log is damaged.
    """
    return TableLog(table_folder(dataset, table)).last_epoch(f"{exchange}/{symbol}")


def create_tables(dataset: Path) -> None:
    """Make all tables of a dataset, empty; those that are there are left as they are."""
    for table in TABLES:
        create_table(dataset, table)


def create_table(dataset: Path, table: str) -> TableLog:
    """The log of a table; the table is made, empty, if it is not there."""
    log = TableLog(table_folder(dataset, table))
    if log.version < 0:
        log.append(_first_actions(dataset, table))
    return log


def _first_actions(dataset: Path, table: str) -> list[dict[str, Any]]:
    manifest = dataset / MANIFEST
    digest = hashlib.sha256(manifest.read_bytes() if manifest.is_file() else b"").hexdigest()
    metadata = {
        # No random one: two runs must make the same table.
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{digest}/{table}")),
        "name": f"rlx {table}",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": canonical(Schema.from_arrow(stored_schema(table)).to_json()),
        "partitionColumns": list(PARTITION),
        # The log is the chain of commits: none of it may be cleaned away as too old.
        "configuration": {"delta.appendOnly": "true", "delta.enableExpiredLogCleanup": "false"},
    }
    return [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}]


def _date_text(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def digest_name(table: str, exchange: str, symbol: str) -> str:
    """Name under which a chain's table enters the digest of its dataset."""
    return f"{table}/{exchange}/{symbol}"


class DataFile(NamedTuple):
    """One committed file; bounds are None where the log has no statistics of the column."""

    exchange: str
    symbol: str
    date: date
    path: Path
    first_event: int | None
    first_time: int | None

    @property
    def epoch(self) -> int:
        """The epoch that wrote it."""
        return int(self.path.stem.split("-")[1])


def data_files(dataset: Path, table: str) -> list[DataFile]:
    """Committed files of a table in the order of their rows.

    After a crash the other tables may be an epoch ahead of ``events``: what the log of ``events`` does not
    know is left out.

    Raises
    ------
    DatasetError
        When the folder holds no such table, or a committed file is gone.
    """
    folder = table_folder(dataset, table)
    log = TableLog(folder)
    if log.version < 0:
        raise DatasetError(
            f"no table {table!r} here", file=dataset, remedy="Give the folder that rlx reconstruct made"
        )
    found = [_data_file(folder, added) for entry in log.entries for added in entry.added]
    if table != "events":
        events = TableLog(table_folder(dataset, "events"))
        found = [f for f in found if f.epoch <= events.last_epoch(f"{f.exchange}/{f.symbol}")]
    return sorted(found, key=lambda file: (file.exchange, file.symbol, file.epoch, file.date, file.path.stem))


def _data_file(folder: Path, added: AddedFile) -> DataFile:
    path, partition = folder / added.path, added.partition_values
    if not path.is_file():
        raise DatasetError("a committed file is gone", file=path, remedy="Restore it or reconstruct again")
    try:
        least = json.loads(added.stats or "{}").get("minValues", {})
        day = date.fromisoformat(partition["date"])
        chain = (partition["exchange"], partition["symbol"])
    except (KeyError, ValueError) as error:
        raise log_damaged(folder, f"what it says of {added.path}: {error}") from error
    return DataFile(*chain, day, path, least.get("event_id"), least.get("origin_time"))


def read_file(table: str, path: Path, columns: list[str] | None = None) -> pa.Table:
    """Rows of one data file with the columns of the table's schema.

    Raises
    ------
    DatasetError
        When the file is damaged or has another schema.
    """
    schema = SCHEMAS[table]
    try:
        return pq.read_table(
            path, schema=schema, columns=columns, page_checksum_verification=True, partitioning=None
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise DatasetError(
            f"can't be read ({_first_line(error)})", file=path, remedy="Reconstruct the dataset again"
        ) from error


def read_groups(table: str, path: Path, start: int = 0) -> Iterator[tuple[int, pa.Table]]:
    """Row groups of one data file from a number on, each with its number, in the table's `written_schema`.

    Raises
    ------
    DatasetError
        When the file is damaged or has another schema.
    """
    schema = written_schema(table)
    coded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=coded) as file:
            for number in range(start, file.num_row_groups):
                yield (
                    number,
                    file.read_row_group(number, columns=schema.names).select(schema.names).cast(schema),
                )
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, KeyError, ValueError) as error:
        raise DatasetError(
            f"can't be read ({_first_line(error)})", file=path, remedy="Reconstruct the dataset again"
        ) from error


def last_rows(dataset: Path, table: str, chain: tuple[str, str], count: int, epoch: int) -> pa.Table:
    """The last ``count`` rows of a table of a chain (exchange and symbol) up to an epoch, that included."""
    parts: list[pa.Table] = []
    for file in reversed(data_files(dataset, table)):
        if file[:2] == chain and file.epoch <= epoch and count > 0:
            rows = read_file(table, file.path)
            parts.append(rows.slice(max(0, rows.num_rows - count)))
            count -= parts[-1].num_rows
    return pa.concat_tables([SCHEMAS[table].empty_table(), *reversed(parts)])


def _first_line(error: Exception) -> str:
    """What an error says, without the back traces that some libraries add."""
    return str(error).partition("\n")[0]
