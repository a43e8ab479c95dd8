"""A dataset as its readers see it: through the API, and as plain Delta Lake tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from tests.pipeline.captures import SPOT, USDM, capture

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.schema import PRICE, SCHEMAS, TABLES
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.faults import drop_depth
from rlx_datapipe.store.dataset import Dataset, open_dataset

TIMES = {"origin_time", "received_time", "from_time", "to_time"}


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three chains, one with a gap, across midnight, in many epochs."""
    folder = tmp_path_factory.mktemp("set")
    longer = replace(SPOT, duration_s=40)
    sources = [
        capture(folder / "spot.gz", longer, partial(drop_depth, k=40)),
        capture(folder / "eth.gz", replace(SPOT, symbol="ETHUSDT", seed=8)),
        capture(folder / "usdm.gz", USDM),
    ]
    return reconstruct(sources, folder / "dataset", Settings(epoch_events=1_000, keyframe_events=900))


@pytest.fixture(scope="module")
def dataset(summary: dict[str, Any]) -> Dataset:
    return open_dataset(summary["dataset"])


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_lazy_and_have_the_columns_of_the_contract(table: str, dataset: Dataset) -> None:
    frame = dataset.table(table)
    assert isinstance(frame, pl.LazyFrame)
    schema = frame.collect_schema()
    assert schema.names() == ["exchange", "symbol", "date", *SCHEMAS[table].names]
    for name, kind in schema.items():
        if name in TIMES:
            assert kind == pl.Datetime("ns", "UTC")
    assert schema["date"] == pl.Date
    assert frame.collect().schema == schema


def test_events_are_dense_and_in_order(dataset: Dataset, summary: dict[str, Any]) -> None:
    for chain in summary["chains"]:
        symbol = f"{chain['exchange']}/{chain['symbol']}"
        events = dataset.table("events", symbol=symbol).collect()
        assert events["event_id"].to_list() == list(range(chain["events"]))
        assert events["origin_time"].is_sorted()
        assert (events["date"] == events["origin_time"].dt.date()).all()
    midnight = dataset.table("events", symbol="BINANCE/BTCUSDT").select(pl.col("date").unique()).collect()
    assert midnight.height == 2


def test_the_second_order_is_by_receipt(dataset: Dataset) -> None:
    first = dataset.table("events", symbol="ETHUSDT").collect()
    second = dataset.table("events", symbol="ETHUSDT", order="received").collect()
    assert second["received_time"].is_sorted()
    assert not first["received_time"].is_sorted()
    assert second.sort("event_id").equals(first)
    for before, after in pairwise(second.select("received_time", "event_id").iter_rows()):
        assert before < after


@pytest.mark.parametrize(
    "spelling", ["ETHUSDT", "ethusdt", "ETH-USDT", "eth/usdt", "ETH_USDT", "binance/eth-usdt"]
)
def test_a_symbol_is_found_in_any_spelling(spelling: str, dataset: Dataset) -> None:
    rows = dataset.table("events", symbol=spelling).select(pl.col("symbol").unique()).collect()
    assert rows["symbol"].to_list() == ["ETHUSDT"]


def test_a_symbol_that_is_not_one_is_refused(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match=r"no symbol 'DOGE' here \(found BINANCE/BTCUSDT, BINANCE/ETHUSDT"):
        dataset.table("events", symbol="DOGE")
    with pytest.raises(DatasetError, match="on several exchanges"):
        dataset.table("events", symbol="BTCUSDT")
    with pytest.raises(DatasetError, match="several symbols here"):
        dataset.manifest.chain(None)
    with pytest.raises(DatasetError, match=r"no table 'trades' \(expected .*events\)"):
        dataset.table("trades")


def test_times_are_utc_to_the_nanosecond(dataset: Dataset) -> None:
    raw = pq.ParquetFile(first_file(dataset, "events")).read().column("received_time")[0].as_py()
    symbol = first_file(dataset, "events").parent.parent.name.removeprefix("symbol=")
    exchange = first_file(dataset, "events").parents[2].name.removeprefix("exchange=")
    frame = dataset.table("events", symbol=f"{exchange}/{symbol}").select("received_time")
    assert frame.select(pl.col("received_time").dt.epoch("ns")).head(1).collect().item() == raw
    assert raw % 1_000 != 0
    assert frame.head(1).collect().item().tzinfo is not None
    assert frame.head(1).collect().item().astimezone(UTC).year == 2024


