"""Tardis files: told by their header, read exactly, nothing lost, and the same whatever the batches."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
from collections.abc import Callable
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ingestion.tardis_market import (
    BOOK,
    HEADERS,
    L2,
    QUOTES,
    START_US,
    TRADES,
    Tape,
    save,
)
from tests.ingestion.test_resume import check_every_border

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Quote
from rlx_datapipe.core.feed import Parsed, Reject
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.ingestion import csv_lines, tardis
from rlx_datapipe.ingestion.ingest import DataIngestion, ingest
from rlx_datapipe.ingestion.parsed import parsed_batches
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.ingestion.tardis_messages import BROKEN

SETTINGS = Settings()
SMALL = Settings(batch_rows=4, horizon_ms=50)
NS_PER_US = 1_000
SEEDS = int(os.environ.get("RLX_TEST_SEEDS", "40"))


def source_of(path: Path, **how: Any) -> Source:
    (source,) = find_sources([path], SETTINGS, **how)
    return source


def parsed(source: Source, settings: Settings = SETTINGS) -> Parsed:
    """All that the readers make of a source, in order of arrival."""
    whole = Parsed()
    for batch, _ in parsed_batches(source, settings):
        whole.events = np.concatenate((whole.events, batch.events), axis=1)
        whole.quotes = np.concatenate((whole.quotes, batch.quotes), axis=1)
        whole.rejects += batch.rejects
        whole.records += batch.records
        whole.counts += batch.counts
    return whole


def file(tmp_path: Path, table: str, rows: list[str], **how: Any) -> Source:
    return source_of(save(tmp_path / f"{table}.csv", table, rows, **how))


def row(table: str, after_us: int = 0, received_us: int | None = None, **cells: str) -> str:
    """A row of a table; what is not given is usual."""
    return row_of(table, cells, after_us, received_us)


def row_of(table: str, cells: dict[str, str], after_us: int = 0, received_us: int | None = None) -> str:
    usual = {
        L2: {"is_snapshot": "false", "side": "bid", "price": "60000.1", "amount": "1.5"},
        TRADES: {"id": "7", "side": "buy", "price": "60000.1", "amount": "1.5"},
        QUOTES: {"ask_amount": "1", "ask_price": "60000.2", "bid_price": "60000.1", "bid_amount": "2"},
        BOOK: {
            f"{s}[{i}].{w}": (str(60_000 + (i + 1) * (1 if s == "asks" else -1)) if w == "price" else "1")
            for i in range(5)
            for s in ("asks", "bids")
            for w in ("price", "amount")
        },
    }[table]
    head = {
        "exchange": "binance",
        "symbol": "BTCUSDT",
        "timestamp": str(START_US + after_us),
        "local_timestamp": str(START_US + (after_us + 10_000 if received_us is None else received_us)),
    }
    named = head | usual | cells
    return ",".join(named[name] for name in HEADERS[table].split(","))


def scaled(text: str, decimals: int) -> int:
    number = Decimal(text).scaleb(decimals)
    assert number == number.to_integral_value()
    return int(number)


# ── recognised and found ──


def test_the_tables_of_a_folder_are_one_source(tmp_path: Path) -> None:
    folder = Tape().play(50).write(tmp_path / "tardis")
    source = source_of(folder)
    instrument = source.instrument
    assert (source.format, instrument.exchange, instrument.symbol) == ("tardis", "BINANCE_FUTURES", "BTCUSDT")
    assert (instrument.price_decimals, instrument.quantity_decimals) == (8, 8)
    assert source.tables == (BOOK, L2, QUOTES, TRADES)
    assert source.rule.link == Link.UNPROVABLE
    assert not source.has_messages


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["x", "capture.txt", "1.parquet.bak"])
def test_a_file_is_told_by_its_header_whatever_its_name(name: str, packed: bool, tmp_path: Path) -> None:
    path = save(tmp_path / name, TRADES, Tape().play(5).rows[TRADES], packed=packed)
    assert source_of(path).tables == (TRADES,)
    assert source_of(path, format="tardis").tables == (TRADES,)
    with pytest.raises(SourceError, match=r"not of the format that was named \(found tardis"):
        find_sources([path], SETTINGS, format="binance-spot")


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    tape, random = Tape().play(40), Random(3)
    plain = parsed(source_of(tape.write(tmp_path / "plain")))
    for table, rows in tape.rows.items():
        names = HEADERS[table].split(",")
        order = random.sample(range(len(names)), len(names))
        mixed = [",".join(line.split(",")[k] for k in order) for line in rows]
        save(tmp_path / "mixed" / f"{table}.csv", table, mixed, header=",".join(names[k] for k in order))
    other = parsed(source_of(tmp_path / "mixed"))
    assert other.rejects == plain.rejects == []
    assert np.array_equal(other.events, plain.events)
    assert np.array_equal(other.quotes, plain.quotes)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (HEADERS[TRADES].replace("amount", "amont"), "missing amount; unexpected 'amont' (for amount?)"),
        (HEADERS[L2].replace(",side", ""), "nearest data type incremental_book_L2: missing side"),
        (
            HEADERS[BOOK].replace("asks[3].price,", ""),
            "nearest data type book_snapshot_5: missing asks[3].price",
        ),
        (HEADERS[QUOTES] + ",mid", "unexpected 'mid'"),
        (HEADERS[TRADES] + ",price", "a column twice: price"),
    ],
)
def test_other_columns_are_refused_with_the_difference(header: str, words: str, tmp_path: Path) -> None:
    path = save(tmp_path / "x.csv", TRADES, [row(TRADES)], header=header)
    with pytest.raises(SourceError) as told:
        find_sources([path], SETTINGS)
    assert words in str(told.value)
    assert "x.csv (row 1)" in str(told.value)


def test_what_holds_nothing_for_a_book_is_passed_over_and_told(tmp_path: Path) -> None:
    folder = Tape().play(5).write(tmp_path / "tardis")
    others = [
        save(folder / "deribit_liquidations_2024-08-09_BTC.csv", TRADES, [row(TRADES)]),
        save(folder / "ticker.csv", L2, [], header="exchange,symbol,timestamp,local_timestamp,funding_rate"),
        save(folder / "header only.csv", QUOTES, []),
    ]
    (folder / "day without data.csv.gz").write_bytes(gzip.compress(b"", mtime=0))
    (folder / "another.csv.gz").write_bytes(gzip.compress(b"", mtime=0))
    told: list[Path] = []
    source = source_of(folder, on_ignored=told.append)
    assert sorted(told) == sorted([*others, folder / "day without data.csv.gz", folder / "another.csv.gz"])
    assert len(source.files) == 4
    with pytest.raises(SourceError, match="holds no rows for a book"):
        find_sources(others, SETTINGS)


@pytest.mark.parametrize("name", ["exchange", "symbol"])
def test_a_file_of_several_symbols_is_refused(name: str, tmp_path: Path) -> None:
    path = save(tmp_path / "x.csv", TRADES, [row(TRADES), row_of(TRADES, {name: "other"})])
    with pytest.raises(SourceError, match=rf"x\.csv: holds more than one {name} \(found "):
        find_sources([path], SETTINGS)


def test_days_of_a_table_stand_in_the_order_of_their_receive_times(tmp_path: Path) -> None:
    for name, day in (("b.csv", 0), ("a.csv", 1), ("c.csv", 2)):
        save(tmp_path / name, TRADES, [row(TRADES, day * 10**9, id=str(day))])
    source = source_of(tmp_path)
    assert [path.name for path in source.files] == ["b.csv", "a.csv", "c.csv"]
    assert parsed(source).events[Field.TRADE_ID].tolist() == [0, 1, 2]


@pytest.mark.parametrize("time", [START_US // 1_000, START_US * 1_000, 0])
def test_times_in_another_unit_are_refused_in_one_sentence(time: int, tmp_path: Path) -> None:
    rows = [row(TRADES, timestamp=str(time), local_timestamp=str(time))] * 3
    path = save(tmp_path / "x.csv", TRADES, rows)
    with pytest.raises(
        SourceError, match=r"\(row 2, field timestamp\): none of its rows can be read: outside 2017"
    ):
        find_sources([path], SETTINGS)


# ── read exactly ──


def plain_rows(tape: Tape, table: str) -> list[dict[str, str]]:
    text = "\n".join([HEADERS[table], *tape.rows[table]])
    return list(csv.DictReader(io.StringIO(text)))


def test_changes_of_the_book_come_out_as_a_plain_reader_has_them(tmp_path: Path) -> None:
    tape = Tape(seed=5).play(200)
    found = parsed(source_of(tape.write(tmp_path, [L2])))
    rows = plain_rows(tape, L2)
    assert found.rejects == []
    deltas = found.events[:, found.events[Field.KIND] == Kind.BOOK_DELTA]
    wanted = [
        (
            int(one["timestamp"]) * NS_PER_US,
            int(one["local_timestamp"]) * NS_PER_US,
            int(one["side"] == "ask"),
            scaled(one["price"], 8),
            scaled(one["amount"], 8),
        )
        for one in rows
        if one["is_snapshot"] == "false"
    ]
    fields = [Field.ORIGIN_TIME, Field.RECEIVED_TIME, Field.SIDE, Field.PRICE, Field.QUANTITY]
    assert list(map(tuple, deltas[fields].T.tolist())) == wanted
    assert any("e-" in one["amount"] for one in rows), "small amounts are written with exponents"
    # One group for each receive time, numbered by it.
    groups = [list(group) for _, group in groupby(deltas.T.tolist(), key=lambda e: e[Field.MESSAGE])]
    assert all(len({event[Field.UPDATE_ID] for event in group}) == 1 for group in groups)
    assert all(event[Field.UPDATE_ID] == event[Field.RECEIVED_TIME] for group in groups for event in group)


def test_a_snapshot_states_bids_then_asks_best_first(tmp_path: Path) -> None:
    tape = Tape().play(3)
    found = parsed(source_of(tape.write(tmp_path, [L2])))
    stated = found.events[:, found.events[Field.KIND] == Kind.BOOK_SNAPSHOT]
    bids, asks = (stated[Field.PRICE, stated[Field.SIDE] == side].tolist() for side in range(2))
    assert stated[Field.SIDE].tolist() == [0] * 29 + [1] * 29
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert set(stated[Field.MESSAGE].tolist()) == {2}
    assert set(stated[Field.FLAGS].tolist()) == {0}
    assert found.counts == {"snapshots": 1, "deltas": 3}


def test_trades_and_quotes_come_out_as_a_plain_reader_has_them(tmp_path: Path) -> None:
    tape = Tape(seed=9).play(200)
    found = parsed(source_of(tape.write(tmp_path, [TRADES, QUOTES])))
    assert found.rejects == []
    fields = [Field.TRADE_ID, Field.SIDE, Field.PRICE, Field.QUANTITY, Field.FLAGS]
    assert list(map(tuple, found.events[fields].T.tolist())) == [
        (int(one["id"]), int(one["side"] == "sell"), scaled(one["price"], 8), scaled(one["amount"], 8), 0)
        for one in plain_rows(tape, TRADES)
    ]
    names = {
        Quote.BID_PRICE: "bid_price",
        Quote.BID_QUANTITY: "bid_amount",
        Quote.ASK_PRICE: "ask_price",
        Quote.ASK_QUANTITY: "ask_amount",
    }
    assert list(map(tuple, found.quotes[list(names)].T.tolist())) == [
        tuple(scaled(one[name], 8) for name in names.values()) for one in plain_rows(tape, QUOTES)
    ]


def test_rows_of_a_book_snapshot_come_out_level_by_level(tmp_path: Path) -> None:
    tape = Tape(seed=4).play(60)
    found = parsed(source_of(tape.write(tmp_path, [BOOK])))
    assert found.rejects == []
    wanted = [
        (number, side, scaled(one[f"{name}[{level}].price"], 8), scaled(one[f"{name}[{level}].amount"], 8))
        for number, one in enumerate(plain_rows(tape, BOOK), 2)
        for side, name in enumerate(("bids", "asks"))
        for level in range(5)
    ]
    fields = [Field.MESSAGE, Field.SIDE, Field.PRICE, Field.QUANTITY]
    assert list(map(tuple, found.events[fields].T.tolist())) == wanted
    assert set(found.events[Field.FLAGS].tolist()) == {int(Flag.SAMPLED)}
    assert (found.events[Field.UPDATE_ID] == found.events[Field.RECEIVED_TIME]).all()


def test_a_trade_without_a_whole_number_as_id_has_none(tmp_path: Path) -> None:
    ids = ["", "a3f0c2d4-1c9b", "18446744073709551616", "12"]
    found = parsed(file(tmp_path, TRADES, [row(TRADES, at, id=one) for at, one in enumerate(ids)]))
    assert found.events[Field.TRADE_ID].tolist() == [NONE, NONE, NONE, 12]


def test_a_side_of_a_quote_may_be_empty(tmp_path: Path) -> None:
    found = parsed(
        file(tmp_path, QUOTES, [row(QUOTES, ask_amount="", ask_price=""), row(QUOTES, 1, bid_amount="")])
    )
    assert found.quotes[Quote.ASK_PRICE].tolist() == [NONE]
    assert [(one.row, one.field, one.reason) for one in found.rejects] == [
        (3, "bid_amount", "no value beside a price")
    ]


# ── messages ──


def times_of(events: Int64Array, kind: Kind) -> list[int]:
    chosen = events[:, events[Field.KIND] == kind]
    return [(int(t) // NS_PER_US) - START_US for t in chosen[Field.ORIGIN_TIME]]


def test_snapshot_rows_in_a_row_are_one_snapshot_whatever_their_times(tmp_path: Path) -> None:
    rows = [row(L2, at, is_snapshot="true", price=str(100 + at)) for at in range(3)] + [row(L2, 9)]
    found = parsed(file(tmp_path, L2, rows))
    stated = found.events[:, :3]
    assert set(stated[Field.MESSAGE].tolist()) == {2}
    assert set(stated[Field.UPDATE_ID].tolist()) == {(START_US + 10_002) * NS_PER_US}
    assert times_of(found.events, Kind.BOOK_SNAPSHOT) == [2, 2, 2]


@pytest.mark.parametrize(
    ("before", "stated", "behind", "told"),
    [([5], 7, 9, 7), ([5], 40, 9, 9), ([5], 2, 9, 5), ([], 40, 9, 9), ([8, 5], 40, 6, 8), ([], 40, None, 40)],
)
def test_a_snapshot_stands_between_the_changes_around_it(
    before: list[int], stated: int, behind: int | None, told: int, tmp_path: Path
) -> None:
    """Its time may be another clock's: its place in the file decides."""
    rows = [row(L2, at, received_us=number) for number, at in enumerate(before)]
    rows += [row(L2, stated, received_us=100, is_snapshot="true")]
    rows += [row(L2, behind, received_us=200)] if behind is not None else []
    found = parsed(file(tmp_path, L2, rows))
    assert times_of(found.events, Kind.BOOK_SNAPSHOT) == [told]
    (flags,) = set(found.events[Field.FLAGS, found.events[Field.KIND] == Kind.BOOK_SNAPSHOT].tolist())
    assert flags == (Flag.DERIVED_TIME if told != stated else 0)
    ordered = np.concatenate([b.events for b in ingest(source_of(tmp_path), SETTINGS)], axis=1)
    assert ordered[Field.KIND].tolist() == [Kind.BOOK_DELTA] * len(before) + [Kind.BOOK_SNAPSHOT] + [
        Kind.BOOK_DELTA
    ] * (behind is not None)


