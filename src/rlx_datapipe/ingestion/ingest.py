"""DataIngestion: the files of one chain become batches of events in the total order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Int64Array, empty_events, empty_quotes
from rlx_datapipe.core.feed import Parsed, Reject
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.core.state import State, Value
from rlx_datapipe.ingestion.formats import open_reader
from rlx_datapipe.ingestion.order import OrderBuffer
from rlx_datapipe.ingestion.reader import NS_PER_MS, Begin, Task
from rlx_datapipe.ingestion.recordings import Take
from rlx_datapipe.ingestion.source import Source, file_bytes


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


class DataIngestion:
    """Events of a chain in the total order, batch by batch; together the same for any batch size.

    What the files hold is for the `Reader` of their format to say: one stream of events or several, each
    ordered in itself, which are merged by time.

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
    on_parsed
        Called with what each step became, in the order of arrival, before it is put in order.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        *,
        take: Take | None = None,
        skips: Sequence[Skip] = (),
        begin: Begin = lambda *_: None,
        on_parsed: Callable[[Parsed], None] = lambda _: None,
    ) -> None:
        self._on_parsed = on_parsed
        self._reader = open_reader(source, Task(settings, skips, begin, take))
        self._buffer = OrderBuffer(self._reader.streams, settings.horizon_ms * NS_PER_MS)
        self._at = [(0, 0)] * self._reader.streams
        """File and row that each stream has come to."""
        self._progress = [0] * len(source.files)
        """Bytes read of each file."""

    @property
    def source(self) -> Source:
        """What is read; of a capture that is followed, with the segments that came since."""
        return self._reader.source

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
        reader = self._reader
        steps = [reader.steps(stream, *at) for stream, at in enumerate(self._at)]
        while (stream := self._buffer.behind()) is not None:
            step = next(steps[stream], None)
            self._progress += [0] * (len(self.source.files) - len(self._progress))
            if step is None:
                self._pass_files(stream, len(self.source.files))
                self._buffer.close(stream)
                parsed = Parsed(events=reader.finish(stream))
            else:
                parsed = step.parsed
                self._pass_files(stream, step.file)
                self._at[stream] = step.file, step.row
                self._progress[step.file] = step.bytes
                self._on_parsed(parsed)
                parsed.events = reader.settle(stream, parsed.events)
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
            {"format": self.source.format, "files": self._names()},
            {
                "at": np.array(self._at, dtype=np.int64).reshape(-1, 2),
                "progress": np.array(self._progress[: len(self._names())], dtype=np.int64),
            },
        )
        state.put("buffer", self._buffer.state())
        state.put("reader", self._reader.state())
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
        expected = self.source.format, self._names()
        if given != expected:
            raise ValueError(f"state of an ingestion of {given}, expected {expected}")
        progress = state.array("progress", len(self._names()))
        if (at < 0).any() or (at[:, 0] > len(self._progress)).any():
            raise ValueError(f"state of an ingestion at {at.tolist()} of {len(self._progress)} files")
        self._buffer.restore(state.part("buffer"))
        self._reader.restore(state.part("reader"))
        self._progress[: len(progress)] = progress.tolist()

    def _names(self) -> list[Value]:
        """Files that the output so far may depend on: of a capture folder, those that were come to."""
        until = self._at[0][0] + 1 if self.source.capture is not None else None
        return [path.name for path in self.source.files[:until]]

    def _pass_files(self, stream: int, end: int) -> None:
        """Count the files of a stream before the file ``end`` as read to their last byte."""
        for number in range(self._at[stream][0], end):
            if self._reader.stream_of(number) == stream:
                self._progress[number] = file_bytes(self.source.files[number])


def ingest(source: Source, settings: Settings) -> Iterator[Ingested]:
    """The batches of a `DataIngestion` from the beginning to the end."""
    return iter(DataIngestion(source, settings))
