"""Windows measured once, from which many comparisons are made: what trials of the verdict stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rlx_datapipe.fidelity.bins import BINS, Bins
from rlx_datapipe.fidelity.blocks import BlockCounts, BlockNumbers, Blocks, BlockVectors, distance
from rlx_datapipe.fidelity.engine import Measured
from rlx_datapipe.fidelity.families import DistributionMetric, Fit, FitMetric, NumberMetric, VectorMetric
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window
from rlx_datapipe.fidelity.plugin import MetricResult, Need, StreamingMetric
from rlx_datapipe.fidelity.registry import MetricRegistry

Rows = npt.NDArray[Any]


@dataclass(frozen=True)
class Measure:
    """What every metric says of each of some windows, and of all of them together.

    Parameters
    ----------
    rows
        By metric, one row a window.
    fits
        By metric, the parameter of all windows as one side.
    """

    rows: dict[str, Rows]
    fits: dict[str, Fit]

    def part(self, chosen: npt.NDArray[np.intp], fits: dict[str, Fit]) -> Measure:
        """Some of the windows, with the fits of these."""
        return Measure({name: rows[chosen] for name, rows in self.rows.items()}, fits)


@dataclass
class Pool:
    """Golden windows, and the bins and common values that everything else is measured by.

    A comparison by itself takes them from its own golden side; here they are those of the whole pool.

    Parameters
    ----------
    registry
        Metrics that are measured; those that say one number of both sides only, and those of one time only,
        are left out.
    golden
        All golden windows.
    bins
        Bins of a distribution.
    without
        Names of metrics that are left out as well.
    """

    registry: MetricRegistry
    golden: MarketSide
    bins: int = BINS
    without: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.data = Comparison(self.golden, self.golden)
        self._bins: dict[str, Bins] = {}
        self._templates: dict[str, Blocks] = {}
        self._plugins = {
            name: self.registry.get(name)()
            for name in self.registry
            if name not in self.without and Need.SAME_TIME not in self.registry.get(name).requirements
        }
        for name, plugin in self._plugins.items():
            if isinstance(plugin, DistributionMetric):
                found = plugin.bins(self.golden.windows, self.data, self.bins)
                if found is not None:
                    self._bins[name] = found
            elif isinstance(plugin, FitMetric | NumberMetric | VectorMetric | StreamingMetric):
                continue
            elif (blocks := plugin.calculate(self.data).blocks) is not None:
                self._templates[name] = blocks

    def measured(self, windows: Sequence[Window]) -> Measure:
        """Measure windows, golden or other ones, once."""
        rows: dict[str, Rows] = {}
        for name, plugin in self._plugins.items():
            if isinstance(plugin, DistributionMetric) and name in self._bins:
                rows[name] = plugin.rows(windows, self.data, self._bins[name])
            elif isinstance(plugin, NumberMetric | VectorMetric):
                rows[name] = plugin.rows(windows, self.data)
            elif name in self._templates:
                told = plugin.calculate(Comparison(self.golden, self._side(windows))).blocks
                if told is not None:
                    rows[name] = told.recon  # type: ignore[attr-defined]
        return Measure(rows, self.fits(windows))

    def fits(self, windows: Sequence[Window]) -> dict[str, Fit]:
        """Parameters of windows as one side."""
        both = Comparison(self._side(windows), self._side(windows))
        return {
            name: plugin.fitted(both.golden, both)
            for name, plugin in self._plugins.items()
            if isinstance(plugin, FitMetric) and not plugin.validate_requirements(both)
        }

    def results(self, golden: Measure, recon: Measure) -> Measured:
        """What all metrics say of two sides, as far as verdicts look at it."""
        told = {name: self._result(name, golden, recon) for name in golden.rows if name in recon.rows}
        for name, fit in golden.fits.items():
            plugin = self._plugins[name]
            if isinstance(plugin, FitMetric) and name in recon.fits:
                told[name] = plugin.compared(fit, recon.fits[name])
        return Measured(dict(sorted(told.items())))

    def _side(self, windows: Sequence[Window]) -> MarketSide:
        return replace(self.golden, windows=tuple(windows))

    def _result(self, name: str, golden: Measure, recon: Measure) -> MetricResult:
        first, second, plugin = golden.rows[name], recon.rows[name], self._plugins[name]
        blocks: Blocks
        if isinstance(plugin, NumberMetric):
            blocks = BlockNumbers(first, second)
        elif isinstance(plugin, VectorMetric):
            blocks = BlockVectors(first, second)
        elif isinstance(plugin, DistributionMetric):
            blocks = BlockCounts(first, second, self._bins[name].centres, plugin.statistic)
        else:
            blocks = replace(self._templates[name], golden=first, recon=second)  # type: ignore[type-var]
        apart = distance(blocks)
        if not np.isfinite(apart):
            return plugin.lacks("too little data: no window of one side has a value")
        if isinstance(plugin, NumberMetric):
            return plugin.says(apart, blocks=blocks, golden=float(np.nanmean(first)))
        return plugin.says(apart, blocks=blocks)
