"""Ingestion stopped after any batch and restored in a new object goes on exactly as if it had not stopped."""

from __future__ import annotations

import gzip
import io
import json
import lzma
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tests.depth import thinned

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import NONE, Field, Int64Array, Kind, empty_events
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.state import State, Value
from rlx_datapipe.ingestion import archives, lake, lines, recordings
from rlx_datapipe.ingestion.ingest import DataIngestion, Ingested
from rlx_datapipe.ingestion.order import OrderBuffer
from rlx_datapipe.ingestion.placement import SnapshotPlacer
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.simulation import faults
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.venues import crypto_lake_open
from rlx_datapipe.venues.crypto_lake import SCHEMAS

Fault = Callable[[Iterable[bytes]], Iterator[bytes]]
NS = 1_700_000_000_000_000_000
MS = 1_000_000
VENUES = ("binance-spot", "binance-usdm")
FAULTS: dict[str, Fault] = {
    "none": iter,
    "swap": partial(faults.swap_depth, k=4),
    "duplicate": partial(faults.duplicate_depth, k=6),
    "gap": partial(faults.drop_depth, k=8),
    "delayed snapshot": partial(faults.delay_snapshot, n=60),
    "snapshot at the end": partial(faults.delay_snapshot, n=10**9),
    "garbage": lambda given: faults.insert_garbage(faults.insert_garbage(given, 3), 90, b"\xff{}"),
}


