"""Delta Lake tables of a dataset: Parquet files published whole, then added by one log entry."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.schema import PARTITION, SCHEMAS, stored_schema
from rlx_datapipe.store.files import FileRecord, file_digest, sync, system_reason, unwritable
from rlx_datapipe.store.layout import partition_folder, table_folder
from rlx_datapipe.store.parts import PartFile

NS_PER_DAY = 86_400_000_000_000
COMMIT_KEY = "rlx"


class ChainTable:
    """One table of one chain (exchange and symbol): rows become files, and an epoch's files one log entry.

    Parameters
    ----------
    dataset
        Folder of the dataset.
    table
        Name of the table, a key of `SCHEMAS`.
    exchange, symbol
        The chain.
    """

    def __init__(self, dataset: Path, table: str, exchange: str, symbol: str) -> None:
        self.table, self.exchange, self.symbol = table, exchange, symbol
        self._folder = table_folder(dataset, table)
        self._part: PartFile | None = None
        self._day = 0
        self._written: list[AddAction | RemoveAction] = []
        self.committed = last_epoch(dataset, table, exchange, symbol)

    def append(self, rows: pa.Table, times: Int64Array, epoch: int) -> None:
        """Add rows to the files of an epoch, one file per UTC date of ``times`` (ns, shape (n,), rising).

        The file's name tells its epoch, so that a repeated epoch can't hide.
        """
        days = times // NS_PER_DAY
        for day in dict.fromkeys(days.tolist()):
            start, stop = np.searchsorted(days, [day, day + 1])
            if self._part is None or self._day != day:
                self._close_part()
                self._day = day
                self._part = PartFile(
                    self._folder / self._name(day, epoch), SCHEMAS[self.table], adopt=epoch <= self.committed
                )
            self._part.append(rows.slice(start, stop - start))

    def spill(self) -> int:
        """Move rows that wait in memory to the disk, where that is worth it; their bytes."""
        return self._part.spill() if self._part is not None else 0

    def close_files(self) -> tuple[list[AddAction | RemoveAction], tuple[FileRecord, ...]]:
        """Publish what was appended since the last call; the log entries to commit, and the files."""
        self._close_part()
        written, self._written = self._written, []
        records = []
        for action in written:
            size_bytes, sha256 = file_digest(self._folder / action.path)
            records.append(FileRecord(f"{self.table}/{action.path}", size_bytes, sha256))
        return written, tuple(records)

    def _name(self, day: int, epoch: int) -> str:
        return f"{partition_folder(self.exchange, self.symbol, _date_text(day))}/epoch-{epoch:010d}.parquet"

    def _close_part(self) -> None:
        if self._part is None:
            return
        self._part.close()
        path = self._part.path
        values = {"exchange": self.exchange, "symbol": self.symbol, "date": _date_text(self._day)}
        self._written.append(
            AddAction(
                path=path.relative_to(self._folder).as_posix(),
                size=path.stat().st_size,
                partition_values=values,
                modification_time=self._day * 86_400_000,
                data_change=True,
                stats=json.dumps(self._part.statistics()),
            )
        )
        self._part = None

    def commit(self, actions: list[AddAction | RemoveAction], epoch: int, told: str) -> None:
        """Add files by one durable log entry that carries the epoch of the chain and ``told`` (JSON).

        An epoch that this table has already is left alone: a crash came between it and ``events``.
        """
        if epoch <= self.committed:
            return
        transaction = Transaction(app_id=f"{self.exchange}/{self.symbol}", version=epoch)
        try:
            # A log that had entries and is gone is not begun anew: the epochs in it would be missing.
            begun = self.committed >= 0
            table = open_log(self._folder) if begun else create_table(self._folder, self.table)
            table.create_write_transaction(
                actions,
                mode="append",
                schema=stored_schema(self.table),
                partition_by=list(PARTITION),
                commit_properties=CommitProperties(
                    custom_metadata={COMMIT_KEY: told}, app_transactions=[transaction]
                ),
            )
            _make_durable(table, self._folder)
        except (DeltaError, OSError) as error:
            raise unwritable(self._folder, error) from error
        self.committed = epoch
        crash_point("table committed")


def last_epoch(dataset: Path, table: str, exchange: str, symbol: str) -> int:
    """The last epoch of a chain that is in the log of a table; -1 if there is none.

    Raises
    ------
    DatasetError
        When the log is damaged.
    """
    try:
        version = open_log(table_folder(dataset, table)).transaction_version(f"{exchange}/{symbol}")
    except TableNotFoundError:
        return -1
    except (DeltaError, OSError) as error:
        raise log_damaged(dataset, table, error) from error
    return -1 if version is None else int(version)


def log_damaged(dataset: Path, table: str, error: Exception) -> DatasetError:
    """The error for a log of a table that can't be read."""
    missing = _missing_entry(table_folder(dataset, table) / "_delta_log")
    reason = system_reason(error) if missing is None else f"entry {missing} is missing"
    return DatasetError(
        f"the log of table {table!r} can't be read ({reason})",
        file=dataset,
        remedy="Restore it or reconstruct again",
    )