def test_messages_of_one_microsecond_have_ids_of_their_own(tmp_path: Path) -> None:
    rows = [row(L2, at, received_us=50) for at in (1, 1, 2, 3)] + [row(L2, 3, received_us=51)]
    found = parsed(file(tmp_path, L2, rows))
    base = (START_US + 50) * NS_PER_US
    assert (found.events[Field.UPDATE_ID] - base).tolist() == [0, 0, 1, 2, 1_000]


def test_a_second_snapshot_in_a_file_tells_of_a_new_connection(tmp_path: Path) -> None:
    tape = Tape()
    for _ in range(3):
        tape.play(4)
    source = file(tmp_path / "1", L2, tape.rows[L2])
    for settings_ in (SETTINGS, SMALL):
        records = parsed(source, settings_).records
        assert [(one.kind, one.from_time < one.to_time) for one in records] == [
            ("capture_boundary", True)
        ] * 2
    tape.time_us += 10**9
    days = tape.rows[L2]
    tape.rows[L2] = []
    save(tmp_path / "2" / "a.csv", L2, days)
    save(tmp_path / "2" / "b.csv", L2, tape.play(4).rows[L2])
    assert len(parsed(source_of(tmp_path / "2")).records) == 2, "each file begins with a snapshot"


# ── rejected with row, field and reason ──