def stored(state: State) -> State:
    """The state after a file in between: JSON and NumPy, nothing pickled."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **state.arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return State(json.loads(json.dumps(state.values)), dict(arrays))


def told(batch: Ingested) -> tuple[Any, ...]:
    """All of a batch, for ==."""
    arrays = batch.events.shape, batch.events.tobytes(), batch.quotes.shape, batch.quotes.tobytes()
    return *arrays, batch.rejects, batch.kept, batch.counts, batch.bytes_done


def told_with_states(ingestion: DataIngestion) -> tuple[list[tuple[Any, ...]], list[State]]:
    """The batches, and the states before the first and after each."""
    batches, states = [], [stored(ingestion.state())]
    for batch in ingestion:
        batches.append(told(batch))
        states.append(stored(ingestion.state()))
    return batches, states


def same(one: State, other: State) -> bool:
    return one.values == other.values and {name: array.tolist() for name, array in one.arrays.items()} == {
        name: array.tolist() for name, array in other.arrays.items()
    }


def check_every_border(source: Source, settings: Settings, every: int = 1, ahead: int | None = None) -> int:
    """From each k-th border on the same batches follow, ``ahead`` of them, and the same state behind."""
    batches, states = told_with_states(DataIngestion(source, settings))
    for border in {*range(0, len(states), every), len(states) - 1}:
        ingestion = DataIngestion(source, settings)
        ingestion.restore(states[border])
        assert same(ingestion.state(), states[border])
        assert ingestion.is_exhausted == (border == len(batches))
        rest = [told(batch) for batch in islice(ingestion, ahead)]
        assert rest == batches[border:][:ahead]
        assert same(ingestion.state(), states[border + len(rest)])
    return len(batches)


@pytest.fixture(scope="module", params=VENUES)
def recorded(request: pytest.FixtureRequest) -> list[bytes]:
    config = MarketConfig(
        venue=request.param,
        duration_s=2,
        orders_per_s=100,
        levels=50,
        snapshot_levels=20,
        snapshot_every_s=1,
    )
    return list(simulate(config))


def capture(folder: Path, given: Iterable[bytes]) -> Source:
    write_capture(given, folder / "capture.txt")
    (source,) = find_sources([folder / "capture.txt"], Settings(), symbols=["BTCUSDT"])
    return source


# ── captures ──


@pytest.mark.parametrize("fault", FAULTS)
def test_a_capture_goes_on_from_every_border(fault: str, recorded: list[bytes], tmp_path: Path) -> None:
    source = capture(tmp_path, FAULTS[fault](recorded))
    for horizon_ms in (20, 10_000):
        for rows, every in ((7, 3), (64, 1), (65_536, 1)):
            settings = Settings(batch_rows=rows, horizon_ms=horizon_ms)
            assert check_every_border(source, settings, every) >= 2


@pytest.mark.parametrize("fault", thinned(FAULTS, 2))
def test_batches_of_one_line_go_on_from_every_border(
    fault: str, recorded: list[bytes], tmp_path: Path
) -> None:
    source = capture(tmp_path, FAULTS[fault](recorded[:150]) if fault != "gap" else recorded[:150])
    settings = Settings(batch_rows=1, horizon_ms=50)
    assert check_every_border(source, settings, ahead=3) > 100
    check_every_border(source, settings, every=29)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, lzma.compress])
@pytest.mark.parametrize("cut", [0, 40])
def test_files_of_a_chain_blank_lines_and_damage(
    compress: Callable[[bytes], bytes], cut: int, recorded: list[bytes], tmp_path: Path
) -> None:
    """Every file but the first is compressed, perhaps torn; that is told once, also when resumed behind."""
    parts = [recorded[start : start + 60] for start in range(0, len(recorded), 60)]
    for number, part in enumerate(parts):
        whole = b"\n\n" + b"\n".join([*part[:30], b"rubbish", b"", *part[30:]]) + b"\n" * (number % 3)
        # zstd gives nothing of a block that is torn, so a second stream is what is torn.
        torn = compress(whole) + (compress(b"\n" + part[0] + b"\nthe end") if cut else b"")
        (tmp_path / f"{number}.txt").write_bytes(torn[: len(torn) - cut] if number else whole)
    (source,) = find_sources([tmp_path], Settings())
    for rows in (1, 10, 60, 61):
        check_every_border(source, Settings(batch_rows=rows, horizon_ms=50), every=1 if rows > 1 else 7)


def test_only_a_state_of_the_same_files_is_taken(recorded: list[bytes], tmp_path: Path) -> None:
    source = capture(tmp_path, recorded)
    state = DataIngestion(source, Settings()).state()
    others: dict[str, Value] = {"format": "crypto-lake", "files": ["other.txt"], "reader.newest": "late"}
    for name, value in others.items():
        with pytest.raises(ValueError, match="state"):
            DataIngestion(source, Settings()).restore(State(state.values | {name: value}, state.arrays))
    for name in state.arrays:
        floats: Any = state.arrays[name].astype(np.float64)
        for wrong in (floats, np.zeros((9, 9, 9), dtype=np.int64)):
            with pytest.raises(ValueError, match="state"):
                DataIngestion(source, Settings()).restore(State(state.values, state.arrays | {name: wrong}))
    at = np.array([[7, 0]], dtype=np.int64)
    with pytest.raises(ValueError, match="state"):
        DataIngestion(source, Settings()).restore(State(state.values, state.arrays | {"at": at}))
    with pytest.raises(ValueError, match="state"):
        DataIngestion(source, Settings()).restore(State())


# ── lines ──


@given(
    st.lists(st.sampled_from([b"frame", b"long", b"bad", b"", b"\r"]), max_size=30),
    st.booleans(),
    st.integers(0, 60),
    st.integers(1, 7),
    st.sampled_from([3, 20, 1 << 20]),
)
def test_lines_go_on_behind_any_row(
    tmp_path_factory: pytest.TempPathFactory,
    kinds: list[bytes],
    ends: bool,
    cut: int,
    batch_rows: int,
    chunk: int,
) -> None:
    texts = {b"frame": b'%d {"a":1}' % NS, b"long": b'%d {"a":"%s"}' % (NS, b"x" * 60)}
    data = b"\n".join(texts.get(kind, kind) for kind in kinds) + b"\n" * ends
    path = tmp_path_factory.mktemp("rows") / "lines"
    whole = gzip.compress(data, 0, mtime=0)
    for content in (data, whole, whole[: max(10, len(whole) - cut)]):
        path.write_bytes(content)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "CHUNK_BYTES", chunk)
            check_lines(path, batch_rows)


def check_lines(path: Path, batch_rows: int) -> None:
    def read(start_row: int) -> list[tuple[list[int], list[bytes], Any, int]]:
        batches = lines.read_frames(path, batch_rows, 50, start_row=start_row)
        return [(frames.rows.tolist(), frames.payloads(), rejects, done) for frames, rejects, done in batches]

    try:
        whole = read(0)
        # Rejects made of one list each: they are handed over, not shared with the next batch.
        rows = [lines.last_row(frames, bad) for frames, bad, _ in lines.read_frames(path, batch_rows, 50)]
    except SourceError:
        return
    assert rows == sorted(set(rows))
    for border, row in enumerate(rows, start=1):
        assert read(row) == whole[border:]
    # Any other row will do as well; then the batches are cut elsewhere.
    told = [bad for _, _, rejects, _ in whole for bad in rejects]
    for row in range(rows[-1] + 1 if rows else 0):
        rest = read(row)
        assert [r for found, *_ in rest for r in found] == [r for f, *_ in whole for r in f if r > row]
        assert [bad for _, _, rejects, _ in rest for bad in rejects] == [bad for bad in told if bad.row > row]


def test_a_file_that_has_lost_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'%d {"a":1}\n' % NS * 5)
    assert list(lines.read_frames(path, 10, start_row=5)) == []
    with pytest.raises(SourceError, match="fewer lines"):
        list(lines.read_frames(path, 10, start_row=6))


# ── the archive ──


def save_archive(root: Path, table: str, day: int, columns: dict[str, Any], group: int) -> Path:
    folder = root / table / "exchange=BINANCE" / "symbol=BTC-USDT" / f"dt=2023-11-{day}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = pa.table(columns, SCHEMAS[table])
    pq.write_table(rows, folder / "1.snappy.parquet", row_group_size=group)
    return folder / "1.snappy.parquet"


def archive(root: Path, group: int = 37) -> Source:
    """Two days of two tables with prices that can't be, so that there are rejects of both."""
    rng = np.random.default_rng(5)
    for day in (14, 15):
        start = NS + (day - 14) * 10**9
        ids = (day - 14) * 1_000 + np.sort(rng.integers(0, 90, 300))
        times = start + ids * MS % 10**9
        price = np.where(rng.random(300) < 0.03, -1.0, 100.0 + rng.integers(0, 9, 300))
        save_archive(
            root,
            "book_delta_v2",
            day,
            {
                "timestamp": times,
                "receipt_timestamp": times + 5,
                "sequence_number": ids,
                "side_is_bid": rng.random(300) < 0.5,
                "price": price,
                "size": rng.integers(0, 5, 300).astype(float),
            },
            group,
        )
        times = start + np.sort(rng.integers(0, 100 * MS, 150))
        save_archive(
            root,
            "trades",
            day,
            {
                "side": ["buy", "sell"] * 75,
                "amount": np.ones(150),
                "price": np.where(rng.random(150) < 0.03, 0.0, 100.5),
                "id": np.arange(150) + day * 1_000,
                "timestamp": times,
                "receipt_timestamp": times + 5,
            },
            group,
        )
    (source,) = find_sources([root], Settings())
    return source


