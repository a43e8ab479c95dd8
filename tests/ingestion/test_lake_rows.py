"""Sound rows of the archive are read in one pass: to the same as column by column, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.ingestion import lake_rows
from rlx_datapipe.ingestion.lake_rows import group_starts, last_group_start, rows_to_parsed
from rlx_datapipe.venues.crypto_lake import BOOK, DELTAS, EARLIEST_NS, LATEST_NS, LEVELS, SCHEMAS, TRADES
from rlx_datapipe.venues.crypto_lake_open import open_lake, read_batches

INSTRUMENT = Instrument(
    exchange="BINANCE", symbol="BTC-USDT", price_decimals=2, quantity_decimals=5, price_step=1
)
NOW = 1_723_161_600 * 10**9

times = st.sampled_from([NOW, NOW + 1, EARLIEST_NS, LATEST_NS - 1])
sizes = st.sampled_from([0.0, 0.00001, 1.5, 123_456.78901])
sound = st.tuples(
    times, times, st.integers(0, 3), st.booleans(), st.sampled_from([0.01, 61_234.5, 10.1]), sizes
)
odd_times = times | st.sampled_from([0, EARLIEST_NS - 1, LATEST_NS, None])
odd_numbers = st.sampled_from([None, 0.0, -0.0, -1.0, 0.001, 1e300, float("nan"), float("inf"), 2.0**62])
odd = st.tuples(
    odd_times,
    odd_times,
    st.sampled_from([1, -1, None]),
    st.sampled_from([True, None]),
    st.just(10.0) | odd_numbers,
    sizes | odd_numbers,
)


sound_trade = st.tuples(
    st.sampled_from(["buy", "sell"]),
    sizes.filter(bool),
    st.sampled_from([0.01, 61_234.5]),
    st.integers(0, 3),
    times,
    times,
)
NO_LEVEL = st.sampled_from([(0.0, 0.0), (None, None), (0.0, 1.0), (5.0, 0.0), (float("nan"), 1.0)])
HEADS = 3


@st.composite
def ladders(draw: st.DrawFn) -> tuple[Any, ...]:
    """A sound row of ``book``: each side ends where it likes, but one has a level."""
    bids, asks = draw(st.tuples(st.integers(0, LEVELS), st.integers(0, LEVELS)).filter(any))
    sides = [(99.5 - 0.25 * i, i < bids) for i in range(LEVELS)]
    sides += [(100.0 + 0.5 * i, i < asks) for i in range(LEVELS)]
    levels = [(price, draw(sizes.filter(bool))) if stands else draw(NO_LEVEL) for price, stands in sides]
    return draw(times), draw(times), draw(st.integers(0, 3)), *(cell for level in levels for cell in level)


SOUND = {DELTAS: sound, TRADES: sound_trade, BOOK: ladders()}
TABLES = pytest.mark.parametrize("table", SOUND)
PLAIN: dict[str, tuple[Any, ...]] = {
    DELTAS: (NOW, NOW, 5, True, 10.0, 1.0),
    TRADES: ("buy", 1.5, 10.0, 5, NOW, NOW),
    BOOK: (
        NOW,
        NOW,
        5,
        *(cell for i in range(LEVELS) for cell in (99.5 - 0.25 * i, 1.0)),
        *(cell for i in range(LEVELS) for cell in (100.0 + 0.5 * i, 1.0)),
    ),
}
NEAR = {table: SCHEMAS[table].names for table in SOUND} | {
    BOOK: [
        *SCHEMAS[BOOK].names[: HEADS + 4],
        "bid_19_price",
        "bid_19_size",
        "ask_0_price",
        "ask_0_size",
        "ask_1_price",
        "ask_1_size",
        "ask_19_price",
        "ask_19_size",
    ]
}
"""Fields to spoil; of a book's levels the first two and the last."""
ODD_BY_TYPE: dict[str, list[Any]] = {
    "int64": [None, -1, 0, EARLIEST_NS - 1, EARLIEST_NS, LATEST_NS - 1, LATEST_NS],
    "double": [
        None,
        0.0,
        -0.0,
        -1.0,
        0.001,
        1e-07,
        1e300,
        float("nan"),
        float("inf"),
        2.0**62,
        99.5,
        99.51,
        99.25,
        99.0,
        100.0,
        100.5,
        101.0,
    ],
    "string": [None, "", "BUY", "bid", "sell"],
    "bool": [None, False],
}


