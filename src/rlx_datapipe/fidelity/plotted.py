"""From what a metric measured to the bounded sketches that are drawn of it."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.blocks import BlockCounts, BlockNumbers
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.plot_data import (
    CELLS_MAX,
    TIMES_MAX,
    Histogram,
    Numbers,
    OverTime,
    Plots,
    Quantiles,
)
from rlx_datapipe.fidelity.plugin import MetricResult

_CELLS = 48
_TAILS = (0.0005, 0.002, 0.998, 0.9995)
_SHOWN = 0.005
"""Share of a sample beyond either end of the axis: it lies in the outer cells."""
_GRID = 1e-6
"""How far a value on a grid may lie beside it, in steps: rounding."""
_DECADES = 1.5
"""A positive sample that spans more powers of ten than this is shown on a logarithmic axis."""


def plotted(result: MetricResult, data: Comparison) -> Plots:
    """What there is to draw of a result on these data; nothing where it said nothing by window."""
    blocks = result.blocks
    if isinstance(blocks, BlockCounts):
        golden, recon = blocks.golden.sum(axis=0), blocks.recon.sum(axis=0)
        if not golden.any() or not recon.any():
            return Plots(heat_map=result.heat_map)
        means = [_means(side, blocks.centres) for side in (blocks.golden, blocks.recon)]
        return Plots(
            histogram=histogram(golden, recon, blocks.centres),
            quantiles=quantiles(golden, recon, blocks.centres),
            over_time=_over_time("mean of each window", means[0], means[1], data),
            heat_map=result.heat_map,
        )
    if isinstance(blocks, BlockNumbers):
        over_time = _over_time("value of each window", blocks.golden, blocks.recon, data)
        return Plots(over_time=over_time, heat_map=result.heat_map)
    return Plots(heat_map=result.heat_map)


def histogram(golden: Int64Array, recon: Int64Array, centres: FloatArray) -> Histogram:
    """Two weighings of the same fine bins as a histogram of a few cells.

    The axis shows what both sides hold but for `_SHOWN` at either end. Few values are counted as they are, of
    many the mass between two centres is spread evenly.

    Parameters
    ----------
    golden, recon
        How much lies in each bin, int64 of shape (bins,), neither empty.
    centres
        Value that stands for each bin, float64 (bins,), strictly ascending.
    """
    ends = [_quantile(side, centres, np.array([_SHOWN, 1 - _SHOWN])) for side in (golden, recon)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    shown = centres[((golden + recon) > 0) & (centres >= low) & (centres <= high)]
    is_log = False
    if len(shown) <= CELLS_MAX:
        edges = _cells(shown)
        shares = [
            np.histogram(np.clip(centres, low, high), edges, weights=side)[0] for side in (golden, recon)
        ]
        shares = [one / one.sum() for one in shares]
    else:
        is_log = bool(low > 0 and high > low * 10**_DECADES)
        spaced = np.geomspace if is_log else np.linspace
        edges = spaced(low, high, _CELLS + 1)
        shares = [_between(side, _borders(centres), edges) for side in (golden, recon)]
    return Histogram(edges=edges.tolist(), golden=shares[0].tolist(), recon=shares[1].tolist(), is_log=is_log)


def quantiles(golden: Int64Array, recon: Int64Array, centres: FloatArray) -> Quantiles:
    """Quantiles of two weighings of the same bins, evenly spaced and some in the tails; see `histogram`."""
    even = CELLS_MAX - len(_TAILS)
    levels = np.unique(np.concatenate([(np.arange(even) + 0.5) / even, _TAILS]))
    both = [_quantile(side, centres, levels).tolist() for side in (golden, recon)]
    return Quantiles(levels=levels.tolist(), golden=both[0], recon=both[1])


def _cells(values: FloatArray) -> FloatArray:
    """Edges of equally wide cells for few values: one for each step where they lie on a grid of few steps."""
    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    step = float(np.diff(values).min())
    steps = (values - values[0]) / step
    if steps[-1] < CELLS_MAX and np.abs(steps - np.rint(steps)).max() < _GRID:
        return np.asarray(values[0] + step * (np.arange(round(steps[-1]) + 2) - 0.5), dtype=np.float64)
    return np.linspace(values[0], values[-1], _CELLS + 1)


def _borders(values: FloatArray) -> FloatArray:
    """Borders half way between values, and as far outside the first and the last."""
    middle = values[:-1] / 2 + values[1:] / 2
    ends = 2 * values[0] - middle[0], 2 * values[-1] - middle[-1]
    return np.concatenate([ends[:1], middle, ends[1:]])


def _between(side: Int64Array, borders: FloatArray, edges: FloatArray) -> FloatArray:
    """Share of a side in each cell; what lies beyond the edges is in the outer cells."""
    below = np.interp(edges, borders, np.concatenate([[0], side.cumsum()]) / side.sum())
    below[0], below[-1] = 0.0, 1.0
    return np.diff(below)


def _quantile(side: Int64Array, centres: FloatArray, levels: FloatArray) -> FloatArray:
    """Value below or at which each share of a side lies."""
    summed = side.cumsum()
    return centres[np.searchsorted(summed, levels * summed[-1], side="left")]


def _means(blocks: Int64Array, centres: FloatArray) -> FloatArray:
    """Mean of each block, NaN where nothing is in it."""
    held = blocks.sum(axis=1)
    return np.asarray(blocks @ centres / np.where(held > 0, held, np.nan), dtype=np.float64)


def _over_time(told: str, golden: FloatArray, recon: FloatArray, data: Comparison) -> OverTime | None:
    """Numbers by window, neighbours put together where there are too many; None where windows differ."""
    sides = []
    step = max(1, *(-(-len(one) // TIMES_MAX) for one in (golden, recon)))
    for side, numbers in zip(data.sides, (golden, recon), strict=True):
        times = [window.start_ns for window in side.windows]
        if len(times) != len(numbers):  # blocks of its own making, whose times are not known
            return None
        sides.append((times[::step], _thinned(numbers, step)))
    told = told if step == 1 else f"{told}, {step} windows a point"
    return OverTime(
        told=told,
        golden_times=sides[0][0],
        golden=sides[0][1],
        recon_times=sides[1][0],
        recon=sides[1][1],
    )


def _thinned(numbers: FloatArray, step: int) -> Numbers:
    """Means of so many neighbours each, None where none of them is a number."""
    means = []
    for at in range(0, len(numbers), step):
        part = numbers[at : at + step]
        known = part[np.isfinite(part)]
        means.append(float(known.mean()) if len(known) else None)
    return means