BAD: list[tuple[str, dict[str, str], str, str]] = [
    (L2, {"price": "NaN"}, "price", "not a plain decimal number"),
    (L2, {"price": "inf"}, "price", "not a plain decimal number"),
    (L2, {"price": "-1"}, "price", "negative"),
    (L2, {"price": "-0.0"}, "price", "negative"),
    (L2, {"price": "0"}, "price", "zero"),
    (L2, {"price": ""}, "price", "no value"),
    (L2, {"amount": "-5"}, "amount", "negative"),
    (L2, {"amount": "5e-324"}, "amount", "more decimals than the scale"),
    (L2, {"amount": "0.123456789"}, "amount", "more decimals than the scale"),
    (L2, {"amount": "1e400"}, "amount", "too large for the scale"),
    (L2, {"amount": "92233720369"}, "amount", "too large for the scale"),
    (L2, {"amount": "\u0661"}, "amount", "not a plain decimal number"),
    (L2, {"amount": "1_000"}, "amount", "not a plain decimal number"),
    (L2, {"amount": " 1"}, "amount", "not a plain decimal number"),
    (L2, {"amount": '"1"'}, "amount", "not a plain decimal number"),
    (L2, {"side": "Bid"}, "side", "neither 'bid' nor 'ask'"),
    (L2, {"is_snapshot": "True"}, "is_snapshot", "neither 'false' nor 'true'"),
    (L2, {"symbol": "ETHUSDT"}, "symbol", "not 'BTCUSDT'"),
    (L2, {"exchange": "binance-us"}, "exchange", "not 'binance'"),
    (L2, {"timestamp": "1723161600000"}, "timestamp", "outside 2017 to 2100"),
    (L2, {"timestamp": "1723161600000000000"}, "timestamp", "outside 2017 to 2100"),
    (L2, {"timestamp": "17231616000000.5"}, "timestamp", "not a plain decimal number"),
    (L2, {"local_timestamp": "2024-08-09"}, "local_timestamp", "not a plain decimal number"),
    (L2, {"timestamp": str(START_US + 7_200_000_000)}, "timestamp", "further ahead of the receive time"),
    (L2, {"amount": "1,5"}, "", "not the 8 cells that the header names"),
    (TRADES, {"side": "unknown"}, "side", "neither 'buy' nor 'sell'"),
    (TRADES, {"amount": "0"}, "amount", "zero"),
    (TRADES, {"price": "0x10"}, "price", "not a plain decimal number"),
    (QUOTES, {"bid_price": "0"}, "bid_price", "zero"),
    (QUOTES, {"ask_amount": "-1"}, "ask_amount", "negative"),
    (BOOK, {"asks[1].price": "60001"}, "asks[1].price", "not behind that of the level before"),
    (BOOK, {"bids[2].price": "", "bids[2].amount": ""}, "bids[3].price", "no level before it"),
    (BOOK, {"bids[4].amount": ""}, "bids[4].price", "price or amount is missing"),
    (BOOK, {"bids[0].price": "nan"}, "bids[0].price", "not a plain decimal number"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "cells", "field", "reason"), BAD)
