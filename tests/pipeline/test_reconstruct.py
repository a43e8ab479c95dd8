"""A run from capture to dataset: its summary, its progress, and what it leaves where it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.depth import thinned
from tests.pipeline.captures import SPOT, USDM, capture, flagged, kinds, lines_of

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError, OutputError, SourceError
from rlx_datapipe.core.event import Flag
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.faults import (
    change_symbol,
    drop_depth,
    duplicate_depth,
    insert_garbage,
    is_snapshot,
    swap_depth,
)
from rlx_datapipe.store.dataset import open_dataset

CHAIN_KEYS = {
    "exchange",
    "symbol",
    "events",
    "events_by_type",
    "messages",
    "first_time",
    "last_time",
    "gaps",
    "resyncs",
    "crossed",
    "locked",
    "duplicates",
    "late",
    "drift",
    "events_without_book",
    "trades_off_book",
    "quality",
    "rows",
    "quarantined",
    "events_per_second",
    "pressure",
    "stages",
}
FLEETING = (
    "events_per_second",
    "pressure",
    "stages",
    "resumed_from_epoch",
    "resumed_events",
    "was_complete",
    "restarts",
)
"""Told of a chain, but no part of its dataset."""
RUN_KEYS = {
    "dataset",
    "digest",
    "events",
    "events_by_type",
    "gaps",
    "resyncs",
    "crossed",
    "locked",
    "duplicates",
    "late",
    "quarantined",
    "events_without_book",
    "elapsed_seconds",
    "events_per_second",
    "peak_memory_bytes",
    "chains",
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Captures of two markets of one symbol."""
    folder = tmp_path_factory.mktemp("two")
    return [capture(folder / "spot.gz", SPOT), capture(folder / "usdm.gz", USDM)]


def test_the_summary_tells_all_it_promises(two: list[Path], tmp_path: Path) -> None:
    summary = reconstruct(two, tmp_path / "dataset")
    assert summary.keys() >= RUN_KEYS
    assert [chain["exchange"] for chain in summary["chains"]] == ["BINANCE", "BINANCE_FUTURES"]
    for chain in summary["chains"]:
        assert chain.keys() >= CHAIN_KEYS
        assert sum(chain["events_by_type"].values()) == chain["events"] == chain["rows"]["events"]
        assert chain["drift"]["samples"] == chain["drift"]["exact"] > 0
    for name in ("events", "gaps", "quarantined", "events_without_book"):
        assert summary[name] == sum(chain[name] for chain in summary["chains"])
    assert summary["peak_memory_bytes"] > 10_000_000
    # Plain JSON, without NaN or infinities.
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_the_summary_is_kept_in_the_dataset(two: list[Path], tmp_path: Path) -> None:
    summary = reconstruct(two[0], tmp_path / "dataset")
    kept = inspect(tmp_path / "dataset")
    assert (kept["digest"], kept["events"]) == (summary["digest"], summary["events"])
    chain = summary["chains"][0]
    for fleeting in FLEETING:
        del chain[fleeting]
    assert not kept["chains"][0].keys() & set(FLEETING)
    assert {name: kept["chains"][0][name] for name in chain} == chain
    dataset = open_dataset(tmp_path / "dataset")
    assert kept["chains"][0]["quality_rows"] == kinds(dataset)
    without_book = len(flagged(dataset, Flag.BOOK_INVALID))
    assert without_book == chain["events_without_book"]


@pytest.mark.parametrize("threads", [1, 2])
def test_progress_only_rises_and_ends_at_all(threads: int, two: list[Path], tmp_path: Path) -> None:
    told: list[Progress] = []
    settings = Settings(batch_rows=500, threads=threads)
    summary = reconstruct(two, tmp_path / "dataset", settings, on_progress=told.append)
    for chain in summary["chains"]:
        mine = [progress for progress in told if progress.exchange == chain["exchange"]]
        assert len(mine) > 5
        for before, after in pairwise(mine):
            assert before.bytes_done <= after.bytes_done <= after.bytes_total
            assert before.events <= after.events
        assert mine[-1].bytes_done == mine[-1].bytes_total > 0
        assert mine[-1].events == chain["events"]


def test_an_error_of_the_callback_ends_the_run(two: list[Path], tmp_path: Path) -> None:
    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(two[0], tmp_path / "dataset", on_progress=stop)
    with pytest.raises(DatasetError, match="interrupted"):
        open_dataset(tmp_path / "dataset")


def test_an_unfinished_chain_is_no_part_of_a_dataset(two: list[Path], tmp_path: Path) -> None:
    """The second chain breaks off after some epochs: its rows are there, but are not shown."""

    def stop(progress: Progress) -> None:
        if progress.exchange == "BINANCE_FUTURES" and progress.events > 1_000:
            raise KeyboardInterrupt

    settings = Settings(batch_rows=300, epoch_events=200, horizon_ms=100)
    with pytest.raises(KeyboardInterrupt):
        reconstruct(two, tmp_path / "dataset", settings, on_progress=stop)
    assert list((tmp_path / "dataset").glob("events/exchange=BINANCE_FUTURES/**/*.parquet"))
    dataset = open_dataset(tmp_path / "dataset")
    assert [chain.instrument.exchange for chain in dataset.manifest.chains] == ["BINANCE"]
    for table in ("events", "books", "keyframes", "quality", "quotes"):
        shown = dataset.table(table).select(pl.col("exchange").unique()).collect()["exchange"].to_list()
        assert shown == ["BINANCE"]
    assert inspect(tmp_path / "dataset")["events"] == dataset.events.collect().height


