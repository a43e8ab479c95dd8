"""DataSink: replayed events of one chain become the tables of a dataset, one commit per epoch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.event import NONE, Field, Int64Array, Quote
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.schema import SCHEMAS, TABLES
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.core.state import State
from rlx_datapipe.sink.quarantine import Quarantine
from rlx_datapipe.sink.rows import book_rows, event_rows, keyframe_rows, quality_rows, quote_rows
from rlx_datapipe.store.checkpoints import CheckpointManager, PipelineStateProvider
from rlx_datapipe.store.commits import Commit
from rlx_datapipe.store.digest import TableDigest
from rlx_datapipe.store.files import FileRecord
from rlx_datapipe.store.layout import UNKNOWN
from rlx_datapipe.store.manifest import SourceFile
from rlx_datapipe.store.measured import FOLDER, publish_measured
from rlx_datapipe.store.tables import ChainTable, last_rows


class Pins(NamedTuple):
    """What a chain stands on: input, settings, program, which may not change while it is written; skips."""

    sources: tuple[SourceFile, ...]
    config: str
    writer: str
    skips: tuple[Skip, ...] = ()


class DataSink:
    """Writes one chain. Rows gather until their epoch is complete, are published as files, then committed.

    At the end of an epoch come the data files of all tables, the checkpoint, then the log entries, ``events``
    last: an epoch that is not in the log of ``events`` does not exist.

    Parameters
    ----------
    dataset
        Folder of the dataset.
    instrument
        Tells the chain and the scales.
    states
        Keeps the states of all stages after each epoch; by default in the dataset.
    pool
        One thread that writes row groups while further rows are made; in turn if None.
    """

    def __init__(
        self,
        dataset: Path,
        instrument: Instrument,
        states: PipelineStateProvider | None = None,
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        self._dataset, self._instrument = dataset, instrument
        chain = (instrument.exchange, instrument.symbol)
        self._states = states or CheckpointManager(dataset, *chain)
        self._tables = {name: ChainTable(dataset, name, *chain, pool) for name in TABLES}
        self._digests = {name: TableDigest(SCHEMAS[name]) for name in TABLES}
        self._newest = dict.fromkeys(TABLES, 0)
        self._epoch, self._previous = 0, ""
        self.quarantine = Quarantine(dataset, *chain)
        self._unknown = Quarantine(dataset, *chain, UNKNOWN)

    @property
    def epochs(self) -> int:
        """Epochs committed so far."""
        return self._epoch

    @property
    def digests(self) -> dict[str, str]:
        """BLAKE3 of each table's rows so far, in hex."""
        return {name: running.hexdigest() for name, running in self._digests.items()}

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table so far."""
        return {name: running.rows for name, running in self._digests.items()}

    def add(self, replayed: Replayed) -> None:
        """Take a stretch of events."""
        instrument, frames = self._instrument, replayed.keyframes
        if replayed.events.shape[1]:
            rows = event_rows(replayed, instrument)
            self._gather("events", rows, replayed.events[Field.ORIGIN_TIME])
        if len(replayed.sample_heads):
            self._gather("books", book_rows(replayed, instrument), replayed.sample_heads[:, 1])
        if frames:
            times = np.array([frame.origin_time for frame in frames], dtype=np.int64)
            self._gather("keyframes", keyframe_rows(frames, instrument), times)
        self.add_quality(replayed.quality)

    def add_quality(self, records: list[Quality]) -> None:
        """Take quality records; those without a time are filed under the newest event's date."""
        if records:
            times = [r.from_time if r.from_time != NONE else self._newest["events"] for r in records]
            rows = quality_rows(records, self._instrument)
            self._gather("quality", rows, np.array(times, dtype=np.int64))

    def add_quotes(self, quotes: Int64Array) -> None:
        """Take the venue's own best prices, int64 (QUOTES, n), as they arrived."""
        if quotes.shape[1]:
            times = np.where(
                quotes[Quote.ORIGIN_TIME] != NONE, quotes[Quote.ORIGIN_TIME], quotes[Quote.RECEIVED_TIME]
            )
            self._gather("quotes", quote_rows(quotes, self._instrument), times)

    def add_rejects(self, rejects: list[Reject], unknown: list[Reject]) -> None:
        """Keep what could not be read, and apart from it the messages of unknown type."""
        self.quarantine.add(rejects)
        self._unknown.add(unknown)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of files that no commit has published."""
        for table in self._tables.values():
            table.abandon()

    def spill(self) -> int:
        """Move the rows that wait in memory for their files to the disk; their bytes. No file changes."""
        return sum(table.spill() for table in self._tables.values())

    def commit(
        self,
        pins: Pins,
        states: Mapping[str, State],
        summary: dict[str, Any] | None = None,
        measured: State | None = None,
    ) -> None:
        """Publish the epoch: data files of all tables, then the checkpoint, then the logs, ``events`` last.

        ``states`` are those of the stages before this one; the last commit has a ``summary`` instead.
        ``measured`` are windows of tier 1 that were closed in this epoch.
        """
        keep = self._prepare(states) if summary is None else self._keep_nothing
        written = {name: table.close_files() for name, table in self._tables.items()}
        files = {name: records for name, (_, records) in written.items()}
        if measured is not None:
            names = self._instrument.exchange, self._instrument.symbol
            files[FOLDER] = (publish_measured(self._dataset, *names, self._epoch, measured),)
        crash_point("files published")
        commit = Commit(
            chain=f"{self._instrument.exchange}/{self._instrument.symbol}",
            epoch=self._epoch,
            previous=self._previous,
            sources=pins.sources,
            config=pins.config,
            writer=pins.writer,
            skips=pins.skips,
            input=states["ingestion"].values if states else {},
            files=files,
            rows=self.rows,
            checkpoint=keep(),
            summary=summary,
        )
        for name in TABLES:
            told = commit.encoded() if name == "events" else json.dumps({"epoch": self._epoch})
            self._tables[name].commit(written[name][0], self._epoch, told)
        crash_point("epoch committed")
        # A complete chain needs no checkpoint any more.
        self._states.collect(self._epoch if summary is None else None)
        self._epoch, self._previous = self._epoch + 1, commit.digest()

    def _prepare(self, states: Mapping[str, State]) -> Callable[[], FileRecord | None]:
        return self._states.prepare(self._epoch, {**states, "sink": self.state()})

    def _keep_nothing(self) -> None:
        """The last commit has no checkpoint, which would do this on its way."""
        for set_aside in (self.quarantine, self._unknown):
            set_aside.make_durable()

    def state(self) -> State:
        """What the sink must know after this epoch; the commit that ends it is told by the log itself."""
        return State(
            {
                "newest": dict(self._newest),
                "digests": {name: list(running.leaf_state()) for name, running in self._digests.items()},
                "rows": dict(self.rows),
                "quarantine": self.quarantine.state().values,
                "unknown": self._unknown.state().values,
            }
        )

    def begin(self) -> None:
        """Begin a new chain; what an interrupted run set aside will be told again."""
        for set_aside in (self.quarantine, self._unknown):
            set_aside.restore(State({"counts": [], "sizes": {}}))

    def restore(self, state: State, commit: Commit) -> None:
        """Go on behind a commit of this chain, as the sink that made it."""
        values: dict[str, Any] = state.values
        self._newest = dict(values["newest"])
        self._epoch, self._previous = commit.epoch + 1, commit.digest()
        self.quarantine.restore(State(values["quarantine"]))
        self._unknown.restore(State(values["unknown"]))
        chain = self._instrument.exchange, self._instrument.symbol
        for name, running in self._digests.items():
            leaves, whole = values["digests"][name]
            running.resume(leaves, whole)
            open_rows = values["rows"][name] - whole
            running.update(last_rows(self._dataset, name, chain, open_rows, commit.epoch))

    def _gather(self, table: str, rows: pa.Table, times: Int64Array) -> None:
        # A row that came late is filed with its neighbours, so that files keep the order of rows.
        times = np.maximum.accumulate(np.maximum(times, self._newest[table]))
        self._newest[table] = int(times[-1])
        self._digests[table].update(rows)
        self._tables[table].append(rows, times, self._epoch)
