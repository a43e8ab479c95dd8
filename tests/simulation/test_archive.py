"""The simulated archive: its tables agree with each other, and the same config gives the same rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive

CONFIG = ArchiveConfig(seed=4, rows=30_000, levels=200)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(CONFIG, tmp_path_factory.mktemp("archive"))


def table(archive: Path, name: str) -> pl.DataFrame:
    [path] = (archive / name).rglob("*.parquet")
    return pl.read_parquet(path, hive_partitioning=False)


def test_a_replay_finds_nothing_wrong_with_it(archive: Path, tmp_path: Path) -> None:
    told: dict[str, Any] = reconstruct(archive, tmp_path / "out")["chains"][0]
    snapshots = table(archive, "book").height
    assert told["drift"]["samples"] == told["drift"]["exact"] == snapshots - 1, "all but that which begins it"
    wrong = ("gaps", "crossed", "locked", "late", "quarantined", "trades_off_book", "duplicates")
    assert {name: told[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert told["events_by_type"]["BOOK_DELTA"] == CONFIG.rows + 2 * CONFIG.levels


def test_rows_come_at_their_rates(archive: Path) -> None:
    deltas, trades, books = (table(archive, name) for name in ("book_delta_v2", "trades", "book"))
    seconds = (deltas["timestamp"][-1] - deltas["timestamp"][0]) / 1e9
    assert CONFIG.rows / seconds == pytest.approx(CONFIG.rows_per_s, rel=0.05)
    assert trades.height / seconds == pytest.approx(CONFIG.trades_per_s, rel=0.1)
    assert books.height / seconds == pytest.approx(CONFIG.books_per_s, rel=0.1)


def test_another_day_holds_the_same_rows_a_day_later(archive: Path, tmp_path: Path) -> None:
    later = write_archive(replace(CONFIG, day=1), tmp_path / "later")
    first, second = (table(one, "book_delta_v2") for one in (archive, later))
    assert (second["timestamp"] - first["timestamp"]).unique().to_list() == [86_400 * 10**9]
    assert second["price"].equals(first["price"])
    assert [path.parent.name for path in (later / "trades").rglob("*.parquet")] == ["dt=2024-08-10"]


def test_times_and_ids_rise(archive: Path) -> None:
    for name in ("book_delta_v2", "book"):
        rows = table(archive, name)
        for column in ("timestamp", "receipt_timestamp", "sequence_number"):
            assert rows[column].is_sorted(), (name, column)
        assert (rows["receipt_timestamp"] > rows["timestamp"]).all()
    messages = table(archive, "book_delta_v2").group_by("sequence_number").agg(pl.col("timestamp").n_unique())
    assert messages["timestamp"].unique().to_list() == [1], "a message has one time"
    assert table(archive, "trades")["id"].is_sorted()


def test_the_same_config_gives_the_same_rows(archive: Path, tmp_path: Path) -> None:
    same = write_archive(CONFIG, tmp_path / "same")
    files = sorted(path.relative_to(archive) for path in archive.rglob("*.parquet"))
    assert len(files) == 3
    for file in files:
        assert pq.read_table(archive / file).equals(pq.read_table(same / file))
    other = write_archive(replace(CONFIG, seed=5), tmp_path / "other")
    assert any(not pq.read_table(other / file).equals(pq.read_table(same / file)) for file in files)


def test_trades_and_snapshots_can_be_left_out(tmp_path: Path) -> None:
    bare = write_archive(replace(CONFIG, rows=1_000, trades_per_s=0, books_per_s=0), tmp_path)
    assert table(bare, "trades").height == 0
    assert table(bare, "book").height == 1, "the one with which the book begins"


def test_another_symbol_has_folders_of_its_own(tmp_path: Path) -> None:
    write_archive(replace(CONFIG, rows=100, symbol="ETH-USDT"), tmp_path)
    assert list(tmp_path.glob("*/exchange=BINANCE/symbol=ETH-USDT"))
