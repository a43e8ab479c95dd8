"""The floor of a run: the same input read and the same output written, and nothing in between."""

from __future__ import annotations

import gzip
import lzma
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.schema import SCHEMAS, TABLES
from rlx_datapipe.ingestion.archives import LAKE
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.pipeline.bench.figure import cores
from rlx_datapipe.store.columns import as_written
from rlx_datapipe.store.digest import TableDigest
from rlx_datapipe.store.files import file_digest, sync
from rlx_datapipe.store.parts import ROW_GROUP_ROWS, writer
from rlx_datapipe.store.tables import data_files, read_file
from rlx_datapipe.venues.crypto_lake_open import open_lake

Task = Callable[[], Any]

_STAGES = 4
"""Threads that a run with more than one keeps busy: ingestion, replay, sink, and the Parquet writer."""
_CHUNK_BYTES = 1 << 20
_BATCH_ROWS = 65_536
_HELD_BYTES = 512 << 20


@dataclass
class Floor:
    """What reading and writing alone took.

    ``wall_s`` and ``cpu_s`` are those of all work, ``read_cpu_s`` and ``write_cpu_s`` its two halves.
    ``sync_s`` is what it took to put the written files on the disk afterwards, ``proof_cpu_s`` what it takes
    to digest all that is read and written: neither is part of the floor, and no run can be without them.
    """

    threads: int
    wall_s: float = 0.0
    cpu_s: float = 0.0
    read_cpu_s: float = 0.0
    write_cpu_s: float = 0.0
    proof_cpu_s: float = 0.0
    sync_s: float = 0.0
    written_bytes: int = 0


def measure_floor(source: Source, dataset: Path, settings: Settings, folder: Path) -> Floor:
    """Read what a run has read and write what it has written, as fast as threads can.

    *Read*: of an archive, each column that the run reads, by pyarrow, from its row groups to NumPy arrays; of
    a recording, its bytes, decompressed. *Write*: the rows of all tables of the finished dataset, in Arrow
    form before the clock starts, to Parquet with the run's own writer settings and row groups. Reading and
    writing are cut into tasks, a row group each, that have no order to keep and nothing to wait for; as many
    threads take them as the run may keep busy (4, or 1 where the settings say so), but no more than there are
    cores. No parsing, no order, no book, no digest, no sync, no commit: no run over these files with this
    writer on so many cores can be faster.

    Parameters
    ----------
    source
        Input of the run.
    dataset
        Its output, finished.
    settings
        Those of the run.
    folder
        Where to write; made and left empty.
    """
    told = Floor(threads=min(cores(), _STAGES if settings.threads > 1 else 1))
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(told.threads, "rlx-floor") as pool:
        reading = list(_reading(source))
        for writing, paths in _writing(dataset, folder, told):
            _time(pool, reading, writing, told)
            reading = []
            begun = time.perf_counter()
            for path in paths:
                sync(path)
                told.written_bytes += path.stat().st_size
            told.sync_s += time.perf_counter() - begun
            told.proof_cpu_s += sum(_spent(partial(file_digest, path)) for path in paths)
            for path in paths:
                path.unlink()
        _time(pool, reading, [], told)
    told.proof_cpu_s += sum(_spent(partial(file_digest, path)) for path in source.files)
    return told


def _time(pool: ThreadPoolExecutor, reading: list[Task], writing: list[Task], told: Floor) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    read, written = ([pool.submit(_spent, task) for task in tasks] for tasks in (reading, writing))
    told.read_cpu_s += sum(done.result() for done in read)
    told.write_cpu_s += sum(done.result() for done in written)
    told.wall_s += time.perf_counter() - wall
    told.cpu_s += time.process_time() - cpu


def _spent(task: Task) -> float:
    """Processor time of a task, in seconds."""
    began = time.thread_time()
    task()
    return time.thread_time() - began


def _reading(source: Source) -> Iterator[Task]:
    """Tasks that read all of a source."""
    if source.format != LAKE:
        yield from (partial(_read_bytes, path) for path in source.files)
        return
    for path in source.files:
        parquet, layout = open_lake(path)
        columns = list(layout.columns.values())
        with parquet:
            groups = parquet.metadata.num_row_groups
        yield from (partial(_read_group, path, group, columns) for group in range(groups))


def _read_group(path: Path, group: int, columns: list[str]) -> None:
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(
            _BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False
        ):
            for column in batch.columns:
                column.to_numpy(zero_copy_only=False)


def _read_bytes(path: Path) -> None:
    with unpacked(path) as file:
        while file.read(_CHUNK_BYTES):
            pass


def unpacked(path: Path) -> Any:
    """A recording opened to read its bytes, decompressed; recognised by its first bytes."""
    with path.open("rb") as raw:
        head = raw.read(4)
    openers: dict[bytes, Any] = {
        b"\x1f\x8b": gzip.open,
        b"\x28\xb5\x2f\xfd": zstandard.open,
        b"\xfd7zX": lzma.open,
    }
    opener = next((openers[magic] for magic in openers if head.startswith(magic)), Path.open)
    return opener(path, "rb")


def _writing(dataset: Path, folder: Path, told: Floor) -> Iterator[tuple[list[Task], list[Path]]]:
    """Tasks that write a dataset again, with their files; each list as much as memory may hold at a time.

    On the way all rows are digested, and the time of that is told.
    """
    tasks: list[Task] = []
    paths: list[Path] = []
    held_bytes = 0
    for table in TABLES:
        for file in data_files(dataset, table):
            rows = as_written(read_file(table, file.path), table)
            told.proof_cpu_s += _spent(partial(TableDigest(SCHEMAS[table]).update, rows))
            for start in range(0, rows.num_rows, ROW_GROUP_ROWS[table]):
                path = folder / f"{table}-{len(paths)}.parquet"
                part = rows.slice(start, ROW_GROUP_ROWS[table])
                tasks.append(partial(_write_group, path, part, table))
                paths.append(path)
            held_bytes += rows.nbytes
            if held_bytes >= _HELD_BYTES:
                yield tasks, paths
                tasks, paths, held_bytes = [], [], 0
    if tasks:
        yield tasks, paths


def _write_group(path: Path, rows: pa.Table, table: str) -> None:
    with writer(path, rows.schema) as file:
        file.write_table(rows, row_group_size=ROW_GROUP_ROWS[table])
