"""The rows of one chain of a table, as its files have them: Arrow tables in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.store.manifest import ChainManifest
from rlx_datapipe.store.tables import DataFile, data_files, read_file, read_groups


def chain_files(path: Path, table: str, instrument: Instrument) -> list[DataFile]:
    """Files of one chain of a table, in the order of their rows."""
    wanted = (instrument.exchange, instrument.symbol)
    return [file for file in data_files(path, table) if (file.exchange, file.symbol) == wanted]


def chain_batches(
    path: Path, table: str, chain: ChainManifest, columns: list[str] | None = None
) -> Iterator[pa.Table]:
    """Rows of one chain of a table in order, one Arrow table per data file."""
    for file in chain_files(path, table, chain.instrument):
        yield read_file(table, file.path, columns)


def rows_of(file: DataFile) -> int:
    """How many rows a data file has, as its footer says."""
    return int(pq.read_metadata(file.path).num_rows)


def chain_groups(
    path: Path, table: str, chain: ChainManifest, start: tuple[int, int] = (0, 0)
) -> Iterator[tuple[pa.Table, tuple[int, int]]]:
    """Rows of one chain of a table in order, a row group at a time, in the table's `written_schema`.

    With each comes where the next one is: the number of its file, and of its row group there. ``start`` is
    such a place.
    """
    first, group = start
    for number, file in enumerate(chain_files(path, table, chain.instrument)):
        if number < first:
            continue
        for at, rows in read_groups(table, file.path, group if number == first else 0):
            yield rows, (number, at + 1)
