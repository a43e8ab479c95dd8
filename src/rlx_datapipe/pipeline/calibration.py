"""A short calibration: some of a chain replayed and written for real, while it is assessed, to time it."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.ingest import Ingested
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.pipeline.measures import measure_events, new_measures
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.sink.datasink import DataSink, Pins
from rlx_datapipe.store.manifest import start_dataset
from rlx_datapipe.store.tables import create_tables

_WARM_EVENTS = 20_000
"""Events whose time is not counted: with them kernels are loaded and memory is first touched."""
_EVENTS = 300_000


class Calibration:
    """Replays and writes the first events of a chain into a folder that is thrown away.

    Attributes
    ----------
    rows
        Events and quotes that were timed.
    work_s, commit_s
        Processor time of all threads: of replay, rows and files, and of one commit.
    """

    def __init__(self, source: Source, settings: Settings) -> None:
        self.rows = 0
        self.work_s = self.commit_s = 0.0
        self._source, self._settings = source, settings
        self._seen = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        source = self._source
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="rlx-assess-"))) / "dataset"
        start_dataset(folder, WRITER, self._settings)
        create_tables(folder)
        self._sink = self._open.enter_context(DataSink(folder, source.instrument))
        self._sink.begin()
        self._replayer = EventReplayer(source.instrument, source.rule, self._settings)
        self._measures = new_measures()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def add(self, batch: Ingested) -> None:
        """Work on the next batch, as long as it is needed."""
        if self._seen >= _EVENTS:
            return
        count = batch.events.shape[1]
        began_s = time.process_time()
        self._sink.add_quotes(batch.quotes)
        for replayed in self._replayer.replay(batch.events):
            measure_events(replayed.events, replayed.flags, self._measures)
            self._sink.add(replayed)
        if self._seen >= _WARM_EVENTS:
            self.work_s += time.process_time() - began_s
            self.rows += count + batch.quotes.shape[1]
        self._seen += count
        if self._seen >= _EVENTS:
            self.finish()

    def finish(self) -> None:
        """Publish and commit what was written, once."""
        if self.commit_s or not self._seen:
            return
        self._sink.add(self._replayer.finish())
        began_s = time.process_time()
        self._sink.commit(Pins((), "", WRITER), {}, {"summary": {}, "digests": {}})
        self.commit_s = time.process_time() - began_s
