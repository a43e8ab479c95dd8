"""A dataset as a side of a comparison: its tables, read into windows of int64 arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import FIELDS, NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.fidelity.market import MarketSide, Window, cut_windows, stamp_resolution
from rlx_datapipe.store.chain_rows import chain_files, rows_of
from rlx_datapipe.store.columns import from_decimals
from rlx_datapipe.store.dataset import Dataset
from rlx_datapipe.store.tables import DataFile, read_file

BEST = ("best_bid_price", "best_bid_quantity", "best_ask_price", "best_ask_quantity")
LADDER = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
DEPTH = 20
MASKED = ("gap", "reset")
"""Kinds of quality records whose stretch is masked from all statistics."""

STAMPS_MAX = 2_000_000
"""Stamps of which their step is found; of more, every k-th."""

_NAMES = {
    Field.ORIGIN_TIME: "origin_time",
    Field.RECEIVED_TIME: "received_time",
    Field.UPDATE_ID: "update_id",
    Field.TRADE_ID: "trade_id",
    Field.FLAGS: "flags",
}
_TYPES = pa.array([kind.name for kind in Kind])
_SIDES = pa.array(["bid", "ask", "buy", "sell"])


def read_side(
    dataset: Dataset, name: str, *, symbol: str | None = None, window_ns: int = 300_000_000_000
) -> MarketSide:
    """A symbol of a dataset as windows on the clock, gaps left out.

    Parameters
    ----------
    dataset
        An open dataset; a golden capture is reconstructed into one first.
    name
        Which side it is, told in reports.
    symbol
        Which symbol; the only one when None.
    window_ns
        Length of a window.
    """
    chain = dataset.manifest.chain(symbol)
    whole, gaps = read_whole(dataset.path, chain.instrument)
    return MarketSide(name, chain.instrument, cut_windows(whole, window_ns, gaps))


def read_whole(
    dataset: Path,
    instrument: Instrument,
    *,
    scale: Instrument | None = None,
    folder: Path | None = None,
    since_ns: int = 0,
    ends_only: bool = False,
) -> tuple[Window, Int64Array]:
    """All events and sampled books of a chain as one stretch; and its gaps, int64 (g, 2), ns.

    ``MESSAGE`` of each says how many events there were up to it. One file at most is in memory at a time.

    The stretch ends one nanosecond after its last event. Epochs that are committed count, also of a chain
    that is not finished.

    Parameters
    ----------
    dataset
        Folder of the dataset.
    instrument
        The chain.
    scale
        Its scales in the window, at least as fine as those of the chain, which are taken if None.
    folder
        Where the arrays lie, as files that are mapped into memory, so that memory does not grow with them; in
        memory if None. It must stand as long as the window is used.
    since_ns
        Files that end before it are passed over.
    ends_only
        Take the last event of each group alone, behind which the best prices are published; a trade is a
        group by itself. Metrics look at no others.

    Raises
    ------
    OptionError
        When the chain has no events.
    """
    own = scale or instrument
    arrays = _Arrays(folder)
    files = _later(chain_files(dataset, "events", instrument), since_ns)
    events, best = _rows(files, own, arrays, ends_only=ends_only)
    if not best.shape[1]:
        raise OptionError("no events to compare", file=dataset, symbol=instrument.symbol)
    origin = events[Field.ORIGIN_TIME]
    is_trade = events[Field.KIND] == Kind.TRADE
    times, samples = _books(dataset, instrument, own, arrays, since_ns)
    whole = Window(
        instrument=own,
        start_ns=int(events[Field.ORDER_TIME, 0]),
        end_ns=int(events[Field.ORDER_TIME, -1]) + 1,
        events=events,
        best=best,
        sample_times=times,
        samples=samples,
        resolution_ns=stamp_resolution(origin[:: -(-len(origin) // STAMPS_MAX)]),
        is_aggregated=bool((events[Field.FLAGS, is_trade] & Flag.AGGREGATE != 0).any()),
    )
    return whole, _gaps(dataset, instrument)


class _Arrays:
    """Makes int64 arrays: in memory, or as files of a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def new(self, name: str, shape: tuple[int, ...]) -> Int64Array:
        """An array of zeros; a file has no room for none."""
        if self._folder is None or not np.prod(shape):
            return np.zeros(shape, dtype=np.int64)
        return np.asarray(np.memmap(self._folder / name, dtype=np.int64, mode="w+", shape=shape))