def read(table: str, rows: list[tuple[Any, ...]], chunks: int = 1) -> Parsed:
    names = SCHEMAS[table].names
    made = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], SCHEMAS[table])
    cut = len(rows) // chunks
    parts = pa.concat_tables([made.slice(0, cut), made.slice(cut)])
    return rows_to_parsed(table, parts, 11, "file", INSTRUMENT)


def column_by_column(table: str, rows: list[tuple[Any, ...]]) -> Parsed:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake_rows, "sound_rows", lambda *_: None)
        return read(table, rows)


@given(st.lists(sound | odd, min_size=1, max_size=12), st.integers(1, 2))
def test_it_is_the_same_as_column_by_column(rows: list[tuple[Any, ...]], chunks: int) -> None:
    fast, slow = read(DELTAS, rows, chunks), column_by_column(DELTAS, rows)
    assert np.array_equal(fast.events, slow.events)
    assert (fast.counts, fast.rejects) == (slow.counts, slow.rejects)


@pytest.mark.parametrize(("table", "name"), [(table, name) for table in SOUND for name in NEAR[table]])
def test_a_single_odd_field_is_found(table: str, name: str) -> None:
    at, row = SCHEMAS[table].names.index(name), PLAIN[table]
    for value in ODD_BY_TYPE[str(SCHEMAS[table].field(name).type)]:
        rows = [row, (*row[:at], value, *row[at + 1 :]), row]
        fast, slow = read(table, rows), column_by_column(table, rows)
        assert np.array_equal(fast.events, slow.events), value
        assert (fast.counts, fast.rejects) == (slow.counts, slow.rejects), value


@pytest.mark.parametrize("none", [0.0, None, float("nan")])
def test_a_book_without_a_level_is_refused(none: float | None) -> None:
    rows = [PLAIN[BOOK], (*PLAIN[BOOK][:HEADS], *[none] * (4 * LEVELS))]
    assert read(BOOK, rows).rejects == column_by_column(BOOK, rows).rejects != []


@TABLES
@given(st.data())
def test_sound_rows_are_never_refused(table: str, data: st.DataObject) -> None:
    rows = data.draw(st.lists(SOUND[table], min_size=1, max_size=12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake_rows, "Faults", None)
        fast = read(table, rows, data.draw(st.integers(1, 2)))
    assert np.array_equal(fast.events, column_by_column(table, rows).events)
    assert fast.events.shape[1] >= len(rows)


@given(st.lists(sound, max_size=6), odd.filter(lambda row: row[4] != 10.0), st.lists(sound, max_size=6))
def test_one_odd_row_is_enough_to_look_at_all(
    before: list[tuple[Any, ...]], row: tuple[Any, ...], behind: list[tuple[Any, ...]]
) -> None:
    rows = [*before, row, *behind]
    assert read(DELTAS, rows).rejects == column_by_column(DELTAS, rows).rejects != []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 1_500)), min_size=1, max_size=4))
def test_the_last_message_begins_where_the_list_of_all_beginnings_ends(runs: list[tuple[int, int]]) -> None:
    ids = np.repeat([number for number, _ in runs], [count for _, count in runs])
    assert last_group_start(ids) == group_starts(ids)[-1]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path, dice, count = tmp_path / "1.snappy.parquet", np.random.default_rng(1), 400_000
    columns = {
        "timestamp": NOW + np.arange(count),
        "receipt_timestamp": NOW + np.arange(count),
        "sequence_number": np.arange(count),
        "side_is_bid": dice.random(count) < 0.5,
        "price": dice.random(count),
        "size": dice.random(count),
    }
    pq.write_table(pa.table(columns, SCHEMAS[DELTAS]), path, row_group_size=4_000)
    before = pa.total_allocated_bytes()
    file, layout = open_lake(path)
    with file:
        batches = read_batches(file, layout, path, ("BINANCE", "BTC-USDT"), 4_000)
        held = [pa.total_allocated_bytes() - before for _ in batches]
    assert len(held) == 100
    assert max(held) < 4_000_000 < path.stat().st_size
