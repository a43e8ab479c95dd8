"""DataSink: replayed events of one chain become the tables of a dataset, one commit per epoch."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.event import NONE, Int64Array, Quote
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.core.in_turn import InTurn
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.schema import SCHEMAS, TABLES
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.core.state import State, Value
from rlx_datapipe.sink.event_rows import EventRows
from rlx_datapipe.sink.quarantine import Quarantine
from rlx_datapipe.sink.rows import book_rows, keyframe_rows, quality_rows, quote_rows
from rlx_datapipe.store.checkpoints import CheckpointManager, PipelineStateProvider
from rlx_datapipe.store.commits import Commit
from rlx_datapipe.store.digest import TableDigest
from rlx_datapipe.store.layout import UNKNOWN
from rlx_datapipe.store.manifest import SourceFile
from rlx_datapipe.store.measured import FOLDER, publish_measured
from rlx_datapipe.store.parts import ROW_GROUP_ROWS
from rlx_datapipe.store.tables import ChainTable, last_rows

_HASHING_MAX = 3
"""Stretches of rows that may wait to be hashed; they are in memory until they are written anyway."""


_AT_ONCE = 8
"""Books become rows in as many steps to a row group: a thousand at once cost little more than one."""


class Hands(NamedTuple):
    """Who does the sink's work while further rows are made: one thread each, or all of it in turn.

    ``write`` writes row groups, ``digest`` hashes rows, ``commit`` publishes and commits epochs.
    """

    write: Executor = InTurn()
    digest: Executor = InTurn()
    commit: Executor = InTurn()


class Pins(NamedTuple):
    """What a chain stands on: input, settings, program, which may not change while it is written; skips."""

    sources: tuple[SourceFile, ...]
    config: str
    writer: str
    skips: tuple[Skip, ...] = ()


class DataSink:
    """Writes one chain. Rows gather until their epoch is complete, are published as files, then committed.

    At the end of an epoch come the data files of all tables, the checkpoint, then the log entries, ``events``
    last: an epoch that is not in the log of ``events`` does not exist. While one is committed, rows of the
    next may be added; none of these files has a name before the commit is done.

    Parameters
    ----------
    dataset
        Folder of the dataset.
    instrument
        Tells the chain and the scales.
    states
        Keeps the states of all stages after each epoch; by default in the dataset.
    hands
        Who works while further rows are made.
    """

    def __init__(
        self,
        dataset: Path,
        instrument: Instrument,
        states: PipelineStateProvider | None = None,
        hands: Hands | None = None,
    ) -> None:
        self._dataset, self._instrument = dataset, instrument
        chain = (instrument.exchange, instrument.symbol)
        self._states = states or CheckpointManager(dataset, *chain)
        self._hands = hands = hands or Hands()
        self._tables = {name: ChainTable(dataset, name, *chain, hands.write) for name in TABLES}
        self._digests = {name: TableDigest(SCHEMAS[name]) for name in TABLES}
        self._hashing: deque[Future[None]] = deque()
        self._rows = dict.fromkeys(TABLES, 0)
        self._open = EventRows(instrument, ROW_GROUP_ROWS["events"])
        """Events that are not handed over yet."""
        self._samples: list[tuple[Int64Array, Int64Array]] = []
        """Heads and levels of books that are not made rows of yet."""
        self._newest = {name: 0 for name in TABLES if name != "events"}
        self._epoch = 0
        """The one that rows are added to."""
        self.epochs, self._previous = 0, ""
        """Epochs committed so far, and the digest of the last commit."""
        self._committing: Future[None] | None = None
        self.quarantine = Quarantine(dataset, *chain)
        self._unknown = Quarantine(dataset, *chain, UNKNOWN)

    @property
    def digests(self) -> dict[str, str]:
        """BLAKE3 of each table's rows so far, in hex."""
        self._hand_over_gathered()
        self._await_hashing(0)
        return {name: running.hexdigest() for name, running in self._digests.items()}

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table so far."""
        self._hand_over_gathered()
        return dict(self._rows)

    def add(self, replayed: Replayed) -> None:
        """Take a stretch of events."""
        self._raise_failure()
        instrument, frames = self._instrument, replayed.keyframes
        done, count = 0, replayed.events.shape[1]
        while done < count:
            done += self._open.add(replayed, done)
            if self._open.is_full:
                self._hand_over("events", *self._open.take())
        if len(replayed.sample_heads):
            self._samples.append((replayed.sample_heads, replayed.samples))
        if _AT_ONCE * sum(len(heads) for heads, _ in self._samples) >= ROW_GROUP_ROWS["books"]:
            self._gather_books()
        if frames:
            times = np.array([frame.origin_time for frame in frames], dtype=np.int64)
            self._gather("keyframes", keyframe_rows(frames, instrument), times)
        self.add_quality(replayed.quality)

    def add_quality(self, records: list[Quality]) -> None:
        """Take quality records; those without a time are filed under the newest event's date."""
        if records:
            times = [r.from_time if r.from_time != NONE else self._open.newest for r in records]
            rows = quality_rows(records, self._instrument)
            self._gather("quality", rows, np.array(times, dtype=np.int64))

    def add_quotes(self, quotes: Int64Array) -> None:
        """Take the venue's own best prices, int64 (QUOTES, n), as they arrived."""
        self._raise_failure()
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
        """Let go of files that no commit publishes; one that is under way comes to its end."""
        wait([*self._hashing, *([self._committing] if self._committing else [])])
        for table in self._tables.values():
            table.abandon()

    def spill(self) -> int:
        """Move the rows that wait in memory for their files to the disk; their bytes. No file changes."""
        self._hand_over_gathered()
        return sum(table.spill() for table in self._tables.values())

    def commit(
        self,
        pins: Pins,
        states: Mapping[str, State],
        summary: dict[str, Any] | None = None,
        measured: State | None = None,
    ) -> None:
        """End the epoch and have it published, once the one before is; the last is when this returns.

        ``states`` are those of the stages before this one; the last commit has a ``summary`` instead.
        ``measured`` are windows of tier 1 that were closed in this epoch. Errors of a commit are raised by
        the next one, by `settle`, or by what is added after it.
        """
        self._hand_over_gathered()
        states = {**states, "sink": self._state()}
        leaves = self._hands.digest.submit(self._leaves)
        self.settle()
        for table in self._tables.values():
            table.end_epoch()
        self._committing = self._hands.commit.submit(self._commit, pins, states, leaves, summary, measured)
        self._epoch += 1
        if summary is not None:
            self.settle()

    def settle(self) -> None:
        """Wait until what was handed over to be committed is committed; its error is raised here."""
        if self._committing is not None:
            committing, self._committing = self._committing, None
            committing.result()

    def _raise_failure(self) -> None:
        """Raise what a commit has failed with by now; it is not waited for."""
        if self._committing is not None and self._committing.done():
            self.settle()

    def _commit(
        self,
        pins: Pins,
        states: Mapping[str, State],
        leaves: Future[dict[str, Value]],
        summary: dict[str, Any] | None,
        measured: State | None,
    ) -> None:
        """Publish data files of all tables, then the checkpoint, then the logs, ``events`` last."""
        epoch = self.epochs
        own: dict[str, Any] = states["sink"].values
        own["digests"] = leaves.result()
        keep = self._states.prepare(epoch, states) if summary is None else _keep_nothing
        written = {name: table.publish() for name, table in self._tables.items()}
        files = {name: records for name, (_, records) in written.items()}
        if measured is not None:
            names = self._instrument.exchange, self._instrument.symbol
            files[FOLDER] = (publish_measured(self._dataset, *names, epoch, measured),)
        crash_point("files published")
        commit = Commit(
            chain=f"{self._instrument.exchange}/{self._instrument.symbol}",
            epoch=epoch,
            previous=self._previous,
            sources=pins.sources,
            config=pins.config,
            writer=pins.writer,
            skips=pins.skips,
            input=states["ingestion"].values if summary is None else {},
            files=files,
            rows=own["rows"],
            checkpoint=keep(),
            summary=summary,
        )
        for name in TABLES:
            told = commit.encoded() if name == "events" else json.dumps({"epoch": epoch})
            self._tables[name].commit(written[name][0], epoch, told)
        crash_point("epoch committed")
        # A complete chain needs no checkpoint any more.
        self._states.collect(epoch if summary is None else None)
        self.epochs, self._previous = epoch + 1, commit.digest()

    def _state(self) -> State:
        """What the sink must know after this epoch; the commit that ends it is told by the log itself."""
        return State(
            {
                "newest": {**self._newest, "events": self._open.newest},
                "digests": {},
                "rows": dict(self._rows),
                "quarantine": self.quarantine.state().values,
                "unknown": self._unknown.state().values,
            }
        )

    def _leaves(self) -> dict[str, Value]:
        return {name: list(running.leaf_state()) for name, running in self._digests.items()}

    def begin(self) -> None:
        """Begin a new chain; what an interrupted run set aside will be told again."""
        for set_aside in (self.quarantine, self._unknown):
            set_aside.restore(State({"counts": [], "sizes": {}}))

    def restore(self, state: State, commit: Commit) -> None:
        """Go on behind a commit of this chain, as the sink that made it."""
        values: dict[str, Any] = state.values
        self._newest = dict(values["newest"])
        self._open.newest = self._newest.pop("events")
        self._epoch = self.epochs = commit.epoch + 1
        self._previous = commit.digest()
        self._rows = dict(values["rows"])
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
        self._hand_over(table, rows, times)

    def _gather_books(self) -> None:
        heads, samples = (np.concatenate(parts) for parts in zip(*self._samples, strict=True))
        self._samples = []
        self._gather("books", book_rows(heads, samples, self._instrument), heads[:, 1])

    def _hand_over_gathered(self) -> None:
        """Have all rows hashed and written that wait for more of their kind."""
        if self._samples:
            self._gather_books()
        if self._open.rows:
            self._hand_over("events", *self._open.take())

    def _hand_over(self, table: str, rows: pa.Table, times: Int64Array) -> None:
        """Have rows hashed and written; their times rise."""
        self._rows[table] += rows.num_rows
        self._hashing.append(self._hands.digest.submit(self._digests[table].update, rows))
        self._await_hashing(_HASHING_MAX)
        self._tables[table].append(rows, times, self._epoch)

    def _await_hashing(self, waiting_max: int) -> None:
        """Wait until no more stretches than that are still to be hashed."""
        while len(self._hashing) > waiting_max:
            self._hashing.popleft().result()


def _keep_nothing() -> None:
    """The last commit has no checkpoint."""
