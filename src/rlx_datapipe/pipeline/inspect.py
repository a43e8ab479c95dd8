"""What a dataset or a recording holds, read from its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from rlx_datapipe.core.breaks import Break, breaks_off
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import NONE, Field, Kind
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.ingestion.ingest import ingest
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.losses import broken_sources, findings_of
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.dataset import (
    Dataset,
    dataset_digest,
    find_dataset,
    open_dataset,
)
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import hash_file, is_dataset
from rlx_datapipe.store.verify import unfinished_chains, verify_dataset


def inspect(
    paths: str | Path | Iterable[str | Path],
    settings: Settings | None = None,
    *,
    deep: bool = False,
    key_file: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Counts, time range, quality and digest of a dataset, or of recordings.

    Of a dataset the ``digest`` is the BLAKE3 hash over its logical rows, read back from its files; of a
    recording each file's own SHA-256 is told. With ``deep`` a dataset's chain of commits and the bytes of
    every committed file are verified first: ``verified`` counts them, ``problems`` lists what is wrong, and
    if anything is, nothing else is told. ``unfinished`` has the chains that the run which made the dataset
    did not bring to their end, and how far they have come: the digest and all counts leave them out.
    ``key_file`` has the keys of captures that are encrypted.

    Raises
    ------
    DatasetError, SourceError, OptionError
        When it can't be read, or several datasets are given.
    UnfinishedError
        When none of its chains is finished.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if len(given) == 1 and is_dataset(given[0]):
        dataset = find_dataset(given[0]) if deep else open_dataset(given[0])
        return _inspect_deep(dataset, on_progress) if deep else _inspect_dataset(dataset)
    if any(is_dataset(path) for path in given):
        found = ", ".join(readable(str(path)) for path in given)
        raise OptionError("a dataset is inspected alone", found=found, remedy="Give one dataset at a time")
    settings = settings or Settings()
    ignored: list[Path] = []
    sources = find_sources(given, settings, key_file=key_file, on_ignored=ignored.append)
    for path in ignored:
        on_notice(f"ignored: {readable(str(path))} is no recording")
    return {
        "kind": "recording",
        "chains": [_inspect_source(source, given, settings, on_progress) for source in sources],
    }


def _inspect_deep(dataset: Dataset, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """What was verified; with problems nothing else is told."""

    def on_bytes(chain: str, done: int, total: int) -> None:
        exchange, symbol = chain.split("/", 1)
        on_progress(Progress(exchange, symbol, done, total, 0, state="is verified"))

    verified = asdict(verify_dataset(dataset.path, dataset.manifest, on_bytes))
    problems = verified.pop("problems")
    told = {"verified": verified, "problems": problems}
    if problems:
        return {"kind": "dataset", "dataset": readable(str(dataset.path)), **told}
    return _inspect_dataset(dataset) | told


def _inspect_dataset(dataset: Dataset) -> dict[str, Any]:
    # First of all, for it meets every damaged file with a sentence.
    digest = dataset_digest(dataset)
    chains = []
    for chain in dataset.manifest.chains:
        symbol = f"{chain.instrument.exchange}/{chain.instrument.symbol}"
        broken = broken_sources(dataset.path, chain) if chain.summary.get("quarantined") else []
        chains.append(
            {
                **chain.summary,
                "findings": [*chain.summary.get("findings", []), *findings_of(broken)],
                "tick_size": format(dataset.tick_size(symbol), "f"),
                "price_decimals": chain.instrument.price_decimals,
                "quantity_decimals": chain.instrument.quantity_decimals,
                "source_format": chain.source_format,
                "strategy": chain.strategy,
                "files": [{"name": f.name, "bytes": f.size_bytes, "sha256": f.sha256} for f in chain.files],
                "rows": {table: _height(dataset.table(table, symbol=symbol)) for table in TABLES},
                "quality_rows": _kinds(dataset.table("quality", symbol=symbol)),
            }
        )
    return {
        "kind": "dataset",
        "dataset": readable(str(dataset.path)),
        "writer": dataset.manifest.writer,
        "unfinished": [asdict(one) for one in unfinished_chains(dataset.path, dataset.manifest)],
        "digest": digest,
        "events": sum(chain["rows"]["events"] for chain in chains),
        "chains": chains,
    }


def _height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


def _kinds(quality: pl.LazyFrame) -> dict[str, int]:
    counted = quality.group_by("kind").len().sort("kind").collect()
    return {kind: int(count) for kind, count in counted.iter_rows()}


def _inspect_source(
    source: Source, given: Sequence[Path], settings: Settings, on_progress: Callable[[Progress], None]
) -> dict[str, Any]:
    messages: Counter[str] = Counter()
    kinds, rejected = [0] * len(Kind), 0
    first, last, events, quotes = NONE, NONE, 0, 0
    broken: list[Break] = []
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
        broken += [
            Break(readable(one.file), one.row, one.reason) for one in batch.rejects if breaks_off(one.reason)
        ]
        on_progress(
            Progress(instrument.exchange, instrument.symbol, batch.bytes_done, source.bytes_total, events)
        )
    return {
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        "format": source.format,
        "files": [
            {"name": _shown(path, given), "bytes": file.size_bytes, "sha256": file.sha256}
            for path, file in zip(source.files, map(hash_file, source.files), strict=True)
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
        "findings": findings_of(broken),
    }


def _shown(path: Path, given: Sequence[Path]) -> str:
    """A file's path below the folder that was given; its name if it was given itself."""
    below = next((folder for folder in given if folder in path.parents), path.parent)
    return readable(path.relative_to(below).as_posix())
