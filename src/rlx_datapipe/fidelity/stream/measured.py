"""What tier 1 has of a window, or of several that were added up: counts, sketches, moments, tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.state import State, Value
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.moments import MOMENTS, Moments
from rlx_datapipe.fidelity.sketch import Sketch
from rlx_datapipe.fidelity.stream.layout import (
    BUCKETS,
    COUNTS,
    NUMBERS,
    SECOND_NS,
    SKETCHES,
    WORDS,
    Count,
    Number,
)

_TOLD = ("MESSAGES", "TRADES", "QUOTES", "LOST", "BACK", "TRADE_JUMPS", "TRADES_MISSING", "ALERTS")
"""Counts that a summary tells."""


@dataclass(frozen=True)
class Measured:
    """One stretch of a chain in sums that add up, whole windows or what begins and ends within one.

    Parameters
    ----------
    start_ns, end_ns
        The stretch.
    words, numbers
        int64 (WORDS,) and float64 (NUMBERS,), see `layout`.
    """

    start_ns: int
    end_ns: int
    words: Int64Array
    numbers: FloatArray

    @property
    def counts(self) -> Int64Array:
        """The words in the order of `layout.Count`."""
        return self.words[:COUNTS]

    def sketch(self, name: str) -> Sketch:
        """One of `layout.SKETCHES`."""
        one, start = Sketch(), COUNTS + BUCKETS * SKETCHES.index(name)
        one.counts[:] = self.words[start : start + BUCKETS]
        return one

    @property
    def spread(self) -> Moments:
        """Best spread in ticks, weighted by seconds."""
        return Moments(self.numbers[Number.SPREAD : Number.SPREAD + MOMENTS])

    @property
    def depth(self) -> Moments:
        """Quantity at both best prices in scaled units, weighted by seconds."""
        return Moments(self.numbers[Number.DEPTH : Number.DEPTH + MOMENTS])

    @property
    def returns(self) -> int:
        """Returns of the mid over seconds that are defined."""
        return int(self.numbers[Number.RETURNS])

    @property
    def hausman(self) -> float:
        """Statistic of Hausman's test of noise at a second; NaN without moves in a row.

        As `metrics.noise.hausman_fast`; of several windows that of all their neighbouring returns.
        """
        products, squares = self.numbers[[Number.PRODUCTS, Number.PRODUCT_SQUARES]]
        return float(products * products / squares) if squares > 0 else float("nan")

    @property
    def flow_slope(self) -> float:
        """Slope of the mid's move in ticks on the order flow of the same second; NaN without flow."""
        n, x, y, xx, xy = self.numbers[[Number.PAIRS, Number.X, Number.Y, Number.XX, Number.XY]]
        spread = n * xx - x * x
        return float((n * xy - x * y) / spread) if spread > 0 else float("nan")

    def told(self, instrument: Instrument) -> dict[str, Value]:
        """What it comes to, ready for JSON: prices in ticks, quantities and depth in whole units.

        None for what is not defined. Medians are right to 1 %.
        """
        counts, unit = self.counts, 10.0**instrument.quantity_decimals
        gaps, sizes = self.sketch("message_gap_ns"), self.sketch("trade_quantity")
        numbers: dict[str, float] = {
            "quoted_s": counts[Count.QUOTED_NS] / SECOND_NS,
            "spread_ticks_mean": self.spread.mean,
            "spread_ticks_deviation": self.spread.variance**0.5,
            "touch_depth_mean": self.depth.mean / unit,
            "message_gap_ms_median": gaps.quantile(0.5) / 1e6,
            "message_gap_ms_p99": gaps.quantile(0.99) / 1e6,
            "trade_quantity_median": sizes.quantile(0.5) / unit,
            "flow_slope_ticks": self.flow_slope * unit,
            "hausman_1s": self.hausman,
        }
        return {
            **{name.lower(): int(counts[Count[name]]) for name in _TOLD},
            **{name: float(value) if np.isfinite(value) else None for name, value in numbers.items()},
        }

    def joined(self, later: Measured) -> Measured:
        """Both stretches together, this and a later one."""
        numbers = self.numbers + later.numbers
        for start in (Number.SPREAD, Number.DEPTH):
            moments = Moments(self.numbers[start : start + MOMENTS])
            moments.merge(Moments(later.numbers[start : start + MOMENTS]))
            numbers[start : start + MOMENTS] = moments.words
        return Measured(self.start_ns, later.end_ns, self.words + later.words, numbers)


def measured_windows(state: State) -> Iterator[Measured]:
    """The windows that `StreamTier.take_closed` gave, in the order of time.

    Raises
    ------
    ValueError
        When the state holds no windows of this release.
    """
    spans = state.array("spans", None, 2)
    held = state.array("held", len(spans))
    at, words = state.array("at", int(held.sum())), state.array("words", int(held.sum()))
    numbers = state.array("numbers", len(spans), NUMBERS).view(np.float64)
    if len(at) and not 0 <= at.min() <= at.max() < WORDS:
        raise ValueError("words of windows beyond their end")
    ends = np.cumsum(held)
    for k, (start_ns, end_ns) in enumerate(spans.tolist()):
        dense = np.zeros(WORDS, dtype=np.int64)
        part = slice(int(ends[k] - held[k]), int(ends[k]))
        dense[at[part]] = words[part]
        yield Measured(start_ns, end_ns, dense, numbers[k])
