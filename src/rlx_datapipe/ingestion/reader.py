"""The one interface between ingestion and a layout of input: a source in, steps of parsed rows out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Field, Int64Array, Quote, empty_events
from rlx_datapipe.core.feed import Parsed, Reject
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.recordings import Take
from rlx_datapipe.ingestion.source import Source

NS_PER_MS = 1_000_000
FILE_BITS = 40
"""Bits of a message number that are left to the row; above them stands the number of the file."""
AHEAD = "origin time lies further ahead of the receive time than any clock error explains"

Begin = Callable[[int, int, int], None]
"""Told the file's number, first and last row of what is worked on next."""


class Step(NamedTuple):
    """What some rows of one file became: whole messages, up to a row, from the bytes read to get there."""

    parsed: Parsed
    file: int
    row: int
    bytes: int


@dataclass(frozen=True)
class Task:
    """What is asked of a reader beside its source.

    ``skips`` are rows that make no events, ``begin`` is called before each step; ``take`` is where the frames
    of a recording come from, if not from its file.
    """

    settings: Settings
    skips: Sequence[Skip] = ()
    begin: Begin = lambda *_: None
    take: Take | None = None

    def skips_of(self, file: int) -> list[Skip]:
        """Those of one file."""
        return [skip for skip in self.skips if skip.file == file]


class Reader(ABC):
    """Reads the files of one source, step by step, from any row that a step has ended with.

    A step holds whole messages, and what follows a row depends on nothing but the rows, the settings, and the
    `state` after the step that ended there. Together the steps are the same for any batch size.

    Attributes
    ----------
    source
        What is read; a capture that is followed grows.
    streams
        Independent streams of events, each ordered in itself: ingestion merges them by time.
    """

    streams = 1

    def __init__(self, source: Source, task: Task) -> None:
        self.source, self.task = source, task

    def stream_of(self, file: int) -> int:
        """The stream that a file belongs to, by its number."""
        return 0

    @abstractmethod
    def steps(self, stream: int, file: int, row: int) -> Iterator[Step]:
        """The steps of a stream behind a row of a file.

        Raises
        ------
        SourceError
            When a file can't be read at all; what is wrong inside a file becomes rejects.
        """

    def settle(self, stream: int, events: Int64Array) -> Int64Array:
        """Events of a step, int64 (FIELDS, n), with all times known; those held back come with later ones."""
        return events

    def finish(self, stream: int) -> Int64Array:
        """Events still held back when a stream has come to its end, int64 (FIELDS, n)."""
        return empty_events()

    def state(self) -> State:
        """What is carried from one step to the next; valid after the step given out last, and settled."""
        return State()

    def restore(self, state: State) -> None:
        """Go on as the reader would have that gave this state; called before any step.

        Raises
        ------
        ValueError
            When the state is not one of such a reader.
        """
        if state.values or state.arrays:
            raise ValueError("state of a reader of another format")


class TableReader(Reader):
    """A reader of sources whose files are of several tables: a stream for each."""

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self.tables = sorted(set(source.tables))
        self.streams = len(self.tables)

    def stream_of(self, file: int) -> int:
        """The stream of the file's table."""
        return self.tables.index(self.source.tables[file])

    def numbers(self, stream: int, start: int) -> list[int]:
        """Files of a stream from a number on."""
        return [
            number
            for number in range(start, len(self.source.files))
            if self.source.tables[number] == self.tables[stream]
        ]


def number_messages(parsed: Parsed, file: int) -> None:
    """Make message numbers differ between files, so that two groups never look like one."""
    parsed.events[Field.MESSAGE] += file << FILE_BITS
    parsed.quotes[Quote.MESSAGE] += file << FILE_BITS


def refuse_future(
    parsed: Parsed, file: str, settings: Settings, raw_of: Callable[[int], bytes] = lambda _: b""
) -> None:
    """Reject messages from the far future: one such time would make all that follow look late.

    Parameters
    ----------
    parsed
        Messages of one file; rejects are put behind those that it has.
    file
        Name told in rejects.
    settings
        How far ahead is too far.
    raw_of
        The bytes of the message that begins at a row.
    """
    events = parsed.events
    ahead_ns = events[Field.ORIGIN_TIME] - events[Field.RECEIVED_TIME]
    ahead = np.flatnonzero(ahead_ns > settings.skew_max_ms * NS_PER_MS)
    if not len(ahead):
        return
    messages, first = np.unique(events[Field.MESSAGE, ahead], return_index=True)
    for row, lead_ns in zip(messages.tolist(), ahead_ns[ahead[first]].tolist(), strict=True):
        found = f"{lead_ns / 1e9:.0f} s"
        parsed.rejects.append(Reject(file, row, AHEAD, "origin_time", found, raw_of(row)))
    parsed.events = np.ascontiguousarray(events[:, ~np.isin(events[Field.MESSAGE], messages)])