def test_a_bad_row_is_rejected_with_field_and_reason(
    table: str, cells: dict[str, str], field: str, reason: str, tmp_path: Path
) -> None:
    rows = [row(table, 0), row(table, 1_000), row(table, 2_000)]
    good = parsed(file(tmp_path / "good", table, rows))
    bad = row_of(table, cells, 1_000)
    source = file(tmp_path / "x", table, rows)
    source.files[0].write_text("\n".join([HEADERS[table], rows[0], bad, rows[2], ""]))
    found = parsed(source)
    (reject,) = found.rejects
    assert (reject.row, reject.field, reject.raw.decode()) == (3, field, bad)
    assert reason in reject.reason
    assert field not in cells or reject.found == cells[field]
    for ours, wanted, message in (
        (found.events, good.events, Field.MESSAGE),
        (found.quotes, good.quotes, Quote.MESSAGE),
    ):
        assert np.array_equal(ours, wanted[:, wanted[message] != 3])


def test_an_empty_row_of_a_book_snapshot_is_rejected(tmp_path: Path) -> None:
    source = file(tmp_path, BOOK, [row(BOOK)])
    nothing = row(BOOK, 5).split(",")[:4] + [""] * 20
    source.files[0].write_text("\n".join([HEADERS[BOOK], row(BOOK), ",".join(nothing), ""]))
    assert [(one.row, one.reason) for one in parsed(source).rejects] == [(3, "no level on either side")]


