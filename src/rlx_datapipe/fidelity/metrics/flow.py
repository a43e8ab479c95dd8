"""Order flow: the signed change of size at the best prices and behind them, and what it does to the price."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import DistributionMetric, NumberMetric, Sample
from rlx_datapipe.fidelity.market import Comparison, Quotes, Window
from rlx_datapipe.fidelity.moments import Moments
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult, Need, State, StreamingMetric

SECOND_NS = 1_000_000_000
STEPS_MIN = 20
CONT = "Cont, Kukanov and Stoikov (2014), The price impact of order book events, JFEc 12(1)"


@helper
def flow_of(
    bid: int,
    bid_size: int,
    ask: int,
    ask_size: int,
    old_bid: int,
    old_bid_size: int,
    old_ask: int,
    old_ask_size: int,
) -> int:
    """Order-flow imbalance between two quotes: what the bid gained, less what the ask gained."""
    return (
        (bid >= old_bid) * bid_size
        - (bid <= old_bid) * old_bid_size
        - (ask <= old_ask) * ask_size
        + (ask >= old_ask) * old_ask_size
    )


@kernel
def order_flow(
    bid: Int64Array,
    bid_size: Int64Array,
    ask: Int64Array,
    ask_size: Int64Array,
    run: Int64Array,
    out: Int64Array,
) -> None:
    """Fill ``out``, int64 (n,), with the order-flow imbalance of each quote against the one before it.

    All int64 (n,). The first quote of each run, an unbroken stretch, has 0.
    """
    for i in range(out.shape[0]):
        out[i] = 0
        if i > 0 and run[i] == run[i - 1]:
            out[i] = flow_of(
                bid[i],
                bid_size[i],
                ask[i],
                ask_size[i],
                bid[i - 1],
                bid_size[i - 1],
                ask[i - 1],
                ask_size[i - 1],
            )


@kernel
def ladder_flow(levels: Int64Array, out: Int64Array) -> None:
    """Fill ``out``, int64 (k, depth), with the order-flow imbalance of each level of sampled books.

    ``levels`` is int64 (k, 4, depth) as `market.Ladders`. 0 where a level is absent in one of the two
    samples.
    """
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0
            if i == 0:
                continue
            known = True
            for row in range(4):
                known = known and levels[i, row, j] != NONE and levels[i - 1, row, j] != NONE
            if known:
                out[i, j] = flow_of(
                    levels[i, 0, j],
                    levels[i, 1, j],
                    levels[i, 2, j],
                    levels[i, 3, j],
                    levels[i - 1, 0, j],
                    levels[i - 1, 1, j],
                    levels[i - 1, 2, j],
                    levels[i - 1, 3, j],
                )


def quote_flow(quotes: Quotes) -> Int64Array:
    """Order-flow imbalance of each quote, int64 (n,), scaled units."""
    out = np.zeros(len(quotes.time_ns), dtype=np.int64)
    order_flow(quotes.bid, quotes.bid_quantity, quotes.ask, quotes.ask_quantity, quotes.run, out)
    return out


def summed(times_ns: Int64Array, values: Int64Array, start_ns: int, end_ns: int, step_ns: int) -> Int64Array:
    """Sum of the values in each whole step of a window, int64 (steps,)."""
    steps = (end_ns - start_ns) // step_ns
    sums = np.zeros(steps, dtype=np.int64)
    at = (times_ns - start_ns) // step_ns
    inside = (at >= 0) & (at < steps)
    np.add.at(sums, at[inside], values[inside])
    return sums


def slope(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Slope of the least-squares line of y on x, and its R^2; NaN where x has no spread."""
    dx, dy = x - x.mean(), y - y.mean()
    xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    if not xx > 0:
        return float("nan"), float("nan")
    return xy / xx, xy * xy / (xx * yy) if yy > 0 else 0.0


def flow_and_moves(window: Window, step_ns: int) -> tuple[FloatArray, FloatArray]:
    """Order-flow imbalance of each step and the move of the mid over it in ticks, where there is a mid."""
    quotes = window.quotes
    flow = summed(quotes.time_ns, quote_flow(quotes), window.start_ns, window.end_ns, step_ns).astype(
        np.float64
    )
    moves = np.diff(window.mids(step_ns))
    count = min(len(flow), len(moves))
    known = ~np.isnan(moves[:count])
    return flow[:count][known], moves[:count][known]


