"""LOBSTER pairs: the book after each message equals its orderbook row, and faults are seen."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ingestion.order_market import ASK, BID, lobster_name, lobster_rows, write_lobster
from tests.ingestion.order_reading import books, checks, drifts, read, source_of
from tests.ingestion.test_resume import check_every_border

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.core.event import Field, Flag, Kind
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.ingestion.ingest import DataIngestion, ingest
from rlx_datapipe.ingestion.lobster import LobsterReader
from rlx_datapipe.ingestion.reader import Task
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.venues import lobster

MIDNIGHT_NS = 1_340_251_200 * 10**9
"""2012-06-21 00:00 in New York is 04:00 UTC."""


def told_by(source: Source) -> dict[str, int]:
    reader = LobsterReader(source, Task(Settings()))
    for _ in reader.steps(0, 0, 0):
        pass
    return reader.told


def stated(line: str) -> list[dict[int, int]]:
    """The levels of an orderbook row: bids, asks."""
    cells = list(map(int, line.split(",")))
    pairs = list(zip(cells[::2], cells[1::2], strict=True))
    return [{price: size for price, size in pairs[first::2] if size} for first in (1, 0)]


# ── the book ──


@pytest.mark.parametrize("levels", [1, 2, 3, 10])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_book_of_a_plain_dictionary_equals_the_row_after_each_message(
    tmp_path: Path, levels: int, seed: int
) -> None:
    told, rows = lobster_rows(seed, 400, levels)
    source = source_of(write_lobster(tmp_path, told, rows, levels))
    events, rejects = read(source)
    assert not rejects
    seen = dict(books(events))
    assert sorted(seen) == list(range(1, 401))
    for row, book in seen.items():
        assert book == stated(rows[row - 1]), f"row {row}: {told[row - 1]}"


@pytest.mark.parametrize("levels", [1, 3, 10])
def test_the_replay_confirms_each_row(tmp_path: Path, levels: int) -> None:
    source = source_of(write_lobster(tmp_path, *lobster_rows(3, 400, levels), levels))
    assert checks(source) == 399
    assert not drifts(source)
    told = told_by(source)
    assert told["rows"] == told["rows_equal"] == 399
    assert told["levels"] == told["levels_equal"]
    assert told["orders_known"] > 50
    assert told["orders_unlike"] == 0


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_rows_tell_nothing_that_messages_had_determined(tmp_path: Path, levels: int) -> None:
    """Each REVEALED row lies beyond the worst level that was in view, or takes away what left the view."""
    told, rows = lobster_rows(4, 1_500, levels)
    source = source_of(write_lobster(tmp_path, told, rows, levels))
    events, _ = read(source)
    revealed = events[:, events[Field.FLAGS] & Flag.REVEALED != 0]
    revealed = revealed[:, revealed[Field.KIND] == Kind.BOOK_DELTA]
    assert revealed.shape[1] > 50
    for column in revealed.T.tolist():
        row, side, price, size = (column[f] for f in (Field.MESSAGE, Field.SIDE, Field.PRICE, Field.QUANTITY))
        before, after = (stated(rows[at])[side] for at in (row - 2, row - 1))
        sign = -1 if side == BID else 1
        if size:
            assert len(before) == levels
            assert price * sign > max(level * sign for level in before)
        else:
            assert len(after) == levels
            assert price * sign > max(level * sign for level in after)


def test_levels_alone_come_from_messages_where_a_side_has_room(tmp_path: Path) -> None:
    source = source_of(write_lobster(tmp_path, *lobster_rows(5, 300, 500), 500))
    told = told_by(source)
    assert (told["rows_alone"], told["rows"]) == (299, 299)
    assert (told["revealed"], told["hidden"]) == (0, 0)


def test_trades_have_the_aggressors_side_and_hidden_ones_are_off_the_book(tmp_path: Path) -> None:
    told, rows = lobster_rows(6, 400, 3)
    events, _ = read(source_of(write_lobster(tmp_path, told, rows, 3)))
    trades = events[:, events[Field.KIND] == Kind.TRADE]
    expected = []
    for row, line in enumerate(told, 1):
        _, kind, _, size, price, direction = line.split(",")
        if kind in "45":
            flag = int(Flag.OFF_BOOK) if kind == "5" else 0
            expected.append([row, ASK if direction == "1" else BID, int(price), int(size), flag, row])
    fields = [Field.MESSAGE, Field.SIDE, Field.PRICE, Field.QUANTITY, Field.FLAGS, Field.TRADE_ID]
    assert trades[fields].T.tolist() == expected


def test_each_row_is_an_event_or_a_reject(tmp_path: Path) -> None:
    told, rows = lobster_rows(7, 200, 2)
    told[50], told[90], rows[120] = "34200,1,x,5,100,1", "nothing", rows[120] + ",1"
    events, rejects = read(source_of(write_lobster(tmp_path, told, rows, 2)))
    assert set(events[Field.MESSAGE].tolist()) | {51, 91} == set(range(1, 201))
    assert [(reject.file, reject.row, reject.field, reject.found) for reject in rejects] == [
        (lobster_name("message", 2), 51, "order_id", "x"),
        (lobster_name("message", 2), 91, "time", "nothing"),
        (lobster_name("orderbook", 2), 121, "", "9 columns"),
    ]


# ── faults ──


def planted(fault: str, told: list[str], rows: list[str]) -> int:
    """Plant a fault behind row 100; the row (from 1) where it must show."""
    at = next(
        at for at in range(100, len(told)) if told[at].split(",")[1] == "1" and rows[at] != rows[at - 1]
    )
    cells = told[at].split(",")
    if fault == "a message and its row are missing":
        del told[at], rows[at]
    elif fault == "another size":
        told[at] = ",".join([*cells[:3], str(int(cells[3]) + 1), *cells[4:]])
    elif fault == "another price":
        told[at] = ",".join([*cells[:4], str(int(cells[4]) + 50), cells[5]])
    elif fault == "the other side":
        told[at] = ",".join([*cells[:5], str(-int(cells[5]))])
    else:
        row = rows[at].split(",")
        rows[at] = ",".join([row[0], str(int(row[1]) + 3), *row[2:]])
    return at + 1


@pytest.mark.parametrize("levels", [1, 3, 10])
@pytest.mark.parametrize(
    "fault",
    ["a message and its row are missing", "another size", "another price", "the other side", "another row"],
)
def test_a_planted_fault_is_found_as_drift_and_healed(tmp_path: Path, fault: str, levels: int) -> None:
    told, rows = lobster_rows(8, 300, levels)
    planted(fault, told, rows)
    source = source_of(write_lobster(tmp_path, told, rows, levels))
    found = drifts(source)
    assert 1 <= len(found) <= 3
    assert checks(source) == len(told) - 1 - len(found)


def test_a_message_without_its_row_makes_the_files_disagree_from_there_on(tmp_path: Path) -> None:
    told, rows = lobster_rows(9, 300, 3)
    del told[150]
    source = source_of(write_lobster(tmp_path, told, rows, 3))
    assert len(drifts(source)) > 50
    _, rejects = read(source)
    assert [(reject.reason, reject.found, reject.row) for reject in rejects] == [
        ("has rows without a message", "1 rows more", 300)
    ]


def test_messages_behind_the_last_row_are_kept(tmp_path: Path) -> None:
    told, rows = lobster_rows(9, 300, 3)
    source = source_of(write_lobster(tmp_path, told, rows[:290], 3))
    events, rejects = read(source)
    assert [(reject.reason, reject.found, reject.row) for reject in rejects] == [
        ("ends before its message file", "10 rows less", 291)
    ]
    assert events[Field.MESSAGE].max() == 300


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ("34200.5,1,7,0,100,1", "size", "not a size greater than 0"),
        ("34200.5,1,7,-5,100,1", "size", "not a size greater than 0"),
        ("34200.5,1,7,5,0,1", "price", "not a price greater than 0"),
        ("34200.5,1,0,5,100,1", "order_id", "not an id of an order"),
        ("34200.5,8,7,5,100,1", "type", "unknown type of message"),
        ("34200.5,1,7,5,100,0", "direction", "neither 1 nor -1"),
        ("86400,1,7,5,100,1", "time", "not a time of the day"),
        ("34200.5,7,0,0,5,-1", "price", "not one of the three signs of a halt"),
        ("1e5,1,7,5,100,1", "time", "not a whole number that fits"),
        ("nan,1,7,5,100,1", "time", "not a whole number that fits"),
        ("34200.5,1,7,5.0,100,1", "size", "not a whole number that fits"),
        ("34200.5,1,7,99999999999999999999,100,1", "size", "not a whole number that fits"),
        ("34200.5,1,7,5,4611686018427387904,1", "price", "not a price greater than 0"),
        ("34200.5,1,7,\u0665,100,1", "size", "not a whole number that fits"),
        ("34200.5,1,7, 5,100,1", "size", "not a whole number that fits"),
        ("34200.5,1,7,1_0,100,1", "size", "not a whole number that fits"),
        ("34200.5,1,7,,100,1", "size", "not a whole number that fits"),
    ],
)
def test_a_message_that_can_t_be_is_quarantined_with_its_reason(
    tmp_path: Path, line: str, field: str, reason: str
) -> None:
    told, rows = lobster_rows(10, 40, 2)
    told[20] = line
    _, rejects = read(source_of(write_lobster(tmp_path, told, rows, 2)))
    assert [(reject.row, reject.field, reject.reason, reject.raw.decode()) for reject in rejects] == [
        (21, field, reason, line)
    ]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("100,5,90,5,100,5,80,5", "ask_price_2"),
        ("100,5,90,5,110,5,95,5", "bid_price_2"),
        ("100,0,90,5,110,5,80,5", "ask_size_1"),
        ("9999999999,0,90,5,110,5,80,5", "ask_price_2"),
        ("100,5,90,5,110,5,-9999999999,1", "bid_size_2"),
        ("100,5,-90,5,110,5,80,5", "bid_price_1"),
    ],
)
def test_an_orderbook_row_that_can_t_be_is_quarantined_and_nothing_is_taken_from_it(
    tmp_path: Path, row: str, field: str
) -> None:
    told, rows = lobster_rows(11, 40, 2)
    rows[20] = row
    source = source_of(write_lobster(tmp_path, told, rows, 2))
    _, rejects = read(source)
    assert [(reject.row, reject.field) for reject in rejects] == [(21, field)]
    assert checks(source) == 38
    assert not drifts(source)


@given(st.lists(st.lists(st.integers(-2, 8) | st.just(2**61), min_size=6, max_size=6), max_size=20))
def test_columns_of_messages_are_judged_as_one_by_one(rows: list[list[int]]) -> None:
    found = lobster.message_faults(np.array(rows, dtype=np.int64).reshape(-1, 6)).tolist()
    assert found == [index for index, row in enumerate(rows) if lobster.message_fault(row)]


_cells = st.sampled_from([0, 1, 2, 3, -1, 2**61, lobster.NO_ASK, lobster.NO_BID])


@given(st.lists(st.lists(_cells, min_size=12, max_size=12), max_size=20))
def test_columns_of_rows_are_judged_as_one_by_one(rows: list[list[int]]) -> None:
    found = lobster.row_faults(np.array(rows, dtype=np.int64).reshape(-1, 12)).tolist()
    assert found == [index for index, row in enumerate(rows) if lobster.row_fault(row)]


# ── time ──


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("34200", 0),
        ("34200.5", 500_000_000),
        ("34200.000000001", 1),
        ("34200.632812672004", 632_812_672),
        ("34200.0000000015", 2),
    ],
)
def test_times_are_nanoseconds_utc_to_the_unit(tmp_path: Path, text: str, expected: int) -> None:
    paths = write_lobster(tmp_path, [f"{text},1,7,5,100,1"], ["110,5,100,5"], 1)
    events, _ = read(source_of(paths))
    assert set(events[Field.ORIGIN_TIME].tolist()) == {MIDNIGHT_NS + 34_200 * 10**9 + expected}
    assert set(events[Field.RECEIVED_TIME].tolist()) == {MIDNIGHT_NS + 34_200 * 10**9 + expected}


def test_the_offset_of_new_york_is_that_of_the_day() -> None:
    hours = {"2012-01-03": 5, "2012-06-21": 4, "2012-03-09": 5, "2012-03-12": 4, "2012-11-02": 4}
    for day, hour in hours.items():
        date = lobster.parse_name(lobster_name("message", 1, day=day)).date  # type: ignore[union-attr]
        assert lobster.midnight_ns(date) // 10**9 % 86_400 == hour * 3600


def test_halts_are_told_and_leave_the_book_as_it_is(tmp_path: Path) -> None:
    row = "110,5,100,5"
    told = ["34200,1,7,5,100,1", "34201,7,0,0,-1,-1", "34202,7,0,0,0,-1", "34203,7,0,0,1,-1"]
    source = source_of(write_lobster(tmp_path, told, [row] * 4, 1))
    records = [record for batch in ingest(source, Settings()) for record in batch.records]
    assert [(record.kind, record.detail) for record in records] == [
        ("halt", "trading halted"),
        ("halt", "quoting resumed"),
        ("halt", "trading resumed"),
    ]
    assert checks(source) == 3


def test_a_cross_is_a_trade_that_is_no_market_trade(tmp_path: Path) -> None:
    told = ["34200,1,7,5,100,1", "34201,6,-1,900,105,-1", "34202,6,-1,0,0,-1"]
    events, rejects = read(source_of(write_lobster(tmp_path, told, ["110,5,100,5"] * 3, 1)))
    trades = events[:, events[Field.KIND] == Kind.TRADE]
    assert trades[[Field.PRICE, Field.QUANTITY, Field.FLAGS]].T.tolist() == [[105, 900, Flag.NOT_MARKET]]
    assert not rejects


# ── reading ──


@pytest.mark.parametrize("batch_rows", [1, 7, 64])
def test_batches_change_nothing(tmp_path: Path, batch_rows: int) -> None:
    told, rows = lobster_rows(12, 150, 2)
    told[70] = "nothing"
    source = source_of(write_lobster(tmp_path, told, rows, 2))
    once, often = read(source), read(source, Settings(batch_rows=batch_rows))
    np.testing.assert_array_equal(once[0], often[0])
    assert once[1] == often[1]


def test_reading_goes_on_from_any_border(tmp_path: Path) -> None:
    told, rows = lobster_rows(13, 120, 3)
    told[70], rows[71] = "nothing", "nothing"
    first = write_lobster(tmp_path, told, rows[:-2], 3)
    second = write_lobster(tmp_path, *lobster_rows(14, 60, 3), 3, day="2012-06-22")
    source = source_of([*first, *second])
    assert check_every_border(source, Settings(batch_rows=120)) > 18


def test_a_new_day_begins_with_the_levels_of_its_first_row(tmp_path: Path) -> None:
    days = [lobster_rows(15, 80, 3), lobster_rows(16, 80, 2)]
    first = write_lobster(tmp_path, *days[0], 3)
    second = write_lobster(tmp_path, *days[1], 2, day="2012-06-22")
    source = source_of([*second, *first])
    assert [path.name for path in source.files] == [path.name for path in (*first, *second)]
    assert (checks(source), drifts(source)) == (159, [])


def zip_of(folder: Path, told: list[str], rows: list[str]) -> Path:
    """A zip of a pair of two levels; no other file is left."""
    zipped = folder / "sample.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ReadMe.txt", "about the files")
        for path in reversed(write_lobster(folder, told, rows, 2)):
            archive.write(path, f"sample/{path.name}")
            path.unlink()
    return zipped


def test_a_zip_is_read_as_its_files_are(tmp_path: Path) -> None:
    zipped = zip_of(tmp_path, *lobster_rows(17, 100, 2))
    paths = write_lobster(tmp_path, *lobster_rows(17, 100, 2), 2)
    np.testing.assert_array_equal(read(source_of([zipped]))[0], read(source_of(paths))[0])
    assert check_every_border(source_of([zipped]), Settings(batch_rows=160)) > 4


def test_skipped_rows_are_rejects_and_the_next_row_tells_the_book(tmp_path: Path) -> None:
    source = source_of(write_lobster(tmp_path, *lobster_rows(18, 100, 3), 3))
    skip = Skip(0, source.files[0].name, 40, 44, "a worker died on it")
    batches = list(DataIngestion(source, Settings(batch_rows=200), skips=[skip]))
    events = np.concatenate([batch.events for batch in batches], axis=1)
    assert not {40, 41, 42, 43, 44} & set(events[Field.MESSAGE].tolist())
    assert {reject.reason for batch in batches for reject in batch.rejects} == {"a worker died on it"}
    *_, (_, last) = books(events)
    assert (
        last[0].keys() >= stated((tmp_path / lobster_name("orderbook", 3)).read_text().split()[-1])[0].keys()
    )


# ── finding ──


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    message, rows = write_lobster(tmp_path, *lobster_rows(1, 5, 1), 1)
    rows.unlink()
    with pytest.raises(SourceError, match=r"one half of a pair.*orderbook_1.csv.*Give both files"):
        find_sources([message], Settings())


def test_one_day_twice_is_refused(tmp_path: Path) -> None:
    paths = [
        *write_lobster(tmp_path, *lobster_rows(1, 5, 1), 1),
        *write_lobster(tmp_path, *lobster_rows(1, 5, 2), 2),
    ]
    with pytest.raises(SourceError, match="ticker and day"):
        find_sources(paths, Settings())


def test_a_name_that_tells_no_day_is_refused(tmp_path: Path) -> None:
    message, _ = write_lobster(tmp_path, *lobster_rows(1, 5, 1), 1)
    with pytest.raises(SourceError, match="a name that tells no ticker and day"):
        find_sources([message.rename(tmp_path / "messages.csv")], Settings())


def test_a_zip_of_several_days_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "days.zip", "w") as archive:
        for day in ("2012-06-21", "2012-06-22"):
            for kind in ("message", "orderbook"):
                archive.writestr(lobster_name(kind, 1, day=day), "34200,1,7,5,100,1\n")
    with pytest.raises(SourceError, match=r"Unzip it"):
        find_sources([tmp_path / "days.zip"], Settings())


def test_a_zip_that_breaks_off_is_refused(tmp_path: Path) -> None:
    zipped = zip_of(tmp_path, *lobster_rows(17, 100, 2))
    zipped.write_bytes(zipped.read_bytes()[:-60])
    with pytest.raises(SourceError, match=r"sample\.zip.*can't be unzipped"):
        find_sources([zipped], Settings())


def test_a_zip_that_is_corrupt_inside_is_told(tmp_path: Path) -> None:
    zipped = zip_of(tmp_path, *lobster_rows(17, 100, 2))
    spoilt = bytearray(zipped.read_bytes())
    at = spoilt.index(b"orderbook_2.csv") + 100
    spoilt[at : at + 20] = b"\xff" * 20
    zipped.write_bytes(spoilt)
    _, rejects = read(source_of([zipped]))
    assert any(
        reject.reason.startswith("zip stream is corrupt") and "orderbook" in reject.file for reject in rejects
    )


def test_other_decimals_are_refused(tmp_path: Path) -> None:
    paths = write_lobster(tmp_path, *lobster_rows(1, 5, 1), 1)
    with pytest.raises(OptionError, match="fixed decimals"):
        find_sources(paths, Settings(), decimals=(2, None))