def test_a_message_is_refused_whole_with_its_bad_row(tmp_path: Path) -> None:
    rows = [row(L2, 0, price="1"), row(L2, 0, price="2"), row(L2, 0, price="3"), row(L2, 9)]
    source = file(tmp_path, L2, rows)
    for cells in ({"price": "-2"}, {"local_timestamp": "soon"}, {"is_snapshot": "maybe"}):
        changed = [rows[0], row_of(L2, {"price": "2", **cells}), *rows[2:]]
        source.files[0].write_text("\n".join([HEADERS[L2], *changed, ""]))
        found = parsed(source)
        (name,) = cells
        assert [one.row for one in found.rejects] == [2, 3, 4]
        assert found.rejects[1].field == name
        assert found.rejects[0].reason.startswith(f"row 3 of the same message is refused: {name} is ")
        assert found.events[Field.MESSAGE].tolist() == [5]


def test_a_row_of_another_symbol_spoils_no_message(tmp_path: Path) -> None:
    rows = [row(L2, 0, price="1"), row(L2, 0, price="3"), row(L2, 9)]
    source = file(tmp_path, L2, rows)
    source.files[0].write_text("\n".join([HEADERS[L2], rows[0], row(L2, 0, symbol="ETHUSDT"), *rows[1:], ""]))
    found = parsed(source)
    assert [one.row for one in found.rejects] == [3]
    assert found.events[Field.MESSAGE].tolist() == [2, 2, 5]


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_a_truncated_file_is_read_as_far_as_it_is_whole(cut: int, tmp_path: Path) -> None:
    tape = Tape().play(400)
    source = source_of(tape.write(tmp_path, [L2]))
    whole, content = parsed(source), source.files[0].read_bytes()
    source.files[0].write_bytes(content[:-cut])
    found = parsed(source)
    assert found.rejects[-1].reason.startswith("gzip stream ends before its end marker")
    count = found.events.shape[1]
    last = int(found.events[Field.MESSAGE, -1])
    assert np.array_equal(found.events, whole.events[:, :count])
    assert last <= found.rejects[-1].row <= 2 + len(tape.rows[L2])
    assert {one.reason for one in found.rejects[:-1]} == {BROKEN}, "nobody knows whether it is whole"
    assert len({one.raw.split(b",")[3] for one in found.rejects[:-1]}) == 1


