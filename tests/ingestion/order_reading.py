"""What tests of level-3 sources read: all events, the quality records of a replay, books of a dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.ingestion.ingest import ingest
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.replay.replayer import EventReplayer


def source_of(paths: Iterable[Path]) -> Source:
    (source,) = find_sources(list(paths), Settings())
    return source


def read(source: Source, settings: Settings | None = None) -> tuple[Int64Array, list[Reject]]:
    """All events of a source, in order, and its rejects."""
    batches = list(ingest(source, settings or Settings()))
    events = np.concatenate([empty_events(), *(batch.events for batch in batches)], axis=1)
    return events, [reject for batch in batches for reject in batch.rejects]


def replayed(source: Source) -> list[Quality]:
    """The quality records of a whole replay."""
    replayer = EventReplayer(source.instrument, source.rule, Settings())
    quality: list[Quality] = []
    for batch in ingest(source, Settings()):
        for stretch in replayer.replay(batch.events):
            quality += stretch.quality
    return quality + replayer.finish().quality


def kinds(source: Source) -> set[str]:
    """Kinds of the quality records of a whole replay."""
    return {record.kind for record in replayed(source)}


def drifts(source: Source) -> list[Quality]:
    return [record for record in replayed(source) if record.kind == "drift" and record.severity != "note"]


def checks(source: Source) -> int:
    return sum(int(record.measures["count"]) for record in replayed(source) if record.kind == "check")


def books(events: Int64Array) -> Iterator[tuple[int, list[dict[int, int]]]]:
    """The book of a plain dictionary after each message that tells of it, with the message's row.

    It begins with the snapshot that stands in the stream itself.
    """
    sides: list[dict[int, int]] = [{}, {}]
    is_started = False
    in_book = (events[Field.KIND] == Kind.BOOK_DELTA) | (events[Field.FLAGS] & Flag.SAMPLED == 0)
    in_book &= events[Field.KIND] != Kind.TRADE
    fields = [Field.MESSAGE, Field.KIND, Field.SIDE, Field.PRICE, Field.QUANTITY]
    for (row, kind), levels in groupby(events[fields][:, in_book].T.tolist(), itemgetter(0, 1)):
        is_started = is_started or kind == Kind.BOOK_SNAPSHOT
        for _, _, side, price, size in levels if is_started else ():
            if size > 0:
                sides[side][price] = size
            elif price != NONE:
                sides[side].pop(price, None)
        if is_started:
            yield row, [dict(book) for book in sides]
