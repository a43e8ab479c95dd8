"""From what a metric measured to the bounded sketches that are drawn of it."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.blocks import BlockCounts, BlockNumbers, BlockVectors
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
_GRID, _WHOLE, _TINY = 1e-9, 2.0**53, 1e-300
"""How far a value may lie beside where it should, relative: rounding; and where floats skip whole numbers."""
_DECADES = 1.5
"""A positive sample that spans more powers of ten than this is shown on a logarithmic axis."""


def plotted(result: MetricResult, data: Comparison, axis: str = "value") -> Plots:
    """What there is to draw of a result on these data; nothing where it said nothing by window.

    ``axis`` says what the values of a distribution are.
    """
    blocks = result.blocks
    if isinstance(blocks, BlockCounts):
        golden, recon = blocks.golden.sum(axis=0), blocks.recon.sum(axis=0)
        if not golden.any() or not recon.any():
            return Plots(heat_map=result.heat_map)
        means = [_means(side, blocks.centres) for side in (blocks.golden, blocks.recon)]
        return Plots(
            histogram=histogram(golden, recon, blocks.centres, axis),
            quantiles=quantiles(golden, recon, blocks.centres),
            over_time=_over_time("mean of each window", means[0], means[1], data),
            heat_map=result.heat_map,
        )
    if isinstance(blocks, BlockNumbers):
        over_time = _over_time("value of each window", blocks.golden, blocks.recon, data)
        return Plots(over_time=over_time, heat_map=result.heat_map)
    if isinstance(blocks, BlockVectors):
        # Of many numbers the one furthest apart, which is what decides.
        gaps = np.abs(_known_means(blocks.golden) - _known_means(blocks.recon))
        if np.isnan(gaps).all():
            return Plots(heat_map=result.heat_map)
        at = int(np.nanargmax(gaps))
        told = f"number {at + 1} of {len(gaps)}, the furthest apart, in each window"
        over_time = _over_time(told, blocks.golden[:, at], blocks.recon[:, at], data)
        return Plots(over_time=over_time, heat_map=result.heat_map)
    return Plots(heat_map=result.heat_map)


def histogram(golden: Int64Array, recon: Int64Array, centres: FloatArray, axis: str = "value") -> Histogram:
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
            np.histogram(np.clip(centres, edges[0], edges[-1]), edges, weights=side)[0]
            for side in (golden, recon)
        ]
        shares = [one / one.sum() for one in shares]
    else:
        is_log = bool(low > 0 and high > low * 10**_DECADES)
        spaced = np.geomspace if is_log else np.linspace
        edges = spaced(low, high, _CELLS + 1)
        shares = [_between(side, _borders(centres), edges) for side in (golden, recon)]
    counted = [one.tolist() for one in shares]
    return Histogram(edges=edges.tolist(), golden=counted[0], recon=counted[1], is_log=is_log, axis=axis)


def quantiles(golden: Int64Array, recon: Int64Array, centres: FloatArray) -> Quantiles:
    """Quantiles of two weighings of the same bins, evenly spaced and some in the tails; see `histogram`."""
    even = CELLS_MAX - len(_TAILS)
    levels = np.unique(np.concatenate([(np.arange(even) + 0.5) / even, _TAILS]))
    both = [_quantile(side, centres, levels).tolist() for side in (golden, recon)]
    return Quantiles(levels=levels.tolist(), golden=both[0], recon=both[1])


def _cells(values: FloatArray) -> FloatArray:
    """Edges of equally wide cells for few values: one for each step where they lie on a grid of few steps."""
    dust = max(_GRID * float(np.abs(values).max()), _TINY)
    values = values[np.concatenate([[True], np.diff(values) > dust])]
    if len(values) == 1:
        half = max(0.5, dust)
        return np.array([values[0] - half, values[0] + half])
    steps = np.diff(values)
    is_whole = bool((values == np.rint(values)).all()) and float(np.abs(values).max()) < _WHOLE
    step = float(np.gcd.reduce(steps.astype(np.int64))) if is_whole else float(steps.min())
    at = (values - values[0]) / step
    if at[-1] < CELLS_MAX and np.abs(at - np.rint(at)).max() < _GRID:
        return np.asarray(values[0] + step * (np.arange(round(at[-1]) + 2) - 0.5), dtype=np.float64)
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
    at = np.searchsorted(summed, levels * summed[-1], side="left")
    return np.asarray(centres[at], dtype=np.float64)


def _means(blocks: Int64Array, centres: FloatArray) -> FloatArray:
    """Mean of each block, NaN where nothing is in it."""
    held = blocks.sum(axis=1)
    return np.asarray(blocks @ centres / np.where(held > 0, held, np.nan), dtype=np.float64)


def _known_means(rows: FloatArray) -> FloatArray:
    """Mean of each column over the rows in which it is a number; NaN where it is none in any."""
    known = ~np.isnan(rows)
    held = known.sum(axis=0)
    return np.asarray(np.where(known, rows, 0.0).sum(axis=0) / np.where(held > 0, held, np.nan))


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
