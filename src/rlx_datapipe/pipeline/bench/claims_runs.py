"""Claims on whole runs: size of batches, deltas in place of states, garbage collection, processes."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rlx_datapipe.core.config import Settings
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.bench.ablation import Pairs, Verdict, in_turn, judge
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.store.parts import writer
from rlx_datapipe.store.tables import data_files, read_file

_ROWS = 400_000
_FEW_ROWS = 40_000
_ROWS_A_MESSAGE = 4
_SOURCED_ROWS = 100_000
_SYMBOL_ROWS = 1_000_000
_GROUP_ROWS = 8_192


def _replay(archive: Path, settings: Settings) -> int:
    """Read and replay an archive; its events."""
    [source] = find_sources([archive], settings)
    replayer = EventReplayer(source.instrument, source.rule, settings)
    count = 0
    for batch in DataIngestion(source, settings):
        count += sum(part.events.shape[1] for part in replayer.replay(batch.events))
    return count


def batches(bench: Workbench) -> list[Verdict]:
    """An archive read and replayed in batches of 100, 1,000, 10,000 and 65,536 rows."""
    few, archive = bench.archive(_FEW_ROWS), bench.archive(_ROWS)
    verdicts = []
    for large, small, bound, source in (
        (1_000, 100, 2.0, few),
        (10_000, 1_000, 1.5, archive),
        (65_536, 10_000, 1.05, archive),
    ):
        ways = [Settings(batch_rows=max(1, rows // _ROWS_A_MESSAGE)) for rows in (large, small)]
        pairs = in_turn(
            lambda source=source, ways=ways: _replay(source, ways[0]),  # type: ignore[misc]
            lambda source=source, ways=ways: _replay(source, ways[1]),  # type: ignore[misc]
            bench.options.repeats,
        )
        names = f"{large:,} rows", f"{small:,} rows"
        claim = (
            f"batches of {names[0]} are read and replayed at least {bound:g} times as fast as of {small:,}"
        )
        verdicts.append(judge(f"batches of {large:,} against {small:,}", claim, names, bound, pairs))
    return verdicts


def sourcing(bench: Workbench) -> list[Verdict]:
    """Deltas and keyframes against the 20 best levels at every event: bytes on disk, bytes in memory."""
    sizes: dict[str, tuple[list[float], list[float]]] = {"on disk": ([], []), "in memory": ([], [])}
    for number in range(bench.options.repeats):
        # Bytes have no noise of their own: what varies is the market.
        archive, out = bench.archive(_SOURCED_ROWS, levels=2_700 + 100 * number), bench.new_folder("sourcing")
        reconstruct(archive, out, Settings(books_every_ms=0))
        events, keyframes, states = (_table(out, name) for name in ("events", "keyframes", "books"))
        last = np.searchsorted(states["event_id"].to_numpy(), events["event_id"].to_numpy(), "right") - 1
        states = states.take(np.maximum(last, 0))
        ours, plain = (events, keyframes), (states,)
        for which, tables in enumerate((ours, plain)):
            sizes["in memory"][which].append(sum(table.nbytes for table in tables))
            sizes["on disk"][which].append(sum(_written_bytes(table, out / "again") for table in tables))
        shutil.rmtree(out)
    return [
        judge(
            f"deltas against states, {place}",
            f"deltas and keyframes take at least 40 % fewer bytes {place} than a state at every event",
            ("events and keyframes", "20 levels a side at every event"),
            1 / (1 - 0.40),
            Pairs(*measured, f"bytes {place}"),
            saved_share=1 - sum(measured[0]) / sum(measured[1]),
        )
        for place, measured in sizes.items()
    ]


def _table(dataset: Path, name: str) -> pa.Table:
    return pa.concat_tables([read_file(name, file.path) for file in data_files(dataset, name)])


def _written_bytes(table: pa.Table, path: Path) -> int:
    """Bytes of a table in a file, written as the sink would."""
    with writer(path, table.schema) as file:
        file.write_table(table, row_group_size=_GROUP_ROWS)
    return path.stat().st_size


def collection(bench: Workbench) -> list[Verdict]:
    """An archive read and replayed with garbage collection off, and with it on."""
    archive, settings = bench.archive(_ROWS), Settings()

    def off() -> None:
        gc.disable()
        try:
            _replay(archive, settings)
        finally:
            gc.enable()

    return [
        judge(
            "garbage collection off against on",
            "without garbage collection the hot loop is at least 1.05 times as fast",
            ("off", "on"),
            1.05,
            in_turn(off, lambda: _replay(archive, settings), bench.options.repeats),
        )
    ]


def processes(bench: Workbench) -> list[Verdict]:
    """Two symbols, whose stages take turns, in a process each and in a thread each."""
    archives = [bench.archive(_SYMBOL_ROWS, symbol=symbol) for symbol in ("BTC-USDT", "ETH-USDT")]
    settings = Settings(threads=1)

    def apart() -> list[dict[str, Any]]:
        return [reconstruct(archives, bench.new_folder("processes"), settings, workers=2)]

    def together() -> list[dict[str, Any]]:
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(reconstruct, one, bench.new_folder("threads"), settings) for one in archives]
            return [run.result() for run in runs]

    spent: dict[Callable[[], list[dict[str, Any]]], list[float]] = {apart: [], together: []}
    for number in range(bench.options.repeats):
        for way in (apart, together) if number % 2 else (together, apart):
            summaries = way()
            chains = [chain for summary in summaries for chain in summary["chains"]]
            # Of the slower one, from its first row to its last commit: a process starts once, not per row.
            spent[way].append(max(chain["events"] / chain["events_per_second"] for chain in chains))
            for summary in summaries:
                shutil.rmtree(summary["dataset"])
    return [
        judge(
            "process per symbol against threads",
            "two symbols are reconstructed at least 1.1 times as fast by processes as by threads",
            ("a process each", "a thread each"),
            1.1,
            Pairs(spent[apart], spent[together], "s, without the start"),
            rows=_SYMBOL_ROWS,
        )
    ]
