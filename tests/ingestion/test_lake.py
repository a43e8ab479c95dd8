"""Crypto Lake files found, probed and read."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.ingestion import lake
from rlx_datapipe.venues import crypto_lake_open
from rlx_datapipe.venues.crypto_lake import SCHEMAS, archive_path

DAY = dt.date(2022, 10, 1)
T0 = 1664582400_032_999_936
SECOND = 10**9
BTC = Instrument("BINANCE", "BTCUSDT", 8, 8)
NAN = float("nan")


def deltas(rows: list[tuple[Any, ...]]) -> pa.Table:
    """Rows of (sequence number, is bid, price, size), a second apart by message."""
    ids = [row[0] for row in rows]
    times = [T0 + (i or 0) * SECOND for i in ids]
    columns = [times, [t + 5 for t in times], ids, *([row[k] for row in rows] for k in (1, 2, 3))]
    return pa.table(dict(zip(SCHEMAS["book_delta_v2"].names, columns, strict=True)), SCHEMAS["book_delta_v2"])


def trades(rows: list[tuple[Any, ...]]) -> pa.Table:
    """Rows of (side, amount, price, id)."""
    times = [T0 + i * SECOND for i in range(len(rows))]
    columns = [*([row[k] for row in rows] for k in range(4)), times, [t + 5 for t in times]]
    return pa.table(dict(zip(SCHEMAS["trades"].names, columns, strict=True)), SCHEMAS["trades"])


def book(rows: list[tuple[int, list[tuple[float, float]], list[tuple[float, float]]]]) -> pa.Table:
    """Rows of (sequence number, bids, asks), the missing levels NaN."""
    records = []
    for number, bids, asks in rows:
        cells = [cell for side in (bids, asks) for level in (side + [(NAN, NAN)] * 20)[:20] for cell in level]
        records.append([T0 + number * SECOND, T0 + number * SECOND + 5, number, *cells])
    schema = SCHEMAS["book"]
    return pa.table({name: [r[i] for r in records] for i, name in enumerate(schema.names)}, schema)


def save(root: Path, rows: pa.Table, table: str, *, group: int = 10_000, symbol: str = "BTC-USDT") -> Path:
    path = root / archive_path(table, "BINANCE", symbol, DAY)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, row_group_size=group, compression="snappy")
    return path


def read(
    path: Path, batch_rows: int = 65_536, instrument: Instrument = BTC
) -> tuple[Int64Array, list[Reject]]:
    (file,) = lake.find_lake_files([path], exchange="BINANCE", symbol="BTC-USDT")
    events, rejects, done = [np.empty((13, 0), dtype=np.int64)], [], 0
    for parsed, bytes_done in lake.read_lake(file, instrument, batch_rows):
        events.append(parsed.events)
        rejects += parsed.rejects
        assert done <= bytes_done <= file.bytes
        done = bytes_done
    assert done == (file.bytes if file.rows else 0)
    return np.concatenate(events, axis=1), rejects


def test_deltas_become_events(tmp_path: Path) -> None:
    path = save(
        tmp_path,
        deltas([(7, True, 19_312.24, 0.00017), (7, False, 19_312.25, 0.0), (9, True, 1e-8, 1.0)]),
        "book_delta_v2",
    )
    events, rejects = read(path)
    assert rejects == []
    assert events[Field.KIND].tolist() == [Kind.BOOK_DELTA] * 3
    assert events[Field.UPDATE_ID].tolist() == [7, 7, 9]
    assert events[Field.SIDE].tolist() == [Side.BID, Side.ASK, Side.BID]
    assert events[Field.PRICE].tolist() == [1_931_224_000_000, 1_931_225_000_000, 1]
    assert events[Field.QUANTITY].tolist() == [17_000, 0, 100_000_000]
    assert events[Field.MESSAGE].tolist() == [1, 1, 3]
    assert events[Field.ORIGIN_TIME].tolist() == [T0 + 7 * SECOND] * 2 + [T0 + 9 * SECOND]
    assert events[Field.RECEIVED_TIME][0] == T0 + 7 * SECOND + 5
    for field in (Field.FIRST_ID, Field.PREVIOUS_ID, Field.TRADE_ID, Field.ORDER_TIME):
        assert (events[field] == NONE).all()
    assert (events[Field.FLAGS] == 0).all()


def test_trades_become_events(tmp_path: Path) -> None:
    events, rejects = read(
        save(tmp_path, trades([("buy", 0.5, 19_312.24, 11), ("sell", 0.1, 19_312.2, 12)]), "trades")
    )
    assert rejects == []
    assert events[Field.KIND].tolist() == [Kind.TRADE] * 2
    assert events[Field.SIDE].tolist() == [0, 1]
    assert events[Field.TRADE_ID].tolist() == [11, 12]
    assert events[Field.UPDATE_ID].tolist() == [NONE, NONE]
    assert events[Field.QUANTITY].tolist() == [50_000_000, 10_000_000]
    assert events[Field.FLAGS].tolist() == [Flag.AGGREGATE] * 2
    assert events[Field.MESSAGE].tolist() == [1, 2]


def test_a_book_row_becomes_one_event_per_level(tmp_path: Path) -> None:
    full = [(100.0 - i, 1.0 + i) for i in range(20)], [(101.0 + i, 2.0 + i) for i in range(20)]
    path = save(tmp_path, book([(5, *full), (6, [(99.5, 1.0)], [(100.5, 2.0), (0.0, 0.0)])]), "book")
    events, rejects = read(path)
    assert rejects == []
    assert events.shape[1] == 42
    assert set(events[Field.KIND].tolist()) == {Kind.BOOK_SNAPSHOT}
    assert set(events[Field.FLAGS].tolist()) == {Flag.SAMPLED}
    assert events[Field.SIDE].tolist() == [0] * 20 + [1] * 20 + [0, 1]
    assert events[Field.PRICE][[0, 19, 20, 39, 40, 41]].tolist() == [
        price * 10**8 for price in (100, 81, 101, 120)
    ] + [9_950_000_000, 10_050_000_000]
    assert events[Field.QUANTITY][[1, 21]].tolist() == [2 * 10**8, 3 * 10**8]
    assert events[Field.MESSAGE].tolist() == [1] * 40 + [2] * 2
    assert events[Field.UPDATE_ID].tolist() == [5] * 40 + [6] * 2


def test_a_file_without_rows_has_no_events(tmp_path: Path) -> None:
    for table, schema in SCHEMAS.items():
        events, rejects = read(save(tmp_path, schema.empty_table(), table))
        assert events.shape == (13, 0)
        assert rejects == []


@pytest.mark.parametrize(
    ("row", "field", "found", "reason"),
    [
        ((8, True, NAN, 1.0), "price", "nan", "not a finite number"),
        ((8, True, float("inf"), 1.0), "price", "inf", "not a finite number"),
        ((8, True, -1.0, 1.0), "price", "-1.0", "negative"),
        ((8, True, 0.0, 1.0), "price", "0.0", "zero"),
        ((8, True, -0.0, 1.0), "price", "-0.0", "negative"),
        ((8, True, None, 1.0), "price", "null", "no value"),
        ((8, True, 1.0, -0.5), "size", "-0.5", "negative"),
        ((8, True, 1.0, 1e-9), "size", "1e-09", "more decimals than the scale of the instrument"),
        ((8, True, 1e12, 1.0), "price", "1000000000000.0", "too large for the scale of the instrument"),
        ((8, None, 1.0, 1.0), "side_is_bid", "null", "no value"),
        ((-8, True, 1.0, 1.0), "sequence_number", "-8", "negative"),
        ((None, True, 1.0, 1.0), "sequence_number", "null", "no value"),
        ((10**12, True, 1.0, 1.0), "timestamp", "", "outside 2017 to 2100"),
    ],
)
def test_a_bad_delta_is_rejected(
    tmp_path: Path, row: tuple[Any, ...], field: str, found: str, reason: str
) -> None:
    if row[0] == 10**12:
        rows = deltas([(7, True, 1.0, 1.0), (9, True, 1.0, 1.0)])
        rows = rows.set_column(0, "timestamp", pa.array([T0, T0 // 10**6]))
    else:
        rows = deltas([(7, True, 1.0, 1.0), row])
    path = save(tmp_path, rows, "book_delta_v2")
    events, (reject,) = read(path)
    assert events.shape[1] == 1
    assert (reject.file, reject.row, reject.field) == (str(path), 2, field)
    assert reject.reason.startswith(reason)
    assert reject.found == found or not found
    assert json.loads(reject.raw).keys() == set(SCHEMAS["book_delta_v2"].names)


def test_a_bad_row_takes_its_message_with_it(tmp_path: Path) -> None:
    rows = [
        (7, True, 1.0, 1.0),
        (8, True, 1.0, 1.0),
        (8, True, NAN, 1.0),
        (8, False, 2.0, 0.0),
        (9, True, 1.0, 1.0),
    ]
    events, rejects = read(save(tmp_path, deltas(rows), "book_delta_v2"))
    assert events[Field.UPDATE_ID].tolist() == [7, 9]
    assert events[Field.MESSAGE].tolist() == [1, 5]
    assert [reject.row for reject in rejects] == [2, 3, 4]
    assert rejects[1].field == "price"
    for other in (rejects[0], rejects[2]):
        assert other.reason == "row 3 of the same message is refused: price is not a finite number"
        assert other.field == ""


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (("hold", 1.0, 1.0, 2), "side", "neither 'buy' nor 'sell'"),
        ((None, 1.0, 1.0, 2), "side", "neither 'buy' nor 'sell'"),
        (("BUY", 1.0, 1.0, 2), "side", "neither 'buy' nor 'sell'"),
        (("buy", 0.0, 1.0, 2), "amount", "zero"),
        (("buy", 1.0, 0.0, 2), "price", "zero"),
        (("buy", 1.0, 1.0, None), "id", "no value"),
        (("buy", 1.0, 1.0, -2), "id", "negative"),
    ],
)
def test_a_bad_trade_is_rejected(tmp_path: Path, row: tuple[Any, ...], field: str, reason: str) -> None:
    events, (reject,) = read(save(tmp_path, trades([row, ("buy", 1.0, 1.0, 3)]), "trades"))
    assert events[Field.TRADE_ID].tolist() == [3]
    assert (reject.row, reject.field, reject.reason) == (1, field, reason)


@pytest.mark.parametrize(
    ("bids", "field", "reason"),
    [
        ([(9.0, 1.0), (NAN, NAN), (8.0, 1.0)], "bid_1_price", "no level here"),
        ([(9.0, 1.0), (8.5, 0.0), (8.0, 1.0)], "bid_1_price", "no level here"),
        ([(9.0, 1.0), (9.5, 1.0)], "bid_1_price", "price not behind"),
        ([(9.0, 1.0), (9.0, 1.0)], "bid_1_price", "price not behind"),
        ([(9.0, 1.0), (8.0, -1.0)], "bid_1_size", "negative"),
        ([(float("inf"), 1.0)], "bid_0_price", "not a finite"),
        ([(9.0, 1.0), (8.0, 1e-9)], "bid_1_size", "more decimals"),
    ],
)
def test_a_bad_book_row_is_rejected(
    tmp_path: Path, bids: list[tuple[float, float]], field: str, reason: str
) -> None:
    good = [(10.0, 1.0)]
    path = save(tmp_path, book([(1, good, [(11.0, 1.0)]), (2, bids, [(11.0, 1.0)]), (3, good, [])]), "book")
    events, (reject,) = read(path)
    assert events[Field.MESSAGE].tolist() == [1, 1, 3]
    assert (reject.row, reject.field) == (2, field)
    assert reject.reason.startswith(reason)


def test_a_book_row_without_levels_is_rejected(tmp_path: Path) -> None:
    events, (reject,) = read(save(tmp_path, book([(1, [], [])]), "book"))
    assert events.shape == (13, 0)
    assert reject.reason == "no level on either side"


def test_the_columns_of_normalised_copies_are_read(tmp_path: Path) -> None:
    plain = deltas([(7, True, 10.5, 1.0), (7, False, 11.5, 0.0)])
    copy = pa.table(
        {
            "symbol": pa.array(["BTCUSDT"] * 2).dictionary_encode(),
            "side": pa.array(["bid", "ask"]).dictionary_encode(),
            "update_id": plain["sequence_number"].cast(pa.uint64()),
            "new_quantity": plain["size"],
            "price": plain["price"],
            "received_time": plain["receipt_timestamp"].cast(pa.timestamp("ns", "UTC")),
            "origin_time": plain["timestamp"].cast(pa.timestamp("ns")),
        }
    )
    one, other = tmp_path / "copy.parquet", save(tmp_path, plain, "book_delta_v2")
    pq.write_table(copy, one)
    assert np.array_equal(read(one)[0], read(other)[0])


def test_an_unknown_side_of_a_normalised_copy_is_rejected(tmp_path: Path) -> None:
    rows = deltas([(7, True, 10.5, 1.0)])
    rows = rows.set_column(3, "side", pa.array(["Bid"]))
    events, (reject,) = read(save(tmp_path, rows, "book_delta_v2"))
    assert events.shape[1] == 0
    assert (reject.field, reject.found, reject.reason) == ("side", "Bid", "neither 'bid' nor 'ask'")


@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=25),
    batch_rows=st.integers(1, 40),
    group=st.integers(1, 40),
    bad=st.sets(st.integers(0, 60), max_size=4),
)
def test_batches_do_not_change_the_result(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], batch_rows: int, group: int, bad: set[int]
) -> None:
    ids = np.repeat(np.arange(len(sizes)) * 3 + 10, sizes).tolist()
    rows = [(number, i % 2 == 0, NAN if i in bad else 1.0 + i, 1.0) for i, number in enumerate(ids)]
    path = save(tmp_path_factory.mktemp("batches"), deltas(rows), "book_delta_v2", group=group)
    whole, rejects = read(path)
    parts, part_rejects = read(path, batch_rows)
    assert np.array_equal(whole, parts)
    assert rejects == part_rejects
    spoilt = {ids[i] for i in bad if i < len(ids)}
    assert len(rejects) == sum(number in spoilt for number in ids)
    assert whole.shape[1] + len(rejects) == len(ids)


@pytest.mark.parametrize("batch_rows", [1, 7, 40, 81, 1000])
def test_batches_do_not_change_books_and_trades(tmp_path: Path, batch_rows: int) -> None:
    side = [(10.0, 1.0), (9.0, 1.0)]
    books = save(
        tmp_path, book([(i, side, [(11.0, NAN if i == 4 else 1.0), (12.0, 1.0)]) for i in range(9)]), "book"
    )
    some = save(tmp_path, trades([("buy", float(i), 1.0, i) for i in range(30)]), "trades")
    for path in (books, some):
        whole, rejects = read(path)
        parts, part_rejects = read(path, batch_rows)
        assert np.array_equal(whole, parts)
        assert rejects == part_rejects
        assert len(rejects) == 1


def test_a_message_is_not_endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake, "_LARGEST_GROUP", 10)
    path = save(tmp_path, deltas([(7, True, 1.0, 1.0)] * 30), "book_delta_v2")
    with pytest.raises(SourceError, match="one sequence number"):
        read(path, 4)


def test_files_are_found_in_order(tmp_path: Path) -> None:
    rows = deltas([(7, True, 1.0, 1.0)])
    first = save(tmp_path, rows, "book_delta_v2")
    for name in ("10.snappy.parquet", "2.snappy.parquet", ".1.snappy.parquet.partial", "_3.parquet"):
        first.with_name(name).write_bytes(first.read_bytes())
    save(tmp_path, trades([("buy", 1.0, 1.0, 1)]), "trades", symbol="AAA-USDT")
    funding = tmp_path / "funding/exchange=BINANCE/symbol=BTC-USDT/dt=2022-10-01/1.snappy.parquet"
    funding.parent.mkdir(parents=True)
    funding.write_bytes(b"not ours")
    found = lake.find_lake_files([tmp_path, first])
    assert [(file.symbol, file.table, file.path.name) for file in found] == [
        ("AAA-USDT", "trades", "1.snappy.parquet"),
        ("BTC-USDT", "book_delta_v2", "1.snappy.parquet"),
        ("BTC-USDT", "book_delta_v2", "2.snappy.parquet"),
        ("BTC-USDT", "book_delta_v2", "10.snappy.parquet"),
    ]
    begins = T0 + 7 * SECOND
    assert found[1] == lake.LakeFile(
        first, "book_delta_v2", "BINANCE", "BTC-USDT", DAY, 1, first.stat().st_size, begins
    )


def test_files_of_a_day_are_in_the_order_of_their_rows_whatever_their_names(tmp_path: Path) -> None:
    later = save(tmp_path, deltas([(9, True, 1.0, 1.0)]), "book_delta_v2")
    for number, name in ((7, "c3f0.parquet"), (8, "0.snappy.parquet"), (10, "a b.parquet")):
        pq.write_table(deltas([(number, True, 1.0, 1.0)]), later.with_name(name))
    names = [file.path.name for file in lake.find_lake_files([tmp_path])]
    assert names == ["c3f0.parquet", "0.snappy.parquet", later.name, "a b.parquet"]


def test_a_lone_file_is_told_by_its_arguments_or_columns(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    rows = deltas([(7, True, 1.0, 1.0)])
    pq.write_table(rows, path)
    with pytest.raises(SourceError, match="unknown exchange and symbol"):
        lake.find_lake_files([path])
    (file,) = lake.find_lake_files([path], exchange="BINANCE", symbol="BTC-USDT")
    assert (file.exchange, file.symbol, file.date) == ("BINANCE", "BTC-USDT", DAY)
    pq.write_table(
        rows.append_column("symbol", pa.array(["X"])).append_column("exchange", pa.array(["E"])), path
    )
    (file,) = lake.find_lake_files([path])
    assert (file.exchange, file.symbol) == ("E", "X")


def test_nothing_found_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Crypto Lake files"):
        lake.find_lake_files([tmp_path])
    with pytest.raises(SourceError, match="no such file"):
        lake.find_lake_files([tmp_path / "absent"])


def test_mixed_symbols_are_told(tmp_path: Path) -> None:
    rows = deltas([(7, True, 1.0, 1.0), (8, True, 1.0, 1.0)])
    path = save(tmp_path, rows.append_column("symbol", pa.array(["BTC-USDT", "ETH-USDT"])), "book_delta_v2")
    with pytest.raises(SourceError, match=r"mixed or wrong symbol.*ETH-USDT"):
        read(path)


def test_a_table_in_the_wrong_folder_is_told(tmp_path: Path) -> None:
    save(tmp_path, trades([("buy", 1.0, 1.0, 1)]), "book_delta_v2")
    with pytest.raises(SourceError, match="another table"):
        lake.find_lake_files([tmp_path])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty file"),
        (b"side,price\nbuy,1\n", "not a Parquet file"),
        (b"PAR1", "truncated"),
        (b"PAR1" + b"x" * 40 + b"PAR1", "footer"),
    ],
)
def test_what_is_not_parquet_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "1.parquet"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=told):
        lake.find_lake_files([path])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_told(tmp_path: Path, share: float) -> None:
    path = save(tmp_path, deltas([(i, True, 1.0 + i, 1.0) for i in range(1000)]), "book_delta_v2")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(SourceError, match="truncated"):
        lake.find_lake_files([path])


def test_a_damaged_page_is_told_or_changes_nothing_silently(tmp_path: Path) -> None:
    path = save(tmp_path, deltas([(i, True, 1.0 + i, 1.0) for i in range(1000)]), "book_delta_v2")
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(bytes(content))
    with pytest.raises(SourceError, match="damaged"):
        read(path)


def test_wrong_columns_are_told(tmp_path: Path) -> None:
    rows = deltas([(7, True, 1.0, 1.0)])
    path = save(tmp_path, rows.rename_columns([*rows.column_names[:-1], "sice"]), "book_delta_v2")
    with pytest.raises(SourceError, match=r"missing size; unexpected sice \(for size\?\)"):
        lake.find_lake_files([path])


def test_an_absurd_footer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, deltas([(7, True, 1.0, 1.0)] * 50), "book_delta_v2")
    monkeypatch.setattr(crypto_lake_open, "_MOST_CELLS", 299)
    with pytest.raises(SourceError, match="can't be true"):
        lake.find_lake_files([path])


def test_the_probe_finds_scales(tmp_path: Path) -> None:
    save(
        tmp_path,
        deltas([(7, True, 19_312.24, 0.00017), (8, True, 19_312.5, 0.0), (8, True, NAN, 3.0)]),
        "book_delta_v2",
    )
    save(tmp_path, trades([("buy", 123.0, 20_000.1, 1)]), "trades")
    save(tmp_path, book([(1, [(19_000.123, 1.0)], [])]), "book")
    probe = lake.probe_lake(lake.find_lake_files([tmp_path]))
    assert probe.exchange == "BINANCE"
    assert probe.symbols == {"BTC-USDT": 5}
    assert probe.kinds == {"book_delta_v2": 3, "trades": 1, "book": 1}
    assert (probe.price_decimals, probe.quantity_decimals) == (3, 5)
    assert (probe.price_largest, probe.quantity_largest) == (20_000, 123)
    assert probe.price_texts == ["19000.123", "19312.24", "19312.5", "20000.1"]


@given(st.lists(st.integers(1, 10**13), min_size=1, max_size=50), st.integers(0, 8))
def test_values_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, values: list[int], decimals: int
) -> None:
    floats = [value / 10**decimals for value in values]
    path = save(tmp_path_factory.mktemp("exact"), deltas([(7, True, x, x) for x in floats]), "book_delta_v2")
    instrument = Instrument("BINANCE", "BTCUSDT", decimals, decimals)
    events, rejects = read(path, instrument=instrument)
    assert rejects == []
    assert events[Field.PRICE].tolist() == values
    assert events[Field.QUANTITY].tolist() == values
    probe = lake.probe_lake(lake.find_lake_files([path]))
    assert probe.price_decimals <= decimals


def test_a_file_that_changed_since_it_was_found_is_told(tmp_path: Path) -> None:
    path = save(tmp_path, deltas([(7, True, 1.0, 1.0)]), "book_delta_v2")
    (file,) = lake.find_lake_files([path])
    pq.write_table(trades([("buy", 1.0, 1.0, 1)]), path)
    with pytest.raises(SourceError, match="not the table it was"):
        list(lake.read_lake(file, BTC))
    path.unlink()
    with pytest.raises(SourceError, match="can't be read"):
        list(lake.read_lake(file, BTC))


def test_a_batch_has_rows(tmp_path: Path) -> None:
    (file,) = lake.find_lake_files([save(tmp_path, deltas([(7, True, 1.0, 1.0)]), "book_delta_v2")])
    with pytest.raises(ValueError, match="batch_rows"):
        list(lake.read_lake(file, BTC, 0))
