"""What every book of `rlx bench peers` is given and asked, and how two answers are compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import blake3
import numpy as np

from rlx_datapipe.book.layout import ASK, BID, IntArray
from rlx_datapipe.simulation.updates import Updates, UpdatesConfig, updates

TICK = 0.01
"""Price of a tick, for books that keep prices in floating point."""
LOT = 0.001
"""Quantity of a lot, for those books."""
PRICE_DECIMALS, QUANTITY_DECIMALS = 2, 3
NONE = (-1, 0)
"""Price and quantity of an empty side."""


class Asked(Enum):
    """What a book has to tell.

    Of bests, an int64 array of shape (4, n): bid price and quantity, ask price and quantity, in ticks and
    lots. Of the whole book, one of shape (3, levels): side, price, quantity, sorted by side and price.
    """

    ROW = "best after each row"
    MESSAGE = "best after each message"
    END = "whole book at the end"


class Book(Protocol):
    """A book with the opening message in it, and all that is to be applied, in the form that it takes."""

    def run(self) -> None:
        """Apply every row and keep what is asked for; only this is timed."""

    def answer(self) -> IntArray:
        """What it was asked for, see `Asked`."""


@dataclass(frozen=True)
class Stream:
    """Updates in whole messages behind the opening one; ``ends`` has the index of each message's last row."""

    opening: Updates
    rows: Updates
    ends: IntArray

    def __len__(self) -> int:
        return len(self.rows.prices)

    def first(self, rows: int) -> Stream:
        """The messages that fit into so many rows; the first one at least."""
        if rows >= len(self):
            return self
        ends = self.ends[: max(1, int(np.searchsorted(self.ends, rows)))]
        return Stream(self.opening, Updates(*(column[: ends[-1] + 1] for column in self.rows)), ends)

    def spans(self) -> Iterator[tuple[int, int]]:
        """First row of each message, and the row behind its last."""
        begin = 0
        for end in (self.ends + 1).tolist():
            yield begin, end
            begin = end


def stream(config: UpdatesConfig) -> Stream:
    """The seeded stream, all of it in memory."""
    parts = updates(config)
    opening = next(parts)
    rows = Updates(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    ends = np.flatnonzero(np.append(np.diff(rows.messages) != 0, True))
    return Stream(opening, rows, ends)


def in_units(values: object, unit: float) -> IntArray:
    """Floating-point prices or quantities as whole ticks or lots: the nearest."""
    return np.rint(np.asarray(values, dtype=np.float64) / unit).astype(np.int64)


def whole_book(bids: tuple[IntArray, IntArray], asks: tuple[IntArray, IntArray]) -> IntArray:
    """The answer of `Asked.END` from prices and quantities of each side, in any order."""
    sides = []
    for side, (prices, quantities) in ((BID, bids), (ASK, asks)):
        order = np.argsort(prices)
        sides.append(np.stack([np.full(len(prices), side), prices[order], quantities[order]]))
    return np.concatenate(sides, axis=1).astype(np.int64)


def checksum(answer: IntArray) -> str:
    """BLAKE3 of the shape and of the numbers, little-endian, in hexadecimal digits."""
    digest = blake3.blake3(np.array(answer.shape, dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(answer, dtype="<i8").tobytes())
    return digest.hexdigest()


def difference(ours: IntArray, theirs: IntArray) -> str:
    """Where two answers differ first, in words; nothing if their checksums are equal."""
    if checksum(ours) == checksum(theirs):
        return ""
    if ours.shape != theirs.shape:
        return f"{theirs.shape[-1]:,} answers, ours {ours.shape[-1]:,}"
    differing = np.flatnonzero((ours != theirs).any(axis=0))
    at = int(differing[0])
    return (
        f"{len(differing):,} of {ours.shape[1]:,} answers; the first is number {at:,}: "
        f"{theirs[:, at].tolist()}, ours {ours[:, at].tolist()}"
    )
