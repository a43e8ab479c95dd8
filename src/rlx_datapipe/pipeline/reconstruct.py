"""The line itself: sources become the chains of one dataset, in this process or in one for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlx_datapipe.core.config import Settings, differing
from rlx_datapipe.core.errors import DatasetError, OptionError
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.following import wait_for_symbols
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.alarms import count_findings
from rlx_datapipe.pipeline.certified import admitted, vouchers_of
from rlx_datapipe.pipeline.chain import Digests, Summary, write_chain
from rlx_datapipe.pipeline.manager import ProcessManager
from rlx_datapipe.pipeline.run_summary import last_commit, run_summary, with_course, with_losses
from rlx_datapipe.pipeline.stopping import require_handles, resumable
from rlx_datapipe.pipeline.strategy import narrowed
from rlx_datapipe.pipeline.watching import Progress, Watcher
from rlx_datapipe.store.capture_manifest import is_capture
from rlx_datapipe.store.capture_state import capture_state, sealing_hint
from rlx_datapipe.store.digest import combine
from rlx_datapipe.store.files import locked
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import is_dataset, read_manifest, require_place, start_dataset
from rlx_datapipe.store.repair import repair_logs
from rlx_datapipe.store.tables import create_tables, digest_name
from rlx_datapipe.store.verify import chain_name

if TYPE_CHECKING:
    from rlx_datapipe.pipeline.fidelity_watch import GoldenWatch


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
    follow: bool = False,
    key_file: Path | None = None,
    uncertified: bool = False,
    golden: str | Path | None = None,
    workers: int = 0,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Turn recordings into a dataset; the summary of the run.

    Parameters
    ----------
    sources
        Files or folders: Binance captures, Crypto Lake Parquet or Tardis CSV, recognised by content.
    out
        Folder of the new dataset; must not exist or be empty.
    settings
        Everything that shapes the output; defaults if None.
    format, exchange, symbols, decimals, key_file
        As in `find_sources`.
    resume
        Go on with a dataset that an earlier run left unfinished; a finished one is left as it is, and
        where there is nothing yet it begins (``--resume`` refuses a folder that does not exist).
    follow
        The source is the folder of a capture that is still being written: each segment is taken in as soon as
        it is sealed, until the capture ends. `resume` goes on after a stop, with or without this.
    uncertified
        Read what is ready in a staging folder without a certificate; the dataset says so.
    golden
        A dataset or capture to compare the new data with, with `follow` each batch; see `fidelity_watch`.
    workers
        Chains written at a time, each by a process of its own that is watched and restarted; 0 writes one
        after the other in this process. Several that are followed have a process each in any case.
    on_progress, on_notice
        Called after each batch, and with a sentence that a user should see at once.

    Returns
    -------
    A dictionary for JSON: ``events`` by type, ``gaps``, ``drift``, ``crossed``, ``quarantined``, ``findings``
    (alarms: drift and gaps beyond their thresholds; files that break off), ``events_per_second``,
    ``peak_memory_bytes``, ``digest`` (BLAKE3 over the logical rows in order), and the same per chain in
    ``chains``, see `run_summary`; ``repaired``, if a power cut left anything; ``fidelity`` with `golden`.

    Raises
    ------
    SourceError, OptionError, OutputError, DatasetError, StoppedError
        With one sentence that says what to do; the last when the system refuses to write in the middle.
    """
    settings, folder, started = settings or Settings(), Path(out), time.perf_counter()
    _require_workable(workers, folder, settings, resume=resume)
    how = {"format": format, "exchange": exchange, "symbols": symbols, "decimals": decimals}
    watch = _watch(golden, folder, settings, key_file, on_notice)
    found = _find(sources, folder, settings, on_notice, follow=follow, key_file=key_file, **how)
    vouchers = vouchers_of((file for one in found for file in one.files), uncertified=uncertified)
    instruments = [source.instrument for source in found]
    start_dataset(folder, WRITER, settings, [*map(chain_name, instruments)], resume=resume, **vouchers)
    with watch.over(instruments, on_progress, is_live=follow) if watch else nullcontext(on_progress) as look:
        told = _fill(found, folder, settings, workers, look, on_notice, started)
        return {**told, "fidelity": watch.finish()} if watch else told


def _watch(
    golden: str | Path | None,
    folder: Path,
    settings: Settings,
    key_file: Path | None,
    on_notice: Callable[[str], None],
) -> GoldenWatch | None:
    if golden is None:
        return None
    # Here, so that a run without golden does not wait for it.
    from rlx_datapipe.pipeline.fidelity_watch import GoldenWatch

    return GoldenWatch(Path(golden), folder, settings, key_file, on_notice)


