"""The ground truth beside a feed: order events, books, factors and episodes as Parquet, the laws as JSON."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.hawkes import SIDES, TYPES
from rlx_datapipe.simulation.lob.labels import Labels
from rlx_datapipe.simulation.lob.layout import Action, Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.store.files import publish_bytes, publishing

_GROUP_ROWS = 1 << 17
_NOTHING = -1


_CODE = pa.dictionary(pa.int8(), pa.string())
_ORDERS = pa.schema(
    [
        ("time_ns", pa.int64()),
        ("arrival", pa.int64()),
        ("type", _CODE),
        ("action", _CODE),
        ("order_id", pa.int64()),
        ("taker_id", pa.int64()),
        ("side", _CODE),
        ("price_ticks", pa.int64()),
        ("lots", pa.int64()),
        ("order_lots", pa.int64()),
        ("level_lots", pa.int64()),
        ("bid_ticks", pa.int64()),
        ("bid_lots", pa.int64()),
        ("ask_ticks", pa.int64()),
        ("ask_lots", pa.int64()),
        ("episode", pa.int64()),
        ("actor", pa.int64()),
        ("update_id", pa.int64()),
        ("trade_id", pa.int64()),
    ]
)
_SIDE = pa.list_(pa.int64())
_BOOKS = pa.schema(
    [
        ("time_ns", pa.int64()),
        ("update_id", pa.int64()),
        ("bid_ticks", _SIDE),
        ("bid_lots", _SIDE),
        ("ask_ticks", _SIDE),
        ("ask_lots", _SIDE),
    ]
)
_FACTORS = pa.schema([("from_ns", pa.int64()), ("factor", pa.float64())])
_EPISODES = pa.schema(
    [
        ("episode", pa.int64()),
        ("kind", pa.string()),
        ("side", pa.string()),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("order_ids", _SIDE),
        ("taker_ids", _SIDE),
        ("parameters", pa.string()),
    ]
)
_NAMES: dict[str, list[str]] = {
    "type": list(TYPES),
    "action": [action.name.lower() for action in Action],
    "side": ["bid", "ask"],
}


class _Table:
    """One Parquet file: rows go out in row groups of one size, whatever batches they came in."""

    def __init__(self, path: Path, schema: pa.Schema, stack: ExitStack) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(stack.enter_context(publishing(path)), schema, compression="zstd")
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def append(self, columns: list[Any]) -> None:
        """Add rows, as one array for each column."""
        table = pa.Table.from_arrays(columns, schema=self._schema)
        while table.num_rows:
            part = table.slice(0, _GROUP_ROWS - self._rows)
            table = table.slice(part.num_rows)
            self._waiting.append(part)
            self._rows += part.num_rows
            if self._rows == _GROUP_ROWS:
                self._write()

    def close(self) -> None:
        """Write what waits, and end the file."""
        if self._waiting:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks(), row_group_size=_GROUP_ROWS)
        self._waiting, self._rows = [], 0


class TruthFolder:
    """Writes the truth of one market into a folder, as a `Witness`; memory is bounded.

    Use it as a context: if that ends by an error, nothing is published. The files are named ``orders``,
    ``books``, ``factors`` and ``episodes`` (``.parquet``) and ``truth.json``; docs/market.md tells their
    columns.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._orders, self._books, self._factors, self._episodes = (
            _Table(folder / f"{name}.parquet", schema, self._stack)
            for name, schema in (
                ("orders", _ORDERS),
                ("books", _BOOKS),
                ("factors", _FACTORS),
                ("episodes", _EPISODES),
            )
        )
        self._labels = Labels()
        self._trade_id = self._update_id = 0
        self._counts: dict[str, int] = {}

    def __enter__(self) -> TruthFolder:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def open(self, market: LobMarket) -> None:
        """The market as it opens: its first orders."""
        self._trade_id = market.wire.first_trade_id
        self._update_id = market.wire.first_update_id - 1
        rows = market.opening
        self.events(rows, np.full(len(rows), self._update_id))
        self.book(market, market.parameters.start_ns)

    def events(self, rows: Int64Array, update_ids: Int64Array) -> None:
        """Order events, with the update id of the latest change of the book at each."""
        self._labels.note(rows)
        actions = rows[:, Column.ACTION]
        for action, count in enumerate(np.bincount(actions, minlength=len(Action)).tolist()):
            name = _NAMES["action"][action]
            self._counts[name] = self._counts.get(name, 0) + count
        is_fill = actions == Action.FILL
        trades = np.where(is_fill, self._trade_id + np.cumsum(is_fill) - 1, _NOTHING)
        self._trade_id += int(is_fill.sum())
        self._update_id = int(update_ids[-1])
        columns = [np.ascontiguousarray(rows[:, column]) for column in Column]
        arrays = [
            _coded(values, _NAMES[field.name]) if field.name in _NAMES else pa.array(values)
            for field, values in zip(_ORDERS, [*columns, update_ids, trades], strict=True)
        ]
        self._orders.append(arrays)

    def book(self, market: LobMarket, now_ns: int) -> None:
        """The true book of a time, to the depth that the parameters say."""
        levels = market.parameters.truth.book_levels
        lists = [values for side in (0, 1) for values in market.ladder(side, levels)]
        head = [pa.array([now_ns], pa.int64()), pa.array([self._update_id], pa.int64())]
        self._books.append([*head, *(pa.array([values], _SIDE) for values in lists)])
        changes = market.take_changes()
        self._factors.append([pa.array(changes[:, 0].astype(np.int64)), pa.array(changes[:, 1].copy())])

    def close(self, market: LobMarket) -> None:
        """The market has ended: labels and laws are written, and all of it is published."""
        rows = [self._labels.row(planted) for planted in market.planted]
        if rows:
            columns = [
                pa.array(values, field.type)
                for field, values in zip(_EPISODES, zip(*rows, strict=True), strict=True)
            ]
            self._episodes.append(columns)
        for table in (self._orders, self._books, self._factors, self._episodes):
            table.close()
        self._stack.close()
        told = msgspec.json.format(
            msgspec.json.encode(laws_told(market) | {"order_events": self._counts}), indent=2
        )
        publish_bytes(self._folder / "truth.json", told + b"\n")


def _coded(values: Int64Array, names: list[str]) -> pa.Array:
    """Small numbers as the names that they stand for; below 0 is none."""
    codes = pa.array(values.astype(np.int8), mask=values < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(names))


def laws_told(market: LobMarket) -> dict[str, Any]:
    """Everything that is known of a market before it begins: parameters, kernels, stationary intensities."""
    process, wire = market.excitation, market.wire
    return {
        "format": 1,
        "parameters": msgspec.to_builtins(market.parameters),
        "tick_units": wire.tick_units,
        "price_decimals": wire.price_decimals,
        "lot_units": wire.lot_units,
        "quantity_decimals": wire.quantity_decimals,
        "types": list(TYPES),
        "sides": list(SIDES),
        "baseline_per_s": process.baseline_per_s.tolist(),
        "branching": process.branching.tolist(),
        "decays_per_s": process.decays_per_s.tolist(),
        "weights": process.weights.tolist(),
        "kernel": "phi[i][j](t) = branching[i][j] * sum_k weights[k] * decays_per_s[k] * "
        "exp(-decays_per_s[k] * t): events of type i, called forth by one of type j",
        "spectral_radius": process.spectral_radius,
        "stationary_per_s": process.stationary_per_s.tolist(),
    }
