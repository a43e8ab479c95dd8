"""The line itself: sources become the chains of one dataset, in this process or in one for each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.memory import peak_bytes
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.sources import Source, find_sources
from rlx_datapipe.pipeline.alarms import count_findings
from rlx_datapipe.pipeline.chain import Digests, Summary, write_chain
from rlx_datapipe.pipeline.losses import broken_sources, findings_of
from rlx_datapipe.pipeline.manager import ProcessManager
from rlx_datapipe.pipeline.stopping import require_handles, resumable
from rlx_datapipe.pipeline.watching import Progress, Watcher
from rlx_datapipe.store.digest import combine
from rlx_datapipe.store.files import locked
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import read_manifest, start_dataset
from rlx_datapipe.store.repair import repair_logs
from rlx_datapipe.store.tables import create_tables, digest_name


def reconstruct(
    sources: str | Path | Iterable[str | Path],
    out: str | Path,
    settings: Settings | None = None,
    *,
    format: str = "auto",
    exchange: str = "",
    symbols: Iterable[str] = (),
    decimals: tuple[int | None, int | None] = (None, None),
    resume: bool = False,
    workers: int = 0,
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
    resume
        Go on with a dataset that an earlier run left unfinished; a finished one is left as it is.
    workers
        Chains written at a time, each by a process of its own that is watched and restarted; 0 writes one
        after the other in this process.
    on_progress
        Called after each batch.

    Returns
    -------
    A dictionary for JSON: ``events`` by type, ``gaps``, ``drift``, ``crossed``, ``quarantined``,
    ``findings`` (alarms: drift and gaps beyond their thresholds; files that break off),
    ``events_per_second``, ``peak_memory_bytes``, ``digest`` (BLAKE3 over the logical rows in order), and the
    same per chain in ``chains``; ``repaired``, if a power cut left anything that had to be taken out.

    Raises
    ------
    SourceError, OptionError, OutputError, DatasetError
        With one sentence that says what to do.
    StoppedError
        When the system refuses to write in the middle; `resume` goes on once it doesn't.
    """
    if workers < 0:
        raise OptionError("workers can't be negative", found=workers, remedy="Give 0, or how many at a time")
    require_handles()
    settings = settings or Settings()
    started = time.perf_counter()
    paths = [sources] if isinstance(sources, str | Path) else list(sources)
    found = find_sources(
        paths, settings, format=format, exchange=exchange, symbols=symbols, decimals=decimals
    )
    folder = Path(out)
    planned = [f"{source.instrument.exchange}/{source.instrument.symbol}" for source in found]
    start_dataset(folder, WRITER, settings, planned, resume=resume)
    with locked(folder) as check_place, resumable(folder):
        # Once for all: workers that begin at the same time find logs that are sound, and there.
        repaired = repair_logs(folder)
        create_tables(folder)
        watcher = Watcher(on_progress, check_place=check_place)
        written = _write(found, folder, settings, workers, watcher)
    digest = combine(_digests(found, [tables for _, tables in written]))
    chains = [_with_losses(folder, summary) for summary, _ in written]
    told = _summary(folder, chains, digest, time.perf_counter() - started)
    return {**told, "repaired": repaired} if repaired else told


def _write(
    sources: list[Source], folder: Path, settings: Settings, workers: int, watcher: Watcher
) -> list[tuple[Summary, Digests]]:
    """Write all chains, in this process or by others; what each came to."""
    if not workers:
        return [write_chain(source, folder, settings, watcher) for source in sources]
    done = ProcessManager(sources, folder, settings, workers, watcher.on_progress).run()
    count_findings([chain.summary for chain in done])
    return [(chain.summary, chain.digests) for chain in done]


def _with_losses(folder: Path, summary: Summary) -> Summary:
    """The summary of a chain with a finding for each of its files that breaks off."""
    if not summary["quarantined"]:
        return summary
    chain = read_manifest(folder).chain(f"{summary['exchange']}/{summary['symbol']}")
    broken = findings_of(broken_sources(folder, chain))
    return {**summary, "findings": [*summary["findings"], *broken]}


def _digests(sources: list[Source], tables: list[Digests]) -> Digests:
    """The digest of each table of each chain, under the name by which it enters that of the dataset."""
    return {
        digest_name(table, source.instrument.exchange, source.instrument.symbol): digests[table]
        for source, digests in zip(sources, tables, strict=True)
        for table in TABLES
    }


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


def _summary(folder: Path, chains: list[Summary], digest: str, elapsed: float) -> dict[str, Any]:
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
        "findings": [
            {"exchange": chain["exchange"], "symbol": chain["symbol"], **finding}
            for chain in chains
            for finding in chain["findings"]
        ],
        "peak_memory_bytes": max([peak_bytes(), *(chain.get("peak_memory_bytes", 0) for chain in chains)]),
        "chains": chains,
    }
