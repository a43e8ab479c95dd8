"""DataIngestion: the files of one chain become batches of events in the total order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Int64Array, Quote, empty_events, empty_quotes
from rlx_datapipe.core.feed import Frames, Parsed, Reject
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.core.state import State, Value
from rlx_datapipe.ingestion.capture_records import take_out
from rlx_datapipe.ingestion.following import POLL_S, is_finished, with_new_segments
from rlx_datapipe.ingestion.lake import read_lake_rows
from rlx_datapipe.ingestion.mixed import Taken
from rlx_datapipe.ingestion.order import OrderBuffer
from rlx_datapipe.ingestion.placement import SnapshotPlacer
from rlx_datapipe.ingestion.recordings import Take, pass_over, span_ns, take_recording
from rlx_datapipe.ingestion.sources import LAKE, Source, file_bytes
from rlx_datapipe.venues import binance

NS_PER_MS = 1_000_000
_FILE_BITS = 40
_ROWS_A_MESSAGE = 4
"""Rows of an archive that are read at a time for each message of a recording: a row is one level of one."""
_AHEAD = "origin time lies further ahead of the receive time than any clock error explains"


@dataclass
class Ingested:
    """A batch of one chain: events in the total order, quotes as they arrived, and what was set aside.

    ``bytes_done`` counts the bytes read of all files so far, for progress; ``kept`` holds well-formed
    messages of unknown type, ``records`` what the source says of itself.
    """

    events: Int64Array = field(default_factory=empty_events)
    quotes: Int64Array = field(default_factory=empty_quotes)
    rejects: list[Reject] = field(default_factory=list)
    kept: list[Reject] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    records: list[Quality] = field(default_factory=list)
    bytes_done: int = 0


class _Step(NamedTuple):
    """One batch of one file, the row of the file that it ends with and the bytes read to get there."""

    parsed: Parsed
    file: int
    row: int
    bytes: int


Begin = Callable[[int, int, int], None]
"""Told the file's number, first and last row of what is worked on next."""


