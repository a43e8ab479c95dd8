"""No Python loop runs over rows, and no batch needs more memory than the one before it.

Both are counted, not timed: a slow or busy machine changes nothing. Bytecode is counted in the files of the
package while a chain is written in one thread, from a batch of n rows and from one of 8 n. What is done for a
batch, a commit or a file is the same in both, so the counts are, too; a loop over rows, or over messages,
would add some thousands. Loops that run in C (``tolist``, ``map`` over a builtin) are not seen.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

import pytest

import rlx_datapipe
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import FIELDS
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.chain import write_chain
from rlx_datapipe.pipeline.watching import Watcher
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.sink.datasink import DataSink
from rlx_datapipe.store.manifest import start_dataset
from rlx_datapipe.store.parts import ROW_GROUP_ROWS

PACKAGE = str(Path(rlx_datapipe.__file__).parent)
ROWS = 2_000
TOLERANCE = 0.02
"""Share by which the counts may differ: a loop over rows adds 40 %, one over messages of 7 rows 6 %."""

ONE_BATCH = Settings(threads=1, batch_rows=1_000_000, epoch_events=10**9, epoch_s=10**9)
BATCH_ROWS, BATCHES = 2_048, 48
BATCH_BYTES = BATCH_ROWS * FIELDS * 8

Make = Callable[[Path, int], Path]


def archive(folder: Path, rows: int) -> Path:
    """An archive of so many rows, 2,260 a second of market, with trades and snapshots."""
    return write_archive(ArchiveConfig(rows=rows, levels=100), folder / f"archive-{rows}")


def capture(folder: Path, messages: int) -> Path:
    """A capture of so many messages; plain, for a packed one is inflated by the KiB, in Python."""
    market = MarketConfig(duration_s=300, orders_per_s=800, depth_interval_ms=50, levels=100)
    path = folder / f"capture-{messages}.txt"
    write_capture(islice(simulate(market), messages), path)
    return path


SOURCES: list[Make] = [archive]
"""Those whose way through the line has no Python for each row."""


@pytest.mark.parametrize("make", SOURCES, ids=lambda make: make.__name__)
def test_python_does_not_count_rows(make: Make, tmp_path: Path) -> None:
    few, many = (_bytecode_of_a_chain(make(tmp_path, rows), tmp_path) for rows in (ROWS, 8 * ROWS))
    grown = many - few
    most = ", ".join(f"{place}: {count:,}" for place, count in grown.most_common(3))
    assert many.total() <= (1 + TOLERANCE) * few.total(), f"grew with the rows: {most}"


def test_a_loop_over_rows_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = DataSink.add

    def add_row_by_row(sink: DataSink, replayed: Replayed) -> None:
        for _ in range(replayed.events.shape[1]):
            pass
        add(sink, replayed)

    monkeypatch.setattr(DataSink, "add", add_row_by_row)
    with pytest.raises(AssertionError, match=r"add_row_by_row: \d\d,"):
        test_python_does_not_count_rows(archive, tmp_path)


def test_a_loop_over_messages_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = DataSink.add

    def add_by_message(sink: DataSink, replayed: Replayed) -> None:
        for _ in range(replayed.events.shape[1] // 7):
            pass
        add(sink, replayed)

    monkeypatch.setattr(DataSink, "add", add_by_message)
    with pytest.raises(AssertionError, match="add_by_message"):
        test_python_does_not_count_rows(archive, tmp_path)


@pytest.mark.parametrize("make", [archive, capture], ids=lambda make: make.__name__)
def test_no_batch_needs_more_memory_than_those_before(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rows wait for their row group; with small ones a short run has many.
    for table, rows in (("events", 2 * BATCH_ROWS), ("quotes", 2 * BATCH_ROWS), ("books", 16)):
        monkeypatch.setitem(ROW_GROUP_ROWS, table, rows)
    peaks, held = _memory_by_batch(make(tmp_path, BATCHES * BATCH_ROWS), tmp_path)
    third = len(peaks) // 3
    assert median(peaks[-third:]) <= 1.1 * median(peaks[:third]), peaks
    kept_by_batch = (median(held[-third:]) - median(held[:third])) / (len(held) - third)
    assert kept_by_batch < 0.1 * BATCH_BYTES, held


def test_batches_that_are_kept_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add, kept = DataSink.add, []

    def add_and_keep(sink: DataSink, replayed: Replayed) -> None:
        kept.append(replayed.events.copy())
        add(sink, replayed)

    monkeypatch.setattr(DataSink, "add", add_and_keep)
    with pytest.raises(AssertionError):
        test_no_batch_needs_more_memory_than_those_before(archive, tmp_path, monkeypatch)


def _bytecode_of_a_chain(path: Path, folder: Path) -> Counter[str]:
    """Bytecode instructions of the package and of this file for writing a chain, by function."""
    source, out = _started(path, folder, ONE_BATCH)
    # Once before, so that nothing is counted that is only done the first time.
    for _ in EventReplayer(source.instrument, source.rule, ONE_BATCH).replay(_first_events(source)):
        pass
    counts: Counter[str] = Counter()

    def on_event(frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            counts[frame.f_code.co_name] += 1
        return on_event

    def on_call(frame: FrameType, _event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith((PACKAGE, __file__)):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return on_event

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        write_chain(source, out, ONE_BATCH, Watcher())
    finally:
        sys.settrace(before)
    return counts


def _memory_by_batch(path: Path, folder: Path) -> tuple[list[int], list[int]]:
    """Bytes that each batch needs at its peak beyond what was held before it, and bytes held after it."""
    settings = Settings(threads=1, batch_rows=BATCH_ROWS, epoch_events=10**9, epoch_s=10**9)
    source, out = _started(path, folder, settings)
    replayer = EventReplayer(source.instrument, source.rule, settings)
    peaks: list[int] = []
    held: list[int] = []
    tracemalloc.start()
    try:
        with DataSink(out, source.instrument) as sink:
            sink.begin()
            for _ in _written(DataIngestion(source, settings), replayer, sink):
                now, peak = tracemalloc.get_traced_memory()
                peaks.append(peak - (held[-1] if held else 0))
                held.append(now)
                tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()
    # Neither the first batches, which also make what is kept for good, nor the last, which is short.
    return peaks[4:-2], held[4:-2]


def _written(ingestion: DataIngestion, replayer: EventReplayer, sink: DataSink) -> Iterator[None]:
    for batch in ingestion:
        # Tables of the archive take turns: only batches that let events through are of one size.
        for replayed in replayer.replay(batch.events):
            sink.add(replayed)
        if batch.events.shape[1] > BATCH_ROWS // 2:
            yield


def _started(path: Path, folder: Path, settings: Settings) -> tuple[Source, Path]:
    [source] = find_sources([path], settings)
    out = folder / f"out-{path.name}"
    start_dataset(out, WRITER, settings, ["BINANCE/BTCUSDT"], resume=False)
    return source, out


def _first_events(source: Source) -> Any:
    batches = (batch.events for batch in DataIngestion(source, ONE_BATCH))
    return next(events for events in batches if events.shape[1])
