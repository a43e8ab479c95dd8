"""What a dataset or a recording holds, read from its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.event import NONE, Field, Kind
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.ingestion.ingest import ingest
from rlx_datapipe.ingestion.sources import Source, find_sources
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.commits import read_commits, verify_files
from rlx_datapipe.store.dataset import (
    Dataset,
    chain_problems,
    dataset_digest,
    find_dataset,
    open_dataset,
)
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import hash_file, is_dataset


def inspect(
    paths: str | Path | Iterable[str | Path],
    settings: Settings | None = None,
    *,
    deep: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Counts, time range, quality and digest of a dataset, or of recordings.

    Of a dataset the ``digest`` is the BLAKE3 hash over its logical rows, read back from its files; of a
    recording each file's own SHA-256 is told. With ``deep`` a dataset's chain of commits and the bytes of
    every committed file are verified first: ``problems`` lists what is wrong, and if anything is, nothing
    else is told.

    Raises
    ------
    DatasetError, SourceError
        When it can't be read.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if len(given) == 1 and is_dataset(given[0]):
        dataset = find_dataset(given[0]) if deep else open_dataset(given[0])
        problems = _problems(dataset) if deep else []
        if problems:
            return {"kind": "dataset", "dataset": readable(str(dataset.path)), "problems": problems}
        return _inspect_dataset(dataset) | ({"problems": []} if deep else {})
    settings = settings or Settings()
    sources = find_sources(given, settings)
    return {"kind": "recording", "chains": [_inspect_source(s, settings, on_progress) for s in sources]}


def _inspect_dataset(dataset: Dataset) -> dict[str, Any]:
    # First of all, for it meets every damaged file with a sentence.
    digest = dataset_digest(dataset)
    chains = []
    for chain in dataset.manifest.chains:
        symbol = f"{chain.instrument.exchange}/{chain.instrument.symbol}"
        chains.append(
            {
                **chain.summary,
                "tick_size": format(dataset.tick_size(symbol), "f"),
                "price_decimals": chain.instrument.price_decimals,
                "quantity_decimals": chain.instrument.quantity_decimals,
                "source_format": chain.source_format,
                "files": [{"name": f.name, "bytes": f.size_bytes, "sha256": f.sha256} for f in chain.files],
                "rows": {table: _height(dataset.table(table, symbol=symbol)) for table in TABLES},
                "quality_rows": _kinds(dataset.table("quality", symbol=symbol)),
            }
        )
    return {
        "kind": "dataset",
        "dataset": readable(str(dataset.path)),
        "writer": dataset.manifest.writer,
        "unfinished": dataset.manifest.unfinished,
        "digest": digest,
        "events": sum(chain["rows"]["events"] for chain in chains),
        "chains": chains,
    }


def _problems(dataset: Dataset) -> list[str]:
    """What differs from what was committed, one sentence each."""
    problems: list[str] = []
    for chain in dataset.manifest.chains:
        instrument = chain.instrument
        try:
            commits = read_commits(dataset.path, instrument.exchange, instrument.symbol)
            damaged = verify_files(dataset.path, commits)
            # Only where every file is there: the logs are not read past one that is gone.
            problems += damaged or chain_problems(dataset.path, chain)
        except DatasetError as error:
            problems.append(str(error))
    return problems


def _height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


def _kinds(quality: pl.LazyFrame) -> dict[str, int]:
    counted = quality.group_by("kind").len().sort("kind").collect()
    return {kind: int(count) for kind, count in counted.iter_rows()}


def _inspect_source(
    source: Source, settings: Settings, on_progress: Callable[[Progress], None]
) -> dict[str, Any]:
    messages: Counter[str] = Counter()
    kinds, rejected = [0] * len(Kind), 0
    first, last, events, quotes = NONE, NONE, 0, 0
    instrument = source.instrument
    for batch in ingest(source, settings):
        messages.update(batch.counts)
        times = batch.events[Field.ORIGIN_TIME]
        if len(times):
            first = int(times[0]) if first == NONE else first
            last = int(times[-1])
        for kind in Kind:
            kinds[kind] += int((batch.events[Field.KIND] == kind).sum())
        events += len(times)
        quotes += batch.quotes.shape[1]
        rejected += len(batch.rejects)
        on_progress(
            Progress(instrument.exchange, instrument.symbol, batch.bytes_done, source.bytes_total, events)
        )
    return {
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        "format": source.format,
        "files": [
            {"name": f.name, "bytes": f.size_bytes, "sha256": f.sha256} for f in map(hash_file, source.files)
        ],
        "price_decimals": instrument.price_decimals,
        "quantity_decimals": instrument.quantity_decimals,
        "messages": dict(sorted(messages.items())),
        "events": events,
        "events_by_type": {kind.name: kinds[kind] for kind in Kind},
        "quotes": quotes,
        "first_time": first,
        "last_time": last,
        "quarantined": rejected,
    }
