"""Integrated order flow: that of all levels as one number, and what it does to the price."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import NumberMetric
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.metrics.flow import SECOND_NS, STEPS_MIN, ladder_flow, slope
from rlx_datapipe.fidelity.plugin import MetricPlugin, Need

LEVELS = 10
CCZ = "Cont, Cucuringu and Zhang (2023), Cross-impact of order flow imbalance in equity markets"


def first_component(flows: FloatArray) -> FloatArray:
    """Weights of the first principal component of flows, float64 (n, levels); absolute values sum to 1.

    Their sum is not below 0, so that buying counts up. NaN where no level has spread.
    """
    centred = flows - flows.mean(axis=0)
    _, deviations, axes = np.linalg.svd(centred, full_matrices=False)
    if not deviations[0] > 0:
        return np.full(flows.shape[1], np.nan)
    first = axes[0] * (1.0 if axes[0].sum() >= 0 else -1.0)
    return np.asarray(first / np.abs(first).sum(), dtype=np.float64)


def level_flows(window: Window) -> tuple[FloatArray, FloatArray]:
    """Order flow of each of ten levels per second between sampled books, and the mid's moves in ticks.

    float64 (n, levels) in whole units, and (n,). A level's flow is divided by what rests there on average,
    so that deep levels do not outweigh the best.
    """
    ladders = window.ladders
    levels = np.ascontiguousarray(ladders.levels[:, :, :LEVELS])
    flows = np.zeros((len(levels), levels.shape[2]), dtype=np.int64)
    ladder_flow(levels, flows)
    steps = (window.end_ns - window.start_ns) // SECOND_NS
    at = (ladders.time_ns - window.start_ns) // SECOND_NS
    inside = (at >= 0) & (at < steps)
    sums = np.zeros((steps, levels.shape[2]))
    np.add.at(sums, at[inside], flows[inside])
    moves = np.diff(window.mids(SECOND_NS))
    count = min(steps, len(moves))
    known = ~np.isnan(moves[:count])
    depth = np.maximum(levels[:, 1::2], 0).mean(axis=(0, 1)) if len(levels) else np.ones(levels.shape[2])
    return sums[:count][known] / np.where(depth > 0, depth, 1.0), moves[:count][known]


class _Integrated(NumberMetric):
    """A number of the regression of the mid's move on integrated flow, window by window."""

    category = "flow"
    tier = 2
    requirements = frozenset({Need.QUOTES, Need.LADDERS})
    scale_ns = SECOND_NS
    part: int

    def number(self, window: Window, data: Comparison) -> float:
        """Slope, or R^2, of one window."""
        flows, moves = level_flows(window)
        if len(flows) < STEPS_MIN or not flows.shape[1]:
            return float("nan")
        weights = first_component(flows)
        if np.isnan(weights).any():
            return float("nan")
        return slope(flows @ weights, moves)[self.part]


class IntegratedOfiSlope(_Integrated):
    """What the flow of ten levels does to the price."""

    name, part = "ofi_levels_slope", 0
    formula = "dm = a + b w'f; w the first principal component of the flows f of ten levels"
    unit = "ticks"
    purpose = "difference of the slopes of the mid's move on integrated order flow of ten levels, per second"
    reference = CCZ + "; flow in units of the mean depth of its level"


class IntegratedOfiR2(_Integrated):
    """How much of the price's move the flow of ten levels explains."""

    name, part = "ofi_levels_r2", 1
    formula = "R^2 of dm on w'f; w the first principal component of the flows f of ten levels"
    bounds = (0.0, 1.0)
    engineering_floor = 0.03
    tolerable = 0.2
    purpose = "difference of the R^2 of the mid's move on integrated order flow over ten levels, per second"
    reference = CCZ + "; gate 0.03"


METRICS: tuple[type[MetricPlugin], ...] = (IntegratedOfiSlope, IntegratedOfiR2)
