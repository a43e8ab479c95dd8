"""Any book state of a dataset: the nearest full book before it, and the deltas since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.quotes import Levels
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.event import NONE, Flag, Int64Array, Side
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.period import time_text
from rlx_datapipe.store.chain_rows import chain_files
from rlx_datapipe.store.columns import from_decimals
from rlx_datapipe.store.dataset import Dataset
from rlx_datapipe.store.manifest import ChainManifest
from rlx_datapipe.store.tables import DataFile, read_file

_DELTA_COLUMNS = ["event_id", "event_type", "update_id", "side", "price", "quantity", "flags"]
_LADDER = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")


@dataclass(frozen=True)
class RebuiltBook:
    """The book after an event, in scaled integers.

    ``is_valid`` is False where there was no trustworthy book (before the first snapshot, after a gap); then
    ``levels`` are empty. Bids below ``known_low`` and asks above ``known_high`` (NONE: no limit) that no
    delta touched are unknown, not absent.
    """

    instrument: Instrument
    event_id: int
    origin_time: int
    is_valid: bool
    levels: Levels
    known_low: int
    known_high: int


class Stated(NamedTuple):
    """How many levels of each side the snapshots of a source state, where deltas are inferred from them."""

    bids: int
    asks: int

    def range_of(self, levels: Levels) -> tuple[int, int]:
        """What a snapshot that has just been met knows of the book: NONE for a side that it held whole."""
        low, high = NONE, NONE
        if self.bids <= len(levels.bid_prices):
            low = int(levels.bid_prices[self.bids - 1])
        if self.asks <= len(levels.ask_prices):
            high = int(levels.ask_prices[self.asks - 1])
        return low, high


def event_before(dataset: Dataset, chain: ChainManifest, time_ns: int) -> int:
    """Id of the last event that happened at or before a time (ns UTC).

    Raises
    ------
    DatasetError
        When the dataset begins later, or ends earlier: what came then is not known.
    """
    end = int(chain.summary["last_time"])
    if time_ns > end:
        raise DatasetError(
            "the data end before that time",
            file=dataset.path,
            found=time_text(time_ns),
            expected=f"{time_text(end)} or earlier",
        )
    for file in reversed(chain_files(dataset.path, "events", chain.instrument)):
        if file.first_time is None or file.first_time <= time_ns:
            rows = read_file("events", file.path, ["event_id", "origin_time"])
            at = np.flatnonzero(rows["origin_time"].to_numpy() <= time_ns)
            if len(at):
                return int(rows["event_id"][int(at[-1])].as_py())
    first = int(chain.summary["first_time"])
    raise DatasetError(
        "no event at or before that time",
        file=dataset.path,
        found=time_text(time_ns),
        expected=f"{time_text(first)} or later",
    )


def is_lost_after(dataset: Dataset, chain: ChainManifest, event_id: int) -> bool:
    """Whether the book is lost with the next event: somewhere between the two something is missing."""
    if event_id + 1 >= chain.summary["events"]:
        return False
    flags, _ = _event(dataset, chain, event_id + 1)
    return bool(flags & Flag.BOOK_INVALID)


def rebuild(dataset: Dataset, chain: ChainManifest, event_id: int) -> RebuiltBook:
    """The book after an event; inside an atomic group, the book before the group.

    Raises
    ------
    DatasetError
        When there is no such event.
    """
    instrument = chain.instrument
    flags, origin_time = _event(dataset, chain, event_id)
    if flags & Flag.BOOK_INVALID:
        return _nothing(instrument, event_id, origin_time)
    keyframe = _keyframe(dataset, chain, event_id)
    engine = OrderBookEngine(tick=instrument.price_step)
    ladder = [_scaled(keyframe[name].combine_chunks().flatten(), name, instrument) for name in _LADDER]
    engine.load_snapshot(*ladder)
    start = int(keyframe["event_id"][0].as_py())
    low, high = (
        int(_scaled(keyframe[name], name, instrument)[0]) for name in ("known_low_price", "known_high_price")
    )
    stated = Stated(
        bids=int(np.count_nonzero(ladder[0] >= low)),
        asks=int(np.count_nonzero(ladder[2] <= high)) if high != NONE else len(ladder[2]),
    )
    for file in _covering(chain_files(dataset.path, "events", chain.instrument), start + 1, event_id):
        rows = read_file("events", file.path, _DELTA_COLUMNS)
        if chain.strategy == "snapshot" and (by := _last_stated(rows, start, event_id)) is not None:
            _apply(engine, rows, start, by, instrument)
            low, high = stated.range_of(engine.levels())
            _apply(engine, rows, by, event_id, instrument)
        else:
            _apply(engine, rows, start, event_id, instrument)
    return RebuiltBook(instrument, event_id, origin_time, True, engine.levels(), low, high)


def without_book(book: RebuiltBook) -> RebuiltBook:
    """The same moment, without a trustworthy book."""
    return _nothing(book.instrument, book.event_id, book.origin_time)


def _nothing(instrument: Instrument, event_id: int, origin_time: int) -> RebuiltBook:
    nothing = np.zeros(0, dtype=np.int64)
    levels = Levels(nothing, nothing, nothing, nothing)
    return RebuiltBook(instrument, event_id, origin_time, False, levels, NONE, NONE)


def _scaled(column: pa.Array | pa.ChunkedArray, name: str, instrument: Instrument) -> Int64Array:
    is_quantity = "quantit" in name
    return from_decimals(column, instrument.quantity_decimals if is_quantity else instrument.price_decimals)


def _covering(files: list[DataFile], first: int, last: int) -> list[DataFile]:
    """Files that may hold events from ``first`` to ``last``; each begins with its own first event."""
    starts = [file.first_event if file.first_event is not None else 0 for file in files]
    ends = [*starts, last + 1][1:]
    return [
        file for file, start, end in zip(files, starts, ends, strict=True) if start <= last and end > first
    ]


def _event(dataset: Dataset, chain: ChainManifest, event_id: int) -> tuple[int, int]:
    """Flags and origin time of an event."""
    last = chain.summary["events"] - 1
    files = chain_files(dataset.path, "events", chain.instrument) if 0 <= event_id <= last else []
    for file in _covering(files, event_id, event_id):
        rows = read_file("events", file.path, ["event_id", "origin_time", "flags"])
        found = rows.filter(pc.equal(rows["event_id"], event_id))
        if found.num_rows:
            return int(found["flags"][0].as_py()), int(found["origin_time"][0].as_py())
    raise DatasetError(
        "no such event", file=dataset.path, found=event_id, expected=f"an event id from 0 to {last}"
    )


def _keyframe(dataset: Dataset, chain: ChainManifest, event_id: int) -> pa.Table:
    """The last full book at or before an event, a table of one row."""
    files = [
        file
        for file in chain_files(dataset.path, "keyframes", chain.instrument)
        if file.first_event is None or file.first_event <= event_id
    ]
    for file in reversed(files):
        rows = read_file("keyframes", file.path)
        before = np.flatnonzero(rows["event_id"].to_numpy() <= event_id)
        if len(before):
            return rows.slice(int(before[-1]), 1)
    raise DatasetError("no full book before that event", file=dataset.path, found=event_id)


def _last_stated(rows: pa.Table, start: int, last: int) -> int | None:
    """The end of the last group after ``start`` and up to ``last`` that follows from a snapshot, if any."""
    events, flags = rows["event_id"].to_numpy(), rows["flags"].to_numpy()
    is_end = flags & (Flag.INFERRED | Flag.GROUP_END) == Flag.INFERRED | Flag.GROUP_END
    ends = events[is_end & rows["update_id"].is_valid().to_numpy() & (events > start) & (events <= last)]
    return int(ends[-1]) if len(ends) else None


def _apply(engine: OrderBookEngine, rows: pa.Table, start: int, last: int, instrument: Instrument) -> None:
    """Apply the deltas after event ``start`` up to the last complete group at or before ``last``.

    A group never goes on in another file: it has one time, and epochs end between groups.
    """
    events = rows["event_id"].to_numpy()
    flags = rows["flags"].to_numpy()
    is_delta = pc.equal(rows["event_type"], "BOOK_DELTA").to_numpy()
    wanted = is_delta & (events > start) & (events <= last) & (flags & Flag.NOT_APPLIED == 0)
    ends = events[wanted & (flags & Flag.GROUP_END != 0)]
    complete = wanted & (events <= (ends[-1] if len(ends) else start))
    chosen = rows.filter(pa.array(complete & (flags & Flag.EMPTY_GROUP == 0)))
    sides = np.where(pc.equal(chosen["side"], "bid").to_numpy(), Side.BID, Side.ASK)
    prices, quantities = (_scaled(chosen[name], name, instrument) for name in ("price", "quantity"))
    engine.apply(sides.astype(np.int64), prices, quantities)
