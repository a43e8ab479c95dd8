"""Replayed events become tables: exact rows, files by date, one log entry an epoch."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.core.event import NONE, Field, Flag, Kind, Quote, Side, empty_events, empty_quotes
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Keyframe, Quality, Replayed
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.core.state import State
from rlx_datapipe.sink.datasink import DataSink, Hands, Pins
from rlx_datapipe.store.commits import read_commits, verify_files
from rlx_datapipe.store.tables import ChainTable

BTC = Instrument("BINANCE", "BTCUSDT", price_decimals=2, quantity_decimals=3)
MIDNIGHT = 1_723_161_600 * 10**9
PINS = Pins((), "settings", "writer")
STATES = {"ingestion": State(), "replay": State()}
NOTHING = np.zeros(0, dtype=np.int64)


def stretch(first: int, times: list[int], *, ends: bool = False, **told: Any) -> Replayed:
    """Some deltas at some times, with the best prices 100.00 x 1.5 and 100.10 x 2.25 after each."""
    count = len(times)
    events = empty_events(count)
    events[Field.KIND] = Kind.BOOK_DELTA
    events[Field.ORIGIN_TIME] = times
    events[Field.RECEIVED_TIME] = [time + 5 for time in times]
    events[Field.UPDATE_ID] = np.arange(first, first + count)
    events[Field.SIDE] = Side.ASK
    events[Field.PRICE], events[Field.QUANTITY] = 10_010, 2_250
    best = np.repeat(np.array([[10_000], [1_500], [10_010], [2_250]], dtype=np.int64), count, axis=1)
    flags = np.full(count, int(Flag.GROUP_END), dtype=np.int64)
    samples, heads = np.zeros((0, 4, 20), dtype=np.int64), np.zeros((0, 4), dtype=np.int64)
    return Replayed(first, events, best, flags, samples, heads, ends_epoch=ends, **told)


def finish(sink: DataSink) -> None:
    """The last commit of a chain."""
    sink.commit(PINS, {}, {"summary": {}})


def read(folder: Path, table: str) -> list[dict[str, Any]]:
    rows = []
    for path in sorted((folder / table).rglob("*.parquet")):
        with pq.ParquetFile(path) as file:
            rows += file.read().to_pylist()
    return rows


def log(folder: Path, table: str) -> list[list[dict[str, Any]]]:
    files = sorted((folder / table / "_delta_log").glob("*.json"))
    return [[json.loads(line) for line in path.read_text().splitlines()] for path in files]


def test_rows_are_exact(tmp_path: Path) -> None:
    sink = DataSink(tmp_path, BTC)
    replayed = stretch(7, [MIDNIGHT, MIDNIGHT])
    replayed.events[Field.KIND, 1] = Kind.TRADE
    replayed.events[Field.UPDATE_ID, 1] = NONE
    replayed.events[Field.TRADE_ID, 1] = 99
    replayed.best[2:, 1] = NONE
    sink.add(replayed)
    finish(sink)
    delta, trade = read(tmp_path, "events")
    assert delta == {
        "event_id": 7,
        "event_type": "BOOK_DELTA",
        "origin_time": MIDNIGHT,
        "received_time": MIDNIGHT + 5,
        "update_id": 7,
        "trade_id": None,
        "side": "ask",
        "price": Decimal("100.10"),
        "quantity": Decimal("2.25"),
        "best_bid_price": Decimal(100),
        "best_bid_quantity": Decimal("1.5"),
        "best_ask_price": Decimal("100.1"),
        "best_ask_quantity": Decimal("2.25"),
        "flags": 1,
    }
    assert (trade["event_type"], trade["side"], trade["trade_id"]) == ("TRADE", "sell", 99)
    assert trade["update_id"] is trade["best_ask_price"] is trade["best_ask_quantity"] is None


def test_all_other_tables_keep_what_they_are_given(tmp_path: Path) -> None:
    sink = DataSink(tmp_path, BTC)
    one, two = np.array([10_000, 9_990], dtype=np.int64), np.array([1, 2_000], dtype=np.int64)
    frame = Keyframe(0, MIDNIGHT, 5, (one, two, NOTHING, NOTHING), known_low=9_990, known_high=NONE)
    measures = {"count": 3, "low_price": 9_990, "depth_error": 0.5}
    note = Quality(
        kind="drift", severity=Severity.WARN, detail="words", from_time=MIDNIGHT, measures=measures
    )
    sink.add(stretch(0, [MIDNIGHT], keyframes=[frame], quality=[note]))
    quotes = empty_quotes(1)
    quotes[Quote.RECEIVED_TIME], quotes[Quote.UPDATE_ID] = MIDNIGHT, 8
    quotes[Quote.BID_PRICE], quotes[Quote.BID_QUANTITY] = 10_000, 1
    sink.add_quotes(quotes)
    finish(sink)
    [keyframe], [quality], [quote] = (read(tmp_path, name) for name in ("keyframes", "quality", "quotes"))
    assert keyframe["bid_prices"] == [Decimal(100), Decimal("99.9")]
    assert keyframe["bid_quantities"] == [Decimal("0.001"), Decimal(2)]
    assert keyframe["ask_prices"] == keyframe["ask_quantities"] == []
    assert (keyframe["known_low_price"], keyframe["known_high_price"]) == (Decimal("99.9"), None)
    assert quality["measures"]["count"] == 3
    assert quality["measures"]["low_price"] == Decimal("99.9")
    assert quality["measures"]["depth_error"] == 0.5
    assert quality["measures"]["expected_id"] is quality["to_event_id"] is quality["to_time"] is None
    assert (quote["bid_price"], quote["ask_price"], quote["origin_time"]) == (Decimal(100), None, None)


def test_files_are_cut_at_midnight_and_keep_the_order_of_rows(tmp_path: Path) -> None:
    """A row that came late is filed with its neighbours."""
    sink = DataSink(tmp_path, BTC)
    times = [MIDNIGHT - 2, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT - 1, MIDNIGHT + 1]
    sink.add(stretch(0, times))
    finish(sink)
    days = {
        path.parent.name: [row["event_id"] for row in pq.ParquetFile(path).read().to_pylist()]
        for path in (tmp_path / "events").rglob("*.parquet")
    }
    assert days == {"date=2024-08-08": [0, 1], "date=2024-08-09": [2, 3, 4]}


def test_rows_are_added_while_the_epoch_before_is_committed_and_have_no_name_until_then(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(1) as thread:
        gate = threading.Event()
        thread.submit(gate.wait, 30)
        sink = DataSink(tmp_path, BTC, hands=Hands(commit=thread))
        sink.add(stretch(0, [MIDNIGHT]))
        sink.commit(PINS, STATES)
        # A row of the next day begins a second file, and closes the first one.
        sink.add(stretch(1, [MIDNIGHT + 1, MIDNIGHT + 86_400 * 10**9]))
        assert sink.rows["events"] == 3
        assert sink.epochs == 0
        assert not list(tmp_path.rglob("epoch-*.parquet"))
        gate.set()
        sink.settle()
        assert sink.epochs == 1
        assert len(list((tmp_path / "events").rglob("epoch-*.parquet"))) == 1
        finish(sink)
    assert [row["event_id"] for row in read(tmp_path, "events")] == [0, 1, 2]


NEXT: dict[str, Callable[[DataSink], None]] = {
    "rows": lambda sink: sink.add(stretch(1, [MIDNIGHT])),
    "quotes": lambda sink: sink.add_quotes(empty_quotes(0)),
    "commit": lambda sink: sink.commit(PINS, STATES),
    "settle": lambda sink: sink.settle(),
}


@pytest.mark.parametrize("what", NEXT)
def test_what_a_commit_failed_with_is_raised_by_what_comes_next(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: ChainTable) -> None:
        raise OutputError("is full", file=tmp_path)

    monkeypatch.setattr(ChainTable, "publish", fail)
    with ThreadPoolExecutor(1) as thread, DataSink(tmp_path, BTC, hands=Hands(commit=thread)) as sink:
        sink.add(stretch(0, [MIDNIGHT]))
        sink.commit(PINS, STATES)
        thread.submit(lambda: None).result()
        with pytest.raises(OutputError, match="is full"):
            NEXT[what](sink)
    assert not list(tmp_path.rglob("*epoch-*"))


def test_an_epoch_is_one_entry_in_the_log_of_each_table(tmp_path: Path) -> None:
    sink = DataSink(tmp_path, BTC)
    sink.add(stretch(0, [MIDNIGHT]))
    sink.commit(PINS, STATES)
    sink.commit(PINS, STATES)
    sink.add(stretch(1, [MIDNIGHT + 1]))
    sink.add(stretch(2, [MIDNIGHT + 2]))
    finish(sink)
    for table in TABLES:
        made, *epochs = log(tmp_path, table)
        assert len(epochs) == 3
        for number, entry in enumerate(epochs):
            parts = {key: value for part in entry for key, value in part.items()}
            assert parts["txn"]["appId"] == "BINANCE/BTCUSDT"
            assert parts["txn"]["version"] == number
            told = json.loads(parts["commitInfo"]["rlx"])
            assert told["epoch"] == number
            if table == "events":
                assert (told["summary"] is None) == (told["checkpoint"] is not None) == (number < 2)
        assert not any("add" in part for part in made)
    assert sink.rows == {"events": 3, "books": 0, "keyframes": 0, "quality": 0, "quotes": 0}
    assert DeltaTable(str(tmp_path / "events")).version() == 3
    assert len(list((tmp_path / "events").rglob("*.parquet"))) == 2


def test_commits_are_linked_and_tell_their_files(tmp_path: Path) -> None:
    sink = DataSink(tmp_path, BTC)
    for number in range(3):
        sink.add(stretch(number, [MIDNIGHT + number]))
        sink.commit(PINS, STATES)
    finish(sink)
    commits = read_commits(tmp_path, "BINANCE", "BTCUSDT")
    assert [commit.previous for commit in commits] == ["", *(commit.digest() for commit in commits[:-1])]
    assert [commit.rows["events"] for commit in commits] == [1, 2, 3, 3]
    assert [commit.is_last for commit in commits] == [False, False, False, True]
    assert verify_files(tmp_path, commits) == []
    assert not list(tmp_path.rglob("*.state"))


def test_statistics_of_the_log_tell_the_bounds(tmp_path: Path) -> None:
    sink = DataSink(tmp_path, BTC)
    sink.add(stretch(4, [MIDNIGHT, MIDNIGHT + 1, MIDNIGHT + 2]))
    finish(sink)
    [added] = [part["add"] for entry in log(tmp_path, "events") for part in entry if "add" in part]
    told = json.loads(added["stats"])
    assert told["numRecords"] == 3
    assert (told["minValues"]["event_id"], told["maxValues"]["event_id"]) == (4, 6)
    assert (told["minValues"]["origin_time"], told["maxValues"]["origin_time"]) == (MIDNIGHT, MIDNIGHT + 2)
    assert added["size"] == (tmp_path / "events" / added["path"]).stat().st_size


def test_a_chain_is_never_written_twice(tmp_path: Path) -> None:
    first, second = DataSink(tmp_path, BTC), DataSink(tmp_path, BTC)
    first.add(stretch(0, [MIDNIGHT]))
    finish(first)
    second.add(stretch(0, [MIDNIGHT]))
    with pytest.raises(OutputError, match="there already"):
        finish(second)
    assert len(read(tmp_path, "events")) == 1


def test_two_chains_share_their_tables(tmp_path: Path) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        sink = DataSink(tmp_path, Instrument("BINANCE", symbol, 2, 3))
        sink.add(stretch(0, [MIDNIGHT]))
        finish(sink)
    assert [path.name for path in sorted((tmp_path / "events" / "exchange=BINANCE").iterdir())] == [
        "symbol=BTCUSDT",
        "symbol=ETHUSDT",
    ]
    assert len(read(tmp_path, "events")) == 2


def test_an_empty_chain_has_all_tables(tmp_path: Path) -> None:
    finish(DataSink(tmp_path, BTC))
    for table in TABLES:
        assert DeltaTable(str(tmp_path / table)).version() == 1
        assert read(tmp_path, table) == []
