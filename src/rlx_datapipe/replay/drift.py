"""How far the rebuilt book is from the venue's own statement, within the depth that the statement covers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.book.quotes import Levels
from rlx_datapipe.core.event import Int64Array


@dataclass(frozen=True)
class Drift:
    """One comparison of book and snapshot at the same update id, where both know the book.

    Counts are levels of both sides. ``missing`` levels are stated but not in the book, ``extra`` ones the
    other way round, the rest of those compared differ in quantity. ``learned`` levels are stated beyond the
    depth that was known: no error. ``best_price_rms_error`` is relative: the root of the mean square of
    (rebuilt - stated) / stated over both best prices; NaN where a side is empty. ``depth_error`` is
    |rebuilt - stated| / stated total quantity in the band, NaN where that is 0. The band is the bids down to
    ``low`` and the asks up to ``high``, scaled prices.
    """

    compared: int
    matched: int
    missing: int
    extra: int
    learned: int
    best_price_rms_error: float
    depth_error: float
    low: int
    high: int

    @property
    def is_exact(self) -> bool:
        """Whether every level in the band is the same."""
        return self.matched == self.compared


def measure_drift(book: Levels, stated: Levels, low: int, high: int) -> Drift:
    """Compare the bids down to ``low`` and the asks up to ``high``, which book and statement both cover."""
    ours, theirs = _within(book, low, high), _within(stated, low, high)
    bids = _side(ours.bid_prices, ours.bid_quantities, theirs.bid_prices, theirs.bid_quantities)
    asks = _side(ours.ask_prices, ours.ask_quantities, theirs.ask_prices, theirs.ask_quantities)
    matched, missing, extra, differing = (left + right for left, right in zip(bids, asks, strict=True))
    rebuilt, total = _total(ours), _total(theirs)
    return Drift(
        compared=matched + missing + extra + differing,
        matched=matched,
        missing=missing,
        extra=extra,
        learned=_count(stated) - _count(theirs),
        best_price_rms_error=_best_error(book, stated),
        depth_error=abs(rebuilt - total) / total if total else math.nan,
        low=low,
        high=high,
    )


def _within(levels: Levels, low: int, high: int) -> Levels:
    bids, asks = levels.bid_prices >= low, levels.ask_prices <= high
    return Levels(
        levels.bid_prices[bids],
        levels.bid_quantities[bids],
        levels.ask_prices[asks],
        levels.ask_quantities[asks],
    )


def _count(levels: Levels) -> int:
    return len(levels.bid_prices) + len(levels.ask_prices)


def _total(levels: Levels) -> int:
    # A Python sum: quantities may add up beyond int64.
    return int(sum(levels.bid_quantities.tolist()) + sum(levels.ask_quantities.tolist()))


def _side(
    prices: Int64Array, quantities: Int64Array, stated_prices: Int64Array, stated_quantities: Int64Array
) -> tuple[int, int, int, int]:
    """Levels that match, are missing, are extra, differ in quantity."""
    both, ours, theirs = np.intersect1d(prices, stated_prices, assume_unique=True, return_indices=True)
    matched = int(np.count_nonzero(quantities[ours] == stated_quantities[theirs]))
    return matched, len(stated_prices) - len(both), len(prices) - len(both), len(both) - matched


def _best_error(book: Levels, stated: Levels) -> float:
    pairs = [(book.bid_prices, stated.bid_prices), (book.ask_prices, stated.ask_prices)]
    if any(len(ours) == 0 or len(theirs) == 0 for ours, theirs in pairs):
        return math.nan
    squares = [((int(ours[0]) - int(theirs[0])) / int(theirs[0])) ** 2 for ours, theirs in pairs]
    return math.sqrt(sum(squares) / len(squares))
