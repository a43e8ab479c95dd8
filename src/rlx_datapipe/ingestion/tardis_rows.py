"""Rows of a Tardis file: lines read to numbers, joined, cut between messages, and told where they are bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.feed import Bytes, Reject
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.ingestion.csv_kernel import Fault, read_cells, reason_of
from rlx_datapipe.ingestion.csv_lines import Lines
from rlx_datapipe.ingestion.faults import BoolArray, Faults
from rlx_datapipe.venues.tardis import L2, Layout

ORIGIN, RECEIVED, IS_SNAPSHOT = 2, 3, 4
"""Columns of all tables, in our order, and one of the order book's."""
STRANGER_COLUMNS = 2
"""The first columns name exchange and symbol: a row of others is no part of our messages."""
LARGEST_MESSAGE = 1_000_000
"""Rows of one message; a whole book of 5,000 levels a side is a hundredth of it."""
_SKIPPED = 11


@dataclass(frozen=True)
class Table:
    """How the lines of one file are read.

    ``exchange`` is as the file spells it.
    """

    layout: Layout
    exchange: str
    instrument: Instrument

    def read(self, lines: Lines, skips: Sequence[Skip] = ()) -> Rows:
        """The rows of some lines; those that are skipped are not looked at."""
        kinds = self.layout.kinds(self.exchange, self.instrument.symbol)
        texts = [word.encode() for _, words in kinds for word in words]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        values = np.full((len(kinds), len(lines.rows)), NONE, dtype=np.int64)
        faults = np.zeros((2, len(lines.rows)), dtype=np.int64)
        # Without skips a view, else a copy of those that are looked at.
        looked_at: slice | Int64Array = slice(None)
        if skips:
            faults[:, _are_skipped(lines.rows, skips)] = [[1], [_SKIPPED]]
            looked_at = np.flatnonzero(faults[0] == 0)
        read, found = values[:, looked_at], faults[:, looked_at]
        decimals = [self.instrument.price_decimals, self.instrument.quantity_decimals]
        read_cells(
            lines.data,
            lines.starts[looked_at],
            lines.stops[looked_at],
            np.array(self.layout.places, dtype=np.int64),
            np.array([kind for kind, _ in kinds], dtype=np.int64),
            np.frombuffer(b"".join(texts), dtype=np.uint8),
            np.stack([ends[0:-2:2], ends[1:-1:2], ends[2::2]], axis=1),
            np.array(decimals, dtype=np.int64),
            read,
            found,
        )
        if skips:
            values[:, looked_at], faults[:, looked_at] = read, found
        return Rows(lines.data, lines.starts, lines.stops, lines.rows, values, faults)


def _are_skipped(rows: Int64Array, skips: Sequence[Skip]) -> BoolArray:
    skipped = np.zeros(len(rows), dtype=np.bool_)
    for skip in skips:
        skipped |= (rows >= skip.from_row) & (rows <= skip.to_row)
    return skipped


@dataclass(frozen=True)
class Rows:
    """Rows as numbers beside the lines that they came from.

    Lines as in `Lines`; ``values`` and ``faults`` as `read_cells` fills them.
    """

    data: Bytes
    starts: Int64Array
    stops: Int64Array
    rows: Int64Array
    values: Int64Array
    faults: Int64Array

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, index: int) -> bytes:
        """The bytes of one line."""
        return self.data[self.starts[index] : self.stops[index]].tobytes()

    def number(self, index: int) -> int:
        """The number of a row in its file, from 1."""
        return int(self.rows[index])

    def take(self, which: slice | Int64Array) -> Rows:
        """Some of the rows; the bytes are shared."""
        lines = (self.starts[which], self.stops[which], self.rows[which])
        return Rows(self.data, *lines, self.values[:, which], self.faults[:, which])

    def joined(self, others: Rows) -> Rows:
        """These rows, and others behind them."""
        if not len(self):
            return others
        # Only the bytes that these lie in: what was cut off before them is let go.
        begin = int(self.starts[0])
        data = self.data[begin : int(self.stops[-1])]
        move = len(data)
        return Rows(
            np.concatenate((data, others.data)),
            np.concatenate((self.starts - begin, others.starts + move)),
            np.concatenate((self.stops - begin, others.stops + move)),
            np.concatenate((self.rows, others.rows)),
            np.concatenate((self.values, others.values), axis=1),
            np.concatenate((self.faults, others.faults), axis=1),
        )

    @property
    def are_strange(self) -> BoolArray:
        """Mask of rows of another exchange or symbol."""
        strange: BoolArray = (
            (self.faults[0] > 0) & (self.faults[0] <= STRANGER_COLUMNS) & (self.faults[1] == Fault.WORD)
        )
        return strange


def next_cut(rows: Rows, table: str, rows_max: int, span_ns: int, *, is_last: bool) -> int:
    """Where the next step ends: the first place between two messages behind which enough has come.

    Enough are ``rows_max`` rows, or receive times that span ``span_ns``. No message is cut, nor are messages
    of one receive time parted, nor the snapshots of an order book from what follows them. What comes before a
    cut decides it, so that a reader which goes on from one finds the same ones again.

    Returns
    -------
    The number of rows of the step; 0 if more have to be read first.

    Raises
    ------
    SourceError
        When more rows than any message has stand between two such places.
    """
    received = rows.values[RECEIVED]
    known = np.flatnonzero((received != NONE) & ~rows.are_strange)
    if len(rows) >= rows_max and not (len(known) and known[0] < rows_max):
        return rows_max
    if len(known):
        times = received[known]
        may_end = times[1:] != times[:-1]
        if table == L2:
            may_end &= rows.values[IS_SNAPSHOT, known[:-1]] != 1
        places = known[1:][may_end]
        is_enough = (places >= rows_max) | (received[places] - times[0] >= span_ns)
        if is_enough.any():
            return int(places[np.argmax(is_enough)])
    if is_last:
        return len(rows)
    if len(rows) > rows_max + LARGEST_MESSAGE:
        raise SourceError(
            "too many rows of one message",
            row=int(rows.rows[0]),
            field="local_timestamp",
            found=f"over {LARGEST_MESSAGE}",
            expected="the rows of one message have one time",
        )
    return 0


def faults_of(rows: Rows, table: Table, skips: Sequence[Skip] = ()) -> Faults:
    """The first fault of each row."""
    faults = Faults(len(rows))
    if not rows.faults[0].any():
        return faults
    kinds = table.layout.kinds(table.exchange, table.instrument.symbol)
    for column, code in np.unique(rows.faults[:, rows.faults[0] > 0], axis=1).T.tolist():
        which = (rows.faults[0] == column) & (rows.faults[1] == code)
        if code == _SKIPPED:
            for skip in skips:
                faults.add(which & _are_skipped(rows.rows, [skip]), "", skip.reason)
            continue
        field = "" if code == Fault.CELLS else table.layout.names[column - 1]
        faults.add(which, field, reason_of(code, kinds[column - 1][1], len(kinds)))
    return faults


def rejects_of(rows: Rows, faults: Faults, table: Table, file: str) -> list[Reject]:
    """The rows that are not kept, whole, each with its reason."""
    rejects = []
    for index in np.flatnonzero(~faults.good).tolist():
        field, reason = faults.told(index, rows.number)
        raw = rows.text(index)
        found = ""
        if field:
            cells = raw.split(b",")
            found = cells[table.layout.places[table.layout.names.index(field)]].decode("utf-8", "replace")
        rejects.append(Reject(file, int(rows.rows[index]), reason, field, found, raw))
    return rejects
