"""A Parquet file in the making: the same bytes whether its rows waited in memory or on the disk."""

from __future__ import annotations

import errno
import gc
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.core.schema import SCHEMAS
from rlx_datapipe.store import parts
from rlx_datapipe.store.columns import as_written, written_schema
from rlx_datapipe.store.orphans import remove_orphans
from rlx_datapipe.store.parts import PartFile, spill_path, writer

SCHEMA = pa.schema(
    [
        ("event_id", pa.int64()),
        ("price", pa.decimal128(38, 18)),
        ("side", pa.string()),
        ("levels", pa.list_(pa.int64())),
    ]
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SPILL_BYTES_MIN", 0)


def stretch(first: int, count: int, dice: np.random.Generator) -> pa.Table:
    """Rows of every kind of column, with nulls and empty lists."""
    ids = pa.array(np.arange(first, first + count), pa.int64())
    prices = pa.array([None if n % 7 == 0 else int(n) for n in dice.integers(0, 10**9, count)], pa.int64())
    sides = pa.array([("buy", "sell", None)[n] for n in dice.integers(0, 3, count)], pa.string())
    levels = pa.array([list(range(n)) for n in dice.integers(0, 5, count)], pa.list_(pa.int64()))
    return pa.table([ids, prices.cast(pa.decimal128(38, 18)), sides, levels], schema=SCHEMA)


def written(path: Path, spill_share: float, pool: ThreadPoolExecutor | None = None) -> bytes:
    rows, spills = np.random.default_rng(3), np.random.default_rng(4)
    part, spilled, first = PartFile(path, SCHEMA, 1_000, pool=pool), 0, 0
    for _ in range(60):
        count = int(rows.integers(1, 700))
        # A slice of something larger, as the tables of a chain append them.
        part.append(stretch(first - 5, count + 9, rows).slice(5, count))
        first += count
        if spills.random() < spill_share:
            spilled += part.spill() > 0
        assert [file.name for file in path.parent.iterdir()] == [f".{path.name}.partial"]
    part.close()
    assert (spilled > 10) == (spill_share > 0)
    assert part.statistics()["numRecords"] == pq.read_metadata(path).num_rows == first
    return path.read_bytes()


def test_bytes_do_not_tell_whether_another_thread_wrote_them(tmp_path: Path) -> None:
    plain = written(tmp_path / "plain" / "epoch-0.parquet", 0)
    with ThreadPoolExecutor(1) as pool:
        assert written(tmp_path / "other" / "epoch-0.parquet", 0.3, pool) == plain


def test_an_error_of_the_other_thread_is_raised_by_the_next_rows_or_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)
    rows = stretch(0, 1_000, np.random.default_rng(1))
    with ThreadPoolExecutor(1) as pool:
        for number in range(2):
            part = PartFile(tmp_path / f"epoch-{number}.parquet", SCHEMA, 1_000, pool=pool)
            part.append(rows)
            with pytest.raises(OutputError, match="No space left"):
                part.append(rows) if number else part.close()
            assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_bytes_do_not_tell_whether_rows_were_spilled(share: float, tmp_path: Path) -> None:
    plain = written(tmp_path / "plain" / "epoch-0.parquet", 0)
    assert written(tmp_path / "spilled" / "epoch-0.parquet", share) == plain


def test_rows_are_spilled_once_and_little_is_not_spilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, rows = (
        PartFile(tmp_path / "epoch-0.parquet", SCHEMA, 1_000),
        stretch(0, 100, np.random.default_rng(1)),
    )
    assert part.spill() == 0
    part.append(rows)
    assert [part.spill(), part.spill()] == [rows.nbytes, 0]
    monkeypatch.setattr(parts, "SPILL_BYTES_MIN", rows.nbytes + 1)
    part.append(rows)
    assert part.spill() == 0
    part.close()


