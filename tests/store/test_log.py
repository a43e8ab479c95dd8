"""The log of a table: plain Delta Lake, durable, shared by processes, repaired where it may be."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.store import files
from rlx_datapipe.store import log as log_module
from rlx_datapipe.store.log import LOG, AddedFile, TableLog, entry_name, versions
from rlx_datapipe.store.repair import repair_logs
from rlx_datapipe.store.tables import ChainTable, create_tables, data_files, last_epoch

PARTIAL = f".{os.getpid()}.partial"


def added(symbol: str, epoch: int) -> AddedFile:
    partition = {"exchange": "X", "symbol": symbol, "date": "2024-08-08"}
    path = f"exchange=X/symbol={symbol}/date=2024-08-08/epoch-{epoch:010d}.parquet"
    return AddedFile(path=path, partition_values=partition, size=1, modification_time=0, stats="{}")


def write(dataset: Path, table: str, symbol: str, *epochs: int) -> None:
    chain = ChainTable(dataset, table, "X", symbol)
    for epoch in epochs:
        chain.commit([added(symbol, epoch)], epoch, "{}")


def entry(dataset: Path, table: str, version: int) -> Path:
    return dataset / table / LOG / entry_name(version)


def test_delta_rs_reads_it_and_may_go_on(tmp_path: Path) -> None:
    write(tmp_path, "events", "BTC", 0, 1)
    delta = DeltaTable(str(tmp_path / "events"))
    assert (delta.version(), delta.transaction_version("X/BTC")) == (2, 1)
    assert [told["rlx"] for told in delta.history() if "rlx" in told] == ["{}", "{}"]
    assert pa.table(delta.get_add_actions()).num_rows == 2
    delta.create_checkpoint()
    write(tmp_path, "events", "BTC", 2)
    assert DeltaTable(str(tmp_path / "events")).transaction_version("X/BTC") == 2


def test_the_same_epochs_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, "events", "BTC", 0, 1)
    for version in range(3):
        one, two = (entry(tmp_path / name, "events", version) for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_an_epoch_is_taken_once(tmp_path: Path) -> None:
    zombie = ChainTable(tmp_path, "events", "X", "BTC")
    write(tmp_path, "events", "BTC", 0)
    with pytest.raises(OutputError, match="another process has written this epoch"):
        zombie.commit([added("BTC", 0)], 0, "{}")
    assert versions(tmp_path / "events") == [0, 1]


def write_many(dataset: Path, symbol: str, epochs: int) -> None:
    write(dataset, "quality", symbol, *range(epochs))
    write(dataset, "events", symbol, *range(epochs))


def test_processes_share_a_log_without_losing_an_entry(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=write_many, args=(tmp_path, name, 50)) for name in ("A", "B", "C")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    for table in ("quality", "events"):
        log = TableLog(tmp_path / table)
        told = [e.transaction for e in log.entries if e.transaction]
        assert log.version == 150
        assert sorted((t.app_id, t.version) for t in told) == [
            (f"X/{s}", e) for s in "ABC" for e in range(50)
        ]
        for symbol in "ABC":
            assert [t.version for t in told if t.app_id == f"X/{symbol}"] == list(range(50))
        assert pa.table(DeltaTable(str(tmp_path / table)).get_add_actions()).num_rows == 150
        assert not list((tmp_path / table / LOG).glob(".*"))


def test_each_entry_is_synced_before_it_is_named_and_its_name_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 0.1.0 the entry before was synced instead: delta-rs does not move its version on."""
    chain = ChainTable(tmp_path, "events", "X", "BTC")
    told: list[str] = []
    sync, link = files.sync, os.link

    def tell_sync(path: Path) -> None:
        told.append(f"sync {path.name}")
        sync(path)

    def tell_link(old: Path, new: Path) -> None:
        told.append(f"link {new.name}")
        link(old, new)

    monkeypatch.setattr(log_module, "sync", tell_sync)
    monkeypatch.setattr(os, "link", tell_link)
    chain.commit([added("BTC", 0)], 0, "{}")
    assert told == [f"sync {PARTIAL}", f"link {entry_name(1)}", f"sync {LOG}"]


def test_what_a_crash_left_under_a_second_name_is_not_written_into(tmp_path: Path) -> None:
    write(tmp_path, "events", "BTC", 0)
    os.link(entry(tmp_path, "events", 1), tmp_path / "events" / LOG / PARTIAL)
    before = entry(tmp_path, "events", 1).read_bytes()
    write(tmp_path, "events", "BTC", 1)
    assert entry(tmp_path, "events", 1).read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"{torn", b"\0" * 200, b'{"remove":{"path":"x"}}\n'])
def test_a_damaged_entry_is_no_crash_and_is_refused(damage: bytes, tmp_path: Path) -> None:
    write(tmp_path, "events", "BTC", 0)
    entry(tmp_path, "events", 1).write_bytes(damage)
    repair_logs(tmp_path)
    with pytest.raises(DatasetError, match=r"can't be read|was changed by another program"):
        last_epoch(tmp_path, "events", "X", "BTC")


def test_a_gap_is_refused_by_readers(tmp_path: Path) -> None:
    write(tmp_path, "events", "BTC", 0, 1)
    entry(tmp_path, "events", 1).unlink()
    with pytest.raises(DatasetError, match="version 1 is missing before version 2"):
        data_files(tmp_path, "events")


def test_an_entry_that_a_power_cut_left_behind_a_gap_is_removed_and_told(tmp_path: Path) -> None:
    write(tmp_path, "quality", "BTC", 0)
    write(tmp_path, "quality", "ETH", 0)
    entry(tmp_path, "quality", 1).unlink()
    [told] = repair_logs(tmp_path)
    assert "removed version 2" in told
    assert versions(tmp_path / "quality") == [0]
    write(tmp_path, "quality", "ETH", 0)
    assert last_epoch(tmp_path, "quality", "X", "ETH") == 0
    assert repair_logs(tmp_path) == []


@pytest.mark.parametrize("proof", ["entry of events", "entry of the next epoch", "checkpoint", "record"])
def test_an_entry_that_was_acknowledged_is_never_removed(proof: str, tmp_path: Path) -> None:
    write(tmp_path, "quality", "BTC", 0)
    write(tmp_path, "quality", "ETH", 0)
    if proof == "entry of events":
        write(tmp_path, "events", "ETH", 0)
    elif proof == "entry of the next epoch":
        write(tmp_path, "quality", "ETH", 1)
    else:
        name = "chains/X+ETH.json" if proof == "record" else "checkpoints/X/ETH/epoch-0000000001.state"
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    entry(tmp_path, "quality", 1).unlink()
    before = contents(tmp_path)
    with pytest.raises(DatasetError, match="an entry before version 2 is gone"):
        repair_logs(tmp_path)
    assert contents(tmp_path) == before


def test_a_table_whose_first_entry_went_is_made_again(tmp_path: Path) -> None:
    create_tables(tmp_path)
    for table in TABLES:
        entry(tmp_path, table, 0).unlink()
    repair_logs(tmp_path)
    create_tables(tmp_path)
    assert [versions(tmp_path / table) for table in TABLES] == [[0]] * len(TABLES)


def contents(folder: Path) -> dict[str, Any]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
