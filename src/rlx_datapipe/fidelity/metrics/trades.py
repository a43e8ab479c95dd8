"""Trades: how large they are, and how often they have the round sizes that people choose."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.blocks import BlockCounts, Statistic, distance
from rlx_datapipe.fidelity.families import DistributionMetric, Sample
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult, Need

ATOMS = 20
TRADES_MIN = 100


def common_values(golden: Int64Array, atoms: int = ATOMS) -> Int64Array:
    """The commonest values, ascending, int64 (atoms,) or fewer."""
    values, counts = np.unique(golden, return_counts=True)
    return np.sort(values[np.argsort(-counts, kind="stable")[:atoms]])


def atom_counts(common: Int64Array, values: Int64Array) -> Int64Array:
    """How many values are each of the common ones, and none of them, int64 (atoms + 1,)."""
    at = np.minimum(np.searchsorted(common, values), len(common) - 1)
    index = np.where(common[at] == values, at, len(common))
    return np.bincount(index, minlength=len(common) + 1).astype(np.int64)


def size_atoms(golden: Int64Array, recon: Int64Array, atoms: int = ATOMS) -> float:
    """Total variation between two samples over the commonest golden values, all others as one, in [0, 1]."""
    common = common_values(golden, atoms)
    shares = [atom_counts(common, side) / len(side) for side in (golden, recon)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


class TradeSize(DistributionMetric):
    """Quantity of a trade."""

    name = "trade_size"
    severity = Severity.GATE
    category = "trades"
    purpose = "K-S distance of the logarithm of trade quantities"
    axis = "log10 of the quantity"
    formula = "x = log10 of the quantity of a trade"
    reference = "Schnaubelt, Rende and Krauss (2019), Testing stylized facts of Bitcoin limit order books"
    requirements = frozenset({Need.TRADES})

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Decimal logarithms of quantities in whole units."""
        quantity = data.trades(window).quantity
        return Sample(np.log10(quantity[quantity > 0] / window.units))


class TradeSizeAtoms(MetricPlugin):
    """Round sizes."""

    name = "trade_size_atoms"
    category = "trades"
    tier = 2
    bounds = (0.0, 1.0)
    engineering_floor = 0.02
    tolerable = 0.25
    purpose = "total variation of the twenty commonest golden trade quantities"
    formula = "d = half the sum of |p_golden - p_recon| over the twenty commonest quantities and all others"
    reference = "definition; round lots are atoms of the distribution"
    requirements = frozenset({Need.TRADES})

    def calculate(self, data: Comparison) -> MetricResult:
        """The total variation of both sides as wholes."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        sides = [[data.trades(window).quantity for window in side.windows] for side in data.sides]
        held = [sum(len(one) for one in sizes) for sizes in sides]
        for side, count in zip(data.sides, held, strict=True):
            if count < TRADES_MIN:
                return self.lacks(
                    f"too little data: {count} trades on the {side.name} side, {TRADES_MIN} needed"
                )
        common = common_values(np.concatenate(sides[0]))
        golden, recon = (np.stack([atom_counts(common, one) for one in sizes]) for sizes in sides)
        centres = np.arange(len(common) + 1, dtype=np.float64)
        blocks = BlockCounts(golden, recon, centres, Statistic.TOTAL_VARIATION)
        return self.says(distance(blocks), blocks=blocks, golden_trades=held[0], recon_trades=held[1])


METRICS: tuple[type[MetricPlugin], ...] = (TradeSize, TradeSizeAtoms)