def _missing_entry(log: Path) -> int | None:
    """The first entry of a log that is not there although a later one is."""
    held = {int(path.stem) for path in log.glob("*.json") if path.stem.isdigit()}
    return min(set(range(max(held))) - held, default=None) if held else None


def _make_durable(table: DeltaTable, folder: Path) -> None:
    # delta-rs does not sync its log: an entry that a power cut can take back is no commit.
    # A table does not know of the entry that was just added to it until it looks again.
    table.update_incremental()
    log = folder / "_delta_log"
    entry = log / f"{table.version():020d}.json"
    try:
        for path in (entry, log, folder, folder.parent):
            sync(path)
    except OSError:
        # After a failed sync nothing tells what is on the disk: not written, then, and redone on resuming.
        with suppress(OSError):
            entry.unlink()
        raise


def open_log(folder: Path) -> DeltaTable:
    """Open the Delta table in ``folder``.

    Raises
    ------
    TableNotFoundError
        When it has no entry: a stop may come between the folder of a log and the first entry in it.
    """
    if not any((folder / "_delta_log").glob("*.json")):
        raise TableNotFoundError(f"no log in {folder}")
    return DeltaTable(folder.as_uri())


def create_table(folder: Path, table: str) -> DeltaTable:
    """Open the Delta table in ``folder``; made empty if it is not there."""
    try:
        return open_log(folder)
    except TableNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        made = DeltaTable.create(
            folder.as_uri(),
            schema=stored_schema(table),
            partition_by=list(PARTITION),
            name=f"rlx {table}",
            # The log is the chain of commits: none of it may be cleaned away as too old.
            configuration={"delta.appendOnly": "true", "delta.enableExpiredLogCleanup": "false"},
        )
        _make_durable(made, folder)
        return made


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
        return int(self.path.stem.rpartition("-")[2])


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
    try:
        delta = open_log(folder)
        actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    except TableNotFoundError as error:
        raise DatasetError(
            f"no table {table!r} here", file=dataset, remedy="Give the folder that rlx reconstruct made"
        ) from error
    except (DeltaError, OSError) as error:
        raise log_damaged(dataset, table, error) from error
    found = []
    for action in actions:
        path = folder / action["path"]
        if not path.is_file():
            raise DatasetError(
                "a committed file is gone", file=path, remedy="Restore it or reconstruct again"
            )
        partition = (action["partition.exchange"], action["partition.symbol"], action["partition.date"])
        found.append(DataFile(*partition, path, action.get("min.event_id"), action.get("min.origin_time")))
    if table != "events":
        last = {chain: last_epoch(dataset, "events", *chain) for chain in {file[:2] for file in found}}
        found = [file for file in found if file.epoch <= last[file[:2]]]
    return sorted(found, key=lambda file: (file.exchange, file.symbol, file.path.name, file.date))


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


def _first_line(error: Exception) -> str:
    """What an error says, without the back traces that some libraries add."""
    return str(error).partition("\n")[0]
