"""DataSink: replayed events of one chain become the tables of a dataset, one commit per epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rlx_datapipe.core.event import NONE, Field, Int64Array, Quote
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.schema import SCHEMAS, TABLES
from rlx_datapipe.sink.quarantine import Quarantine
from rlx_datapipe.sink.rows import book_rows, event_rows, keyframe_rows, quality_rows, quote_rows
from rlx_datapipe.store.digest import TableDigest
from rlx_datapipe.store.layout import UNKNOWN
from rlx_datapipe.store.tables import ChainTable


class DataSink:
    """Writes one chain. Rows gather until their epoch is complete, are published as files, then committed.

    Within an epoch the data files of all tables come first, then their log entries, ``events`` last: an epoch
    that is not in the log of ``events`` does not exist.

    Parameters
    ----------
    dataset
        Folder of the dataset.
    instrument
        Tells the chain and the scales.
    """

    def __init__(self, dataset: Path, instrument: Instrument) -> None:
        self._instrument = instrument
        chain = (instrument.exchange, instrument.symbol)
        self._tables = {name: ChainTable(dataset, name, *chain) for name in TABLES}
        self._digests = {name: TableDigest(SCHEMAS[name]) for name in TABLES}
        self._newest = dict.fromkeys(TABLES, 0)
        self._epoch = 0
        self.quarantine = Quarantine(dataset, *chain)
        self._unknown = Quarantine(dataset, *chain, UNKNOWN)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each table's rows so far, in hex."""
        return {name: running.hexdigest() for name, running in self._digests.items()}

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table so far."""
        return {name: running.rows for name, running in self._digests.items()}

    def add(self, replayed: Replayed) -> None:
        """Take a stretch of events; ends the epoch where it says so."""
        instrument = self._instrument
        self._gather("events", event_rows(replayed, instrument), replayed.events[Field.ORIGIN_TIME])
        self._gather("books", book_rows(replayed, instrument), replayed.sample_heads[:, 1])
        frames = replayed.keyframes
        self._gather(
            "keyframes",
            keyframe_rows(frames, instrument),
            np.array([f.origin_time for f in frames], dtype=np.int64),
        )
        self.add_quality(replayed.quality)
        if replayed.ends_epoch:
            self._end_epoch()

    def add_quality(self, records: list[Quality]) -> None:
        """Take quality records; those without a time are filed under the newest event's date."""
        times = [r.from_time if r.from_time != NONE else self._newest["events"] for r in records]
        self._gather("quality", quality_rows(records, self._instrument), np.array(times, dtype=np.int64))

    def add_quotes(self, quotes: Int64Array) -> None:
        """Take the venue's own best prices, int64 (QUOTES, n), as they arrived."""
        times = np.where(
            quotes[Quote.ORIGIN_TIME] != NONE, quotes[Quote.ORIGIN_TIME], quotes[Quote.RECEIVED_TIME]
        )
        self._gather("quotes", quote_rows(quotes, self._instrument), times)

    def add_rejects(self, rejects: list[Reject], unknown: list[Reject]) -> None:
        """Keep what could not be read, and apart from it the messages of unknown type."""
        self.quarantine.add(rejects)
        self._unknown.add(unknown)

    def finish(self, facts: dict[str, Any] | None = None) -> None:
        """Write what is left as the last epoch; its commit says that the chain is complete."""
        self._end_epoch({"complete": True, **(facts or {})})

    def _gather(self, table: str, rows: pa.Table, times: Int64Array) -> None:
        if rows.num_rows:
            # A row that came late is filed with its neighbours, so that files keep the order of rows.
            times = np.maximum.accumulate(np.maximum(times, self._newest[table]))
            self._newest[table] = int(times[-1])
            self._digests[table].update(rows)
            self._tables[table].append(rows, times, self._epoch)

    def _end_epoch(self, facts: dict[str, Any] | None = None) -> None:
        written = {name: table.close_files() for name, table in self._tables.items()}
        told = {"epoch": self._epoch, "rows": self.rows, **(facts or {})}
        for name in TABLES:
            self._tables[name].commit(written[name], self._epoch, told)
        self._epoch += 1
