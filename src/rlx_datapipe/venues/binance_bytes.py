"""The fast parser of Binance messages: usual ones are read by kernels, all others left to the general one."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.event import FIELDS, NONE, QUOTES, Int64Array
from rlx_datapipe.core.feed import Frames
from rlx_datapipe.core.instrument import Instrument, plain_symbol
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.venues.binance_fill import fill_events, fill_quotes
from rlx_datapipe.venues.binance_kernel import read_messages
from rlx_datapipe.venues.binance_shapes import SLOTS, Shape, Slot, programs

NAMES = {
    Shape.DEPTH: "depthUpdate",
    Shape.SNAPSHOT: "snapshot",
    Shape.TRADE: "trade",
    Shape.AGGREGATE: "aggTrade",
    Shape.TICKER: "bookTicker",
}
_LEVEL_BYTES_MIN = len('["1","1"],')


@dataclass(slots=True)
class Usual:
    """What the messages of usual shape became.

    ``events`` and ``quotes`` are as in `Parsed`, ``refused`` the indices of all other frames, ``counts`` the
    messages read by type, among them those of the kind of trade that is set aside.
    """

    events: Int64Array
    quotes: Int64Array
    refused: Int64Array
    counts: Counter[str]


def read_usual(frames: Frames, instrument: Instrument, link: Link, aside: str) -> Usual:
    """Read the messages of a batch that are of a usual shape to the byte.

    Parameters
    ----------
    frames
        What was received.
    instrument
        Symbol and scales.
    link
        How the depth updates of the market are linked, which tells its shapes.
    aside
        The kind of trades that makes no events: ``trade`` or ``aggTrade``.
    """
    symbol = plain_symbol(instrument.symbol)
    # A symbol of other letters would need escapes, or more than a byte for a letter.
    is_plain = re.fullmatch("[A-Z0-9]+", symbol) is not None
    count = len(frames) if is_plain else 0
    records = np.empty((count, SLOTS), dtype=np.int64)
    levels = np.empty((_levels_max(frames), 2), dtype=np.int64)
    scales = np.array([instrument.price_decimals, instrument.quantity_decimals])
    read_messages(
        frames.data,
        frames.starts[:count],
        frames.stops[:count],
        *programs(link),
        np.frombuffer(bytearray(symbol.encode()), dtype=np.uint8),
        scales,
        records,
        levels,
    )
    kinds = records[:, Slot.KIND]
    tally = np.bincount(kinds + 1, minlength=len(Shape)).tolist()
    counts = Counter({name: tally[kind + 1] for kind, name in NAMES.items() if tally[kind + 1]})
    put_aside = Shape.TRADE if aside == NAMES[Shape.TRADE] else Shape.AGGREGATE
    quotes = np.empty((QUOTES, tally[Shape.TICKER + 1]), dtype=np.int64)
    fill_quotes(records, frames.rows, frames.received, quotes)
    events = np.empty((FIELDS, _rows(records, put_aside)), dtype=np.int64)
    fill_events(records, levels, frames.rows, frames.received, put_aside, events)
    refused = np.flatnonzero(kinds == NONE) if is_plain else np.arange(len(frames))
    return Usual(events, quotes, refused, counts)


def _levels_max(frames: Frames) -> int:
    """No more levels than fit into the bytes; memory that is not filled costs nothing."""
    return int((frames.stops - frames.starts).sum()) // _LEVEL_BYTES_MIN


def _rows(records: Int64Array, put_aside: Shape) -> int:
    """Events that the messages make: one for each level or trade, and one for a change without levels."""
    kinds = records[:, Slot.KIND]
    has_levels = (kinds == Shape.DEPTH) | (kinds == Shape.SNAPSHOT)
    levels = records[has_levels, Slot.LEVELS_TO] - records[has_levels, Slot.LEVELS_FROM]
    trades = ((kinds == Shape.TRADE) | (kinds == Shape.AGGREGATE)) & (kinds != put_aside)
    return int(np.maximum(levels, 1).sum() + trades.sum())
