"""One file at a time: a clean one passes, and each planted fault is named by its rule."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.acquisition.archives import files_of
from tests.acquisition.mutations import written

from rlx_datapipe.acquisition.cross import cross_check
from rlx_datapipe.acquisition.examined import Examined, Subject
from rlx_datapipe.acquisition.integrity import IntegrityValidator
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.venues.crypto_lake import BOOK, DELTAS, SCHEMAS, TRADES

DAY = dt.date(2022, 10, 1)
DAY_NS = 1_664_582_400 * 10**9
SECOND = 10**9
MINUTE = 60 * SECOND


def trades(count: int = 1_440, *, every_ns: int = MINUTE, first_id: int = 7) -> dict[str, Any]:
    """A day of trades, one a minute."""
    times = DAY_NS + np.arange(count) * every_ns + 5 * 10**6 + 1
    return {
        "side": np.where(np.arange(count) % 3 == 0, "buy", "sell"),
        "amount": np.round(0.001 * (1 + np.arange(count) % 40), 3),
        "price": np.round(19_400.01 + 0.01 * (np.arange(count) % 90), 2),
        "id": first_id + np.arange(count),
        "timestamp": times,
        "receipt_timestamp": times + 12 * 10**6,
    }


def deltas(count: int = 1_440) -> dict[str, Any]:
    times = DAY_NS + np.arange(count) // 2 * (2 * MINUTE) + 10**6 + 1
    return {
        "timestamp": times,
        "receipt_timestamp": times + 4 * 10**6,
        "sequence_number": 1_000 + 3 * (np.arange(count) // 2),
        "side_is_bid": np.arange(count) % 2 == 0,
        "price": np.round(19_400 + 0.5 * (np.arange(count) % 7), 1),
        "size": np.round((np.arange(count) % 5) * 0.25, 2),
    }


def book(count: int = 1_440) -> dict[str, Any]:
    times = DAY_NS + np.arange(count) * MINUTE + 10**6 + 1
    columns: dict[str, Any] = {
        "timestamp": times,
        "receipt_timestamp": times + 4 * 10**6,
        "sequence_number": 1_000 + 3 * (np.arange(count) // 2),
    }
    for side, sign in (("bid", -1), ("ask", 1)):
        for i in range(20):
            columns[f"{side}_{i}_price"] = np.full(count, round(19_400.5 + sign * (0.5 + 0.5 * i), 1))
            columns[f"{side}_{i}_size"] = np.full(count, 1.25 + i)
    return columns


MADE = {TRADES: trades, DELTAS: deltas, BOOK: book}


def examine(path: Path, made: str, columns: dict[str, Any] | pa.Table, **known: Any) -> Examined:
    rows = columns if isinstance(columns, pa.Table) else pa.table(columns).cast(SCHEMAS[made])
    path.write_bytes(written(rows, checked=True))
    told: dict[str, Any] = {"table": made, "exchange": "BINANCE", "symbol": "BTC-USDT", "date": DAY}
    return IntegrityValidator().examine(Subject(path, **(told | known)))


def heavy(found: Examined) -> list[tuple[str, str]]:
    """Gates and warnings: rule, and message."""
    return [(one.rule, one.message) for one in found.findings if one.severity is not Severity.NOTE]


@pytest.mark.parametrize("table", list(SCHEMAS))
def test_a_whole_day_has_nothing_to_complain_of(tmp_path: Path, table: str) -> None:
    found = examine(tmp_path / "f.parquet", table, MADE[table]())
    assert heavy(found) == []
    assert found.verdict == "pass"
    assert found.rows == 1_440
    assert found.sha256 == hashlib.sha256((tmp_path / "f.parquet").read_bytes()).hexdigest()
    covered = 720 if table == DELTAS else 1_440
    silent = sum(last - first + 1 for first, last in found.facts["silent_minutes"])
    assert silent == 1_440 - covered
    assert found.facts["price_decimals"] == {TRADES: 2, DELTAS: 1, BOOK: 1}[table]


def spoilt(table: str, field: str, value: Any, at: int = 700) -> dict[str, Any]:
    columns = MADE[table]()
    held = columns[field].astype(object) if value is None else columns[field].copy()
    if isinstance(value, str):
        held = held.astype(object)
    held[at] = value
    return columns | {field: held}


@pytest.mark.parametrize(
    ("table", "field", "value", "rule", "said"),
    [
        (
            TRADES,
            "price",
            np.nan,
            "values",
            "price: not a finite number in 1 of 1,440 rows, first in row 701",
        ),
        (TRADES, "price", np.inf, "values", "not a finite number"),
        (TRADES, "price", -1.0, "values", "price: negative"),
        (TRADES, "price", -0.0, "values", "price: negative"),
        (TRADES, "price", 0.0, "values", "price: zero"),
        (TRADES, "price", None, "values", "price: no value"),
        (TRADES, "price", 5e-324, "values", "no plain decimal"),
        (TRADES, "price", 19_400.01 / 9.7, "values", "no plain decimal"),
        (TRADES, "price", 1e300, "values", "no plain decimal"),
        (TRADES, "amount", 0.0, "values", "amount: zero"),
        (TRADES, "side", "BUY", "values", "side: neither 'buy' nor 'sell' in 1 of 1,440 rows"),
        (TRADES, "side", None, "values", "side: neither"),
        (TRADES, "id", None, "ids", "id: no value"),
        (TRADES, "id", -3, "ids", "id: negative"),
        (TRADES, "timestamp", None, "time", "timestamp: no value"),
        (TRADES, "timestamp", DAY_NS - DAY_NS % SECOND - 3_600 * SECOND, "time", "not of the day"),
        (TRADES, "timestamp", DAY_NS + 25 * 3_600 * SECOND, "time", "not of the day"),
        (TRADES, "timestamp", 1_664_582_400_000_000, "time", "outside 2017 to 2100"),
        (TRADES, "receipt_timestamp", 0, "time", "receipt_timestamp: outside"),
        (DELTAS, "size", -0.25, "values", "size: negative"),
        (DELTAS, "size", np.nan, "values", "size: not a finite"),
        (DELTAS, "price", 0.0, "values", "price: zero"),
        (DELTAS, "side_is_bid", None, "values", "side_is_bid: no value"),
        (DELTAS, "sequence_number", None, "ids", "sequence_number: no value"),
        (BOOK, "bid_3_price", 5.0, "values", "bid levels: not behind the level before"),
        (BOOK, "ask_3_price", 5.0, "values", "ask levels: not behind the level before"),
        (BOOK, "ask_3_price", np.nan, "values", "ask levels: no level before one that stands"),
        (BOOK, "ask_3_size", 0.0, "values", "ask levels: no level before one that stands"),
        (BOOK, "bid_0_price", np.inf, "values", "bid_0_price: not a finite"),
        (BOOK, "bid_0_size", -1.0, "values", "bid_0_size: negative"),
    ],
)
def test_each_planted_fault_is_a_gate_of_its_rule(
    tmp_path: Path, table: str, field: str, value: Any, rule: str, said: str
) -> None:
    found = examine(tmp_path / "f.parquet", table, spoilt(table, field, value))
    gates = [one for one in found.findings if one.severity is Severity.GATE]
    assert found.verdict == "fail"
    assert {one.rule for one in gates} == {rule}
    assert any(said in one.message for one in gates), gates
    assert found.reason == gates[0].message


@pytest.mark.parametrize(
    ("table", "field", "value", "said"),
    [
        (TRADES, "price", 19_400.015, "1 of 1,440 need more than the 2 decimals of nearly all, up to 3"),
        (TRADES, "price", 29_400.01, "more than a fifth away"),
        (TRADES, "id", 706, "id: twice in a row"),
        (TRADES, "id", 300, "id: lower than one before"),
        (TRADES, "timestamp", DAY_NS + 600 * MINUTE, "timestamp: earlier than a row before"),
        (DELTAS, "sequence_number", 1_500, "sequence_number: lower than one before"),
        (DELTAS, "timestamp", DAY_NS + 700 * MINUTE + 10**6 + 2, "timestamp: differs within one message"),
    ],
)
def test_what_may_be_so_is_a_warning(tmp_path: Path, table: str, field: str, value: Any, said: str) -> None:
    at = 701 if said.endswith("one message") else 700
    found = examine(tmp_path / "f.parquet", table, spoilt(table, field, value, at))
    assert found.verdict == "pass"
    assert any(said in message for _, message in heavy(found)), found.findings


def test_missing_trades_are_counted_by_their_ids(tmp_path: Path) -> None:
    columns = trades()
    columns["id"][500:] += 40
    found = examine(tmp_path / "f.parquet", TRADES, columns)
    assert heavy(found) == [("ids", "40 trades are missing in 1 places, by their ids")]
    assert found.facts["missing_ids"] == 40


def test_ids_of_single_trades_are_no_losses(tmp_path: Path) -> None:
    columns = trades()
    columns["id"] *= 3
    found = examine(tmp_path / "f.parquet", TRADES, columns)
    assert heavy(found) == []
    assert found.facts["missing_ids"] is None


@pytest.mark.parametrize(
    ("factor", "unit"), [(10**3, "microseconds"), (10**6, "milliseconds"), (10**9, "seconds")]
)
def test_a_wrong_unit_is_guessed(tmp_path: Path, factor: int, unit: str) -> None:
    columns = trades()
    for name in ("timestamp", "receipt_timestamp"):
        columns[name] = columns[name] // factor
    found = examine(tmp_path / "f.parquet", TRADES, columns)
    assert found.verdict == "fail"
    assert any(f"look like {unit}" in one.message for one in found.findings)


def test_quiet_partial_empty_and_float_times_are_no_gates(tmp_path: Path) -> None:
    quiet = examine(tmp_path / "f.parquet", TRADES, trades(48, every_ns=30 * MINUTE))
    assert heavy(quiet) == []
    assert any("1,392 minutes without a row" in one.message for one in quiet.findings)
    partial = trades(400)
    for name in ("timestamp", "receipt_timestamp"):
        partial[name] += 900 * MINUTE
    found = examine(tmp_path / "f.parquet", TRADES, partial)
    assert [rule for rule, _ in heavy(found)] == ["time"]
    assert heavy(found)[0][1].startswith("a partial day: 2022-10-01T15:00:00.005000001Z")
    assert found.facts["silent_minutes"] == [[0, 899], [1_300, 1_439]]
    empty = examine(tmp_path / "f.parquet", TRADES, SCHEMAS[TRADES].empty_table())
    assert heavy(empty) == [("time", "no rows: an empty day")]
    through_floats = trades()
    for name in ("timestamp", "receipt_timestamp"):
        through_floats[name] -= through_floats[name] % 256
    found = examine(tmp_path / "f.parquet", TRADES, through_floats)
    assert heavy(found) == []
    assert any("multiples of 256 ns" in one.message for one in found.findings)


def test_a_clock_behind_the_exchange_is_a_note(tmp_path: Path) -> None:
    columns = trades()
    columns["receipt_timestamp"] = columns["timestamp"] - 1_270 * 10**6
    found = examine(tmp_path / "f.parquet", TRADES, columns)
    assert heavy(found) == []
    assert any("clock was behind" in one.message for one in found.findings)


def test_a_crossed_book_is_a_warning(tmp_path: Path) -> None:
    columns = book()
    columns["ask_0_price"] = columns["ask_0_price"] - 2.0
    found = examine(tmp_path / "f.parquet", BOOK, columns)
    assert found.verdict == "pass"
    assert ("values", "the book is crossed in 1,440 of 1,440 rows") in heavy(found)


def test_a_difference_of_columns_is_told(tmp_path: Path) -> None:
    rows = pa.table(trades()).cast(SCHEMAS[TRADES])
    found = examine(
        tmp_path / "f.parquet", TRADES, rows.rename_columns(["side", "amuont", *rows.column_names[2:]])
    )
    [gate] = [one for one in found.findings if one.severity is Severity.GATE]
    assert gate.rule == "schema"
    assert gate.measures["missing"] == ["amount"]
    assert gate.measures["unexpected"] == ["amuont"]
    alias = rows.rename_columns(["side", "quantity", "price", "trade_id", "origin_time", "received_time"])
    found = examine(tmp_path / "f.parquet", TRADES, alias)
    assert heavy(found) == []
    [note] = [one for one in found.findings if one.rule == "schema"]
    assert next(one[:2] for one in note.measures["columns"]) == ["amount", "quantity"]


def test_another_table_than_the_folder_says_is_a_gate(tmp_path: Path) -> None:
    found = examine(tmp_path / "f.parquet", DELTAS, deltas(), table=TRADES)
    assert heavy(found) == [("schema", "columns are those of book_delta_v2, but the folder says trades")]


def test_a_table_that_makes_no_book_is_read_through(tmp_path: Path) -> None:
    rows = pa.table({"rate": [0.1, 0.2], "timestamp": [DAY_NS, DAY_NS]})
    found = examine(tmp_path / "f.parquet", TRADES, rows, table="funding")
    assert found.verdict == "pass"
    assert heavy(found) == []


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "junk"])
def test_damage_of_the_file_is_a_gate(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "f.parquet"
    data = written(pa.table(trades()).cast(SCHEMAS[TRADES]), checked=True)
    changed = {
        "cut": data[:-9],
        "flip": data[:600] + bytes([data[600] ^ 16]) + data[601:],
        "empty": b"",
        "junk": b"x" * 400,
    }[damage]
    path.write_bytes(changed)
    found = IntegrityValidator().examine(Subject(path, TRADES, "BINANCE", "BTC-USDT", DAY))
    assert [one.rule for one in found.findings if one.severity is Severity.GATE] == ["file"]
    assert str(path) not in found.reason


def test_other_bytes_than_were_transferred_are_a_gate(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    rows = pa.table(trades()).cast(SCHEMAS[TRADES])
    data = written(rows)
    subject = Subject(path, TRADES, "BINANCE", "BTC-USDT", DAY, len(data), hashlib.sha256(data).hexdigest())
    path.write_bytes(data)
    assert IntegrityValidator().examine(subject).verdict == "pass"
    path.write_bytes(written(rows.slice(1)))
    assert "were transferred" in IntegrityValidator().examine(subject).reason
    same_size = msgspec.structs.replace(subject, size_bytes=path.stat().st_size)
    assert "SHA-256 differs" in IntegrityValidator().examine(same_size).reason


def test_memory_is_bounded_by_batches_not_by_the_file(tmp_path: Path) -> None:
    """Ten times the rows take the same memory of Arrow."""
    peaks = []
    for count in (70_000, 700_000):
        path = tmp_path / f"{count}.parquet"
        rows = pa.table(trades(count, every_ns=10**8)).cast(SCHEMAS[TRADES])
        pq.write_table(rows, path, row_group_size=10_000)
        del rows
        pool = pa.system_memory_pool()
        before = pa.default_memory_pool()
        pa.set_memory_pool(pool)
        try:
            IntegrityValidator().examine(Subject(path, TRADES, "BINANCE", "BTC-USDT", DAY))
        finally:
            pa.set_memory_pool(before)
        peaks.append(pool.max_memory())
    assert peaks[1] < 2.5 * peaks[0]


def test_tables_of_a_day_meet(tmp_path: Path) -> None:
    paths = {table: tmp_path / f"{table}.parquet" for table in MADE}
    for table, path in paths.items():
        pq.write_table(pa.table(MADE[table]()).cast(SCHEMAS[table]), path)
    crossed = cross_check({table: [path] for table, path in paths.items()})
    assert crossed.measures["share"] == 1.0
    assert crossed.measures["trades_outside_book"] == 0
    assert {one.severity for found in crossed.findings.values() for one in found} == {Severity.NOTE}


@pytest.mark.parametrize("stranger", [TRADES, DELTAS, BOOK])
def test_a_table_of_another_market_is_a_gate(tmp_path: Path, stranger: str) -> None:
    paths = {table: tmp_path / f"{table}.parquet" for table in MADE}
    for table, path in paths.items():
        columns = MADE[table]()
        if table == stranger:
            for name in [name for name in columns if name.endswith("price")]:
                columns[name] = np.round(columns[name] / 15, 2)
            if table != TRADES:
                columns["sequence_number"] = columns["sequence_number"] + 10**9
        pq.write_table(pa.table(columns).cast(SCHEMAS[table]), path)
    crossed = cross_check({table: [path] for table, path in paths.items()})
    gated = {
        table
        for table, found in crossed.findings.items()
        if any(one.severity is Severity.GATE for one in found)
    }
    assert gated == {stranger}


def test_an_exported_archive_passes(archive: Path) -> None:
    for table, path in files_of(archive).items():
        known = Subject(path, table, "BINANCE", "BTC-USDT", None)
        found = IntegrityValidator().examine(known)
        assert found.verdict == "pass", found.findings
        assert found.table == table
