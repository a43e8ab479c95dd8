"""The line itself: sources are ingested, replayed and written, one chain after the other."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.ingest import Ingested, ingest
from rlx_datapipe.ingestion.sources import Source, find_sources
from rlx_datapipe.pipeline.overlap import overlap
from rlx_datapipe.pipeline.tally import Tally
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.sink.datasink import DataSink
from rlx_datapipe.store.digest import combine
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import ChainManifest, finish_chain, hash_file, start_dataset
from rlx_datapipe.store.tables import digest_name


@dataclass(frozen=True)
class Progress:
    """How far a run has come: of which chain, bytes read of how many, events written."""

    exchange: str
    symbol: str
    bytes_done: int
    bytes_total: int
    events: int


def reconstruct(
    sources: str | Path | Iterable[str | Path],
    out: str | Path,
    settings: Settings | None = None,
    *,
    format: str = "auto",
    exchange: str = "",
    symbols: Iterable[str] = (),
    decimals: tuple[int | None, int | None] = (None, None),
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Turn recordings into a dataset; the summary of the run.

    Parameters
    ----------
    sources
        Files or folders: Binance captures, or Crypto Lake Parquet, recognised by content.
    out
        Folder of the new dataset; must not exist or be empty.
    settings
        Everything that shapes the output; defaults if None.
    format, exchange, symbols, decimals
        As in `find_sources`.
    on_progress
        Called after each batch.

    Returns
    -------
    A dictionary for JSON: ``events`` by type, ``gaps``, ``drift``, ``crossed``, ``quarantined``,
    ``events_per_second``, ``peak_memory_bytes``, ``digest`` (SHA-256 over the logical rows in order), and
    the same per chain in ``chains``.

    Raises
    ------
    SourceError, OptionError, OutputError
        With one sentence that says what to do.
    """
    settings = settings or Settings()
    started = time.perf_counter()
    paths = [sources] if isinstance(sources, str | Path) else list(sources)
    found = find_sources(
        paths, settings, format=format, exchange=exchange, symbols=symbols, decimals=decimals
    )
    folder = Path(out)
    planned = [f"{source.instrument.exchange}/{source.instrument.symbol}" for source in found]
    start_dataset(folder, WRITER, settings, planned)
    digests: dict[str, str] = {}
    chains = []
    for source in found:
        summary, tables = _write_chain(source, folder, settings, on_progress)
        instrument = source.instrument
        digests.update({digest_name(t, instrument.exchange, instrument.symbol): tables[t] for t in TABLES})
        chains.append(summary)
    return _summary(folder, chains, combine(digests), time.perf_counter() - started)


@dataclass
class _Batch:
    """What one ingested batch became."""

    ingested: Ingested
    replayed: list[Replayed]


def _replay(source: Source, settings: Settings) -> Iterator[_Batch]:
    replayer = EventReplayer(source.instrument, source.rule, settings)
    batches = overlap(ingest(source, settings), settings.queue_batches, enabled=settings.threads > 1)
    for batch in batches:
        yield _Batch(batch, list(replayer.replay(batch.events)))
    yield _Batch(Ingested(bytes_done=source.bytes_total), [replayer.finish()])


def _write_chain(
    source: Source, folder: Path, settings: Settings, on_progress: Callable[[Progress], None]
) -> tuple[dict[str, Any], dict[str, str]]:
    instrument = source.instrument
    sink = DataSink(folder, instrument)
    tally = Tally()
    started = time.perf_counter()
    for batch in overlap(_replay(source, settings), settings.queue_batches, enabled=settings.threads > 1):
        sink.add_quotes(batch.ingested.quotes)
        sink.add_rejects(batch.ingested.rejects, batch.ingested.kept)
        tally.add_messages(batch.ingested)
        for replayed in batch.replayed:
            tally.add_events(replayed)
            sink.add(replayed)
        on_progress(
            Progress(
                instrument.exchange,
                instrument.symbol,
                batch.ingested.bytes_done,
                source.bytes_total,
                tally.events,
            )
        )
    sink.add_quality(sink.quarantine.records() + tally.set_aside())
    sink.finish({"settings": settings.digest(), "writer": WRITER})
    elapsed = time.perf_counter() - started
    summary = {
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        **tally.told(),
        "rows": sink.rows,
        "quarantined": sink.quarantine.counts.total(),
        "events_per_second": round(tally.events / elapsed) if elapsed else 0,
    }
    files = tuple(hash_file(path) for path in source.files)
    lasting = {name: value for name, value in summary.items() if name != "events_per_second"}
    finish_chain(folder, ChainManifest(instrument, source.format, files, lasting))
    return summary, sink.digests


_SUMMED = (
    "events",
    "gaps",
    "resyncs",
    "crossed",
    "locked",
    "duplicates",
    "late",
    "quarantined",
    "events_without_book",
)


def _summary(folder: Path, chains: list[dict[str, Any]], digest: str, elapsed: float) -> dict[str, Any]:
    """The result of a run over all its chains."""
    total = {name: sum(chain[name] for chain in chains) for name in _SUMMED}
    by_type: Counter[str] = Counter()
    for chain in chains:
        by_type.update(chain["events_by_type"])
    return {
        "dataset": readable(str(folder)),
        "digest": digest,
        **total,
        "events_by_type": dict(by_type),
        "elapsed_seconds": round(elapsed, 3),
        "events_per_second": round(total["events"] / elapsed) if elapsed else 0,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "chains": chains,
    }
