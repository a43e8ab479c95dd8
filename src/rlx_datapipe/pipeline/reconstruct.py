"""The line itself: sources are ingested, replayed and written, one chain after the other."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.chain import Progress, write_chain
from rlx_datapipe.store.digest import combine
from rlx_datapipe.store.files import locked
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import start_dataset
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
    on_progress
        Called after each batch.

    Returns
    -------
    A dictionary for JSON: ``events`` by type, ``gaps``, ``drift``, ``crossed``, ``quarantined``,
    ``events_per_second``, ``peak_memory_bytes``, ``digest`` (SHA-256 over the logical rows in order), and
    the same per chain in ``chains``; ``repaired``, if a power cut left anything that had to be taken out.

    Raises
    ------
    SourceError, OptionError, OutputError, DatasetError
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
    start_dataset(folder, WRITER, settings, planned, resume=resume)
    digests: dict[str, str] = {}
    chains = []
    with locked(folder):
        repaired = repair_logs(folder)
        create_tables(folder)
        for source in found:
            summary, tables = write_chain(source, folder, settings, on_progress)
            instrument = source.instrument
            digests.update(
                {digest_name(t, instrument.exchange, instrument.symbol): tables[t] for t in TABLES}
            )
            chains.append(summary)
    told = _summary(folder, chains, combine(digests), time.perf_counter() - started)
    return {**told, "repaired": repaired} if repaired else told


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
