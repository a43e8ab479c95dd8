"""Logs of Bitstamp's level-3 feed: orders become levels, snapshots anchor them, and faults are seen."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from tests.ingestion.order_market import ASK, BID, bitstamp_log, write_log
from tests.ingestion.order_reading import books, drifts, kinds, read, source_of
from tests.ingestion.test_resume import check_every_border

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import NONE, Field, Flag, Kind
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.ingestion import bitstamp
from rlx_datapipe.ingestion.bitstamp import BitstampReader
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.reader import Task
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources

NS_PER_MS = 1_000_000
T = 1_430_438_404_000
ONE = 10**8
"""Prices and quantities have at least eight decimals."""
CENT, TENTH = ONE // 100, ONE // 10


def log_of(tmp_path: Path, lines: Iterable[str]) -> Source:
    return source_of([write_log(tmp_path / "feed.log", list(lines))])


def told_by(source: Source, *, anchors: bool = True) -> dict[str, int]:
    reader = BitstampReader(source, Task(Settings()))
    reader.anchors = anchors
    for _ in reader.steps(0, 0, 0):
        pass
    return reader.told


def order(event: str, id: int, side: int, price: float, amount: float, at: int = 0) -> str:
    facts = f'"price": "{price:.2f}", "amount": "{amount:.8f}", "datetime": "0"'
    return f'{T + at} order_{event} {{{facts}, "id": {id}, "order_type": {side}}}'


def snapshot(bids: str, asks: str, at: int = 0) -> str:
    """A snapshot; levels as ``price:amount`` with blanks between."""
    sides = [
        ", ".join('["{}", "{}"]'.format(*level.split(":")) for level in side.split()) for side in (bids, asks)
    ]
    return f'{T + at} order_book {{"bids": [{sides[0]}], "asks": [{sides[1]}]}}'


BOOK = snapshot("100:5 99:5", "101:5 102:5")


# ── the book ──


@pytest.mark.parametrize("seed", range(4))
def test_the_book_of_a_plain_dictionary_is_the_true_one_after_each_line(tmp_path: Path, seed: int) -> None:
    log = bitstamp_log(seed, 700)
    source = log_of(tmp_path, log.lines)
    events, rejects = read(source)
    assert not rejects
    compared = 0
    for row, book in books(events):
        true = log.books[row - 1]
        if true is not None:
            compared += 1
            told = [{price // CENT: size // TENTH for price, size in side.items()} for side in book]
            assert told == true, f"line {row}: {log.lines[row - 1]}"
    assert compared > 300


def test_snapshots_find_nothing_to_mend_in_a_whole_log(tmp_path: Path) -> None:
    source = log_of(tmp_path, bitstamp_log(5, 800).lines)
    told = told_by(source)
    assert told["snapshots"] == told["best_equal"] > 20
    assert told["levels"] == told["levels_equal"] > 400
    assert told["unknown"] == told["sideless"] == 0
    assert told["crossing"] > 20
    assert not drifts(source)
    assert not {"crossed", "locked", "gap"} & kinds(source)


def test_orders_that_rested_before_the_log_began_are_learned_from_snapshots(tmp_path: Path) -> None:
    source = log_of(tmp_path, bitstamp_log(6, 2_000, levels=5, whole=False).lines)
    told = told_by(source)
    assert told["unknown"] == 60
    assert 0.95 * told["levels"] < told["levels_equal"] < told["levels"]
    seconds = [record.from_time // 10**9 - T // 1000 for record in drifts(source)]
    assert 1 <= len(seconds) <= 12
    assert seconds[-1] < 20, "of sixty: once they are gone all is known"


def test_an_order_that_crosses_waits_until_it_has_traded(tmp_path: Path) -> None:
    lines = [
        BOOK,
        order("created", 8, ASK, 101, 1, 1),
        order("created", 9, BID, 101.5, 7, 2),
        order("changed", 9, BID, 101.5, 6, 3),
        order("deleted", 8, ASK, 101, 0, 4),
        f'{T + 5} trade {{"price": 101.0, "amount": 1, "id": 1}}',
        snapshot("100:5 99:5", "101:5 102:5", 6),
        order("deleted", 7, ASK, 101, 5, 7),
    ]
    events, _ = read(log_of(tmp_path, lines))
    told = [
        (row, [{price / ONE: size // ONE for price, size in side.items()} for side in book])
        for row, book in books(events)
    ]
    asks: dict[float, int] = {101: 6, 102: 5}
    less: dict[float, int] = {101: 5, 102: 5}
    bids: dict[float, int] = {99: 5, 100: 5}
    expected: list[tuple[int, list[dict[float, int]]]] = [
        (1, [bids, less]),
        (2, [bids, asks]),
        (3, [bids, asks]),
        (4, [bids, asks]),
        (5, [bids, less]),
        (8, [{**bids, 101.5: 6}, {102: 5}]),
    ]
    assert told == expected


@pytest.mark.parametrize("seed", [1, 2])
def test_the_aggressor_of_a_trade_is_told_by_its_orders(tmp_path: Path, seed: int) -> None:
    def sides(*, typed: bool) -> list[int]:
        events, _ = read(log_of(tmp_path, bitstamp_log(seed, 800, typed=typed).lines))
        return [int(side) for side in events[Field.SIDE, events[Field.KIND] == Kind.TRADE]]

    assert len(sides(typed=True)) > 80
    assert set(sides(typed=True)) == {BID, ASK}
    assert sides(typed=False) == sides(typed=True)


def test_a_trade_whose_orders_are_not_known_has_no_side(tmp_path: Path) -> None:
    source = log_of(
        tmp_path,
        [BOOK, order("created", 9, BID, 100, 7, 1), f'{T + 2} trade {{"price": 101, "amount": 3, "id": 4}}'],
    )
    events, _ = read(source)
    (side,) = events[Field.SIDE, events[Field.KIND] == Kind.TRADE].tolist()
    assert (side, told_by(source)["sideless"]) == (NONE, 1)


def test_times_are_the_recorders_and_say_so(tmp_path: Path) -> None:
    events, _ = read(log_of(tmp_path, [BOOK, order("created", 9, BID, 100, 7, 12)]))
    assert events[Field.ORIGIN_TIME].tolist() == [T * NS_PER_MS] * 4 + [(T + 12) * NS_PER_MS]
    assert (events[Field.ORIGIN_TIME] == events[Field.RECEIVED_TIME]).all()
    assert (events[Field.FLAGS] & Flag.DERIVED_TIME != 0).all()


# ── faults ──


def faulty(fault: str, lines: list[str]) -> list[str]:
    """The log with a fault in the order that came last of those that rest as a snapshot is taken."""
    book = next(at for at, line in enumerate(lines) if at > 100 and "order_book" in line)
    at = book - 1
    while "order_created" not in lines[at] or any(
        _id(lines[at]) == _id(line) for line in lines[at + 1 : book]
    ):
        at -= 1
    if fault == "missing":
        return [*lines[:at], *lines[at + 1 :]]
    head, found, tail = lines[at].partition('"amount": "')
    return [*lines[:at], f"{head}{found}1{tail}", *lines[at + 1 :]]


def _id(line: str) -> object:
    return json.loads(line.split(" ", 2)[2]).get("id")


@pytest.mark.parametrize("fault", ["missing", "altered"])
def test_an_order_that_is_missing_or_altered_is_found_at_the_next_snapshot_and_healed(
    tmp_path: Path, fault: str
) -> None:
    lines = faulty(fault, bitstamp_log(7, 400).lines)
    source = log_of(tmp_path, lines)
    # The end of an altered order is one more difference: it takes with it what it is known to have.
    assert 1 <= len(drifts(source)) <= (1 if fault == "missing" else 2)
    told = told_by(source)
    assert told["levels"] - told["levels_equal"] == len(drifts(source))


def test_without_anchors_missed_ends_stay_and_every_snapshot_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = bitstamp_log(8, 1500).lines
    ends = [at for at, line in enumerate(lines) if "order_deleted" in line][:200:10]
    source = log_of(tmp_path, (line for at, line in enumerate(lines) if at not in ends))
    anchored, loose = told_by(source), told_by(source, anchors=False)
    assert anchored["best_equal"] > 0.8 * anchored["snapshots"]
    assert loose["best_equal"] < 0.5 * loose["snapshots"]
    healed = len(drifts(source))
    monkeypatch.setattr(BitstampReader, "anchors", False)
    assert len(drifts(source)) > 1.5 * healed


# ── quarantine ──


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ("nothing", "", "not a line of the form"),
        (order("created", 9, BID, 100, 7).removeprefix("14304384"), "", "not a line of the form"),
        (order("created", 9, BID, 100, 7).replace("1430", "0130", 1), "time", "receive time out of range"),
        (order("created", 9, BID, 100, 7).replace("1430", "9430", 1), "time", "receive time out of range"),
        (order("created", 0, BID, 100, 7), "id", "not an id of an order"),
        (order("created", 1 << 62, BID, 100, 7), "id", "not an id of an order"),
        (order("created", 9, 2, 100, 7), "order_type", "neither bid"),
        (order("created", 9, BID, 0, 7), "price", "out of range"),
        (order("created", 9, BID, -5, 7), "price", ""),
        (order("created", 9, BID, 100, -7), "amount", ""),
        (order("created", 9, BID, 100, 7).replace("100.00", "1e400"), "price", ""),
        (order("created", 9, BID, 100, 7).replace("100.00", "nan"), "price", ""),
        (order("created", 9, BID, 100, 7).replace("100.00", "9" * 30), "price", ""),
        (order("created", 9, BID, 100, 7).replace('"100.00"', "[]"), "", "not a message of its event"),
        (order("created", 9, BID, 100, 7)[:-1], "", "not a line of the form"),
        (order("created", 9, BID, 100, 7).replace('"id": 9, ', ""), "", "not a message of its event"),
        (f'{T} trade {{"price": 100, "amount": 0, "id": 3}}', "amount", "out of range"),
        (f'{T} trade {{"price": 100, "amount": 1, "id": 3, "type": 7}}', "type", "neither bought"),
        (f'{T} trade {{"price": 100, "amount": 1, "id": -3}}', "id", "not an id of a trade"),
        (snapshot("99:5 100:5", "101:5"), "bids", "not in their order"),
        (snapshot("100:5", "101:5 101:6"), "asks", "not in their order"),
        (snapshot("100:5", "101:0"), "amount", "out of range"),
    ],
)
def test_a_line_that_can_t_be_is_quarantined_with_its_reason(
    tmp_path: Path, line: str, field: str, reason: str
) -> None:
    log = bitstamp_log(9, 60).lines
    lines = [*log[:30], line, *log[30:]]
    events, rejects = read(log_of(tmp_path, lines))
    ((file, row, found_field, found_reason, raw),) = [
        (reject.file, reject.row, reject.field, reject.reason, reject.raw) for reject in rejects
    ]
    assert (file, row, found_field, raw.decode()) == ("feed.log", 31, field, line)
    assert reason in found_reason
    assert sorted(set(events[Field.MESSAGE].tolist())) == [*range(1, 31), *range(32, len(lines) + 1)]


def test_each_line_is_an_event_or_a_reject_or_kept(tmp_path: Path) -> None:
    log = bitstamp_log(10, 300).lines
    log[100], log[200] = f'{T} live_started {{"a": 1}}', "torn"
    source = log_of(tmp_path, log)
    batches = list(DataIngestion(source, Settings()))
    rows = [row for batch in batches for row in batch.events[Field.MESSAGE].tolist()]
    kept = [reject.row for batch in batches for reject in batch.kept]
    rejects = [reject.row for batch in batches for reject in batch.rejects]
    assert (kept, rejects) == ([101], [201])
    assert {*rows, *kept, *rejects} == set(range(1, len(log) + 1))
    assert sum(sum(batch.counts.values()) for batch in batches) == len(log) - 1


def test_skipped_rows_are_rejects(tmp_path: Path) -> None:
    source = log_of(tmp_path, bitstamp_log(11, 300).lines)
    skip = Skip(0, "feed.log", 40, 44, "a worker died on it")
    batches = list(DataIngestion(source, Settings(batch_rows=50), skips=[skip]))
    rows = {row for batch in batches for row in batch.events[Field.MESSAGE].tolist()}
    assert not {40, 41, 42, 43, 44} & rows
    assert [reject.found for batch in batches for reject in batch.rejects] == ["rows up to 44"]


def test_a_log_that_breaks_off_is_told(tmp_path: Path) -> None:
    text = "\n".join(bitstamp_log(12, 300).lines).encode()
    path = tmp_path / "feed.log.xz"
    path.write_bytes(lzma.compress(text)[:-40])
    events, rejects = read(source_of([path]))
    (reject,) = rejects
    assert "xz stream" in reject.reason
    assert reject.row == events[Field.MESSAGE].max() + 1 if events.shape[1] else 1


# ── reading ──


@pytest.mark.parametrize("batch_rows", [1, 7, 64])
def test_batches_change_nothing(tmp_path: Path, batch_rows: int) -> None:
    lines = bitstamp_log(13, 200).lines
    lines[70] = "nothing"
    source = log_of(tmp_path, lines)
    once, often = read(source), read(source, Settings(batch_rows=batch_rows))
    np.testing.assert_array_equal(once[0], often[0])
    assert once[1] == often[1]


@pytest.mark.parametrize("span_ms", [10**6, 400])
def test_reading_goes_on_from_any_border(
    tmp_path: Path, span_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bitstamp, "span_ns", lambda _: span_ms * NS_PER_MS)
    lines = bitstamp_log(14, 240, levels=5).lines
    lines[70], lines[150] = "nothing", f'{T} live_started {{"a": 1}}'
    first = write_log(tmp_path / "1.log", lines[:130])
    second = tmp_path / "2.log.xz"
    second.write_bytes(lzma.compress("\n".join(lines[130:]).encode()))
    source = source_of([second, first])
    assert [path.name for path in source.files] == ["1.log", "2.log.xz"]
    assert check_every_border(source, Settings(batch_rows=15)) > 15


# ── finding ──


def test_the_pair_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    path = write_log(tmp_path / "feed.log", bitstamp_log(1, 30).lines)
    assert source_of([path]).instrument.symbol == "BTCUSD"
    (source,) = find_sources([path], Settings(), symbols=["BTCEUR"])
    assert source.instrument.symbol == "BTCEUR"


def test_a_list_of_orders_is_refused(tmp_path: Path) -> None:
    heading = "id,timestamp,exchange.timestamp,price,volume,action,direction"
    path = write_log(tmp_path / "orders.csv", [heading, '1,2,3,4.5,6,"created","bid"'])
    with pytest.raises(SourceError, match="a list of orders without trades and snapshots"):
        source_of([path])


def test_a_log_without_an_order_is_refused(tmp_path: Path) -> None:
    path = write_log(tmp_path / "feed.log", [BOOK])
    with pytest.raises(SourceError, match="holds no order that can be read"):
        source_of([path])
