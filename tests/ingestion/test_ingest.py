"""Ingestion gives the same events and rejects for any batch size, from captures with every fault planted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Quote
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.ingestion.ingest import Ingested, ingest
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.simulation import faults
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate

Fault = Callable[[Iterable[bytes]], Iterator[bytes]]
HOUR_MS = 3_600_000

FAULTS: dict[str, Fault] = {
    "none": iter,
    "swap_depth": partial(faults.swap_depth, k=4),
    "duplicate_depth": partial(faults.duplicate_depth, k=6),
    "drop_depth": partial(faults.drop_depth, k=8),
    "delay_snapshot": partial(faults.delay_snapshot, n=60),
    "late_snapshot": partial(faults.delay_snapshot, n=10**9),
    "insert_garbage": lambda lines: faults.insert_garbage(faults.insert_garbage(lines, 3), 300, b"\xff{}"),
    "change_symbol": partial(faults.change_symbol, k=20),
}


@pytest.fixture(scope="module", params=["binance-spot", "binance-usdm"])
def lines(request: pytest.FixtureRequest) -> list[bytes]:
    config = MarketConfig(
        venue=request.param,
        duration_s=3,
        orders_per_s=300,
        levels=100,
        snapshot_levels=50,
        snapshot_every_s=1,
    )
    return list(simulate(config))


def source_of(folder: Path, lines: Iterable[bytes]) -> Source:
    path = folder / "capture.txt"
    write_capture(lines, path)
    (source,) = find_sources([path], Settings(), symbols=["BTCUSDT"])
    return source


def gathered(source: Source, settings: Settings) -> Ingested:
    """All batches as one."""
    batches = list(ingest(source, settings))
    whole = Ingested(bytes_done=batches[-1].bytes_done)
    whole.events = np.concatenate([batch.events for batch in batches], axis=1)
    whole.quotes = np.concatenate([batch.quotes for batch in batches], axis=1)
    for batch in batches:
        whole.rejects += batch.rejects
        whole.kept += batch.kept
        whole.counts += batch.counts
    return whole


def order_keys(events: Int64Array) -> list[tuple[int, int]]:
    return list(zip(events[Field.ORDER_TIME].tolist(), events[Field.UPDATE_ID].tolist(), strict=True))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_batch_size_changes_nothing(fault: str, lines: list[bytes], tmp_path: Path) -> None:
    source = source_of(tmp_path, FAULTS[fault](lines))
    whole = gathered(source, Settings(batch_rows=65_536))
    for rows in (1, 7, 1_000):
        parts = gathered(source, Settings(batch_rows=rows))
        assert np.array_equal(parts.events, whole.events)
        assert np.array_equal(parts.quotes, whole.quotes)
        assert (parts.rejects, parts.kept, parts.counts) == (whole.rejects, whole.kept, whole.counts)
        assert parts.bytes_done == whole.bytes_done == source.bytes_total


@pytest.mark.parametrize("fault", FAULTS)
def test_every_line_is_accounted_for_and_the_order_is_total(
    fault: str, lines: list[bytes], tmp_path: Path
) -> None:
    spoilt = list(FAULTS[fault](lines))
    whole = gathered(source_of(tmp_path, spoilt), Settings())
    assert whole.counts.total() + len(whole.rejects) == len(spoilt)
    rows = {*whole.events[Field.MESSAGE].tolist(), *whole.quotes[Quote.MESSAGE].tolist()}
    told = len(rows | {reject.row for reject in whole.rejects}) + whole.counts["of other symbols"]
    assert told == len(spoilt)
    assert order_keys(whole.events) == sorted(order_keys(whole.events))
    assert (whole.events[Field.ORIGIN_TIME] != NONE).all()
    assert not (whole.events[Field.FLAGS] & Flag.LATE).any()


def test_swapped_deltas_are_put_back(lines: list[bytes], tmp_path: Path) -> None:
    def update_ids(lines: Iterable[bytes]) -> list[int]:
        events = gathered(source_of(tmp_path, lines), Settings()).events
        ids: list[int] = events[Field.UPDATE_ID, events[Field.KIND] == Kind.BOOK_DELTA].tolist()
        return ids

    found = update_ids(faults.swap_depth(lines, 4))
    assert found == update_ids(lines) == sorted(found)


def test_a_snapshot_of_any_delay_stands_before_the_delta_that_straddles_it(
    lines: list[bytes], tmp_path: Path
) -> None:
    places = set()
    for delay in (1, 30, 100):
        events = gathered(source_of(tmp_path, faults.delay_snapshot(lines, delay)), Settings()).events
        depth = events[:, events[Field.KIND] != Kind.TRADE]
        snapshots = depth[Field.KIND] == Kind.BOOK_SNAPSHOT
        stated = int(depth[Field.UPDATE_ID, snapshots].min())
        last = int(np.flatnonzero(snapshots & (depth[Field.UPDATE_ID] == stated))[-1])
        following = depth[:, last + 1]
        assert following[Field.KIND] == Kind.BOOK_DELTA
        assert following[Field.FIRST_ID] <= stated + 1 <= following[Field.UPDATE_ID] + 1
        places.add((last, int(following[Field.UPDATE_ID])))
    assert len(places) == 1


def shifted(line: bytes, ms: int) -> bytes:
    """The line with its exchange times that much later."""
    received, _, payload = line.partition(b" ")
    message = json.loads(payload)
    body = message.get("data", message)
    for name in ("E", "T"):
        if name in body:
            body[name] += ms
    return received + b" " + json.dumps(message, separators=(",", ":")).encode()


def test_messages_from_the_far_future_are_refused_and_disturb_nothing(
    lines: list[bytes], tmp_path: Path
) -> None:
    depths = [at for at, line in enumerate(lines) if faults.is_depth(line)]
    bad = {depths[3], depths[4], next(at for at, line in enumerate(lines) if b'"e":"trade"' in line)}
    spoilt = [shifted(line, 2 * HOUR_MS) if at in bad else line for at, line in enumerate(lines)]
    settings = Settings(batch_rows=16)
    whole = gathered(source_of(tmp_path, spoilt), settings)
    assert [reject.row for reject in whole.rejects] == sorted(at + 1 for at in bad)
    assert [reject.raw for reject in whole.rejects] == [spoilt[at].partition(b" ")[2] for at in sorted(bad)]
    assert {reject.field for reject in whole.rejects} == {"origin_time"}
    assert not (whole.events[Field.FLAGS] & Flag.LATE).any()
    kept = [line for at, line in enumerate(lines) if at not in bad]
    clean = gathered(source_of(tmp_path, kept), settings)
    same = [field for field in Field if field != Field.MESSAGE]
    assert np.array_equal(whole.events[same], clean.events[same])


def test_a_clock_within_the_allowed_skew_is_believed(lines: list[bytes], tmp_path: Path) -> None:
    late = [shifted(line, HOUR_MS - 60_000) for line in lines]
    assert gathered(source_of(tmp_path, late), Settings()).rejects == []
    strict = gathered(source_of(tmp_path, late), Settings(skew_max_ms=1_000))
    assert set(strict.events[Field.KIND].tolist()) <= {Kind.BOOK_SNAPSHOT}


def test_rejects_of_all_sorts_come_in_the_order_of_their_lines(lines: list[bytes], tmp_path: Path) -> None:
    depths = [at for at, line in enumerate(lines) if faults.is_depth(line)]
    spoilt = list(lines)
    spoilt[depths[1]] = shifted(spoilt[depths[1]], 2 * HOUR_MS)
    spoilt[depths[2]] = spoilt[depths[2]].replace(b'"b":', b'"x":')
    spoilt.insert(depths[3], b"rubbish")
    found = [
        gathered(source_of(tmp_path, spoilt), Settings(batch_rows=rows)).rejects for rows in (1, 50, 65_536)
    ]
    assert found[0] == found[1] == found[2]
    assert [reject.row - 1 for reject in found[0]] == [depths[1], depths[2], depths[3]]


def test_a_chain_goes_on_from_file_to_file_as_in_one(lines: list[bytes], tmp_path: Path) -> None:
    whole = gathered(source_of(tmp_path, lines), Settings())
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, start in enumerate(range(0, len(lines), 500)):
        # Names run against the time: only the content tells the order.
        write_capture(lines[start : start + 500], folder / f"{900 - number}.txt")
    (source,) = find_sources([folder], Settings())
    parts = gathered(source, Settings(batch_rows=64))
    same = [field for field in Field if field != Field.MESSAGE]
    assert np.array_equal(parts.events[same], whole.events[same])
    assert len(np.unique(parts.events[Field.MESSAGE])) == len(np.unique(whole.events[Field.MESSAGE]))


# ── the archive ──

NS = 1_700_000_000_000_000_000


def lake_trades(path: Path, times: list[int], received: list[int], first_id: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(times)
    table = pa.table(
        {
            "side": pa.array(["buy"] * count),
            "amount": pa.array([1.0] * count),
            "price": pa.array([100.5] * count),
            "id": pa.array(range(first_id, first_id + count), pa.int64()),
            "timestamp": pa.array(times, pa.int64()),
            "receipt_timestamp": pa.array(received, pa.int64()),
        }
    )
    pq.write_table(table, path)
    return path


def lake_deltas(path: Path, ids: list[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = [NS + 1_000_000 * number for number in ids]
    table = pa.table(
        {
            "timestamp": pa.array(times, pa.int64()),
            "receipt_timestamp": pa.array(times, pa.int64()),
            "sequence_number": pa.array(ids, pa.int64()),
            "side_is_bid": pa.array([number % 2 == 0 for number in range(len(ids))]),
            "price": pa.array([100.0 + number % 7 for number in range(len(ids))]),
            "size": pa.array([float(number % 5) for number in range(len(ids))]),
        }
    )
    pq.write_table(table, path)
    return path


def lake_folder(root: Path, table: str, day: str) -> Path:
    return root / table / "exchange=BINANCE" / "symbol=BTC-USDT" / f"dt={day}"


def test_the_tables_of_an_archive_are_merged_and_the_batch_size_changes_nothing(tmp_path: Path) -> None:
    ids = [number // 3 for number in range(900)]
    lake_deltas(lake_folder(tmp_path, "book_delta_v2", "2023-11-14") / "1.snappy.parquet", ids)
    times = [NS + 700_000 * number for number in range(400)]
    lake_trades(lake_folder(tmp_path, "trades", "2023-11-14") / "1.snappy.parquet", times, times, 1)
    (source,) = find_sources([tmp_path], Settings())
    whole = gathered(source, Settings(horizon_ms=1))
    assert whole.events.shape[1] == 1_300
    assert order_keys(whole.events) == sorted(order_keys(whole.events))
    for rows in (1, 7, 1_000):
        parts = gathered(source, Settings(batch_rows=rows, horizon_ms=1))
        assert np.array_equal(parts.events, whole.events)


def test_a_future_row_of_the_archive_is_refused_with_its_file_and_row(tmp_path: Path) -> None:
    times = [NS + 1_000_000 * number for number in range(10)]
    first = lake_trades(lake_folder(tmp_path, "trades", "2023-11-14") / "1.snappy.parquet", times, times, 1)
    ahead = [*times[:4], NS + 10**14, *times[5:]]
    second = lake_trades(lake_folder(tmp_path, "trades", "2023-11-15") / "1.snappy.parquet", ahead, times, 50)
    (source,) = find_sources([tmp_path], Settings())
    assert source.files == (first, second)
    whole = gathered(source, Settings(batch_rows=3))
    assert [(reject.file, reject.row) for reject in whole.rejects] == [(str(second), 5)]
    assert isinstance(whole.rejects[0], Reject)
    assert whole.events.shape[1] == 19