@pytest.mark.parametrize("group", [10, 37, 10_000])
def test_an_archive_goes_on_from_every_border(group: int, tmp_path: Path) -> None:
    source = archive(tmp_path, group)
    # Four rows for each message of a batch.
    for messages, every, least in ((1, 11, 100), (2, 5, 60), (5, 3, 20), (25, 1, 5), (16_384, 1, 5)):
        count = check_every_border(source, Settings(batch_rows=messages, horizon_ms=3), every)
        assert count > least
    batches, _ = told_with_states(DataIngestion(source, Settings(batch_rows=5)))
    assert sum(len(batch[4]) for batch in batches) > 10


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=25), st.integers(1, 12), st.integers(1, 15), st.data()
)
def test_rows_of_the_archive_go_on_behind_any_batch(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], group: int, batch: int, data: st.DataObject
) -> None:
    ids = np.repeat(np.arange(len(sizes)), sizes)
    times = NS + ids * MS
    ones = np.ones(len(ids))
    columns = {
        "timestamp": times,
        "receipt_timestamp": times,
        "sequence_number": ids,
        "side_is_bid": ones > 0,
        "price": ones + np.arange(len(ids)),
        "size": ones,
    }
    path = save_archive(tmp_path_factory.mktemp("rows"), "book_delta_v2", 14, columns, group)
    (file,) = lake.find_lake_files([path])
    scales = Instrument("BINANCE", "BTC-USDT", 2, 2)

    def read(rows: int, start: int) -> list[tuple[list[list[int]], int]]:
        steps = lake.read_lake_rows(file, scales, rows, start)
        return [(parsed.events.tolist(), row) for parsed, row in steps]

    whole = read(batch, 0)
    assert set(np.cumsum([0, *sizes])) >= {row for _, row in whole}
    for border, (_, row) in enumerate(whole, start=1):
        assert read(batch, row) == whole[border:]
    # Other batches than before the stop: other borders, the same rows.
    _, row = data.draw(st.sampled_from(whole))
    other = data.draw(st.integers(1, 15))
    messages = [message for events, _ in read(other, row) for message in events[Field.MESSAGE]]
    assert messages == [m for events, at in whole if at > row for m in events[Field.MESSAGE]]