def first_file(dataset: Dataset, table: str) -> Path:
    return sorted((dataset.path / table).rglob("*.parquet"))[0]


def test_quality_is_told_in_rows(dataset: Dataset) -> None:
    quality = dataset.quality.unnest("measures").collect()
    gap = quality.filter(pl.col("kind") == "gap")
    assert gap.height == 1
    assert gap["severity"].to_list() == ["warn"]
    [row] = gap.to_dicts()
    assert row["expected_id"] < row["found_id"]
    assert row["to_event_id"] == row["from_event_id"] + 1
    drift = quality.filter(pl.col("kind") == "drift")
    assert (drift["levels_compared"] == drift["levels_matched"]).all()
    assert drift["best_price_rms_error"].to_list() == [0.0] * drift.height


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_plain_delta_lake(table: str, dataset: Dataset, summary: dict[str, Any]) -> None:
    folder = str(dataset.path / table)
    delta = DeltaTable(folder)
    rows = sum(chain["rows"][table] for chain in summary["chains"])
    assert delta.metadata().partition_columns == ["exchange", "symbol", "date"]
    assert sum(pa.table(delta.get_add_actions(flatten=True))["num_records"].to_pylist()) == rows
    scanned = pl.scan_delta(folder).collect()
    assert scanned.height == rows
    assert set(scanned["symbol"].unique()) <= {"BTCUSDT", "ETHUSDT"}
    ours = dataset.table(table).with_columns(pl.col(pl.Datetime).dt.epoch("ns")).collect()
    assert scanned.select(ours.columns).height == ours.height
    if table == "events":
        key = ["exchange", "symbol", "event_id"]
        assert scanned.select(ours.columns).sort(key).equals(ours.sort(key))


@pytest.mark.parametrize("table", TABLES)
def test_files_are_exact_and_say_their_units(table: str, dataset: Dataset) -> None:
    files = sorted((dataset.path / table).rglob("*.parquet"))
    assert files
    for path in files[:4]:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            assert schema.equals(SCHEMAS[table], check_metadata=False)
            for field in decimals(schema):
                assert field == PRICE == pa.decimal128(38, 18)
            for field in schema:
                if field.name in TIMES:
                    assert field.type == pa.int64()
                    assert field.metadata[b"unit"] == b"ns"
                    assert field.metadata[b"timezone"] == b"UTC"


def decimals(kind: pa.Schema | pa.DataType) -> list[pa.DataType]:
    """Types of all number columns that are not integers or shares, at any depth."""
    found = []
    for field in kind:
        inner = field.type.value_type if pa.types.is_list(field.type) else field.type
        if pa.types.is_struct(inner):
            found += decimals(inner)
        elif pa.types.is_decimal(inner):
            found.append(inner)
        else:
            assert not pa.types.is_floating(inner) or "error" in field.name
    return found


def test_a_sibling_that_a_pattern_would_match_is_not_read(summary: dict[str, Any], tmp_path: Path) -> None:
    source = capture(tmp_path / "capture.gz", replace(SPOT, duration_s=5))
    for name in ("run*", "runs"):
        reconstruct(source, tmp_path / name)
    events = open_dataset(tmp_path / "run*").events.collect()
    assert events["event_id"].is_unique().all()


def test_two_spellings_of_one_symbol_are_told_apart_by_their_own(tmp_path: Path) -> None:
    sources = [
        capture(tmp_path / f"{n}.gz", replace(SPOT, duration_s=3, symbol=symbol, seed=n))
        for n, symbol in enumerate(("BTC-USDT", "BTCUSDT"))
    ]
    summary = reconstruct(sources, tmp_path / "dataset")
    dataset = open_dataset(tmp_path / "dataset")
    for chain in summary["chains"]:
        assert dataset.table("events", symbol=chain["symbol"]).collect().height == chain["events"]
    with pytest.raises(DatasetError, match="several"):
        dataset.table("events", symbol="btc_usdt")
