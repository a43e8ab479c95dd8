"""The tables of one chain as int64 arrays: events in stretches, quotes, quality, tops of books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.event import NONE, Int64Array, Kind
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.schema import QUALITY
from rlx_datapipe.core.units import INT64_MAX
from rlx_datapipe.store.chain_rows import chain_batches, chain_groups
from rlx_datapipe.store.columns import from_decimals
from rlx_datapipe.store.manifest import ChainManifest

BEST = ("best_bid_price", "best_bid_quantity", "best_ask_price", "best_ask_quantity")
DECIMAL_COLUMNS = ("price", "quantity", *BEST)
_TYPES = tuple(kind.name for kind in Kind)
_SIDES = ("bid", "ask", "buy", "sell")
Place = tuple[int, int]
"""Where a row group lies: the number of its file among those of the chain, and its own in there."""


@dataclass(frozen=True)
class Stretch:
    """Some rows of ``events`` in a row: int64 arrays of shape (n,), ``best`` of shape (4, n).

    Null is NONE. ``side`` is 0 for bid or buy, 1 for ask or sell. ``rows`` is the Arrow table they came from.
    ``unscaled`` counts the values of each column that do not fit the scale; they read as NONE. ``behind`` is
    where the events go on.
    """

    event_id: Int64Array
    kind: Int64Array
    origin_time: Int64Array
    received_time: Int64Array
    update_id: Int64Array
    trade_id: Int64Array
    side: Int64Array
    price: Int64Array
    quantity: Int64Array
    best: Int64Array
    flags: Int64Array
    rows: pa.Table
    unscaled: dict[str, int]
    behind: Place

    def column(self, name: str) -> Int64Array:
        """A column of prices or quantities by its name, int64 of shape (n,)."""
        if name in BEST:
            return np.asarray(self.best[BEST.index(name)], dtype=np.int64)
        return self.price if name == "price" else self.quantity

    def has(self, *bits: int) -> npt.NDArray[np.bool_]:
        """Where any of these flag bits is set."""
        return np.asarray((self.flags & sum(bits)) != 0, dtype=np.bool_)


@dataclass(frozen=True)
class Records:
    """Rows of ``quality`` of one chain."""

    table: pa.Table

    def of(self, *kinds: str) -> Records:
        """Only the records of these kinds."""
        return Records(
            self.table.filter(pc.is_in(self.table["kind"], value_set=pa.array(kinds, pa.string())))
        )

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> Int64Array:
        """A column of ids or times, int64 of shape (n,)."""
        return integers(self.table[name])

    def measure(self, name: str) -> pa.Array:
        """One measure of all records, with nulls where it does not apply."""
        return pc.struct_field(self.table["measures"], name).combine_chunks()

    def total(self, name: str) -> int:
        """Sum of an integer measure."""
        return int(pc.sum(self.measure(name)).as_py() or 0)


def read_stretches(dataset: Path, chain: ChainManifest, start: Place = (0, 0)) -> Iterator[Stretch]:
    """Events of a chain in order from a place on, a row group at a time; ``behind`` is such a place."""
    for rows, behind in chain_groups(dataset, "events", chain, start):
        if rows.num_rows:
            yield _stretch(rows, chain.instrument, behind)


def _stretch(rows: pa.Table, instrument: Instrument, behind: Place) -> Stretch:
    unscaled: dict[str, int] = {}
    values = {}
    for name in DECIMAL_COLUMNS:
        values[name], bad = scaled(rows[name], decimals_of(name, instrument))
        if bad:
            unscaled[name] = bad
    side = _numbers(rows["side"], _SIDES)
    return Stretch(
        event_id=integers(rows["event_id"]),
        kind=_numbers(rows["event_type"], _TYPES),
        origin_time=integers(rows["origin_time"]),
        received_time=integers(rows["received_time"]),
        update_id=integers(rows["update_id"]),
        trade_id=integers(rows["trade_id"]),
        side=np.where(side == NONE, NONE, side % 2),
        price=values["price"],
        quantity=values["quantity"],
        best=np.stack([values[name] for name in BEST]),
        flags=integers(rows["flags"]),
        rows=rows,
        unscaled=unscaled,
        behind=behind,
    )


def _numbers(column: pa.ChunkedArray, names: tuple[str, ...]) -> Int64Array:
    """Numbers of texts among ``names``; NONE for null and for any other text."""
    parts = [np.zeros(0, dtype=np.int64)]
    for chunk in column.chunks:
        told = {name: number for number, name in enumerate(names)}
        numbers = np.array([*(told.get(text, NONE) for text in chunk.dictionary.to_pylist()), NONE])
        parts.append(numbers[integers(chunk.indices)])
    return np.concatenate(parts)


def integers(column: pa.Array | pa.ChunkedArray) -> Int64Array:
    """An integer column as int64, null as NONE."""
    return np.asarray(pc.fill_null(column, NONE).to_numpy(), dtype=np.int64)


def decimals_of(column: str, instrument: Instrument) -> int:
    """Scale of a column of prices or quantities, by its name."""
    return instrument.quantity_decimals if "quantit" in column else instrument.price_decimals


def scaled(column: pa.Array | pa.ChunkedArray, decimals: int) -> tuple[Int64Array, int]:
    """Decimals as scaled integers, and how many do not fit the scale (they become NONE)."""
    try:
        return from_decimals(column, decimals), 0
    except DatasetError:
        limit = pa.scalar(Decimal(INT64_MAX).scaleb(-decimals), column.type)
        zero = pa.scalar(Decimal(0), column.type)
        whole = pc.equal(pc.round(column, decimals, "towards_zero"), column)
        fits = pc.and_(whole, pc.and_(pc.greater_equal(column, zero), pc.less_equal(column, limit)))
        bad = int(pc.sum(pc.invert(fits)).as_py() or 0)
        return from_decimals(pc.if_else(fits, column, pa.scalar(None, column.type)), decimals), bad


def read_quotes(dataset: Path, chain: ChainManifest) -> Int64Array:
    """The quotes that the dataset itself holds, as stored: update id and best, int64 (5, n)."""
    names = ("bid_price", "bid_quantity", "ask_price", "ask_quantity")
    parts = [np.zeros((1 + len(names), 0), dtype=np.int64)]
    for table in chain_batches(dataset, "quotes", chain, ["update_id", *names]):
        best = [scaled(table[name], decimals_of(name, chain.instrument))[0] for name in names]
        parts.append(np.stack([integers(table["update_id"]), *best]))
    return np.concatenate(parts, axis=1)


def read_records(dataset: Path, chain: ChainManifest) -> Records:
    """All quality records of a chain."""
    return Records(pa.concat_tables([QUALITY.empty_table(), *chain_batches(dataset, "quality", chain)]))


def read_tops(dataset: Path, table: str, chain: ChainManifest) -> tuple[Int64Array, Int64Array]:
    """Event ids, int64 (n,), and best levels, int64 (4, n), of ``books`` or ``keyframes``."""
    names = ["bid_prices", "bid_quantities", "ask_prices", "ask_quantities"]
    ids, tops = [np.zeros(0, dtype=np.int64)], [np.zeros((4, 0), dtype=np.int64)]
    for rows in chain_batches(dataset, table, chain, ["event_id", *names]):
        ids.append(integers(rows["event_id"]))
        tops.append(np.stack([_firsts(rows[name], decimals_of(name, chain.instrument)) for name in names]))
    return np.concatenate(ids), np.concatenate(tops, axis=1)


def _firsts(column: pa.ChunkedArray, decimals: int) -> Int64Array:
    """First element of each list, NONE where it is empty."""
    firsts = []
    for chunk in column.chunks:
        offsets = np.asarray(chunk.offsets)
        held = offsets[1:] > offsets[:-1]
        first = np.full(len(chunk), NONE, dtype=np.int64)
        first[held] = scaled(chunk.values.take(pa.array(offsets[:-1][held])), decimals)[0]
        firsts.append(first)
    return np.concatenate([np.zeros(0, dtype=np.int64), *firsts])