def test_a_last_line_without_end_is_no_row(tmp_path: Path) -> None:
    """Cut inside a number it would read as another one."""
    source = file(tmp_path, TRADES, [row(TRADES), row(TRADES, 1)])
    source.files[0].write_bytes(source.files[0].read_bytes()[:-2])
    found = parsed(source)
    assert found.events.shape[1] == 1
    assert [(one.row, one.reason) for one in found.rejects] == [(3, csv_lines.CUT)]


def test_line_ends_of_windows_and_blank_lines_change_nothing(tmp_path: Path) -> None:
    tape = Tape().play(30)
    plain = parsed(file(tmp_path / "1", TRADES, tape.rows[TRADES]))
    path = save(tmp_path / "2" / "x.csv", TRADES, tape.rows[TRADES])
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\n")
    found = parsed(source_of(path))
    assert found.rejects == []
    assert np.array_equal(found.events, plain.events)


def test_rows_that_are_skipped_are_told(tmp_path: Path) -> None:
    tape = Tape().play(40)
    source = source_of(tape.write(tmp_path, [TRADES]))
    batches = list(DataIngestion(source, SETTINGS, skips=[Skip(0, "x", 5, 9, "poison")]))
    messages = [number for batch in batches for number in batch.events[Field.MESSAGE].tolist()]
    rejects = [(one.row, one.reason) for batch in batches for one in batch.rejects]
    assert rejects == [(number, "poison") for number in range(5, 10)]
    assert messages == [n for n in range(2, 2 + len(tape.rows[TRADES])) if not 5 <= n <= 9]


# ── nothing lost ──


def accounted(found: Parsed, table: str) -> int:
    """Rows that became events or quotes, and those that were rejected."""
    if table == BOOK:
        return len(set(found.events[Field.MESSAGE].tolist())) + len(found.rejects)
    return int(found.events.shape[1] + found.quotes.shape[1] + len(found.rejects))


def damage(rows: list[str], random: Random) -> list[str]:
    """Rows as somebody's mistake leaves them: cut, doubled, swapped, joined, or with a character changed."""
    rows = list(rows)
    for _ in range(min(random.randrange(1, 8), len(rows) - 1)):
        at = random.randrange(len(rows))
        line = rows[at]
        place = random.randrange(len(line) + 1)
        other = random.randrange(len(rows))
        match random.randrange(6):
            case 0:
                rows[at] = line[:place]
            case 1:
                rows.insert(at, line)
            case 2:
                rows[at], rows[other] = rows[other], rows[at]
            case 3:
                rows[at] = line[:place] + random.choice(',.-eE\x00"x5 ٣') + line[place:]
            case 4:
                rows[at] = line[:place] + random.choice("0123456789,-x") + line[place + 1 :]
            case _:
                rows.pop(at)
    return rows


def told_of(found: Parsed, table: str) -> dict[int, list[int]]:
    """The numbers of each row that became a trade or a quote, by row."""
    if table == TRADES:
        fields = [
            Field.ORIGIN_TIME,
            Field.RECEIVED_TIME,
            Field.TRADE_ID,
            Field.SIDE,
            Field.PRICE,
            Field.QUANTITY,
        ]
        return dict(zip(found.events[Field.MESSAGE].tolist(), found.events[fields].T.tolist(), strict=True))
    names = [Quote.ORIGIN_TIME, Quote.RECEIVED_TIME, Quote.ASK_QUANTITY, Quote.ASK_PRICE, Quote.BID_PRICE]
    numbers = found.quotes[[*names, Quote.BID_QUANTITY]].T.tolist()
    return dict(zip(found.quotes[Quote.MESSAGE].tolist(), numbers, strict=True))


