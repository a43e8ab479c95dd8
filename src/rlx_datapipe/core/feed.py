"""What passes between a venue's parser and ingestion: frames in, events, quotes and rejects out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from rlx_datapipe.core.event import Int64Array, empty_events, empty_quotes


@dataclass(slots=True)
class Frames:
    """Raw messages of one file in arrival order: three lists of equal length.

    ``rows`` are line numbers from 1, ``received`` the local receive times in ns UTC, ``payloads`` the JSON
    bytes as received.
    """

    rows: list[int]
    received: list[int]
    payloads: list[bytes]


class Reject(msgspec.Struct, frozen=True):
    """A message or row that could not be read, kept whole with its reason.

    ``row`` counts from 1 in ``file``; ``field`` and ``found`` say what was wrong where that is known.
    """

    file: str
    row: int
    reason: str
    field: str = ""
    found: str = ""
    raw: bytes = b""


@dataclass(slots=True)
class Parsed:
    """What one batch of frames or rows became.

    ``events`` is int64 of shape (FIELDS, n), ``quotes`` int64 of shape (QUOTES, m), both in arrival order,
    with ``MESSAGE`` set to the source row. ``counts`` has messages by type, unknown ones by their own name.
    ``kept`` holds well-formed messages that became neither event nor quote; nothing is wrong with them.
    """

    events: Int64Array = field(default_factory=empty_events)
    quotes: Int64Array = field(default_factory=empty_quotes)
    rejects: list[Reject] = field(default_factory=list)
    kept: list[Reject] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Probe:
    """What the head of a source says of itself, before anything is converted.

    ``symbols`` counts messages per symbol, ``kinds`` messages per type; ``price_decimals`` and
    ``quantity_decimals`` are the decimals needed (trailing zeros not counted), ``price_largest`` and
    ``quantity_largest`` the largest whole parts, ``price_texts`` up to some thousand prices to find the tick.
    """

    exchange: str = ""
    symbols: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    price_decimals: int = 0
    quantity_decimals: int = 0
    price_largest: int = 0
    quantity_largest: int = 0
    price_texts: list[str] = field(default_factory=list)