def test_row_groups_that_were_read_are_not_read_again(tmp_path: Path) -> None:
    source = archive(tmp_path, 10)
    file = lake.find_lake_files([tmp_path])[0]
    parquet, layout = crypto_lake_open.open_lake(file.path)
    with parquet:
        assert crypto_lake_open._group_of(parquet.metadata, 0) == (0, 0)
        assert crypto_lake_open._group_of(parquet.metadata, 25) == (2, 20)
        assert crypto_lake_open._group_of(parquet.metadata, 30) == (3, 30)
        groups = parquet.metadata.num_row_groups
        assert crypto_lake_open._group_of(parquet.metadata, file.rows) == (groups, file.rows)
    spoilt = bytearray(file.path.read_bytes())
    spoilt[4:60] = b"\0" * 56
    file.path.write_bytes(spoilt)
    with pytest.raises(SourceError, match="damaged"):
        list(lake.read_lake(file, source.instrument, 20))
    assert list(lake.read_lake(file, source.instrument, 20, 10))
    with pytest.raises(SourceError, match="fewer rows"):
        list(lake.read_lake(file, source.instrument, 20, file.rows + 1))
    assert list(lake.read_lake(file, source.instrument, 20, file.rows)) == []
    assert layout.table == file.table


# ── parts ──


@st.composite
def arrivals(draw: st.DrawFn, timeless: bool) -> list[Int64Array]:
    """Batches of rows in arrival order; some snapshots without a time where those are wanted."""
    batches, message = [], 0
    for _ in range(draw(st.integers(1, 6))):
        parts = [empty_events()]
        for _ in range(draw(st.integers(0, 6))):
            message += 1
            rows = empty_events(draw(st.integers(1, 3)))
            rows[Field.KIND] = draw(st.sampled_from(Kind))
            rows[Field.MESSAGE] = message
            rows[Field.FLAGS] = 0
            rows[Field.UPDATE_ID] = draw(st.integers(0, 12))
            rows[Field.RECEIVED_TIME] = 1_000
            hidden = timeless and rows[Field.KIND, 0] == Kind.BOOK_SNAPSHOT
            rows[Field.ORIGIN_TIME] = NONE if hidden else draw(st.integers(0, 60))
            parts.append(rows)
        batches.append(np.concatenate(parts, axis=1))
    return batches


