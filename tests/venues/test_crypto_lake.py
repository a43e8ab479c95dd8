"""Crypto Lake's tables, paths and symbols."""

from __future__ import annotations

import datetime as dt
from pathlib import PurePosixPath

import pyarrow as pa
import pytest

from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.venues import crypto_lake as lake

NORMALISED = pa.schema(
    [
        ("origin_time", pa.timestamp("ns")),
        ("received_time", pa.timestamp("us", "UTC")),
        ("update_id", pa.uint64()),
        ("side", pa.dictionary(pa.int8(), pa.large_string())),
        ("price", pa.float64()),
        ("new_quantity", pa.float64()),
        ("symbol", pa.string()),
        ("exchange", pa.string()),
    ]
)


def test_the_archive_has_these_columns() -> None:
    assert lake.SCHEMAS["trades"].names == ["side", "amount", "price", "id", "timestamp", "receipt_timestamp"]
    book = lake.SCHEMAS["book"].names
    assert len(book) == 83
    assert book[3:7] == ["bid_0_price", "bid_0_size", "bid_1_price", "bid_1_size"]
    assert book[43] == "ask_0_price"
    assert book[-1] == "ask_19_size"
    assert lake.SCHEMAS["book_delta_v2"].field("side_is_bid").type == pa.bool_()
    assert lake.SEQUENCE.link is Link.UNPROVABLE


@pytest.mark.parametrize("table", lake.SCHEMAS)
def test_a_table_is_known_by_its_columns_in_any_order(table: str) -> None:
    schema = lake.SCHEMAS[table]
    assert lake.identify_table(schema) == table
    assert lake.identify_table(pa.schema(list(schema)[::-1])) == table


@pytest.mark.parametrize("table", lake.SCHEMAS)
def test_a_table_is_known_under_the_names_of_lakeapi(table: str) -> None:
    renamed = [
        pa.field(lake.ALIASES[table].get(field.name, (field.name,))[0], field.type)
        for field in lake.SCHEMAS[table]
    ]
    layout = lake.match_table(pa.schema(renamed))
    assert isinstance(layout, lake.Layout)
    assert layout.table == table
    assert layout.columns["timestamp"] == "origin_time"


def test_normalised_deltas_are_known() -> None:
    layout = lake.match_table(NORMALISED)
    assert isinstance(layout, lake.Layout)
    assert layout.table == "book_delta_v2"
    assert layout.columns["size"] == "new_quantity"


def test_liquidations_are_not_trades() -> None:
    problem = lake.identify_table(lake.SCHEMAS["trades"].append(pa.field("status", pa.string())))
    assert isinstance(problem, lake.SchemaProblem)
    assert problem.unexpected == ("status",)


def test_a_difference_is_told_with_its_near_miss() -> None:
    fields = [pa.field(field.name, field.type) for field in lake.SCHEMAS["trades"]]
    fields[1] = pa.field("ammount", pa.float64())
    fields[2] = pa.field("price", pa.float32())
    problem = lake.identify_table(pa.schema(fields))
    assert isinstance(problem, lake.SchemaProblem)
    assert problem.missing == ("amount",)
    assert problem.mistyped == (("price", "float", "double"),)
    assert problem.sentence() == (
        "nearest table trades: missing amount; unexpected ammount (for amount?); "
        "wrong type price is float, not double"
    )


def test_both_names_of_one_column_are_refused() -> None:
    problem = lake.identify_table(lake.SCHEMAS["trades"].append(pa.field("quantity", pa.float64())))
    assert isinstance(problem, lake.SchemaProblem)


def test_many_missing_columns_are_told_in_short() -> None:
    problem = lake.identify_table(pa.schema(list(lake.SCHEMAS["book"])[:40]))
    assert isinstance(problem, lake.SchemaProblem)
    assert problem.nearest in lake.SCHEMAS
    assert len(problem.sentence()) < 400


def test_a_path_is_made_and_read() -> None:
    day = dt.date(2022, 10, 1)
    path = lake.archive_path("book", "BINANCE", "BTC-USDT", day)
    assert path == PurePosixPath("book/exchange=BINANCE/symbol=BTC-USDT/dt=2022-10-01/1.snappy.parquet")
    assert lake.parse_path("/data" / path) == lake.LakePath("book", "BINANCE", "BTC-USDT", day)
    assert lake.parse_path(PurePosixPath("some/file.parquet")) == lake.LakePath()


def test_a_harmless_escape_is_decoded() -> None:
    assert lake.parse_path(PurePosixPath("symbol=BTC%2DUSDT/1.parquet")).symbol == "BTC-USDT"


@pytest.mark.parametrize(
    "folder",
    [
        "symbol=..%2F..%2Fetc",
        "symbol=..",
        "symbol=%00",
        "exchange=a b",
        "symbol=",
        "symbol=" + "A" * 65,
        "dt=today",
    ],
)
def test_a_suspicious_folder_is_refused(folder: str) -> None:
    with pytest.raises(SourceError):
        lake.parse_path(PurePosixPath(folder, "1.parquet"))


@pytest.mark.parametrize("symbol", ["../x", "A/B", "", "x" * 65])
def test_a_path_is_never_made_of_a_suspicious_name(symbol: str) -> None:
    with pytest.raises(OptionError):
        lake.archive_path("book", "BINANCE", symbol, dt.date(2022, 10, 1))


@pytest.mark.parametrize(
    ("symbol", "exchange", "expected"),
    [
        ("BTCUSDT", "BINANCE", "BTC-USDT"),
        ("ethbtc", "BINANCE", "ETH-BTC"),
        ("BTCFDUSD", "BINANCE", "BTC-FDUSD"),
        ("BTC-USDT", "BINANCE", "BTC-USDT"),
        ("btc_usd", "BITSTAMP", "BTC-USD"),
        ("BTCUSDT", "BINANCE_FUTURES", "BTC-USDT-PERP"),
        ("BTC-USDT-PERP", "BINANCE_FUTURES", "BTC-USDT-PERP"),
        ("1000PEPEUSDT", "BINANCE_FUTURES", "1000PEPE-USDT-PERP"),
        ("BTC-USDT-PERP", "OTHER", "BTC-USDT-PERP"),
    ],
)
def test_a_symbol_is_spelt_as_in_the_archive(symbol: str, exchange: str, expected: str) -> None:
    assert lake.lake_symbol(symbol, exchange) == expected


@pytest.mark.parametrize("symbol", ["BTCUSD", "USDT", "", "BTCUSDT_240927", "BTC/../USDT", "币USDT"])
def test_a_symbol_that_can_not_be_split_is_refused(symbol: str) -> None:
    with pytest.raises(OptionError, match="dash"):
        lake.lake_symbol(symbol)