class DataIngestion:
    """Events of a chain in the total order, batch by batch; together the same for any batch size.

    Captures of one recorder are one stream: file after file, line after line. The tables of the archive are
    streams of their own, merged by time.

    Iterating goes on from where the ingestion stands. Between two batches `state` tells that: all of the
    batch given out last is accounted for, and nothing of the next one has been read. So it has to be asked
    for by whoever asks for the batches, before the next one.

    Parameters
    ----------
    source, settings
        What is read, and how.
    take
        Where the steps of a recording come from; read from the file if None.
    skips
        Rows that make no events.
    begin
        Called before each step.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        *,
        take: Take | None = None,
        skips: Sequence[Skip] = (),
        begin: Begin = lambda *_: None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._given_take = take
        self._skips, self._begin = skips, begin
        self._tables = sorted({file.table for file in source.lake_files})
        horizon_ns = settings.horizon_ms * NS_PER_MS
        self._is_lake = source.format == LAKE
        self._buffer = OrderBuffer(len(self._tables) if self._is_lake else 1, horizon_ns)
        self._placer = SnapshotPlacer(horizon_ns)
        self._newest = NONE
        self._at = [(0, 0)] * len(self._buffer.streams)
        """File and row that each stream has come to."""
        self._progress = [0] * len(source.files)
        """Bytes read of each file."""

    @property
    def source(self) -> Source:
        """What is read; of a capture that is followed, with the segments that came since."""
        return self._source

    @property
    def position(self) -> tuple[int, int]:
        """File and row behind which the recordings are read on."""
        return self._at[0]

    @property
    def is_exhausted(self) -> bool:
        """Whether the last batch has been given out."""
        return self._buffer.behind() is None

    def __iter__(self) -> Iterator[Ingested]:
        """The batches that follow.

        Raises
        ------
        SourceError
            When a file can't be read at all; what is wrong inside a file becomes rejects.
        """
        readers = [self._steps(stream) for stream in range(len(self._at))]
        while (stream := self._buffer.behind()) is not None:
            step = next(readers[stream], None)
            if step is None:
                parsed = Parsed(events=self._end(stream))
            else:
                parsed = step.parsed
                self._pass_files(stream, step.file)
                self._at[stream] = step.file, step.row
                self._progress[step.file] = step.bytes
                if not self._is_lake:
                    self._newest = max(self._newest, int(parsed.events[Field.ORIGIN_TIME].max(initial=NONE)))
                    parsed.events = self._placer.place(parsed.events)
            self._buffer.push(stream, parsed.events)
            yield Ingested(
                self._buffer.ready(),
                parsed.quotes,
                parsed.rejects,
                parsed.kept,
                parsed.counts,
                parsed.records,
                sum(self._progress),
            )

    def state(self) -> State:
        """Where the ingestion stands after the batch given out last; valid until the next is asked for."""
        state = State(
            {"format": self._source.format, "files": self._names(), "newest": self._newest},
            {
                "at": np.array(self._at, dtype=np.int64).reshape(-1, 2),
                "progress": np.array(self._progress[: len(self._names())], dtype=np.int64),
            },
        )
        state.put("buffer", self._buffer.state())
        state.put("placer", self._placer.state())
        return state

    def restore(self, state: State) -> None:
        """Go on from where an ingestion of the same source and horizon stood; call it before iterating.

        Raises
        ------
        ValueError
            When the state is not one of such an ingestion: of another format, of other files.
        """
        at = state.array("at", len(self._at), 2)
        self._at = [(int(file), int(row)) for file, row in at]
        given = state.values.get("format"), state.values.get("files")
        expected = self._source.format, self._names()
        if given != expected:
            raise ValueError(f"state of an ingestion of {given}, expected {expected}")
        progress = state.array("progress", len(self._names()))
        if (at < 0).any() or (at[:, 0] > len(self._progress)).any():
            raise ValueError(f"state of an ingestion at {at.tolist()} of {len(self._progress)} files")
        self._newest = state.integer("newest")
        self._buffer.restore(state.part("buffer"))
        self._placer.restore(state.part("placer"))
        self._progress[: len(progress)] = progress.tolist()

    def _names(self) -> list[Value]:
        """Files that the output so far may depend on: of a capture folder, those that were come to."""
        until = self._at[0][0] + 1 if self._source.capture is not None else None
        return [path.name for path in self._source.files[:until]]

    def _steps(self, stream: int) -> Iterator[_Step]:
        """What is left of a stream."""
        if self._is_lake:
            return self._table_steps(self._tables[stream], *self._at[stream])
        return self._capture_steps(*self._at[stream])

    def _end(self, stream: int) -> Int64Array:
        """Close a stream; the events that had waited for more of it."""
        self._pass_files(stream, len(self._source.files))
        self._buffer.close(stream)
        return empty_events() if self._is_lake else self._placer.finish(self._newest)

    def _pass_files(self, stream: int, end: int) -> None:
        """Count the files of a stream before the file ``end`` as read to their last byte."""
        for number in range(self._at[stream][0], end):
            if not self._is_lake:
                self._progress[number] = file_bytes(self._source.files[number])
            elif self._source.lake_files[number].table == self._tables[stream]:
                self._progress[number] = self._source.lake_files[number].bytes

    def _capture_steps(self, start_file: int, start_row: int) -> Iterator[_Step]:
        """The lines behind a row of a file, and those of the files after it."""
        number = start_file
        while number < len(self._source.files) or (yield from self._wait_for_more()):
            source = self._source
            take = self._given_take or partial(take_recording, source, self._settings)
            skips = [skip for skip in self._skips if skip.file == number]
            for taken in take(number, start_row if number == start_file else 0):
                if len(taken.frames):
                    self._begin(number, int(taken.frames.rows[0]), int(taken.frames.rows[-1]))
                pass_over(taken, skips, source.files[number].name)
                yield _Step(_parse(taken, source, number, self._settings), number, taken.row, taken.consumed)
            number += 1

    def _wait_for_more(self) -> Generator[_Step, None, bool]:
        """Wait for the next segment of a capture that is followed: whether one came before its end.

        Meanwhile empty steps tell those behind that nothing is wrong.
        """
        while self._source.is_followed and self._source.capture is not None:
            # Asked first: what was sealed before the end is then found behind it.
            has_ended = is_finished(self._source.capture)
            grown = with_new_segments(self._source)
            if grown is not self._source:
                self._source = grown
                self._progress += [0] * (len(grown.files) - len(self._progress))
                return True
            if has_ended:
                return False
            file, row = self._at[0]
            yield _Step(Parsed(), file, row, self._progress[file])
            time.sleep(POLL_S)
        return False

    def _table_steps(self, table: str, start_file: int, start_row: int) -> Iterator[_Step]:
        """The rows of a table behind those of a file that were read, and those of the files after it."""
        source, rows = self._source, self._settings.batch_rows * _ROWS_A_MESSAGE
        for number, file in list(enumerate(source.lake_files))[start_file:]:
            if file.table != table:
                continue
            behind = start_row if number == start_file else 0
            skips = [skip for skip in self._skips if skip.file == number]
            lake_rows = read_lake_rows(
                file,
                source.instrument,
                rows,
                behind,
                span_ns(self._settings),
                skips=skips,
                begin=partial(self._begin, number),
            )
            for parsed, row in lake_rows:
                _refuse_future(parsed, str(file.path), self._settings)
                _number(parsed, number)
                yield _Step(parsed, number, row, file.bytes * row // max(file.rows, row))


def ingest(source: Source, settings: Settings) -> Iterator[Ingested]:
    """The batches of a `DataIngestion` from the beginning to the end."""
    return iter(DataIngestion(source, settings))


def parsed_captures(source: Source, settings: Settings) -> Iterator[tuple[Parsed, int]]:
    """What the venue's parser makes of each batch, in arrival order, with the bytes read so far."""
    done = [0]
    for step in DataIngestion(source, settings)._capture_steps(0, 0):
        while len(done) <= step.file:
            done.append(done[-1] + file_bytes(source.files[len(done) - 1]))
        yield step.parsed, done[step.file] + step.bytes


