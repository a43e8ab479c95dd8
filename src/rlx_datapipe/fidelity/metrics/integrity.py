"""Integrity: whether the stream is whole, its stamps right, its book sound, and where it belongs."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import DistributionMetric, NumberMetric, Sample
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.metrics.flow import slope
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult, Need

SECOND_NS = 1_000_000_000
WINDOWS_MIN = 3


def broken_steps(ids: Int64Array) -> float:
    """Share of steps between neighbouring numbers that are not one up: gaps, doubles, steps back; or NaN."""
    return float((np.diff(ids) != 1).mean()) if len(ids) > 1 else float("nan")


def unsound_share(window: Window) -> float:
    """Share of the time in which best prices are unknown, locked or crossed."""
    quotes = window.quotes
    sound = int(quotes.hold_ns[quotes.bid < quotes.ask].sum())
    return 1.0 - sound / (window.end_ns - window.start_ns)


def drift(gaps: FloatArray, hours: FloatArray) -> float:
    """Slope of the differences over time, per hour; NaN where fewer than three are known."""
    known = ~np.isnan(gaps)
    return slope(hours[known], gaps[known])[0] if known.sum() >= WINDOWS_MIN else float("nan")


class TradeSequence(NumberMetric):
    """Whether the numbers of trades follow each other."""

    name = "trade_sequence"
    formula = "share of k with id_k - id_(k-1) != 1"
    category = "integrity"
    tier = 2
    bounds = (0.0, 1.0)
    engineering_floor = 0.0001
    tolerable = 0.01
    severity = Severity.GATE
    purpose = "difference of the shares of trades whose number does not follow that of the trade before"
    reference = "venue's numbering; gate 0.01 %"
    requirements = frozenset({Need.TRADES})

    def number(self, window: Window, data: Comparison) -> float:
        """Share of one window; NaN where trades have no numbers."""
        rows = (window.events[Field.KIND] == Kind.TRADE) & (window.events[Field.FLAGS] & Flag.NOT_MARKET == 0)
        ids = window.events[Field.TRADE_ID, rows]
        return broken_steps(ids[ids != NONE])


class UnsoundBook(NumberMetric):
    """How long the book can't be right."""

    name = "unsound_book"
    formula = "1 - (time with bid < ask) / time"
    category = "integrity"
    tier = 2
    bounds = (0.0, 1.0)
    engineering_floor = 0.001
    tolerable = 0.05
    purpose = "difference of the shares of time in which best prices are unknown, locked or crossed"
    reference = "definition; gate 0.1 % of the time"
    requirements = frozenset({Need.QUOTES})

    def number(self, window: Window, data: Comparison) -> float:
        """Share of one window."""
        return unsound_share(window) if len(window.quotes.time_ns) else float("nan")


class StampLag(DistributionMetric):
    """How far the receiver's stamps lie behind the exchange's."""

    name = "stamp_lag"
    axis = "ms"
    formula = "sup |F - G| of received - origin"
    category = "integrity"
    severity = Severity.NOTE
    purpose = "K-S distance of receive time less exchange time, in ms; below 0 where clocks disagree"
    reference = "definition; the way to the recorder, not the market"

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Lags of all events that have both stamps."""
        origin, received = window.events[Field.ORIGIN_TIME], window.events[Field.RECEIVED_TIME]
        known = (origin != NONE) & (received != NONE)
        return Sample((received - origin)[known] / 1e6)


class TouchDrift(MetricPlugin):
    """Whether recon leaves golden little by little."""

    name = "touch_drift"
    formula = "|slope of E|m_golden - m_recon| of each window on time|"
    category = "integrity"
    tier = 2
    unit = "ticks/h"
    engineering_floor = 0.1
    purpose = "slope over time of the mean absolute difference of the mids, window by window"
    reference = "definition; a book that is never anchored anew rots without a single gap"
    requirements = frozenset({Need.QUOTES, Need.SAME_TIME})

    def calculate(self, data: Comparison) -> MetricResult:
        """The slope over all windows, and the mean difference."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        pairs = list(zip(data.golden.windows, data.recon.windows, strict=True))
        apart = [np.abs(one.mids(SECOND_NS) - other.mids(SECOND_NS)) for one, other in pairs]
        gaps = np.array([one[~np.isnan(one)].mean() if (~np.isnan(one)).any() else np.nan for one in apart])
        hours = np.array([(one.start_ns - pairs[0][0].start_ns) / 3.6e12 for one, _ in pairs])
        found = drift(gaps, hours)
        if np.isnan(found):
            return self.lacks(f"too little data: fewer than {WINDOWS_MIN} windows with mids on both sides")
        return self.says(abs(found), mean_difference_ticks=float(np.nanmean(gaps)), slope=found)


METRICS: tuple[type[MetricPlugin], ...] = (TradeSequence, UnsoundBook, StampLag, TouchDrift)
