"""Golden-quantile bins: the edges at which every histogram of a metric is told, so that blocks add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.distances import FloatArray

BINS = 1024


@dataclass(frozen=True)
class Bins:
    """Edges that split the golden sample into equal shares; each bin holds its upper edge.

    Bin k is (edges[k-1], edges[k]]. The first bin is below the least golden value, the last one above the
    greatest. A value with which its bin would hold more than a share has a bin of its own, so that a bin
    holds at most one share of the golden sample or one value: a K-S distance at the edges is right to that
    share.

    Parameters
    ----------
    edges
        Ascending, float64 of shape (k - 1,).
    centres
        Golden mean of each bin, strictly ascending, float64 (k,); of the outer bins the golden extreme.
    """

    edges: FloatArray
    centres: FloatArray

    def __len__(self) -> int:
        return len(self.centres)

    def index(self, values: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Bin of each value."""
        return np.searchsorted(self.edges, np.asarray(values, dtype=np.float64), side="left")

    def count(self, values: npt.ArrayLike, weights: Int64Array | None = None) -> Int64Array:
        """How many values (or how much of an integer weight) lie in each bin, int64 of shape (k,)."""
        index = self.index(values)
        if weights is None:
            return np.bincount(index, minlength=len(self)).astype(np.int64, copy=False)
        counts = np.zeros(len(self), dtype=np.int64)
        np.add.at(counts, index, weights)
        return counts


def golden_bins(golden: npt.ArrayLike, bins: int = BINS) -> Bins:
    """Bins from the quantiles of the golden sample.

    Parameters
    ----------
    golden
        Finite values in any order, at least one.
    bins
        Shares to split it into, at least 2; there are more bins than that where values are frequent, and
        fewer where few values differ.

    Raises
    ------
    OptionError
        For an empty sample, a value that is not finite, or fewer than two bins.
    """
    ordered = np.sort(np.asarray(golden, dtype=np.float64).ravel())
    if not len(ordered) or not np.isfinite(ordered).all():
        raise OptionError("bins need golden values, all of them finite", found=len(ordered))
    if bins < 2:
        raise OptionError("too few bins", found=bins, expected="2 or more")
    at = np.unique(ordered[-(-np.arange(1, bins + 1) * len(ordered) // bins) - 1])
    held = np.diff(np.searchsorted(ordered, at, side="right"), prepend=0)
    frequent = at[held > -(-len(ordered) // bins)]
    edges = np.unique(
        np.concatenate([at, np.nextafter(frequent, -np.inf), [np.nextafter(ordered[0], -np.inf)]])
    )
    index = np.searchsorted(edges, ordered, side="left")
    held = np.bincount(index, minlength=len(edges) + 1)
    sums = np.bincount(index, weights=ordered, minlength=len(edges) + 1)
    low = np.nextafter(np.concatenate([edges[:1], edges]), np.inf)
    high = np.concatenate([edges, low[-1:]])
    low[0] = edges[0]
    centres = np.where(held > 0, sums / np.maximum(held, 1), low / 2 + high / 2)
    return Bins(edges, np.clip(centres, low, high))