def _require_workable(workers: int, folder: Path, settings: Settings, *, resume: bool) -> None:
    """First what costs nothing to find out: input may take minutes."""
    if workers < 0:
        raise OptionError("workers can't be negative", found=workers, remedy="Give 0, or how many at a time")
    require_handles()
    _require_place(folder, settings, resume=resume)


def _find(
    sources: str | Path | Iterable[str | Path],
    apart: Path,
    settings: Settings,
    on_notice: Callable[[str], None],
    *,
    follow: bool,
    key_file: Path | None,
    **how: Any,
) -> list[Source]:
    given = [Path(sources)] if isinstance(sources, str | Path) else [Path(source) for source in sources]
    for path in given:
        if is_capture(path) and capture_state(path) == "left open":
            what = "is waited for until it is started again" if follow else "is not sealed to its end"
            on_notice(f"{readable(str(path))}: the capture {what}. {sealing_hint(path)}")
    if follow:
        _wait_for_capture(given, settings, key_file, on_notice)
    found = find_sources(
        admitted(given),
        settings,
        apart=apart,
        key_file=key_file,
        on_ignored=lambda path: on_notice(f"ignored: {readable(str(path))} is no recording"),
        **how,
    )
    # Before anything is written: not every strategy can be had of every source.
    return [narrowed(replace(source, is_followed=follow), settings) for source in found]


def _wait_for_capture(
    given: list[Path], settings: Settings, key_file: Path | None, on_notice: Callable[[str], None]
) -> None:
    """See that what is to be followed is one capture, and wait until its symbols have been seen."""
    if len(given) != 1 or not is_capture(given[0]):
        raise OptionError(
            "only the folder of one capture can be followed",
            found=", ".join(readable(str(path)) for path in given),
            remedy="Give the folder that rlx capture run --out made, or leave --follow out",
        )
    for symbol in wait_for_symbols(given[0], settings, key_file):
        on_notice(f"left out: {symbol} has not been seen in the first segments")


def _require_place(folder: Path, settings: Settings, *, resume: bool) -> None:
    """See that a dataset may be begun there, or gone on with by these settings."""
    require_place(folder, resume=resume)
    if not is_dataset(folder):
        return
    begun = read_manifest(folder).settings
    if names := differing(begun, settings):
        was = ", ".join(f"{name} = {getattr(begun, name)}" for name in names)
        now = ", ".join(f"{name} = {getattr(settings, name)}" for name in names)
        raise DatasetError(
            "was begun with other settings",
            file=folder,
            found=now,
            expected=was,
            remedy="Resume with those (see rlx.json), or reconstruct in a new folder",
        )


def _fill(
    found: list[Source],
    folder: Path,
    settings: Settings,
    workers: int,
    on_progress: Callable[[Progress], None],
    on_notice: Callable[[str], None],
    started: float,
) -> dict[str, Any]:
    """Write the chains of a dataset that is begun; the summary of the run."""
    with locked(folder) as check_place, resumable(folder):
        # Once for all: workers that begin at the same time find logs that are sound, and there.
        repaired = repair_logs(folder)
        create_tables(folder)
        stood = [last_commit(folder, source.instrument) for source in found]
        watcher = Watcher(on_progress, check_place=check_place)
        written = _write(found, folder, settings, workers, watcher, on_notice)
    digest = combine(_digests(found, [tables for _, tables in written]))
    chains = [
        with_losses(folder, with_course(summary, commit))
        for commit, (summary, _) in zip(stood, written, strict=True)
    ]
    told = run_summary(folder, chains, digest, time.perf_counter() - started)
    return {**told, "repaired": repaired} if repaired else told


def _write(
    sources: list[Source],
    folder: Path,
    settings: Settings,
    workers: int,
    watcher: Watcher,
    on_notice: Callable[[str], None],
) -> list[tuple[Summary, Digests]]:
    """Write all chains, in this process or by others; what each came to."""
    if len(sources) > 1 and any(source.is_followed for source in sources):
        workers = max(workers, len(sources))
    if not workers:
        return [write_chain(source, folder, settings, watcher) for source in sources]
    done = ProcessManager(sources, folder, settings, workers, watcher.on_progress, on_notice).run()
    count_findings([chain.summary for chain in done])
    return [(chain.summary, chain.digests) for chain in done]


def _digests(sources: list[Source], tables: list[Digests]) -> Digests:
    """The digest of each table of each chain, under the name by which it enters that of the dataset."""
    return {
        digest_name(table, source.instrument.exchange, source.instrument.symbol): digests[table]
        for source, digests in zip(sources, tables, strict=True)
        for table in TABLES
    }
