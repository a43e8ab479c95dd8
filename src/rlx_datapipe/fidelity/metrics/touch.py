"""The best quotes of both sides on one clock: how far they differ, and how long they are equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.blocks import BlockNumbers
from rlx_datapipe.fidelity.market import Comparison, Quotes, Window
from rlx_datapipe.fidelity.plugin import Goal, MetricPlugin, MetricResult, Need


@dataclass(frozen=True)
class TouchError:
    """How the best prices of two sides differ over the time in which both have some.

    ``rms_ticks`` is the root of the time mean of the squared differences of bid and ask; ``exact`` the share
    of that time in which both prices are equal; ``greatest_ticks`` the largest difference.
    """

    rms_ticks: float
    exact: float
    greatest_ticks: float
    compared_ns: int


def touch_error(golden: Window, recon: Window) -> TouchError:
    """Compare the best prices of one interval on one clock, exactly: both are steps, so the mean is a sum."""
    edges = np.unique(
        np.concatenate(
            [times for w in (golden, recon) for times in _edges(w.quotes)] or [np.zeros(0, np.int64)]
        )
    )
    if len(edges) < 2:
        return TouchError(float("nan"), float("nan"), float("nan"), 0)
    starts, lengths = edges[:-1], np.diff(edges)
    first, second = (_at(window.quotes, starts)[:2] for window in (golden, recon))
    both = (first[0] >= 0) & (second[0] >= 0)
    compared = int(lengths[both].sum())
    if not compared:
        return TouchError(float("nan"), float("nan"), float("nan"), 0)
    gaps = (second[:, both] - first[:, both]) / golden.tick
    weights = lengths[both] / compared
    exact = int(lengths[both][(gaps == 0).all(axis=0)].sum()) / compared
    return TouchError(
        rms_ticks=float(np.sqrt((gaps**2).mean(axis=0) @ weights)),
        exact=exact,
        greatest_ticks=float(np.abs(gaps).max()),
        compared_ns=compared,
    )


def longest_standstill(golden: Window, recon: Window) -> int:
    """Longest time, ns, for which recon's best quotes stood still and unlike golden's after golden's changed.

    Prices and quantities count. Where either side has no quotes nothing stands still: what is known to be
    missing is no error. A feed that is late, or told in batches, stands still for as long as it is late.
    """
    edges = np.unique(np.concatenate([times for w in (golden, recon) for times in _edges(w.quotes)]))
    if len(edges) < 2:
        return 0
    first, second = (_at(window.quotes, edges[:-1]) for window in (golden, recon))
    apart = (first[0] >= 0) & (second[0] >= 0) & (first != second).any(axis=0)
    moved, stirred = (np.insert((of[:, 1:] != of[:, :-1]).any(axis=0), 0, False) for of in (first, second))
    breaks = stirred | ~apart
    begins = np.flatnonzero(apart & moved & ~breaks)
    if not len(begins):
        return 0
    stops = np.append(np.flatnonzero(breaks), len(edges) - 1)
    return int((edges[stops[np.searchsorted(stops, begins)]] - edges[begins]).max())


def _edges(quotes: Quotes) -> tuple[Int64Array, Int64Array]:
    return quotes.time_ns, quotes.time_ns + quotes.hold_ns


def _at(quotes: Quotes, times: Int64Array) -> Int64Array:
    """Best bid, ask and their quantities standing at each time, int64 (4, n); -1 where none stands."""
    out = np.full((4, len(times)), -1, dtype=np.int64)
    if not len(quotes.time_ns):
        return out
    at = np.searchsorted(quotes.time_ns, times, side="right") - 1
    held = np.maximum(at, 0)
    stands = (at >= 0) & (times < quotes.time_ns[held] + quotes.hold_ns[held])
    told = (quotes.bid, quotes.ask, quotes.bid_quantity, quotes.ask_quantity)
    out[:, stands] = [row[held[stands]] for row in told]
    return out


class _Touch(MetricPlugin):
    """What all touch metrics share: only windows of one interval are compared."""

    category = "touch"
    tier = 1
    requirements = frozenset({Need.QUOTES, Need.SAME_TIME})
    is_fact = True
    severity = Severity.GATE

    def errors(self, data: Comparison) -> list[TouchError]:
        """One for each pair of windows."""
        return [touch_error(a, b) for a, b in zip(data.golden.windows, data.recon.windows, strict=True)]


class TouchRms(_Touch):
    """Error of the best prices."""

    name = "touch_rms"
    unit = "ticks"
    engineering_floor = 0.1
    purpose = "root mean square difference of the best prices over time"
    formula = "d = sqrt of the time mean of (p_recon - p_golden)^2 / tick^2, both best prices, on one clock"
    reference = "definition; gate 0.1 tick"

    def calculate(self, data: Comparison) -> MetricResult:
        """The error over all windows together."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        errors = [one for one in self.errors(data) if one.compared_ns]
        if not errors:
            return self.lacks("too little data: no time at which both sides have best quotes")
        total = sum(one.compared_ns for one in errors)
        rms = sum(one.rms_ticks**2 * (one.compared_ns / total) for one in errors) ** 0.5
        per_window = np.array([one.rms_ticks for one in errors])
        return self.says(
            float(rms),
            blocks=BlockNumbers(np.zeros(len(errors)), per_window),
            greatest_ticks=max(one.greatest_ticks for one in errors),
            compared_s=total / 1e9,
        )


class TouchExact(_Touch):
    """Share of time in which the best prices are right."""

    name = "touch_exact"
    goal = Goal.MAXIMISE
    bounds = (0.0, 1.0)
    engineering_floor = 0.001
    purpose = "share of the time in which both best prices are equal"
    formula = "x = time in which both best prices are equal / time in which both sides have some"
    reference = "definition; gate 99.9 %"

    def calculate(self, data: Comparison) -> MetricResult:
        """The share over all windows together."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        errors = [one for one in self.errors(data) if one.compared_ns]
        if not errors:
            return self.lacks("too little data: no time at which both sides have best quotes")
        total = sum(one.compared_ns for one in errors)
        exact = sum(one.exact * one.compared_ns for one in errors) / total
        shares = np.array([one.exact for one in errors])
        blocks = BlockNumbers(np.ones(len(errors)), shares)
        return self.says(min(1.0, float(exact)), blocks=blocks, compared_s=total / 1e9)


class TouchStuck(_Touch):
    """Whether recon's book ever stopped while the market went on."""

    name = "touch_stuck"
    unit = "s"
    tier = 2
    engineering_floor = 0.5
    is_fact = True
    purpose = "longest time for which recon's best quotes stood still and wrong, while golden's had moved on"
    formula = (
        "max t - s: golden changes at s; recon stands still from before s to t, unlike golden throughout"
    )
    reference = "definition; gate 0.5 s, the slowest push of a diff feed (Binance USD-M depth@500ms)"

    def calculate(self, data: Comparison) -> MetricResult:
        """The longest over all windows, and in which of them it is."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        pairs = list(zip(data.golden.windows, data.recon.windows, strict=True))
        stuck_ns = np.array([longest_standstill(golden, recon) for golden, recon in pairs])
        if not len(stuck_ns):
            return self.lacks("too little data: no windows")
        return self.says(
            float(stuck_ns.max()) / 1e9,
            window=int(stuck_ns.argmax()),
            windows_beyond=int((stuck_ns > self.engineering_floor * 1e9).sum()),
        )


METRICS: tuple[type[MetricPlugin], ...] = (TouchRms, TouchExact, TouchStuck)
