"""A dataset written in the shape of a Crypto Lake archive."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.errors import DatasetError, OptionError, OutputError
from rlx_datapipe.core.event import Field, Flag
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.schema import BOOKS, EVENTS
from rlx_datapipe.ingestion.lake import find_lake_files, read_lake
from rlx_datapipe.sink import lake_export
from rlx_datapipe.venues.crypto_lake import SCHEMAS

MIDNIGHT = 1_723_161_600 * 10**9
T0 = MIDNIGHT - 3600 * 10**9
FOLDER = "exchange=BINANCE/symbol=BTC-USDT"


def event(number: int, kind: str, **told: Any) -> dict[str, Any]:
    time = told.pop("time", T0 + number)
    blank = dict.fromkeys(EVENTS.names)
    row = {"event_id": number, "event_type": kind, "origin_time": time, "received_time": time + 7, "flags": 0}
    return {**blank, **row, **told}


def trade(number: int, price: str, quantity: str, side: str = "buy", **told: Any) -> dict[str, Any]:
    told = {"trade_id": 1000 + number} | told
    return event(number, "TRADE", price=Decimal(price), quantity=Decimal(quantity), side=side, **told)


def delta(
    number: int, update: int, price: str, quantity: str, side: str = "bid", **told: Any
) -> dict[str, Any]:
    told = {"update_id": update} | told
    return event(number, "BOOK_DELTA", price=Decimal(price), quantity=Decimal(quantity), side=side, **told)


def ladder(number: int, bids: list[str], asks: list[str]) -> dict[str, Any]:
    return {
        "event_id": number,
        "origin_time": T0 + number,
        "bid_prices": [Decimal(price) for price in bids],
        "bid_quantities": [Decimal("1.5")] * len(bids),
        "ask_prices": [Decimal(price) for price in asks],
        "ask_quantities": [Decimal("2.5")] * len(asks),
    }


def batches(rows: list[dict[str, Any]], schema: pa.Schema, size: int = 1000) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(rows), size):
        yield pa.RecordBatch.from_pylist(rows[start : start + size], schema)


def export(
    out: Path, events: list[dict[str, Any]], books: list[dict[str, Any]] | None = None, size: int = 1000
) -> dict[str, Any]:
    tables = {"events": batches(events, EVENTS, size), "books": batches(books or [], BOOKS, size)}
    return lake_export.write_lake(tables, out, "BINANCE", "BTCUSDT", source="a made dataset")


def read(out: Path, table: str, day: str = "2024-08-08", number: int = 1) -> pa.Table:
    with pq.ParquetFile(out / table / FOLDER / f"dt={day}" / f"{number}.snappy.parquet") as file:
        return file.read()


def files(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


SMALL = [
    delta(0, 50, "60000.12", "0.00017"),
    delta(1, 50, "60000.13", "0", "ask"),
    trade(2, "60000.13", "0.1"),
    delta(3, 51, "60000.14", "3", "ask", flags=int(Flag.NOT_APPLIED)),
]


def test_the_files_are_those_of_the_archive_to_the_type(tmp_path: Path) -> None:
    done = export(tmp_path, SMALL, [ladder(1, ["60000.12"], ["60000.14"]), ladder(2, ["60000.12"], [])])
    assert done["symbol"] == "BTC-USDT"
    assert done["rows"] == {"trades": 1, "book": 2, "book_delta_v2": 3}
    assert done["files"] == [
        f"{table}/{FOLDER}/dt=2024-08-08/1.snappy.parquet" for table in ("book", "book_delta_v2", "trades")
    ]
    for table, schema in SCHEMAS.items():
        with pq.ParquetFile(tmp_path / table / FOLDER / "dt=2024-08-08/1.snappy.parquet") as file:
            assert file.schema_arrow.equals(schema)
            assert file.metadata.row_group(0).column(0).compression == "SNAPPY"
    assert not list(tmp_path.rglob(".*"))


def test_deltas_are_told_as_on_the_wire(tmp_path: Path) -> None:
    export(tmp_path, SMALL)
    assert read(tmp_path, "book_delta_v2").to_pylist() == [
        {"timestamp": T0 + at, "receipt_timestamp": T0 + at + 7, "sequence_number": number}
        | {"side_is_bid": bid, "price": price, "size": size}
        for at, number, bid, price, size in [
            (0, 50, True, 60000.12, 0.00017),
            (1, 50, False, 60000.13, 0.0),
            (3, 51, False, 60000.14, 3.0),
        ]
    ]


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_books_carry_the_update_id_of_their_group(tmp_path: Path, size: int) -> None:
    books = [ladder(n, ["60000.12", "60000.11"], [str(60001 + i) for i in range(25)]) for n in (1, 2, 3)]
    export(tmp_path, SMALL, books, size)
    rows = read(tmp_path, "book")
    assert rows["sequence_number"].to_pylist() == [50, 50, 51]
    assert rows["timestamp"].to_pylist() == [T0 + 1, T0 + 2, T0 + 3]
    assert rows["receipt_timestamp"].to_pylist() == [T0 + 8, T0 + 9, T0 + 10]
    first = rows.slice(0, 1).to_pylist()[0]
    assert (first["bid_1_price"], first["bid_1_size"], first["ask_19_price"]) == (60000.11, 1.5, 60020.0)
    assert np.isnan([first["bid_2_price"], first["bid_2_size"], first["bid_19_size"]]).all()


def test_books_that_no_update_or_event_explains_are_counted(tmp_path: Path) -> None:
    events = [trade(1, "1", "1"), event(2, "BOOK_SNAPSHOT", update_id=40), *SMALL[3:]]
    done = export(tmp_path, events, [ladder(n, ["1"], ["2"]) for n in (0, 1, 2, 3, 4, 5)])
    assert read(tmp_path, "book")["sequence_number"].to_pylist() == [40, 51]
    assert done["books_without_update"] == 2
    assert done["books_beyond_events"] == 2
    assert done["snapshot_rows"] == 1


def test_what_can_not_be_told_is_counted(tmp_path: Path) -> None:
    empty = event(1, "BOOK_DELTA", update_id=51, flags=int(Flag.EMPTY_GROUP))
    outside = trade(2, "1", "1", flags=int(Flag.NOT_MARKET))
    done = export(tmp_path, [SMALL[0], empty, outside], [ladder(1, ["1"], ["2"])])
    assert (done["empty_groups"], done["trades_not_market"]) == (1, 1)
    assert done["rows"] == {"trades": 0, "book": 1, "book_delta_v2": 1}
    assert read(tmp_path, "book")["sequence_number"].to_pylist() == [51]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_trades_of_one_order_and_price_are_put_together(tmp_path: Path, size: int) -> None:
    at, own = T0 + 5, int(Flag.AGGREGATE)
    events = [
        trade(0, "10.1", "0.1", time=at),
        trade(1, "10.1", "0.2", time=at, received_time=at + 99),
        trade(2, "10.1", "1", "sell", time=at),
        trade(3, "10.2", "1", "sell", time=at),
        trade(4, "10.2", "1", "sell", time=at + 1),
        trade(5, "10.2", "1", "sell", time=at + 1, flags=own),
        trade(6, "10.2", "1", "sell", time=at + 1, flags=own),
        trade(7, "10.2", "1", "sell", time=at + 1),
    ]
    done = export(tmp_path, events, size=size)
    rows = read(tmp_path, "trades")
    assert rows["id"].to_pylist() == [1000, 1002, 1003, 1004, 1005, 1006, 1007]
    assert rows["amount"].to_pylist() == [0.3, *[1.0] * 6]
    assert rows["receipt_timestamp"].to_pylist()[:2] == [at + 99, at + 7]
    assert rows["side"].to_pylist()[:2] == ["buy", "sell"]
    assert done["trades_merged"] == 1


def test_each_day_has_its_file(tmp_path: Path) -> None:
    day = 86_400 * 10**9
    times = [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT - 2, MIDNIGHT + day, MIDNIGHT + 2 * day, MIDNIGHT - 3]
    export(tmp_path, [delta(i, i, "1", "1", time=time) for i, time in enumerate(times)], size=1)
    assert read(tmp_path, "book_delta_v2")["sequence_number"].to_pylist() == [0, 2]
    assert read(tmp_path, "book_delta_v2", number=2)["sequence_number"].to_pylist() == [5]
    assert read(tmp_path, "book_delta_v2", "2024-08-09")["sequence_number"].to_pylist() == [1]
    assert read(tmp_path, "book_delta_v2", "2024-08-11")["sequence_number"].to_pylist() == [4]


def test_row_groups_are_those_of_the_archive(tmp_path: Path) -> None:
    export(tmp_path, [delta(i, i, "1", "1") for i in range(25_000)], size=4_000)
    with pq.ParquetFile(tmp_path / "book_delta_v2" / FOLDER / "dt=2024-08-08/1.snappy.parquet") as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        assert groups == [10_000, 10_000, 5_000]
        assert file.read()["sequence_number"].to_pylist() == list(range(25_000))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    export(tmp_path, SMALL)
    before = files(tmp_path)
    with pytest.raises(OutputError, match="there already"):
        export(tmp_path, SMALL)
    assert files(tmp_path) == before


def test_a_failing_source_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="rise"):
        export(tmp_path, [SMALL[0], SMALL[0]], size=1)
    assert not files(tmp_path)


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "book_delta_v2").write_text("in the way")
    with pytest.raises(OutputError, match="can't be written"):
        export(tmp_path, SMALL)
    assert list(files(tmp_path)) == [tmp_path / "book_delta_v2"]


def test_books_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="books"):
        export(tmp_path, SMALL, [ladder(2, ["1"], ["2"]), ladder(1, ["1"], ["2"])])


def test_a_symbol_that_can_not_be_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError):
        lake_export.write_lake({"events": []}, tmp_path, "BINANCE", "ODD")


def test_the_note_tells_each_source(tmp_path: Path) -> None:
    export(tmp_path, SMALL)
    other = {"events": batches(SMALL, EVENTS)}
    lake_export.write_lake(other, tmp_path, "BINANCE_FUTURES", "BTCUSDT", source="another")
    note = (tmp_path / "DERIVED.md").read_text()
    assert note.startswith("# Derived files")
    assert "From: a made dataset" in note
    assert "## BINANCE_FUTURES BTC-USDT-PERP\n\nFrom: another" in note
    assert f"- `trades/{FOLDER}/dt=2024-08-08/1.snappy.parquet`" in note


def test_a_note_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "DERIVED.md").write_text("mine")
    with pytest.raises(OutputError, match="not ours"):
        export(tmp_path, SMALL)
    assert files(tmp_path) == {tmp_path / "DERIVED.md": b"mine"}


def test_the_variants_of_other_readers_are_taken(tmp_path: Path) -> None:
    large = {pa.string(): pa.large_string(), BOOKS.types[2]: pa.large_list(BOOKS.types[2].value_type)}

    def variant(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
        fields = [pa.field(field.name, large.get(field.type, field.type)) for field in schema]
        table = pa.table(next(batches(rows, schema))).cast(pa.schema(fields))
        return table.append_column("date", pa.array([dt.date(2024, 8, 8)] * len(rows)))

    tables = {
        "events": [variant(SMALL, EVENTS)],
        "books": [variant([ladder(1, ["60000.12"], ["60000.14"])], BOOKS)],
    }
    lake_export.write_lake(tables, tmp_path, "BINANCE", "BTCUSDT")
    assert read(tmp_path, "book")["ask_0_price"].to_pylist() == [60000.14]
    assert read(tmp_path, "trades")["side"].to_pylist() == ["buy"]


@given(st.lists(st.integers(0, 10**38 - 1) | st.integers(0, 10**14).map(lambda n: n * 10**10), min_size=1))
def test_a_decimal_becomes_its_nearest_double(values: list[int]) -> None:
    exact = [Decimal(f"{value}e-18") for value in values]
    column = pa.chunked_array([pa.array(exact, pa.decimal128(38, 18))])
    assert lake_export._doubles(column).to_pylist() == [value / 10**18 for value in values]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    export(tmp_path, SMALL, [ladder(1, ["60000.12", "59999.99"], ["60000.14"])])
    scales = Instrument("BINANCE", "BTC-USDT", 8, 8)
    read_back: dict[str, list[list[int]]] = {}
    for file in find_lake_files([tmp_path]):
        for parsed, _ in read_lake(file, scales):
            assert parsed.rejects == []
            rows = parsed.events[[Field.UPDATE_ID, Field.PRICE, Field.QUANTITY]].T.tolist()
            read_back.setdefault(file.table, []).extend(rows)
    assert read_back["book_delta_v2"] == [
        [50, 6_000_012_000_000, 17_000],
        [50, 6_000_013_000_000, 0],
        [51, 6_000_014_000_000, 300_000_000],
    ]
    assert read_back["trades"] == [[-1, 6_000_013_000_000, 10_000_000]]
    assert read_back["book"] == [
        [50, 6_000_012_000_000, 150_000_000],
        [50, 5_999_999_000_000, 150_000_000],
        [50, 6_000_014_000_000, 250_000_000],
    ]