def _parse(taken: Taken, source: Source, number: int, settings: Settings) -> Parsed:
    name = source.files[number].name
    market = binance.MARKETS[source.format]
    frames, said = take_out(taken.frames, name, source.instrument.symbol)
    parsed = binance.parse(frames, name, source.instrument, market, source.trades)
    parsed.rejects += taken.rejects + said.rejects
    parsed.records = said.records
    parsed.counts += said.counts
    if taken.elsewhere:
        parsed.counts["of other symbols"] = taken.elsewhere
    _refuse_future(parsed, name, settings, frames)
    parsed.rejects.sort(key=lambda reject: reject.row)
    _number(parsed, number)
    return parsed


def _number(parsed: Parsed, file: int) -> None:
    """Make message numbers differ between files, so that two groups never look like one."""
    parsed.events[Field.MESSAGE] += file << _FILE_BITS
    parsed.quotes[Quote.MESSAGE] += file << _FILE_BITS


def _refuse_future(parsed: Parsed, file: str, settings: Settings, frames: Frames | None = None) -> None:
    """Reject messages from the far future: one such time would make all that follow look late."""
    events = parsed.events
    ahead_ns = events[Field.ORIGIN_TIME] - events[Field.RECEIVED_TIME]
    ahead = np.flatnonzero(ahead_ns > settings.skew_max_ms * NS_PER_MS)
    if not len(ahead):
        return
    messages, first = np.unique(events[Field.MESSAGE, ahead], return_index=True)
    for row, lead_ns in zip(messages.tolist(), ahead_ns[ahead[first]].tolist(), strict=True):
        found = f"{lead_ns / 1e9:.0f} s"
        raw = frames.payload(int(np.searchsorted(frames.rows, row))) if frames is not None else b""
        parsed.rejects.append(Reject(file, row, _AHEAD, "origin_time", found, raw))
    parsed.events = np.ascontiguousarray(events[:, ~np.isin(events[Field.MESSAGE], messages)])