def plainly(line: str, table: str) -> list[int]:
    """The numbers of one line, read by `decimal`."""
    cells = line.split(",")
    times = [int(cell) * NS_PER_US for cell in cells[2:4]]
    if table == TRADES:
        identity, side, price, amount = cells[4:]
        is_whole = identity.isascii() and identity.isdigit() and len(identity) <= 18
        return [
            *times,
            int(identity) if is_whole else NONE,
            int(side == "sell"),
            scaled(price, 8),
            scaled(amount, 8),
        ]
    return [*times, *(scaled(cell, 8) if cell else NONE for cell in cells[4:])]


@pytest.mark.parametrize("table", HEADERS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=SEEDS)
def test_damaged_rows_are_events_or_rejects(
    table: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path, random = tmp_path_factory.mktemp("damaged"), Random(seed)
    tape = Tape(seed=7).play(12)
    tape.play(12)
    source = file(tmp_path, table, tape.rows[table])
    rows = damage(tape.rows[table], random)
    source.files[0].write_text("\n".join([HEADERS[table], *rows, ""]), encoding="utf-8")
    settings_ = random.choice([SETTINGS, SMALL])
    found = parsed(source, settings_)
    assert accounted(found, table) == sum(bool(line) for line in rows)
    told = {(one.row, one.raw) for one in found.rejects}
    assert told <= {(number, line.encode()) for number, line in enumerate(rows, 2)}
    assert all(one.reason for one in found.rejects)
    refused = {one.row for one in found.rejects}
    # What was taken in says what its row says, by another reader's account.
    if table in (TRADES, QUOTES):
        assert told_of(found, table) == {
            number: plainly(line, table)
            for number, line in enumerate(rows, 2)
            if line and number not in refused
        }


@given(seed=st.integers(0, 2**32))
@settings(max_examples=SEEDS)
def test_a_packed_file_that_is_damaged_is_told(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Cut, or with a byte changed: what is given out before the damage is what was there."""
    random = Random(seed)
    source = source_of(Tape(seed=7).play(60).write(tmp_path_factory.mktemp("bytes"), [L2]))
    whole, content = parsed(source), bytearray(source.files[0].read_bytes())
    at = random.randrange(10, len(content))
    is_cut = random.random() < 0.5
    if is_cut:
        del content[at:]
    else:
        content[at] ^= 1 << random.randrange(8)
    source.files[0].write_bytes(content)
    try:
        found = parsed(source)
    except SourceError as told:
        assert "\n" not in str(told)  # noqa: PT017
        return
    assert found.rejects[-1].reason.startswith("gzip stream")
    if is_cut:
        assert {one.reason for one in found.rejects[:-1]} <= {BROKEN}
        assert np.array_equal(found.events, whole.events[:, : found.events.shape[1]])


# ── the same whatever the batches ──


def outcome(source: Source, settings_: Settings) -> tuple[Any, ...]:
    batches = list(ingest(source, settings_))
    events = np.concatenate([batch.events for batch in batches], axis=1)
    quotes = np.concatenate([batch.quotes for batch in batches], axis=1)
    rejects: list[Reject] = sorted((r for b in batches for r in b.rejects), key=lambda r: (r.file, r.row))
    return events.tolist(), quotes.tolist(), rejects, [r for b in batches for r in b.records]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two days of all tables, with connections lost, and some damage."""
    tape, random = Tape(seed=2), Random(1)
    for day in range(2):
        tape.play(12)
        tape.snapshot(clock_is_ours=True)
        tape.play(9)
        for table in HEADERS:
            rows = damage(tape.rows[table], random) if day else tape.rows[table]
            save(tmp_path / "days" / f"{table}-{day}.csv", table, rows, packed=day == 0)
            tape.rows[table] = []
    return tmp_path / "days"


@pytest.mark.parametrize("chunk", [50, 1 << 20])
def test_batches_change_nothing(chunk: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "CHUNK_BYTES", chunk)
    source = source_of(folder)
    whole = outcome(source, Settings())
    for rows in (1, 7, 100):
        assert outcome(source, Settings(batch_rows=rows)) == whole


def cut_every(patch: pytest.MonkeyPatch, span_ns: int) -> None:
    patch.setattr(tardis, "span_ns", lambda _: span_ns)


@pytest.mark.parametrize(("rows", "span_ms"), [(1, 10**6), (3, 10**6), (40, 10**6), (10**4, 200)])
def test_reading_goes_on_from_every_border(
    rows: int, span_ms: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_lines, "CHUNK_BYTES", 700)
    cut_every(monkeypatch, span_ms * 10**6)
    settings_ = Settings(batch_rows=rows, horizon_ms=50)
    assert check_every_border(source_of(folder), settings_, every=1 if rows > 3 else 5) > 10


def test_a_quiet_market_is_cut_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = file(tmp_path, TRADES, [row(TRADES, at * 10**6) for at in range(100)])
    cut_every(monkeypatch, 10 * 10**9)
    assert len(list(parsed_batches(source, SETTINGS))) == 10


def test_rows_of_one_time_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlx_datapipe.ingestion.tardis_rows.LARGEST_MESSAGE", 500)
    monkeypatch.setattr(csv_lines, "CHUNK_BYTES", 10_000)
    source = file(tmp_path, L2, [row(L2, 0)] * 2_000)
    with pytest.raises(
        SourceError, match=r"incremental_book_L2\.csv \(row 2, field local_timestamp\): too many"
    ):
        parsed(source, Settings(batch_rows=10))


# ── real files ──

Check = Callable[[Parsed], None]


def _deribit(found: Parsed) -> None:
    assert found.counts == {"snapshots": 1}
    assert found.events[Field.PRICE, [0, -1]].tolist() == [642_150_000_000, 642_850_000_000]
    assert found.events[Field.QUANTITY, [0, -1]].tolist() == [18_640 * 10**8, 39_950 * 10**8]


def _quotes(found: Parsed) -> None:
    assert found.counts == {"quotes": 9_999}
    names = [Quote.ORIGIN_TIME, Quote.RECEIVED_TIME, Quote.ASK_QUANTITY, Quote.ASK_PRICE, Quote.BID_PRICE]
    first = [1582329601096000000, 1582329603502092000, 84_000_000, 968_200_000_000, 968_192_000_000]
    assert found.quotes[names, 0].tolist() == first
    assert found.quotes[Quote.RECEIVED_TIME, -1] == 1582329827181582000


def _trades(found: Parsed) -> None:
    assert found.counts == {"trades": 9_999}
    names = [Field.TRADE_ID, Field.SIDE, Field.PRICE, Field.QUANTITY]
    assert found.events[names, 0].tolist() == [42377944, 0, 968_200_000_000, 13_200_000]
    assert found.events[names, -1].tolist() == [42387942, 1, 966_684_000_000, 7_000_000]
    assert (np.diff(found.events[Field.TRADE_ID]) == 1).all(), "single trades: none is missing"


def _snapshots(found: Parsed) -> None:
    assert found.counts == {"book_snapshot_25": 10}
    assert found.events.shape[1] == 500


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("name", "exchange", "check"),
    [
        ("tardis_deribit_incremental_book_L2_head.csv", "DERIBIT", _deribit),
        ("tardis_binance-futures_quotes_BTCUSDT_2020-02-22.csv", "BINANCE_FUTURES", _quotes),
        ("tardis_binance-futures_trades_BTCUSDT_2020-02-22.csv", "BINANCE_FUTURES", _trades),
        ("tardis_binance-futures_book_snapshot_25_head.csv", "BINANCE_FUTURES", _snapshots),
    ],
)
def test_a_real_file_is_read_whole(name: str, exchange: str, check: Check, recordings: Path) -> None:
    source = source_of(recordings / "misc" / name)
    assert source.instrument.exchange == exchange
    found = parsed(source)
    assert found.rejects == []
    check(found)


def test_book_snapshots_of_two_depths_are_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = Tape(seed=3).play(40).write(tmp_path / "in", [BOOK, TRADES], packed=False)
    (deep,) = (path for path in folder.rglob("*") if path.is_file() and BOOK in str(path))
    names, *rows = (line.split(",") for line in deep.read_text().splitlines())
    kept = [at for at, name in enumerate(names) if not re.search(r"\[[234]\]", name)]
    shallow = [",".join(row[at] for at in kept) for row in (names, *rows)]
    (folder / "shallow.csv").write_text("\n".join(shallow) + "\n")
    told = "found book_snapshot_2, book_snapshot_5.*Give those of one depth: book_snapshot_5 has all"
    with pytest.raises(SourceError, match=told):
        find_sources([folder], Settings())
    (folder / "shallow.csv").unlink()
    assert len(find_sources([folder], Settings())) == 1
