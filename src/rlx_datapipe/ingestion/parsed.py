"""What the readers make of a source in order of arrival, batch by batch; can stop and go on elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Quote
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.formats import open_reader
from rlx_datapipe.ingestion.reader import Task
from rlx_datapipe.ingestion.source import Source, file_bytes


class ParsedBatches:
    """What the readers make of each batch, unsorted, in order of arrival, with the bytes read so far.

    Of several streams the one comes next that had come least far in receive time: each stands in its own
    order, and between streams the order of arrival holds to within a batch. Between two batches `state` tells
    where it stands.
    """

    def __init__(self, source: Source, settings: Settings) -> None:
        self._reader = open_reader(source, Task(settings))
        self._at = dict.fromkeys(range(self._reader.streams), (0, 0))
        """File and row that each stream has come to, of those that have more."""
        self._newest = dict.fromkeys(self._at, NONE)
        self._done: dict[int, int] = {}

    def __iter__(self) -> Iterator[tuple[Parsed, int]]:
        """The batches that follow."""
        reader = self._reader
        steps = {stream: reader.steps(stream, *at) for stream, at in self._at.items()}
        while steps:
            stream = min(steps, key=self._newest.__getitem__)
            step = next(steps[stream], None)
            if step is None:
                del steps[stream], self._at[stream]
                continue
            self._done[step.file] = step.bytes
            for file in [file for file in range(step.file) if reader.stream_of(file) == stream]:
                self._done[file] = file_bytes(reader.source.files[file])
            self._newest[stream] = max(self._newest[stream], _newest_received(step.parsed))
            self._at[stream] = step.file, step.row
            yield step.parsed, sum(self._done.values())

    def state(self) -> State:
        """Where it stands after the batch given out last; asked for before the next."""
        streams = np.array([[k, *at, self._newest[k]] for k, at in self._at.items()], dtype=np.int64)
        state = State({}, {"streams": streams.reshape(-1, 4)})
        state.put("reader", self._reader.state())
        return state

    def restore(self, state: State) -> None:
        """Go on from where another one of the same source stood; called before iterating.

        Raises
        ------
        ValueError
            When the state is not one of these.
        """
        streams = state.array("streams", None, 4).tolist()
        if any(
            k not in self._at or not 0 <= file < len(self._reader.source.files) for k, file, *_ in streams
        ):
            raise ValueError(f"a place in {len(self._reader.source.files)} files that is {streams}")
        self._at = {k: (file, row) for k, file, row, _ in streams}
        self._newest = {k: newest for k, *_, newest in streams}
        self._reader.restore(state.part("reader"))


def parsed_batches(source: Source, settings: Settings) -> Iterator[tuple[Parsed, int]]:
    """The batches of a source from the beginning to the end; see `ParsedBatches`."""
    return iter(ParsedBatches(source, settings))


def _newest_received(parsed: Parsed) -> int:
    events, quotes = parsed.events[Field.RECEIVED_TIME], parsed.quotes[Quote.RECEIVED_TIME]
    return max(int(events.max(initial=NONE)), int(quotes.max(initial=NONE)))
