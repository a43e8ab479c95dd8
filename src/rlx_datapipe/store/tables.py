"""Delta Lake tables of a dataset: Parquet files published whole, then added by one log entry."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.schema import PARTITION, SCHEMAS, stored_schema
from rlx_datapipe.store.files import publish
from rlx_datapipe.store.layout import partition_folder, table_folder

NS_PER_DAY = 86_400_000_000_000
# Statistics serve to skip files: ids and times do, decimals never did (they cost a quarter of the speed).
_STATISTICS = ("event_id", "from_event_id", "update_id", "origin_time", "received_time", "from_time")
_DELTA_ENCODED = ("event_id", "origin_time", "received_time", "update_id", "trade_id")
_DICTIONARY = ("event_type", "side", "flags", "kind", "severity", "detail")


class ChainTable:
    """One table of one chain (exchange and symbol): write files, then commit them.

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

    def write(self, rows: pa.Table, times: Int64Array, epoch: int) -> list[AddAction | RemoveAction]:
        """Publish one Parquet file per UTC date of ``times`` (ns, shape (n,)); the log entries to commit.

        Rows keep their order; the file's name tells its epoch, so that a repeated epoch can't hide.
        """
        actions: list[AddAction | RemoveAction] = []
        days = times // NS_PER_DAY
        for day in dict.fromkeys(days.tolist()):
            part = rows.filter(pa.array(days == day)) if len(days) and (days != day).any() else rows
            actions.append(self._write_file(part, day, epoch))
        return actions

    def _write_file(self, rows: pa.Table, day: int, epoch: int) -> AddAction:
        text = datetime.fromtimestamp(day * 86_400, tz=UTC).date().isoformat()
        name = f"{partition_folder(self.exchange, self.symbol, text)}/epoch-{epoch:010d}.parquet"
        path = self._folder / name
        publish(path, lambda temporary: _write_parquet(rows, temporary))
        return AddAction(
            path=name,
            size=path.stat().st_size,
            partition_values={"exchange": self.exchange, "symbol": self.symbol, "date": text},
            modification_time=day * 86_400_000,
            data_change=True,
            stats=json.dumps(_statistics(rows)),
        )

    def commit(self, actions: list[AddAction | RemoveAction], epoch: int, facts: dict[str, Any]) -> None:
        """Add files by one log entry that carries ``facts`` (JSON values) and the epoch of the chain."""
        transaction = Transaction(app_id=f"{self.exchange}/{self.symbol}", version=epoch)
        try:
            create_table(self._folder, self.table).create_write_transaction(
                actions,
                mode="append",
                schema=stored_schema(self.table),
                partition_by=list(PARTITION),
                commit_properties=CommitProperties(
                    custom_metadata={"rlx": json.dumps(facts, sort_keys=True)}, app_transactions=[transaction]
                ),
            )
        except (DeltaError, OSError) as error:
            raise OutputError(
                f"can't be written ({error})", file=self._folder, remedy="Choose another folder by --out"
            ) from error


def create_table(folder: Path, table: str) -> DeltaTable:
    """Open the Delta table in ``folder``; made empty if it is not there."""
    try:
        return DeltaTable(folder.as_uri())
    except TableNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        return DeltaTable.create(
            folder.as_uri(),
            schema=stored_schema(table),
            partition_by=list(PARTITION),
            name=f"rlx {table}",
            configuration={"delta.appendOnly": "true"},
        )


def _write_parquet(rows: pa.Table, path: Path) -> None:
    names = rows.schema.names
    pq.write_table(
        rows,
        path,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in names if name in _DICTIONARY],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in names if name in _DELTA_ENCODED},
        write_statistics=[name for name in names if name in _STATISTICS],
        write_page_checksum=True,
        row_group_size=131_072,
        store_schema=True,
    )


def _statistics(rows: pa.Table) -> dict[str, Any]:
    told: dict[str, Any] = {"numRecords": rows.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name in _STATISTICS:
        if name in rows.schema.names:
            column = rows.column(name)
            told["nullCount"][name] = column.null_count
            if column.null_count < len(column):
                values = column.drop_null().to_numpy()
                told["minValues"][name] = int(values.min())
                told["maxValues"][name] = int(values.max())
    return told


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


def data_files(dataset: Path, table: str) -> list[DataFile]:
    """Committed files of a table in the order of their rows.

    Raises
    ------
    DatasetError
        When the folder holds no such table, or a committed file is gone.
    """
    folder = table_folder(dataset, table)
    try:
        delta = DeltaTable(folder.as_uri())
        actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    except TableNotFoundError as error:
        raise DatasetError(
            f"no table {table!r} here", file=dataset, remedy="Give the folder that rlx reconstruct made"
        ) from error
    except (DeltaError, OSError) as error:
        raise DatasetError(
            f"the log of table {table!r} can't be read ({error})",
            file=dataset,
            remedy="Restore it or reconstruct again",
        ) from error
    found = []
    for action in actions:
        path = folder / action["path"]
        if not path.is_file():
            raise DatasetError(
                "a committed file is gone", file=path, remedy="Restore it or reconstruct again"
            )
        partition = (action["partition.exchange"], action["partition.symbol"], action["partition.date"])
        found.append(DataFile(*partition, path, action.get("min.event_id"), action.get("min.origin_time")))
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
            f"can't be read ({error})", file=path, remedy="Reconstruct the dataset again"
        ) from error
