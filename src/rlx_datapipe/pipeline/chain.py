"""One chain from its sources to its last commit, epoch by epoch; goes on where a crash cut it off."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import StoppedError
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.pressure import Pressure
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.core.state import State
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.ingest import Begin, DataIngestion, Ingested, Take
from rlx_datapipe.ingestion.sources import Source
from rlx_datapipe.pipeline.overlap import overlap
from rlx_datapipe.pipeline.pinned import Pinned
from rlx_datapipe.pipeline.recovery import Standing, recover
from rlx_datapipe.pipeline.tally import Tally
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.sink.datasink import DataSink, Pins
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import ChainManifest, chain_record, finish_chain
from rlx_datapipe.store.skips import read_skips


@dataclass(frozen=True)
class Progress:
    """How far a run has come: of which chain, bytes read of how many, events written, epochs committed.

    ``restarts`` counts how often its process was started again; ``state`` says why a chain does not come on,
    and is empty for one that does.
    """

    exchange: str
    symbol: str
    bytes_done: int
    bytes_total: int
    events: int
    epochs: int = 0
    restarts: int = 0
    state: str = ""


@dataclass(frozen=True)
class Watcher:
    """Who watches over the writing of a chain.

    ``on_progress`` is called after each batch; ``stands`` is told the file and row behind which recordings
    are read on, ``begin`` the rows that are worked on next; ``is_stopped`` is asked after each commit,
    ``check_place`` before it whether the dataset is still where it was.
    ``take`` gives the steps of a recording in place of its file; ``pressure`` can be asked for its rungs.
    """

    on_progress: Callable[[Progress], None] = lambda _: None
    stands: Callable[[int, int], None] = lambda *_: None
    begin: Begin = lambda *_: None
    is_stopped: Callable[[], bool] = lambda: False
    check_place: Callable[[], None] = lambda: None
    take: Take | None = None
    pressure: Pressure | None = None


@dataclass
class _Batch:
    """What one ingested batch became; ``states`` of the stages behind it, where an epoch ends with it."""

    ingested: Ingested
    replayed: list[Replayed]
    states: dict[str, State] | None


def write_chain(
    source: Source, folder: Path, settings: Settings, watcher: Watcher
) -> tuple[dict[str, Any], dict[str, str]]:
    """Write a chain to its end; its summary, and the digest of each table's rows.

    Raises
    ------
    DatasetError
        When what is there already can't be gone on with.
    StoppedError
        When the watcher stopped it; what is committed stands.
    """
    started = time.perf_counter()
    pressure = watcher.pressure or Pressure(settings)
    pinned = Pinned(source.files)
    # Where epochs end depends on the batches too, and an epoch that is redone must be the same.
    shaping = [settings.digest(), settings.batch_rows, source.instrument, source.trades]
    skips = read_skips(folder, source.instrument.exchange, source.instrument.symbol)
    pins = Pins(pinned.files, hashlib.sha256(msgspec.json.encode(shaping)).hexdigest(), WRITER, skips)
    standing = recover(folder, source, pins)

    def check() -> None:
        watcher.check_place()
        pinned.check()

    if standing.commit is None or not standing.commit.is_last:
        summary, digests = _go_on(source, folder, settings, pins, standing, watcher, pressure, check)
    else:
        assert standing.commit.summary is not None  # noqa: S101 (the last commit has one)
        summary, digests = standing.commit.summary["summary"], standing.commit.summary["digests"]
    if not chain_record(folder, source.instrument).exists():
        finish_chain(folder, ChainManifest(source.instrument, source.format, pinned.files, summary))
    crash_point("chain recorded")
    elapsed = time.perf_counter() - started
    # Told, but never written: what is here depends on the machine and the moment.
    fleeting = {"events_per_second": round(summary["events"] / elapsed), "pressure": pressure.told()}
    return {**summary, **fleeting}, digests


def _go_on(
    source: Source,
    folder: Path,
    settings: Settings,
    pins: Pins,
    standing: Standing,
    watcher: Watcher,
    pressure: Pressure,
    check: Callable[[], None],
) -> tuple[dict[str, Any], dict[str, str]]:
    instrument = source.instrument
    chain = instrument.exchange, instrument.symbol
    sink, tally = DataSink(folder, instrument), Tally()
    if standing.commit is not None:
        sink.restore(standing.states["sink"], standing.commit)
        tally.restore(standing.states["tally"])
    else:
        sink.begin()
    ingestion = DataIngestion(source, settings, take=watcher.take, skips=pins.skips, begin=watcher.begin)
    if standing.states:
        ingestion.restore(standing.states["ingestion"])
    watcher.stands(*ingestion.position)
    batches = _replay(source, settings, ingestion, standing.states, pressure)
    enabled = settings.threads > 1
    for batch in overlap(batches, settings.queue_batches, enabled=enabled, gate=pressure.writing):
        sink.add_quotes(batch.ingested.quotes)
        sink.add_rejects(batch.ingested.rejects, batch.ingested.kept)
        tally.add_messages(batch.ingested)
        for replayed in batch.replayed:
            tally.add_events(replayed)
            sink.add(replayed)
        if batch.states is not None:
            check()
            sink.commit(pins, {**batch.states, "tally": tally.state()})
            if watcher.is_stopped():
                raise StoppedError("was stopped", file=folder, remedy="Go on with --resume")
        pressure.relieve(sink.spill)
        done, total = batch.ingested.bytes_done, source.bytes_total
        watcher.on_progress(Progress(*chain, done, total, tally.events, sink.epochs))
    sink.add_quality(sink.quarantine.records() + tally.set_aside() + _skipped(pins.skips))
    summary = {
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        "skipped": [skip.reason for skip in pins.skips],
        **tally.told(),
        "rows": sink.rows,
        "quarantined": sink.quarantine.counts.total(),
    }
    check()
    sink.commit(pins, {}, {"summary": summary, "digests": sink.digests})
    return summary, sink.digests


def _skipped(skips: tuple[Skip, ...]) -> list[Quality]:
    return [
        Quality(
            kind="skipped",
            severity=Severity.GATE,
            detail=f"{readable(skip.name)}, rows {skip.from_row} to {skip.to_row}: {skip.reason}",
            measures={"count": skip.to_row - skip.from_row + 1},
        )
        for skip in skips
    ]


def _replay(
    source: Source,
    settings: Settings,
    ingestion: DataIngestion,
    states: dict[str, State],
    pressure: Pressure,
) -> Iterator[_Batch]:
    replayer = EventReplayer(source.instrument, source.rule, settings)
    if states:
        replayer.restore(states["replay"])
    ingested, enabled = _ingest(ingestion, settings), settings.threads > 1
    batches = overlap(ingested, settings.queue_batches, enabled=enabled, gate=pressure.reading)
    for batch, state in batches:
        replayed = list(replayer.replay(batch.events))
        after = {"ingestion": state, "replay": replayer.state()} if state is not None else None
        yield _Batch(batch, replayed, after)
    yield _Batch(Ingested(bytes_done=source.bytes_total), [replayer.finish()], None)


def _ingest(ingestion: DataIngestion, settings: Settings) -> Iterator[tuple[Ingested, State | None]]:
    """Batches, and with those that end an epoch the state of the ingestion behind them.

    An epoch ends with the first batch by which ``epoch_events`` have come since the last: by the input alone.
    """
    since = 0
    for batch in ingestion:
        since += batch.events.shape[1]
        ends = since >= settings.epoch_events
        yield batch, ingestion.state() if ends else None
        since = 0 if ends else since