def test_one_of_several_symbols(two: list[Path], tmp_path: Path) -> None:
    eth = capture(tmp_path / "eth.gz", changed_market(SPOT, symbol="ETHUSDT"))
    summary = reconstruct([*two, eth], tmp_path / "dataset", symbols=["eth-usdt"])
    assert [(c["exchange"], c["symbol"]) for c in summary["chains"]] == [("BINANCE", "ETHUSDT")]


def changed_market(config: MarketConfig, **changes: Any) -> MarketConfig:
    from dataclasses import replace

    return replace(config, **changes)


FAULTS: dict[str, tuple[Callable[..., Any], dict[str, int]]] = {
    "nothing": (iter, {}),
    "gap": (partial(drop_depth, k=50), {"gaps": 1, "resyncs": 2}),
    "duplicate": (partial(duplicate_depth, k=50), {"duplicates": 1}),
    "swap": (partial(swap_depth, k=50), {}),
    "garbage": (partial(insert_garbage, k=3_000), {"quarantined": 1}),
    "stranger": (partial(change_symbol, k=3_000), {"quarantined": 1}),
}


@pytest.mark.parametrize("fault", thinned(FAULTS, 2))
def test_each_fault_is_told_and_nothing_else(fault: str, tmp_path: Path) -> None:
    plant, expected = FAULTS[fault]
    if fault == "stranger":
        expected = dict(expected)
    source = tmp_path / "capture.gz"
    # The head that tells the symbol of a capture is 20,000 lines: a stranger must come after it.
    config = SPOT if fault != "stranger" else changed_market(SPOT, duration_s=80)
    lines = list(lines_of(config))
    if fault == "stranger":
        plant = partial(change_symbol, k=min(len(lines) - 100, 21_000))
        assert len(lines) > 21_200
    write_capture(plant(lines), source)
    summary = reconstruct(source, tmp_path / "dataset")
    usual = dict.fromkeys(("gaps", "crossed", "locked", "duplicates", "late", "quarantined"), 0) | {
        "resyncs": 1
    }
    told = {name: summary[name] for name in usual}
    assert told == usual | expected


def test_a_capture_of_trades_only_and_one_of_snapshots_only(tmp_path: Path) -> None:
    lines = lines_of()
    write_capture((line for line in lines if b'"e":"trade"' in line), tmp_path / "trades.gz")
    summary = reconstruct(tmp_path / "trades.gz", tmp_path / "trades")
    assert summary["events"] == summary["events_by_type"]["TRADE"] == summary["events_without_book"] > 0
    assert inspect(tmp_path / "trades")["digest"] == summary["digest"]
    write_capture((line for line in lines if is_snapshot(line)), tmp_path / "snapshots.gz")
    with pytest.raises(SourceError, match="names no symbol"):
        reconstruct(tmp_path / "snapshots.gz", tmp_path / "snapshots")
    assert not (tmp_path / "snapshots").exists()


def test_quantities_of_any_size_find_a_scale_or_are_refused(tmp_path: Path) -> None:
    """A whole billion of billions fits with fewer decimals; what no scale can hold goes to quarantine."""
    lines = lines_of()
    huge = [n for n, line in enumerate(lines) if b'"e":"trade"' in line]
    cases = {"fits": (b"120000000000.00000000", 0), "refused": (b"1000000000000000.00000001", 1)}
    for name, (quantity, refused) in cases.items():
        changed = list(lines)
        before, _, after = changed[huge[5]].partition(b'"q":"')
        changed[huge[5]] = before + b'"q":"' + quantity + b'"' + after.partition(b'"')[2]
        write_capture(changed, tmp_path / f"{name}.gz")
        summary = reconstruct(tmp_path / f"{name}.gz", tmp_path / name)
        assert summary["quarantined"] == refused
        trades = open_dataset(tmp_path / name).events.filter(pl.col("event_type") == "TRADE").collect()
        assert trades.height == len(huge) - refused
        assert (quantity.decode() in {f"{q:.8f}" for q in trades["quantity"]}) == (not refused)
        assert summary["gaps"] == 0


def test_nothing_is_overwritten(two: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    reconstruct(two[0], out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match="is not empty"):
        reconstruct(two[0], out)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_no_partial_file_is_left(two: list[Path], tmp_path: Path) -> None:
    reconstruct(two, tmp_path / "dataset", Settings(epoch_events=500))
    left = [path.name for path in (tmp_path / "dataset").rglob(".*") if path.name != "_delta_log"]
    # The lock lies there, held by nobody.
    assert left == [".lock"]