class OfiDistribution(DistributionMetric):
    """Order-flow imbalance at the best prices in each second."""

    name = "ofi_1s"
    category = "flow"
    purpose = "K-S distance of the order-flow imbalance at the best prices, summed over each second"
    axis = "quantity"
    formula = (
        "x = sum over a second of e, e = 1{b >= b'} q_b - 1{b <= b'} q_b' - 1{a <= a'} q_a + 1{a >= a'} q_a'"
    )
    reference = CONT
    requirements = frozenset({Need.QUOTES})
    scale_ns = SECOND_NS

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Sums of each second, in whole units of quantity."""
        quotes = window.quotes
        sums = summed(quotes.time_ns, quote_flow(quotes), window.start_ns, window.end_ns, SECOND_NS)
        return Sample(sums / window.units if len(quotes.time_ns) else np.zeros(0))


class MultiLevelOfi(DistributionMetric):
    """Order-flow imbalance of the first ten levels together between sampled books."""

    name = "ofi_levels"
    category = "flow"
    purpose = "K-S distance of the order-flow imbalance summed over ten levels, between sampled books"
    axis = "quantity"
    formula = "x = e (see ofi_1s) of each level, summed over ten levels, between sampled books"
    reference = "Xu, Gould and Howison (2018), Multi-level order-flow imbalance in a limit order book"
    requirements = frozenset({Need.LADDERS})
    levels: ClassVar[int] = 10

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Sums over levels, in whole units of quantity, of all samples but the first."""
        levels = np.ascontiguousarray(window.ladders.levels[:, :, : self.levels])
        out = np.zeros((len(levels), levels.shape[2]), dtype=np.int64)
        ladder_flow(levels, out)
        return Sample(out.sum(axis=1)[1:] / window.units)


class OfiSlope(NumberMetric):
    """What order flow does to the price: slope of the mid's move on the imbalance of the same second."""

    name = "ofi_slope"
    category = "flow"
    tier = 2
    unit = "ticks per unit"
    purpose = "difference of the slopes of the mid's move on order-flow imbalance, per second"
    formula = "x = slope of the least-squares line of the mid's move on OFI, over the seconds of a window"
    reference = CONT + "; gate 10 % of the golden slope"
    requirements = frozenset({Need.QUOTES})
    scale_ns = SECOND_NS

    def number(self, window: Window, data: Comparison) -> float:
        """Slope of one window in ticks per whole unit of quantity."""
        flow, moves = flow_and_moves(window, SECOND_NS)
        return slope(flow / window.units, moves)[0] if len(flow) >= STEPS_MIN else float("nan")


class OfiR2(NumberMetric):
    """How much of the price's move order flow explains."""

    name = "ofi_r2"
    tolerable = 0.2
    category = "flow"
    tier = 2
    bounds = (0.0, 1.0)
    engineering_floor = 0.03
    purpose = "difference of the R^2 of the mid's move on order-flow imbalance, per second"
    formula = "x = R^2 of the line of ofi_slope"
    reference = CONT + "; gate 0.03"
    requirements = frozenset({Need.QUOTES})
    scale_ns = SECOND_NS

    def number(self, window: Window, data: Comparison) -> float:
        """R^2 of one window."""
        flow, moves = flow_and_moves(window, SECOND_NS)
        return slope(flow, moves)[1] if len(flow) >= STEPS_MIN else float("nan")


class OfiStream(StreamingMetric):
    """Order flow per quote in bounded memory: its moments, and the last quote to go on from."""

    name = "ofi_stream"
    category = "flow"
    unit = ""
    purpose = "difference of the mean size of order flow per quote, relative to the greater"
    formula = "d = |m_golden - m_recon| / max(m_golden, m_recon), m = mean of |e| per quote (see ofi_1s)"
    reference = CONT
    bounds = (0.0, 1.0)
    requirements = frozenset({Need.QUOTES})

    def __init__(self) -> None:
        self.moments = Moments()

    def update(self, batch: Window) -> None:
        """Take in the flow of each quote but the first of a stretch, which has nothing to be held against."""
        follows = np.diff(batch.quotes.run) == 0
        self.moments.update(np.abs(quote_flow(batch.quotes)[1:][follows]) / batch.units)

    def merge(self, other: Self) -> None:
        """Add what another instance has."""
        self.moments.merge(other.moments)

    def state(self) -> State:
        """Words of the moments."""
        return {"moments": self.moments.state()}

    def restore(self, state: State) -> None:
        """From the words."""
        self.moments = Moments(state["moments"])

    def compare(self, recon: Self) -> MetricResult:
        """Difference of the two means, in whole units of quantity, over the greater of them."""
        means = self.moments.mean, recon.moments.mean
        value = abs(means[0] - means[1]) / max(means) if max(means) > 0 else means[0] - means[1]
        return self.says(value, golden=means[0], recon=means[1])


METRICS: tuple[type[MetricPlugin], ...] = (OfiDistribution, MultiLevelOfi, OfiSlope, OfiR2, OfiStream)
