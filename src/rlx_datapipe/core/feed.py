"""What passes between a venue's parser and ingestion: frames in, events, quotes and rejects out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import Int64Array, empty_events, empty_quotes
from rlx_datapipe.core.replayed import Quality

Bytes: TypeAlias = npt.NDArray[np.uint8]

AHEAD_BYTES = 256
"""Room behind the last message of a block, so that a kernel may read ahead."""


def _no_int64() -> Int64Array:
    return np.zeros(0, dtype=np.int64)


@dataclass(slots=True, eq=False)
class Frames:
    """Raw messages of one file in arrival order, as spans of one block of bytes.

    ``data`` is uint8 of shape (b,); of int64 and shape (n,) each are ``rows``, the line numbers from 1,
    ``received``, the local receive times in ns UTC, and ``starts`` and ``stops``, where in ``data`` the JSON
    of a message lies. Behind the last message come at least `AHEAD_BYTES` more. Several batches may share
    one block, so it is read only.
    """

    data: Bytes = field(default_factory=lambda: np.zeros(0, dtype=np.uint8))
    rows: Int64Array = field(default_factory=_no_int64)
    received: Int64Array = field(default_factory=_no_int64)
    starts: Int64Array = field(default_factory=_no_int64)
    stops: Int64Array = field(default_factory=_no_int64)

    @classmethod
    def of(cls, rows: Sequence[int], received: Sequence[int], payloads: Sequence[bytes]) -> Frames:
        """Frames of payloads that lie anywhere: they are put one behind the other."""
        stops = np.cumsum([0, *map(len, payloads)], dtype=np.int64)
        data = np.frombuffer(bytearray().join([*payloads, bytes(AHEAD_BYTES)]), dtype=np.uint8)
        given = np.array([rows, received], dtype=np.int64)
        return cls(data, given[0], given[1], stops[:-1], stops[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def payload(self, index: int) -> bytes:
        """The JSON bytes of one message as received."""
        return self.data[self.starts[index] : self.stops[index]].tobytes()

    def payloads(self) -> list[bytes]:
        """The JSON bytes of all messages, for what works on them one by one."""
        block = self.data.data
        return [bytes(block[a:b]) for a, b in zip(self.starts.tolist(), self.stops.tolist(), strict=True)]

    def take(self, which: Int64Array | slice) -> Frames:
        """Some of the messages, by their indices; the block is shared."""
        columns = (self.rows, self.received, self.starts, self.stops)
        return Frames(self.data, *(column[which] for column in columns))


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
    ``records`` are what the source says of itself.
    """

    events: Int64Array = field(default_factory=empty_events)
    quotes: Int64Array = field(default_factory=empty_quotes)
    rejects: list[Reject] = field(default_factory=list)
    kept: list[Reject] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    records: list[Quality] = field(default_factory=list)


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
