"""One chain from its sources to its last commit, epoch by epoch; goes on where a crash cut it off."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import StoppedError
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.in_turn import InTurn
from rlx_datapipe.core.pressure import Pressure
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.core.state import State
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.fidelity.stream.tier import Alert, StreamTier
from rlx_datapipe.ingestion.ingest import DataIngestion, Ingested
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.pipeline.alarms import Alarms
from rlx_datapipe.pipeline.certified import vouched
from rlx_datapipe.pipeline.epochs import cut_into_epochs
from rlx_datapipe.pipeline.overlap import overlap
from rlx_datapipe.pipeline.pinned import Pinned
from rlx_datapipe.pipeline.recovery import Standing, recover
from rlx_datapipe.pipeline.stage_times import Measured, StageTimes, TimedObserver
from rlx_datapipe.pipeline.strategy import choose_strategy
from rlx_datapipe.pipeline.tally import Tally
from rlx_datapipe.pipeline.watching import Progress, Watcher
from rlx_datapipe.replay.observed import ObservedReplay
from rlx_datapipe.replay.strategies import STRATEGIES, Strategy
from rlx_datapipe.sink.datasink import DataSink, Hands, Pins
from rlx_datapipe.store.checkpoints import CheckpointManager, PipelineStateProvider
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import ChainManifest, chain_record, finish_chain
from rlx_datapipe.store.skips import read_skips
from rlx_datapipe.telemetry.counters import count_alarm

Summary = dict[str, Any]
Digests = dict[str, str]


def write_chain(
    source: Source,
    folder: Path,
    settings: Settings,
    watcher: Watcher,
    provider: PipelineStateProvider | None = None,
) -> tuple[Summary, Digests]:
    """Write a chain to its end; its summary, and the digest of each table's rows.

    States are kept by ``provider``; in files of the dataset if None.

    Raises
    ------
    DatasetError
        When what is there already can't be gone on with.
    SourceError
        When the input changed while it was read.
    StoppedError
        When the watcher stopped it; what is committed stands.
    """
    started = time.perf_counter()
    writer = _ChainWriter(source, folder, settings, watcher, provider)
    summary, digests = writer.write()
    elapsed = time.perf_counter() - started
    # Told, but never written: what is here depends on the machine and the moment.
    fleeting = {
        "events_per_second": round(summary["events"] / elapsed),
        "pressure": writer.pressure.told(),
        "stages": writer.times.told(),
    }
    return {**summary, **fleeting}, digests


@dataclass
class _Batch:
    """What one ingested batch became; ``states`` of the stages behind it, where an epoch ends with it.

    ``measured`` are windows of tier 1 that were closed in that epoch.
    """

    ingested: Ingested
    replayed: list[Replayed]
    states: dict[str, State] | None
    measured: State | None = None


class _ChainWriter:
    """The stages of one chain, joined."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        settings: Settings,
        watcher: Watcher,
        provider: PipelineStateProvider | None,
    ) -> None:
        self._source, self._folder, self._settings, self._watcher = source, folder, settings, watcher
        self._names = source.instrument.exchange, source.instrument.symbol
        self._provider = provider or CheckpointManager(folder, *self._names)
        self.pressure = watcher.pressure or Pressure(settings)
        self.times = StageTimes()
        self._pinned = Pinned(source.files)
        self._vouched = vouched(source.files, self._pinned.files, folder)
        self._strategy = choose_strategy(source, settings)
        self._tier1 = StreamTier(source.instrument, self._on_alert) if settings.tier1 else None
        # Where epochs end depends on the batches too, and an epoch that is redone must be the same.
        shaping = [settings.digest(), settings.batch_rows, source.instrument, source.trades]
        if self._strategy.name != "full":
            shaping.append(self._strategy.name)
        config = hashlib.sha256(msgspec.json.encode(shaping)).hexdigest()
        self._pins = Pins(self._pinned.files, config, WRITER, read_skips(folder, *self._names))

    def write(self) -> tuple[Summary, Digests]:
        """Go on to the end from wherever the chain stands."""
        source = self._source
        standing = recover(self._folder, source, self._pins, self._provider)
        if standing.commit is None or not standing.commit.is_last:
            summary, digests = self._go_on(standing)
        else:
            assert standing.commit.summary is not None  # noqa: S101 (the last commit has one)
            summary, digests = standing.commit.summary["summary"], standing.commit.summary["digests"]
        if not chain_record(self._folder, source.instrument).exists():
            strategy = self._strategy.name
            record = ChainManifest(source.instrument, source.format, self._pins.sources, summary, strategy)
            finish_chain(self._folder, record)
        crash_point("chain recorded")
        return summary, digests

    def _go_on(self, standing: Standing) -> tuple[Summary, Digests]:
        source = self._source
        tally = Tally()
        alarms = Alarms(source.instrument, self._settings, tally.measures)
        with ExitStack() as open_ones:
            hands = self._hands(open_ones)
            sink = open_ones.enter_context(DataSink(self._folder, source.instrument, self._provider, hands))
            if standing.commit is not None:
                sink.restore(standing.states["sink"], standing.commit)
                tally.restore(standing.states["tally"])
                alarms.restore(standing.states["alarms"])
            else:
                sink.begin()
            measured = self._write_epochs(sink, tally, alarms, standing.states)
            sink.add_quality(
                tally.source_records()
                + sink.quarantine.records()
                + tally.set_aside()
                + _skipped(self._pins.skips)
            )
            summary = {
                "exchange": source.instrument.exchange,
                "symbol": source.instrument.symbol,
                **self._vouched,
                "strategy": self._strategy.name,
                "strategy_reasons": list(self._strategy.reasons),
                "skipped": [skip.reason for skip in self._pins.skips],
                **tally.told(),
                "rows": sink.rows,
                "quarantined": sink.quarantine.counts.total(),
                "findings": alarms.finish() + self._alerts(),
                **({"tier1": self._tier1.told()} if self._tier1 else {}),
            }
            self._check()
            self._pins = self._pins_of(self._ingestion.source.files)
            sink.commit(self._pins, {}, {"summary": summary, "digests": sink.digests}, measured)
            return summary, sink.digests

    def _hands(self, open_ones: ExitStack) -> Hands:
        """Threads for the sink, each measured as a stage; in turn, all but commits is part of its own."""
        if self._settings.threads == 1:
            return Hands(commit=Measured(self.times, "commit", InTurn()))
        threads = {
            name: open_ones.enter_context(ThreadPoolExecutor(1, f"rlx-{name}")) for name in Hands._fields
        }
        return Hands(**{name: Measured(self.times, name, thread) for name, thread in threads.items()})

    def _write_epochs(
        self, sink: DataSink, tally: Tally, alarms: Alarms, states: dict[str, State]
    ) -> State | None:
        """Take in all batches, and commit all epochs but the last; what tier 1 measured in that."""
        batch = None
        watcher, bytes_total = self._watcher, self._source.bytes_total
        for batch in self._overlapped(states):
            with self.times.of("sink"):
                sink.add_quotes(batch.ingested.quotes)
                sink.add_rejects(batch.ingested.rejects, batch.ingested.kept)
                tally.add_messages(batch.ingested)
                for replayed in batch.replayed:
                    tally.add_events(replayed)
                    alarms.add(replayed.quality)
                    sink.add(replayed)
            if batch.states is not None:
                alarms.judge()
                self._check()
                states = {**batch.states, "tally": tally.state(), "alarms": alarms.state()}
                sink.commit(self._pins_at(states["ingestion"]), states, measured=batch.measured)
            # A capture that is followed may be quiet for longer than anyone waits.
            if watcher.is_stopped() and (batch.states is not None or self._source.is_followed):
                sink.settle()
                raise StoppedError("was stopped", file=self._folder, remedy="Go on with --resume")
            self.pressure.relieve(sink.spill)
            done = batch.ingested.bytes_done
            total = max(done, bytes_total)
            watcher.on_progress(Progress(*self._names, done, total, tally.events, sink.epochs))
        return batch.measured if batch is not None else None

    def _pins_at(self, state: State) -> Pins:
        """The pins of an epoch: of a capture folder only the segments that were come to by then."""
        came_to = state.values["files"]
        assert isinstance(came_to, list)  # noqa: S101
        return self._pins_of(self._ingestion.source.files[: len(came_to)])

    def _pins_of(self, files: Sequence[Path]) -> Pins:
        if self._source.capture is None:
            return self._pins
        return self._pins._replace(sources=self._pinned.upto(files))

    def _check(self) -> None:
        """See that the dataset and the input are still what they were, before anything is said of them."""
        self._watcher.check_place()
        self._pinned.check()

    def _overlapped(self, states: dict[str, State]) -> Iterator[_Batch]:
        """Batches that are read and replayed ahead by threads."""
        settings, pressure = self._settings, self.pressure
        waiting_max, enabled = settings.queue_batches, settings.threads > 1
        self._ingestion = ingestion = DataIngestion(
            self._source, settings, take=self._watcher.take, skips=self._pins.skips, begin=self._watcher.begin
        )
        strategy = STRATEGIES[self._strategy.name]
        replayer = strategy(self._source.instrument, self._source.rule, settings)
        if self._tier1 is not None:
            replayer = ObservedReplay(replayer, TimedObserver(self._tier1, self.times))
        if states:
            ingestion.restore(states["ingestion"])
            replayer.restore(states["replay"])
        self._watcher.stands(*ingestion.position)
        epochs = self.times.taking(cut_into_epochs(ingestion, settings), "ingestion")
        ingested = overlap(epochs, waiting_max, enabled=enabled, gate=pressure.reading)
        batches = self._replay(ingested, replayer)
        yield from overlap(batches, waiting_max, enabled=enabled, gate=pressure.writing)

    def _replay(
        self, ingested: Iterator[tuple[Ingested, State | None]], replayer: Strategy
    ) -> Iterator[_Batch]:
        for batch, state in ingested:
            with self.times.of("replay"):
                replayed = list(replayer.replay(batch.events))
                measured = self._tier1.take_closed() if self._tier1 and state is not None else None
                after = {"ingestion": state, "replay": replayer.state()} if state is not None else None
            yield _Batch(batch, replayed, after, measured)
        with self.times.of("replay"):
            replayed = [replayer.finish()]
        if self._tier1 is not None:
            self._tier1.finish()
        measured = self._tier1.take_closed() if self._tier1 else None
        yield _Batch(Ingested(bytes_done=self._ingestion.source.bytes_total), replayed, None, measured)

    def _on_alert(self, alert: Alert) -> None:
        count_alarm(*self._names, alert.kind)

    def _alerts(self) -> list[dict[str, Any]]:
        """Findings of tier 1, ready for JSON."""
        return [msgspec.to_builtins(finding) for finding in self._tier1.findings()] if self._tier1 else []


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
