"""The faults that a verdict is tried with: each by name, with its strengths and what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.fidelity import planting
from rlx_datapipe.fidelity.market import Window, cut_windows

Plant = Callable[[Window, np.random.Generator, float], Window]
Choose = Callable[[Sequence[Window], float], list[Window]]


@dataclass(frozen=True)
class Fault:
    """A way to spoil a market.

    Parameters
    ----------
    name
        Lower case with underscores.
    strengths
        How much of it, mild to heavy.
    named
        The strength by which the fault is known; one of them.
    told
        What a strength means; ``{}`` stands for the number.
    plant
        Spoils a whole stretch; None where it spoils nothing but the choice of windows.
    is_share
        Whether a strength is a share, told in per cent.
    choose
        Picks windows of the spoiled stretch; all of them when None.
    """

    name: str
    strengths: tuple[float, ...]
    named: float
    told: str
    plant: Plant | None = None
    is_share: bool = False
    choose: Choose | None = None

    def planted(self, whole: Window, rng: np.random.Generator, strength: float) -> Window:
        """The stretch with the fault in it; the same for the same generator."""
        return whole if self.plant is None else self.plant(whole, rng, strength)

    def windows(
        self, whole: Window, rng: np.random.Generator, strength: float, length_ns: int
    ) -> list[Window]:
        """Windows of the stretch with the fault in it."""
        cut = cut_windows(self.planted(whole, rng, strength), length_ns)
        return cut if self.choose is None else self.choose(cut, strength)

    def sentence(self, strength: float) -> str:
        """The fault at a strength in a few words."""
        return self.told.format(f"{100 * strength:g} %" if self.is_share else f"{strength:g}")


FAULTS: tuple[Fault, ...] = (
    Fault(
        "deltas_dropped",
        (0.001, 0.01, 0.05),
        0.001,
        "{} of the deltas dropped",
        planting.deltas_dropped,
        True,
    ),
    Fault(
        "trades_dropped", (0.01, 0.05, 0.2), 0.05, "{} of the trades dropped", planting.trades_dropped, True
    ),
    Fault("trades_late", (1, 5, 50), 50, "trades {} ms late", planting.trades_late),
    Fault("rows_shuffled", (0.01, 0.1, 1.0), 1.0, "{} of the rows shuffled", planting.rows_shuffled, True),
    Fault("times_quantised", (10, 100, 300), 100, "times cut to {} ms", planting.times_quantised),
    Fault("stamps_rounded", (0.001, 1), 1, "stamps rounded to {} ms", planting.stamps_rounded),
    Fault(
        "quotes_coalesced", (10, 100, 1000), 100, "best prices told every {} ms", planting.quotes_coalesced
    ),
    Fault(
        "deep_depth_scaled",
        (0.95, 0.8, 0.5),
        0.5,
        "depth at L5 and deeper times {}",
        planting.deep_depth_scaled,
    ),
    Fault("levels_dropped", (15, 10, 5), 10, "levels beyond {} dropped", planting.levels_dropped),
    Fault(
        "trades_poisson",
        (0.1, 0.3, 1.0),
        1.0,
        "{} of the trades at Poisson times of equal rate",
        planting.trades_scattered,
        True,
    ),
    Fault(
        "rows_duplicated", (0.001, 0.01, 0.1), 0.01, "{} of the rows twice", planting.rows_duplicated, True
    ),
    Fault("sides_flipped", (0.02, 0.1, 0.5), 0.5, "{} of the trades flipped", planting.sides_flipped, True),
    Fault(
        "tails_clipped",
        (0.01, 0.05, 0.2),
        0.05,
        "greatest {} of the trades clipped",
        planting.tails_clipped,
        True,
    ),
    Fault("book_stuck", (1, 10, 60), 1, "book stuck for {} s an hour", planting.book_stuck),
    Fault(
        "touch_off", (0.01, 0.05, 0.2), 0.01, "a tick too high for {} of the time", planting.touch_off, True
    ),
    Fault("sizes_scaled", (1.01, 1.05, 1.2), 1.05, "sizes times {}", planting.sizes_scaled),
    Fault("time_reversed", (1.0,), 1.0, "time reversed", planting.time_reversed),
    Fault("mid_noise", (1, 5, 20), 5, "iid noise of {} ticks on the mid", planting.mid_noise),
    Fault(
        "regime_removed",
        (0.1, 0.25, 0.5),
        0.25,
        "most volatile {} of the windows removed",
        is_share=True,
        choose=planting.regime_removed,
    ),
)
"""In the order in which they are tried and told."""


def fault_named(name: str) -> Fault:
    """The fault of a name."""
    return next(one for one in FAULTS if one.name == name)
