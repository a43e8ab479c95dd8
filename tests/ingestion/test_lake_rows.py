"""Sound deltas are read in one pass: to the same as column by column, or not at all."""

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
from rlx_datapipe.ingestion.lake_open import open_lake, read_batches
from rlx_datapipe.ingestion.lake_rows import (
    EARLIEST_NS,
    LATEST_NS,
    group_starts,
    last_group_start,
    rows_to_parsed,
)
from rlx_datapipe.venues.crypto_lake import DELTAS, SCHEMAS

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


def read(rows: list[tuple[Any, ...]], chunks: int = 1) -> Parsed:
    table = pa.Table.from_pylist(
        [dict(zip(SCHEMAS[DELTAS].names, row, strict=True)) for row in rows], SCHEMAS[DELTAS]
    )
    cut = len(rows) // chunks
    return rows_to_parsed(
        DELTAS, pa.concat_tables([table.slice(0, cut), table.slice(cut)]), 11, "file", INSTRUMENT
    )


def column_by_column(rows: list[tuple[Any, ...]]) -> Parsed:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake_rows, "_sound_deltas", lambda *_: None)
        return read(rows)


@given(st.lists(sound | odd, min_size=1, max_size=12), st.integers(1, 2))
def test_it_is_the_same_as_column_by_column(rows: list[tuple[Any, ...]], chunks: int) -> None:
    fast, slow = read(rows, chunks), column_by_column(rows)
    assert np.array_equal(fast.events, slow.events)
    assert (fast.counts, fast.rejects) == (slow.counts, slow.rejects)


@given(st.lists(sound, min_size=1, max_size=12), st.integers(1, 2))
def test_sound_rows_are_never_refused(rows: list[tuple[Any, ...]], chunks: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake_rows, "Faults", None)
        assert read(rows, chunks).events.shape[1] == len(rows)


@given(st.lists(sound, max_size=6), odd.filter(lambda row: row[4] != 10.0), st.lists(sound, max_size=6))
def test_one_odd_row_is_enough_to_look_at_all(
    before: list[tuple[Any, ...]], row: tuple[Any, ...], behind: list[tuple[Any, ...]]
) -> None:
    rows = [*before, row, *behind]
    assert read(rows).rejects == column_by_column(rows).rejects != []


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
