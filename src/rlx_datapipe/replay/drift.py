"""How far the rebuilt book is from the venue's own statement, within the depth that the statement covers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.book.quotes import Levels
from rlx_datapipe.core.event import Int64Array


@dataclass(frozen=True)
class Drift:
    """One comparison of book and snapshot at the same update id.

    Counts are levels of both sides. ``missing`` levels are stated but not in the book, ``extra`` ones the
    other way round, the rest of those compared differ in quantity. ``best_price_rms_error`` is relative: the
    root of the mean square of (rebuilt - stated) / stated over both best prices; NaN where a side is empty.
    ``depth_error`` is |rebuilt - stated| / stated total quantity in the band. The band is ``low`` to ``high``
    in scaled prices.
    """

    compared: int
    matched: int
    missing: int
    extra: int
    best_price_rms_error: float
    depth_error: float
    low: int
    high: int

    @property
    def is_exact(self) -> bool:
        """Whether every level in the band is the same."""
        return self.matched == self.compared


def measure_drift(book: Levels, stated: Levels, low: int, high: int) -> Drift:
    """Compare the book with a statement that covers the prices from ``low`` to ``high``."""
    bids = _side(
        *_band(book.bid_prices, book.bid_quantities, low, high), stated.bid_prices, stated.bid_quantities
    )
    asks = _side(
        *_band(book.ask_prices, book.ask_quantities, low, high), stated.ask_prices, stated.ask_quantities
    )
    matched, missing, extra, differing = (left + right for left, right in zip(bids, asks, strict=True))
    rebuilt = _total(_band(book.bid_prices, book.bid_quantities, low, high)[1]) + _total(
        _band(book.ask_prices, book.ask_quantities, low, high)[1]
    )
    total = _total(stated.bid_quantities) + _total(stated.ask_quantities)
    return Drift(
        compared=matched + missing + extra + differing,
        matched=matched,
        missing=missing,
        extra=extra,
        best_price_rms_error=_best_error(book, stated),
        depth_error=abs(rebuilt - total) / total if total else math.nan,
        low=low,
        high=high,
    )


def _band(prices: Int64Array, quantities: Int64Array, low: int, high: int) -> tuple[Int64Array, Int64Array]:
    inside = (prices >= low) & (prices <= high)
    return prices[inside], quantities[inside]


def _side(
    prices: Int64Array, quantities: Int64Array, stated_prices: Int64Array, stated_quantities: Int64Array
) -> tuple[int, int, int, int]:
    """Levels that match, are missing, are extra, differ in quantity."""
    both, ours, theirs = np.intersect1d(prices, stated_prices, assume_unique=True, return_indices=True)
    matched = int(np.count_nonzero(quantities[ours] == stated_quantities[theirs]))
    return matched, len(stated_prices) - len(both), len(prices) - len(both), len(both) - matched


def _total(quantities: Int64Array) -> int:
    # A Python sum: quantities may add up beyond int64.
    return sum(quantities.tolist())


def _best_error(book: Levels, stated: Levels) -> float:
    pairs = [(book.bid_prices, stated.bid_prices), (book.ask_prices, stated.ask_prices)]
    if any(len(ours) == 0 or len(theirs) == 0 for ours, theirs in pairs):
        return math.nan
    squares = [((int(ours[0]) - int(theirs[0])) / int(theirs[0])) ** 2 for ours, theirs in pairs]
    return math.sqrt(sum(squares) / len(squares))
