"""DataIngestion: the files of one chain become batches of events in the total order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Int64Array, Quote, empty_events, empty_quotes
from rlx_datapipe.core.feed import Frames, Parsed, Reject
from rlx_datapipe.ingestion.lake import read_lake
from rlx_datapipe.ingestion.lines import read_frames
from rlx_datapipe.ingestion.order import OrderBuffer
from rlx_datapipe.ingestion.placement import SnapshotPlacer
from rlx_datapipe.ingestion.sources import LAKE, Source
from rlx_datapipe.venues import binance

NS_PER_MS = 1_000_000
_FILE_BITS = 40
_AHEAD = "origin time lies further ahead of the receive time than any clock error explains"


@dataclass
class Ingested:
    """A batch of one chain: events in the total order, quotes as they arrived, and what was set aside.

    ``bytes_done`` counts the bytes read of all files so far, for progress; ``kept`` holds well-formed
    messages of unknown type.
    """

    events: Int64Array = field(default_factory=empty_events)
    quotes: Int64Array = field(default_factory=empty_quotes)
    rejects: list[Reject] = field(default_factory=list)
    kept: list[Reject] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    bytes_done: int = 0


def ingest(source: Source, settings: Settings) -> Iterator[Ingested]:
    """Events of a chain in the total order, batch by batch; together the same for any batch size.

    Raises
    ------
    SourceError
        When a file can't be read at all; what is wrong inside a file becomes rejects.
    """
    return _ingest_lake(source, settings) if source.format == LAKE else _ingest_captures(source, settings)


def parsed_captures(source: Source, settings: Settings) -> Iterator[tuple[Parsed, int]]:
    """What the venue's parser makes of each batch, in arrival order, with the bytes read so far."""
    market = binance.MARKETS[source.format]
    done = 0
    for number, path in enumerate(source.files):
        for frames, rejects, consumed in read_frames(path, settings.batch_rows, settings.line_bytes_max):
            parsed = binance.parse(frames, path.name, source.instrument, market, source.trades)
            parsed.rejects += rejects
            _refuse_future(parsed, path.name, settings, frames)
            parsed.rejects.sort(key=lambda reject: reject.row)
            _number(parsed, number)
            yield parsed, done + consumed
        done += path.stat().st_size


def _ingest_captures(source: Source, settings: Settings) -> Iterator[Ingested]:
    """Captures of one recorder are one stream: file after file, line after line."""
    horizon_ns = settings.horizon_ms * NS_PER_MS
    placer, buffer = SnapshotPlacer(horizon_ns), OrderBuffer(1, horizon_ns)
    newest = NONE
    for parsed, bytes_done in parsed_captures(source, settings):
        newest = max(newest, int(parsed.events[Field.ORIGIN_TIME].max(initial=NONE)))
        buffer.push(0, placer.place(parsed.events))
        yield _hand_over(parsed, buffer, bytes_done)
    buffer.push(0, placer.finish(newest))
    buffer.close(0)
    yield Ingested(events=buffer.ready(), bytes_done=source.bytes_total)


def _ingest_lake(source: Source, settings: Settings) -> Iterator[Ingested]:
    """The tables of the archive are streams of their own, merged by time."""
    tables = sorted({file.table for file in source.lake_files})
    buffer = OrderBuffer(len(tables), settings.horizon_ms * NS_PER_MS)
    progress = [0] * len(source.lake_files)
    readers = [_read_table(source, table, settings, progress) for table in tables]
    while (stream := buffer.behind()) is not None:
        parsed = next(readers[stream], None)
        if parsed is None:
            buffer.close(stream)
            parsed = Parsed()
        else:
            buffer.push(stream, parsed.events)
        yield _hand_over(parsed, buffer, sum(progress))


def _read_table(source: Source, table: str, settings: Settings, progress: list[int]) -> Iterator[Parsed]:
    for number, file in enumerate(source.lake_files):
        if file.table == table:
            for parsed, consumed in read_lake(file, source.instrument, settings.batch_rows):
                progress[number] = consumed
                _refuse_future(parsed, str(file.path), settings)
                _number(parsed, number)
                yield parsed
            progress[number] = file.bytes


def _hand_over(parsed: Parsed, buffer: OrderBuffer, bytes_done: int) -> Ingested:
    return Ingested(buffer.ready(), parsed.quotes, parsed.rejects, parsed.kept, parsed.counts, bytes_done)


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
    raw = dict(zip(frames.rows, frames.payloads, strict=True)) if frames else {}
    for row, lead_ns in zip(messages.tolist(), ahead_ns[ahead[first]].tolist(), strict=True):
        found = f"{lead_ns / 1e9:.0f} s"
        parsed.rejects.append(Reject(file, row, _AHEAD, "origin_time", found, raw.get(row, b"")))
    parsed.events = np.ascontiguousarray(events[:, ~np.isin(events[Field.MESSAGE], messages)])