def test_spilled_rows_are_in_memory_no_more(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "epoch-0.parquet", SCHEMA, 1_000)
    before = pa.total_allocated_bytes()
    part.append(stretch(0, 900, np.random.default_rng(1)))
    assert pa.total_allocated_bytes() - before > 10_000
    part.spill()
    assert pa.total_allocated_bytes() - before < 10_000
    part.close()


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = PartFile(tmp_path / "epoch-0.parquet", SCHEMA, 1_000)
    part.append(stretch(0, 100, np.random.default_rng(1)))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pa.ipc, "new_file", full)
    with pytest.raises(OutputError, match="No space left"):
        part.spill()
    assert list(tmp_path.iterdir()) == []


def test_recovery_removes_what_a_kill_left_of_a_spill(tmp_path: Path) -> None:
    folder = tmp_path / "events" / "exchange=BINANCE" / "symbol=BTCUSDT" / "date=2024-08-09"
    left = spill_path(folder / "epoch-0000000003.parquet")
    folder.mkdir(parents=True)
    left.write_bytes(b"cut off")
    assert remove_orphans(tmp_path, "BINANCE", "BTCUSDT") == 1
    assert not left.exists()


@given(st.lists(st.integers(1, 120), min_size=1, max_size=30))
def test_a_full_file_gives_back_what_is_behind_it(batches: list[int]) -> None:
    schema = pa.schema([("event_id", pa.int64())])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "FULL_BYTES", 1)
        part, given_back = PartFile(Path(folder) / "epoch-0.parquet", schema, 100), []
        for first, count in zip(np.cumsum([0, *batches]), batches, strict=False):
            rows = pa.table({"event_id": np.arange(first, first + count)}, schema)
            given_back += part.append(rows)["event_id"].to_pylist()
        part.close()
        taken = pq.read_table(part.path)["event_id"].to_pylist()
    assert taken + given_back == list(range(sum(batches)))
    assert len(taken) == min(100, sum(batches))
    assert part.statistics()["maxValues"] == {"event_id": taken[-1]}


def test_a_part_that_is_abandoned_takes_nothing_with_it_later(tmp_path: Path) -> None:
    path = tmp_path / "epoch-0000000000.parquet"
    schema = pa.schema([("event_id", pa.int64())])
    first = PartFile(path, schema, 1_000)
    first.append(pa.table({"event_id": [1]}, schema))
    first.abandon()
    assert list(tmp_path.iterdir()) == []
    second = PartFile(path, schema, 1_000)
    del first
    gc.collect()
    second.append(pa.table({"event_id": [2]}, schema))
    second.close()
    assert pq.read_table(path)["event_id"].to_pylist() == [2]


def test_texts_of_few_kinds_come_by_number_and_are_read_as_texts(tmp_path: Path) -> None:
    dice, count = np.random.default_rng(6), 500
    columns: dict[str, Any] = {
        field.name: pa.array(dice.integers(0, 9, count)).cast(field.type) for field in SCHEMAS["events"]
    }
    for name, names in (("event_type", ["A", "B"]), ("side", ["bid", "ask", None])):
        columns[name] = pa.array([names[n] for n in dice.integers(0, len(names), count)])
    texts = pa.table(columns, SCHEMAS["events"])
    by_number = as_written(texts, "events")
    assert by_number.schema == written_schema("events") != texts.schema
    paths = {"texts": tmp_path / "texts.parquet", "numbers": tmp_path / "numbers.parquet"}
    for rows, path in zip((texts, by_number), paths.values(), strict=True):
        with writer(path, rows.schema) as file:
            file.write_table(rows, row_group_size=200)
    for path in paths.values():
        assert pq.read_schema(path).equals(SCHEMAS["events"], check_metadata=True)
        assert pq.read_table(path).equals(texts)
        assert pl.read_parquet(path)["side"].to_list() == texts["side"].to_pylist()
        assert pl.read_parquet_schema(path)["side"] == pl.String
    plain = pq.ParquetFile(paths["numbers"]).metadata.row_group(0)
    assert [plain.column(i).statistics is not None for i in range(5)] == [True, False, True, True, True]
