"""The floor reads what a run reads and writes what it has written, all of it and nothing else."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.pipeline.bench import floor
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.store.tables import data_files


def test_it_reads_and_writes_all_that_the_run_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_archive(ArchiveConfig(rows=20_000, levels=100), tmp_path / "archive")
    reconstruct(archive, tmp_path / "out")
    written: dict[str, int] = dict.fromkeys(TABLES, 0)
    read: list[int] = []
    write, read_group = floor._write_group, floor._read_group

    def note_written(path: Path, rows: object, table: str) -> None:
        write(path, rows, table)
        written[table] += pq.read_metadata(path).num_rows

    def note_read(path: Path, group: int, columns: list[str]) -> None:
        read_group(path, group, columns)
        read.append(pq.read_metadata(path).row_group(group).num_rows)

    monkeypatch.setattr(floor, "_write_group", note_written)
    monkeypatch.setattr(floor, "_read_group", note_read)
    told = floor.measure_floor(_source(archive), tmp_path / "out", Settings(), tmp_path / "floor")
    assert written == {table: _rows(tmp_path / "out", table) for table in TABLES}
    assert sum(read) == sum(pq.read_metadata(path).num_rows for path in _source(archive).files)
    size = sum(file.stat().st_size for file in (tmp_path / "out").rglob("*.parquet"))
    assert 0.9 * size < told.written_bytes < 1.3 * size, (
        "the same settings make the same bytes, footers aside"
    )
    assert min(told.wall_s, told.cpu_s, told.sync_s, told.proof_cpu_s) > 0
    assert 0 < told.read_cpu_s + told.write_cpu_s <= told.cpu_s


@pytest.mark.parametrize("suffix", [".txt", ".gz", ".zst"])
def test_of_a_capture_it_reads_the_bytes_unpacked(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"capture{suffix}"
    write_capture((b"0123456789" for _ in range(1_000)), path)
    with floor.unpacked(path) as file:
        assert file.read(1 << 20) == b"0123456789\n" * 1_000


def _source(path: Path) -> Source:
    return only_source(path, Settings())


def _rows(dataset: Path, table: str) -> int:
    return sum(pq.read_metadata(file.path).num_rows for file in data_files(dataset, table))