@given(arrivals(timeless=False), st.integers(0, 20), st.integers(1, 3), st.data())
def test_an_order_buffer_goes_on_where_it_stood(
    batches: list[Int64Array], horizon: int, streams: int, data: st.DataObject
) -> None:
    stop = data.draw(st.integers(0, len(batches)))
    one, other = OrderBuffer(streams, horizon), OrderBuffer(streams, horizon)
    for number, batch in enumerate([*batches, *[None] * streams]):
        if number == stop:
            other.restore(stored(one.state()))
        for buffer in (one,) if number < stop else (one, other):
            if batch is None:
                buffer.close(number - len(batches))
            else:
                buffer.push(number % streams, batch.copy())
        if number < stop:
            one.ready()
        else:
            assert one.ready().tolist() == other.ready().tolist()
            assert one.behind() == other.behind()
            assert same(one.state(), other.state())


@given(arrivals(timeless=True), st.integers(0, 20), st.data())
def test_a_placer_goes_on_where_it_stood(
    batches: list[Int64Array], horizon: int, data: st.DataObject
) -> None:
    stop = data.draw(st.integers(0, len(batches)))
    one, other = SnapshotPlacer(horizon), SnapshotPlacer(horizon)
    for batch in batches[:stop]:
        one.place(batch.copy())
    other.restore(stored(one.state()))
    for batch in batches[stop:]:
        assert one.place(batch.copy()).tolist() == other.place(batch.copy()).tolist()
        assert same(one.state(), other.state())
    assert one.finish(70).tolist() == other.finish(70).tolist()


def test_a_state_handed_over_does_not_change(recorded: list[bytes], tmp_path: Path) -> None:
    ingestion = DataIngestion(capture(tmp_path, recorded), Settings(batch_rows=20, horizon_ms=50))
    given = []
    for _ in ingestion:
        state = ingestion.state()
        given.append((state, stored(state)))
    assert all(same(state, copy) for state, copy in given)


# ── batches cut by time ──


def cut_every(patch: pytest.MonkeyPatch, span_ns: int) -> None:
    for module in (archives, recordings):
        patch.setattr(module, "span_ns", lambda _: span_ns)


def test_a_capture_cut_by_time_goes_on_from_every_border(
    recorded: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, settings = capture(tmp_path, recorded), Settings(batch_rows=65_536, horizon_ms=20)
    whole, _ = told_with_states(DataIngestion(source, settings))
    cut_every(monkeypatch, 90 * MS)
    assert check_every_border(source, settings) > 15 > len(whole)
    batches, _ = told_with_states(DataIngestion(source, settings))
    assert sum(batch[0][1] for batch in batches) == sum(batch[0][1] for batch in whole)


@pytest.mark.parametrize("group", [37, 10_000])
def test_an_archive_cut_by_time_goes_on_from_every_border(
    group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = archive(tmp_path, group)
    cut_every(monkeypatch, 20 * MS)
    for rows in (100, 65_536):
        assert check_every_border(source, Settings(batch_rows=rows, horizon_ms=3)) > 15


def test_a_cut_by_time_leaves_messages_whole_and_late_rows_where_they_are() -> None:
    def cut(times: list[int], ids: list[int]) -> list[list[int]]:
        rows = pa.table({"timestamp": times, "sequence_number": ids})
        return [part["timestamp"].to_pylist() for part in lake._cut_by_time(rows, "book_delta_v2", 10)]

    assert cut([1, 9, 10, 11, 25], [1, 2, 3, 4, 5]) == [[1, 9], [10, 11], [25]]
    assert cut([1, 9, 10, 11, 25], [1, 2, 2, 4, 5]) == [[1, 9, 10], [11], [25]]
    assert cut([1, 12, 3, 13], [1, 2, 3, 4]) == [[1], [12, 3, 13]]
    assert cut([1, 12, 25], [1, 1, 1]) == [[1, 12, 25]]
    assert cut([5], [1]) == [[5]]
