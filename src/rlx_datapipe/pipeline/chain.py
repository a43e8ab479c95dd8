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
from rlx_datapipe.core.event import NONE, Field
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.state import State
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.ingest import DataIngestion, Ingested
from rlx_datapipe.ingestion.sources import Source
from rlx_datapipe.pipeline.alarms import Alarms
from rlx_datapipe.pipeline.overlap import overlap
from rlx_datapipe.pipeline.recovery import Standing, recover
from rlx_datapipe.pipeline.tally import Tally
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.sink.datasink import DataSink, Pins
from rlx_datapipe.store.checkpoints import CheckpointManager, PipelineStateProvider
from rlx_datapipe.store.manifest import ChainManifest, chain_record, finish_chain, hash_file

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Progress:
    """How far a run has come: of which chain, bytes read of how many, events written."""

    exchange: str
    symbol: str
    bytes_done: int
    bytes_total: int
    events: int


@dataclass
class _Batch:
    """What one ingested batch became; ``states`` of the stages behind it, where an epoch ends with it."""

    ingested: Ingested
    replayed: list[Replayed]
    states: dict[str, State] | None


def write_chain(
    source: Source,
    folder: Path,
    settings: Settings,
    on_progress: Callable[[Progress], None],
    provider: PipelineStateProvider | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Write a chain to its end; its summary, and the digest of each table's rows.

    ``provider`` keeps the states of the stages after each epoch; by default in checkpoints in the dataset.

    Raises
    ------
    DatasetError
        When what is there already can't be gone on with.
    """
    started = time.perf_counter()
    sources = tuple(hash_file(path) for path in source.files)
    # Where epochs end depends on the batches too, and an epoch that is redone must be the same.
    shaping = [settings.digest(), settings.batch_rows, source.instrument, source.trades]
    pins = Pins(sources, hashlib.sha256(msgspec.json.encode(shaping)).hexdigest(), WRITER)
    provider = provider or CheckpointManager(folder, source.instrument.exchange, source.instrument.symbol)
    standing = recover(folder, source, pins, provider)
    if standing.commit is None or not standing.commit.is_last:
        summary, digests = _go_on(source, folder, settings, pins, standing, provider, on_progress)
    else:
        assert standing.commit.summary is not None  # noqa: S101 (the last commit has one)
        summary, digests = standing.commit.summary["summary"], standing.commit.summary["digests"]
    if not chain_record(folder, source.instrument).exists():
        finish_chain(folder, ChainManifest(source.instrument, source.format, sources, summary))
    crash_point("chain recorded")
    elapsed = time.perf_counter() - started
    return {**summary, "events_per_second": round(summary["events"] / elapsed)}, digests


def _go_on(
    source: Source,
    folder: Path,
    settings: Settings,
    pins: Pins,
    standing: Standing,
    provider: PipelineStateProvider,
    on_progress: Callable[[Progress], None],
) -> tuple[dict[str, Any], dict[str, str]]:
    instrument = source.instrument
    sink, tally, alarms = DataSink(folder, instrument, provider), Tally(), Alarms(instrument, settings)
    if standing.commit is not None:
        sink.restore(standing.states["sink"], standing.commit)
        tally.restore(standing.states["tally"])
        alarms.restore(standing.states["alarms"])
    else:
        sink.begin()
    batches = _replay(source, settings, standing.states)
    for batch in overlap(batches, settings.queue_batches, enabled=settings.threads > 1):
        sink.add_quotes(batch.ingested.quotes)
        sink.add_rejects(batch.ingested.rejects, batch.ingested.kept)
        tally.add_messages(batch.ingested)
        for replayed in batch.replayed:
            tally.add_events(replayed)
            alarms.add(replayed)
            sink.add(replayed)
        if batch.states is not None:
            alarms.judge()
            sink.commit(pins, {**batch.states, "tally": tally.state(), "alarms": alarms.state()})
        done = batch.ingested.bytes_done
        on_progress(Progress(instrument.exchange, instrument.symbol, done, source.bytes_total, tally.events))
    sink.add_quality(sink.quarantine.records() + tally.set_aside())
    summary = {
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        **tally.told(),
        "rows": sink.rows,
        "quarantined": sink.quarantine.counts.total(),
        "findings": alarms.finish(),
    }
    sink.commit(pins, {}, {"summary": summary, "digests": sink.digests})
    return summary, sink.digests


def _replay(source: Source, settings: Settings, states: dict[str, State]) -> Iterator[_Batch]:
    replayer = EventReplayer(source.instrument, source.rule, settings)
    if states:
        replayer.restore(states["replay"])
    batches = overlap(_ingest(source, settings, states), settings.queue_batches, enabled=settings.threads > 1)
    for batch, state in batches:
        replayed = list(replayer.replay(batch.events))
        after = {"ingestion": state, "replay": replayer.state()} if state is not None else None
        yield _Batch(batch, replayed, after)
    yield _Batch(Ingested(bytes_done=source.bytes_total), [replayer.finish()], None)


def _ingest(
    source: Source, settings: Settings, states: dict[str, State]
) -> Iterator[tuple[Ingested, State | None]]:
    """Batches, and with those that end an epoch the state of the ingestion behind them.

    An epoch ends with the first batch by which ``epoch_events`` have come since the last, or by which they
    span ``epoch_s``: by the input alone.
    """
    ingestion = DataIngestion(source, settings)
    if states:
        ingestion.restore(states["ingestion"])
    since, began, newest = 0, NONE, NONE
    for batch in ingestion:
        times = batch.events[Field.ORDER_TIME]
        if len(times):
            since += len(times)
            began = int(times[0]) if began == NONE else began
            newest = max(newest, int(times.max()))
        ends = since >= settings.epoch_events or newest - began >= settings.epoch_s * NS_PER_S
        yield batch, ingestion.state() if ends else None
        if ends:
            since, began, newest = 0, NONE, NONE
