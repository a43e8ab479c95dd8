"""The rows of one chain of a table, as its files have them: Arrow tables in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.store.manifest import ChainManifest
from rlx_datapipe.store.tables import DataFile, data_files, read_file


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
