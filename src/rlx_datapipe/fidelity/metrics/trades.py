"""Trades: how large they are, and how often they have the round sizes that people choose."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.families import DistributionMetric, Sample
from rlx_datapipe.fidelity.market import Comparison, Window
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult, Need

ATOMS = 20
TRADES_MIN = 100


def size_atoms(golden: Int64Array, recon: Int64Array, atoms: int = ATOMS) -> float:
    """Total variation between two samples over the commonest golden values, all others as one, in [0, 1]."""
    values, counts = np.unique(golden, return_counts=True)
    common = np.sort(values[np.argsort(-counts, kind="stable")[:atoms]])
    shares = []
    for side in (golden, recon):
        at = np.minimum(np.searchsorted(common, side), len(common) - 1)
        index = np.where(common[at] == side, at, len(common))
        shares.append(np.bincount(index, minlength=len(common) + 1) / len(side))
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


class TradeSize(DistributionMetric):
    """Quantity of a trade."""

    name = "trade_size"
    severity = Severity.GATE
    category = "trades"
    purpose = "K-S distance of the logarithm of trade quantities"
    formula = "x = log10 of the quantity of a trade"
    reference = "Schnaubelt, Rende and Krauss (2019), Testing stylized facts of Bitcoin limit order books"
    requirements = frozenset({Need.TRADES})

    def sample(self, window: Window, data: Comparison) -> Sample:
        """Decimal logarithms of quantities in scaled units."""
        quantity = data.trades(window).quantity
        return Sample(np.log10(quantity[quantity > 0]))


class TradeSizeAtoms(MetricPlugin):
    """Round sizes."""

    name = "trade_size_atoms"
    category = "trades"
    tier = 2
    bounds = (0.0, 1.0)
    engineering_floor = 0.02
    purpose = "total variation of the twenty commonest golden trade quantities"
    formula = "d = half the sum of |p_golden - p_recon| over the twenty commonest quantities and all others"
    reference = "definition; round lots are atoms of the distribution"
    requirements = frozenset({Need.TRADES})

    def calculate(self, data: Comparison) -> MetricResult:
        """The total variation of both sides as wholes."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        sides = [np.concatenate([data.trades(w).quantity for w in side.windows]) for side in data.sides]
        for side, sizes in zip(data.sides, sides, strict=True):
            if len(sizes) < TRADES_MIN:
                held = f"{len(sizes)} trades on the {side.name} side"
                return self.lacks(f"too little data: {held}, {TRADES_MIN} needed")
        return self.says(
            size_atoms(sides[0], sides[1]), golden_trades=len(sides[0]), recon_trades=len(sides[1])
        )


METRICS: tuple[type[MetricPlugin], ...] = (TradeSize, TradeSizeAtoms)
