"""What there is to draw of a metric: histogram, Q-Q, values over time, heat map; bounded, never raw data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from rlx_datapipe.core.errors import OptionError

CELLS_MAX = 64
"""Cells of a histogram, points of a Q-Q plot."""
TIMES_MAX = 500
HEAT_MAX = 50

Numbers = list[float | None]


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides over the same cells.

    Parameters
    ----------
    edges
        Ascending, one more than there are cells; the outer cells also hold what lies beyond them.
    golden, recon
        Share of each side in each cell, 0 to 1.
    is_log
        Whether the cells grow: equally wide in the logarithm.
    axis
        What the values are, a few words.
    """

    edges: list[float]
    golden: list[float]
    recon: list[float]
    is_log: bool = False
    axis: str = "value"

    def __post_init__(self) -> None:
        _bounded("cells of a histogram", CELLS_MAX, self.golden, self.recon)
        _finite("a histogram", self.edges, self.golden, self.recon)
        if len(self.edges) != len(self.golden) + 1:
            raise OptionError("a histogram has one edge more than cells", found=len(self.edges))


class Quantiles(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles of both sides at the same levels (Q-Q), levels ascending inside (0, 1)."""

    levels: list[float]
    golden: list[float]
    recon: list[float]

    def __post_init__(self) -> None:
        _bounded("points of a Q-Q plot", CELLS_MAX, self.levels, self.golden, self.recon)
        _finite("a Q-Q plot", self.levels, self.golden, self.recon)


class OverTime(msgspec.Struct, frozen=True, kw_only=True):
    """A number of each window of both sides, None where it is not defined.

    Parameters
    ----------
    told
        What the number is, a few words: "mean of each window".
    golden_times, recon_times
        Begin of each window, ns UTC, ascending.
    golden, recon
        The numbers.
    """

    told: str
    golden_times: list[int]
    golden: Numbers
    recon_times: list[int]
    recon: Numbers

    def __post_init__(self) -> None:
        _bounded("points over time", TIMES_MAX, self.golden_times, self.golden)
        _bounded("points over time", TIMES_MAX, self.recon_times, self.recon)


class HeatMap(msgspec.Struct, frozen=True, kw_only=True):
    """A number for each row and column, None where there is none.

    ``told`` says what it is, a few words: "recon less golden".
    """

    told: str
    rows: list[str]
    columns: list[str]
    values: list[Numbers]

    def __post_init__(self) -> None:
        _bounded("rows of a heat map", HEAT_MAX, self.rows, self.values)
        _bounded("columns of a heat map", HEAT_MAX, self.columns, *self.values)


class Plots(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to draw of one metric."""

    histogram: Histogram | None = None
    quantiles: Quantiles | None = None
    over_time: OverTime | None = None
    heat_map: HeatMap | None = None


def thinned(values: Sequence[float | None], step: int) -> Numbers:
    """Means of so many neighbours each, None where there is no number among them."""
    parts = ([v for v in values[at : at + step] if v is not None] for at in range(0, len(values), step))
    return [sum(part) / len(part) if part else None for part in parts]


def _bounded(what: str, most: int, *lists: Sequence[object]) -> None:
    lengths = {len(one) for one in lists}
    if len(lengths) > 1:
        raise OptionError(f"{what} differ in number", found=sorted(lengths))
    if lengths and max(lengths) > most:
        raise OptionError(f"too many {what}", found=max(lengths), expected=f"{most} at most")


def _finite(what: str, *lists: Sequence[float]) -> None:
    if not all(math.isfinite(value) for one in lists for value in one):
        raise OptionError(f"{what} has finite numbers only")
