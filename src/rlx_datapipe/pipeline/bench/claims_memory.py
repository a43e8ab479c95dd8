"""Claims on memory: mapped files, pooled buffers, views in place of copies, copies of the state."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.core.config import Settings
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.bench.ablation import Verdict, in_turn, judge
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.store.columns import widen
from rlx_datapipe.store.files import publish_bytes
from rlx_datapipe.store.state_bytes import pack

_ROWS = 1_000_000
_BATCH = 65_536
_COLUMNS = 6
_BATCHES = 12


def _file(bench: Workbench) -> Path:
    """The file of deltas of an archive."""
    return next((bench.archive(_ROWS) / "book_delta_v2").rglob("*.parquet"))


def _read(path: Path, *, mapped: bool) -> int:
    with pq.ParquetFile(path, memory_map=mapped) as file:
        return sum(batch.num_rows for batch in file.iter_batches(_BATCH, use_threads=False))


def mapping(bench: Workbench) -> list[Verdict]:
    """An archive's file of deltas, read to its end, mapped and by reading calls."""
    path = _file(bench)
    pairs = in_turn(
        lambda: _read(path, mapped=True), lambda: _read(path, mapped=False), bench.options.repeats
    )
    return [
        judge(
            "memory-mapped against buffered reading",
            "mapped files are read at least 1.1 times as fast",
            ("mapped", "buffered"),
            1.1,
            pairs,
            rows=_ROWS,
            bytes=path.stat().st_size,
        )
    ]


def buffers(bench: Workbench) -> list[Verdict]:
    """The widening of six columns to decimals, into buffers that are kept and into new ones."""
    values = np.random.default_rng(bench.options.seed).integers(1, 10**9, _BATCH)
    kept = [np.empty(2 * _BATCH, dtype=np.uint64) for _ in range(_COLUMNS)]

    def pooled() -> None:
        for _ in range(_BATCHES):
            for words in kept:
                widen(values, 10**10, words)

    def fresh() -> None:
        for _ in range(_BATCHES):
            # As in a run, all six live until their batch is written.
            made = [np.empty(2 * _BATCH, dtype=np.uint64) for _ in range(_COLUMNS)]
            for words in made:
                widen(values, 10**10, words)

    return [
        judge(
            "pooled against new buffers",
            "buffers that are kept make the conversion to decimals at least 1.2 times as fast",
            ("pooled", "new for each batch"),
            1.2,
            in_turn(pooled, fresh, bench.options.repeats),
            columns=_COLUMNS,
            rows=_BATCH,
        )
    ]


def views(bench: Workbench) -> list[Verdict]:
    """Columns of an archive handed on as views of what Arrow holds, and as copies."""
    with pq.ParquetFile(_file(bench)) as file:
        batches: list[pa.RecordBatch] = list(file.iter_batches(_BATCH, use_threads=False))

    def hand_on(*, copied: bool) -> int:
        total = 0
        for batch in batches:
            for name in ("timestamp", "receipt_timestamp", "sequence_number", "price", "size"):
                values = batch.column(name).to_numpy()
                total += int((values.copy() if copied else values)[-1])
        return total

    return [
        judge(
            "views against copies",
            "handing columns on as views takes at most half the time of copies",
            ("views", "copies"),
            2.0,
            in_turn(lambda: hand_on(copied=False), lambda: hand_on(copied=True), bench.options.repeats),
            rows=_ROWS,
        )
    ]


def checkpoints(bench: Workbench) -> list[Verdict]:
    """How long the replay stands still: to copy its state, or until its checkpoint is on the disk."""
    settings = Settings()
    [source] = find_sources([bench.archive(_ROWS)], settings)
    replayer = EventReplayer(source.instrument, source.rule, settings)
    for _, batch in zip(range(6), DataIngestion(source, settings), strict=False):
        for _ in replayer.replay(batch.events):
            pass
    folder, count = bench.new_folder("checkpoints"), iter(range(1_000_000))
    folder.mkdir()

    def stop_and_copy() -> None:
        publish_bytes(folder / f"{next(count)}.state", pack({"replay": replayer.state()}))

    return [
        judge(
            "copy-on-write checkpoint against stop-and-copy",
            "the replay stands still for at most a fifth of the time that a whole checkpoint takes",
            ("copied, written by another thread", "packed, written and synced at once"),
            5.0,
            in_turn(
                replayer.state, stop_and_copy, bench.options.repeats, time.perf_counter, "s, standing still"
            ),
            book_bytes=replayer.engine.state.nbytes,
        )
    ]
