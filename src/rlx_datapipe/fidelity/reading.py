"""A dataset as a side of a comparison: its tables, read into windows of int64 arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import FIELDS, NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.fidelity.market import MarketSide, Window, cut_windows, stamp_resolution
from rlx_datapipe.store.chain_rows import chain_batches
from rlx_datapipe.store.columns import from_decimals
from rlx_datapipe.store.dataset import Dataset
from rlx_datapipe.store.manifest import ChainManifest

BEST = ("best_bid_price", "best_bid_quantity", "best_ask_price", "best_ask_quantity")
LADDER = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
DEPTH = 20
MASKED = ("gap", "reset")
"""Kinds of quality records whose stretch is masked from all statistics."""

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
    whole, gaps = read_whole(dataset, chain)
    return MarketSide(name, chain.instrument, cut_windows(whole, window_ns, gaps))


def read_whole(dataset: Dataset, chain: ChainManifest) -> tuple[Window, Int64Array]:
    """All events and sampled books of a chain as one stretch; and its gaps, int64 (g, 2), ns.

    The stretch ends one nanosecond after its last event.

    Raises
    ------
    OptionError
        When the chain has no events.
    """
    tables = list(chain_batches(dataset.path, "events", chain))
    parts = [_events(table, chain.instrument) for table in tables]
    if not parts or not sum(part[0].shape[1] for part in parts):
        raise OptionError("no events to compare", file=dataset.path, symbol=chain.instrument.symbol)
    events, best = (np.concatenate([part[k] for part in parts], axis=1) for k in range(2))
    # An event that came late keeps its own time; for windows and steps the order of events is what counts.
    events[Field.ORDER_TIME] = np.maximum.accumulate(events[Field.ORIGIN_TIME])
    times, samples = _books(dataset, chain)
    is_trade = events[Field.KIND] == Kind.TRADE
    whole = Window(
        instrument=chain.instrument,
        start_ns=int(events[Field.ORDER_TIME, 0]),
        end_ns=int(events[Field.ORDER_TIME, -1]) + 1,
        events=events,
        best=best,
        sample_times=np.maximum.accumulate(times),
        samples=samples,
        resolution_ns=stamp_resolution(events[Field.ORIGIN_TIME]),
        is_aggregated=bool((events[Field.FLAGS, is_trade] & Flag.AGGREGATE != 0).any()),
    )
    return whole, _gaps(dataset, chain)


def _events(table: pa.Table, instrument: Instrument) -> tuple[Int64Array, Int64Array]:
    """Event array (FIELDS, n) and best quotes (4, n) of some rows of ``events``."""
    events = empty_events(table.num_rows)
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


def _books(dataset: Dataset, chain: ChainManifest) -> tuple[Int64Array, Int64Array]:
    """Times, int64 (k,), and tops, int64 (k, 4, DEPTH), of the sampled books."""
    times, tops = [np.zeros(0, dtype=np.int64)], [np.zeros((0, 4, DEPTH), dtype=np.int64)]
    scales = (chain.instrument.price_decimals, chain.instrument.quantity_decimals) * 2
    for table in chain_batches(dataset.path, "books", chain, ["origin_time", *LADDER]):
        times.append(_integers(table["origin_time"]))
        sides = [_levels(table[name], scale) for name, scale in zip(LADDER, scales, strict=True)]
        tops.append(np.stack(sides, axis=1))
    return np.concatenate(times), np.concatenate(tops)


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


def _gaps(dataset: Dataset, chain: ChainManifest) -> Int64Array:
    """Stretches that quality records declare broken, int64 (g, 2)."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for table in chain_batches(dataset.path, "quality", chain, ["kind", "from_time", "to_time"]):
        broken = table.filter(pc.is_in(table["kind"], value_set=pa.array(MASKED)))
        spans = np.stack([_integers(broken[name]) for name in ("from_time", "to_time")], axis=1)
        found.append(spans[(spans != NONE).all(axis=1)])
    return np.concatenate(found)


def _integers(column: pa.Array | pa.ChunkedArray) -> Int64Array:
    """An integer column as int64, null as NONE."""
    return np.asarray(pc.fill_null(column, NONE).to_numpy(), dtype=np.int64)