def _rows(
    files: list[DataFile], own: Instrument, arrays: _Arrays, *, ends_only: bool
) -> tuple[Int64Array, Int64Array]:
    """Events and best prices of files in order, int64 (FIELDS, n) and (4, n)."""
    rows = sum(rows_of(file) for file in files)
    # Files of arrays have holes: what is not written takes no room.
    events, best = arrays.new("events", (FIELDS, rows)), arrays.new("best", (4, rows))
    at, before, clock = 0, 0, 0
    for file in files:
        table = read_file("events", file.path)
        part, quotes = _events(table, own, before, ends_only=ends_only)
        stop = at + part.shape[1]
        events[:, at:stop], best[:, at:stop] = part, quotes
        # An event that came late keeps its own time; for windows and steps the order is what counts.
        times = np.maximum(part[Field.ORIGIN_TIME], clock)
        np.maximum.accumulate(times, out=events[Field.ORDER_TIME, at:stop])
        clock = int(events[Field.ORDER_TIME, stop - 1]) if stop else 0
        at, before = stop, before + table.num_rows
    return events[:, :at], best[:, :at]


def _later(files: list[DataFile], since_ns: int) -> list[DataFile]:
    """Files in order without those behind which another one begins before that time."""
    ends = [*(file.first_time for file in files[1:]), None]
    return [file for file, end in zip(files, ends, strict=False) if end is None or end >= since_ns]


def _events(
    table: pa.Table, instrument: Instrument, before: int, *, ends_only: bool
) -> tuple[Int64Array, Int64Array]:
    """Event array (FIELDS, n) and best quotes (4, n) of rows of ``events``, or of ends of groups in them."""
    ends = np.arange(table.num_rows)
    if ends_only:
        ends = np.flatnonzero(_integers(table["flags"]) & Flag.GROUP_END)
        table = table.take(pa.array(ends))
    events = empty_events(table.num_rows)
    events[Field.MESSAGE] = before + ends + 1
    for field, column in _NAMES.items():
        events[field] = _integers(table[column])
    events[Field.KIND] = _integers(pc.index_in(table["event_type"], value_set=_TYPES))
    side = _integers(pc.index_in(table["side"], value_set=_SIDES))
    events[Field.SIDE] = np.where(side == NONE, NONE, side % 2)
    events[Field.PRICE] = from_decimals(table["price"], instrument.price_decimals)
    events[Field.QUANTITY] = from_decimals(table["quantity"], instrument.quantity_decimals)
    decimals = (instrument.price_decimals, instrument.quantity_decimals) * 2
    best = [from_decimals(table[column], scale) for column, scale in zip(BEST, decimals, strict=True)]
    assert len(events) == FIELDS  # noqa: S101 (rows of the record that all stages share)
    return events, np.stack(best)


def _books(
    dataset: Path, instrument: Instrument, scale: Instrument, arrays: _Arrays, since_ns: int
) -> tuple[Int64Array, Int64Array]:
    """Times, int64 (k,), rising, and tops, int64 (k, 4, DEPTH), of the sampled books."""
    files = _later(chain_files(dataset, "books", instrument), since_ns)
    count = sum(rows_of(file) for file in files)
    times, tops = arrays.new("times", (count,)), arrays.new("tops", (count, 4, DEPTH))
    scales = (scale.price_decimals, scale.quantity_decimals) * 2
    at = 0
    for file in files:
        table = read_file("books", file.path, ["origin_time", *LADDER])
        times[at : at + table.num_rows] = _integers(table["origin_time"])
        for side, (name, decimals) in enumerate(zip(LADDER, scales, strict=True)):
            tops[at : at + table.num_rows, side] = _levels(table[name], decimals)
        at += table.num_rows
    np.maximum.accumulate(times, out=times)
    return times, tops


def _levels(column: pa.ChunkedArray, decimals: int) -> Int64Array:
    """First `DEPTH` elements of each list, int64 (k, DEPTH), NONE behind the end of a shorter one."""
    rows = [np.zeros((0, DEPTH), dtype=np.int64)]
    for chunk in column.chunks:
        offsets = np.asarray(chunk.offsets).astype(np.int64)
        at = offsets[:-1, None] + np.arange(DEPTH)
        held: npt.NDArray[np.bool_] = at < offsets[1:, None]
        out = np.full((len(at), DEPTH), NONE, dtype=np.int64)
        out[held] = from_decimals(chunk.values.take(pa.array(at[held])), decimals)
        rows.append(out)
    return np.concatenate(rows)


def _gaps(dataset: Path, instrument: Instrument) -> Int64Array:
    """Stretches that quality records declare broken, int64 (g, 2)."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for file in chain_files(dataset, "quality", instrument):
        table = read_file("quality", file.path, ["kind", "from_time", "to_time"])
        broken = table.filter(pc.is_in(table["kind"], value_set=pa.array(MASKED)))
        spans = np.stack([_integers(broken[name]) for name in ("from_time", "to_time")], axis=1)
        found.append(spans[(spans != NONE).all(axis=1)])
    return np.concatenate(found)


def _integers(column: pa.Array | pa.ChunkedArray) -> Int64Array:
    """An integer column as int64, null as NONE."""
    return np.asarray(pc.fill_null(column, NONE).to_numpy(), dtype=np.int64)
