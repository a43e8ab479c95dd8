"""Tier 2 on batches of any array-API library: distances of two samples, and correlations that add up.

NumPy on a processor, CuPy on a GPU. What is a matrix product (correlations, MMD) is written once, for all of
them. Distances of two samples are a merge of sorted values in Numba on a processor, ten times as fast as any
way to say it in arrays; a GPU has no use for a merge, and sorts. Both give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.distances import two_sample

BATCH = 10_000
"""Rows of a batch."""
CHUNK = 500
"""Rows that are multiplied at a time: they stay in the cache, and are too few for threads that wait."""


def on_host(array: Any) -> Any:
    """An array of the library as one of NumPy."""
    return array.get() if hasattr(array, "get") else array


@dataclass(frozen=True)
class BatchDistances:
    """Distances of two samples, as of `distances.Distances`."""

    ks: float
    anderson_darling: float
    energy: float
    wasserstein: float


def library() -> Any:
    """The array library to compute with: CuPy where it is installed and a device answers, else NumPy."""
    try:
        cupy = import_module("cupy")
        devices = cupy.cuda.runtime.getDeviceCount()
    except (ImportError, RuntimeError):
        devices = 0
    return namespace((cupy if devices else import_module("numpy")).empty(0))


def namespace(*arrays: Any) -> Any:
    """The library of some arrays, as the array API has it.

    Raises
    ------
    OptionError
        When the extra is not installed.
    """
    try:
        from array_api_compat import array_namespace
    except ModuleNotFoundError as error:
        raise OptionError(
            "fidelity needs the extra 'fidelity'", remedy="Run: pip install 'rlx-datapipe[fidelity]'"
        ) from error
    return array_namespace(*arrays)


def batch_distances(golden: Any, recon: Any) -> BatchDistances:
    """K-S, Anderson-Darling with midranks, energy and W1 distances of two samples.

    Samples of NumPy go by the merge of `distances`, those of any other library by one sort.

    Parameters
    ----------
    golden, recon
        Finite values in any order, float64 of shape (n,) and (m,), of one library; at least two together.
    """
    if isinstance(golden, np.ndarray):
        told = two_sample(golden, recon)
        return BatchDistances(told.ks, told.anderson_darling, told.energy, told.wasserstein)
    return sorted_distances(golden, recon)


def sorted_distances(golden: Any, recon: Any) -> BatchDistances:
    """As `batch_distances`, by a sort and running sums in the library of the arrays, whichever it is."""
    xp = namespace(golden, recon)
    n, m = golden.shape[0], recon.shape[0]
    if golden.ndim != 1 or recon.ndim != 1 or not n or not m:
        raise OptionError("a sample is a row of at least one value", found=(golden.shape, recon.shape))
    both = n + m
    values = xp.concat([golden, recon])
    order = xp.argsort(values)
    ordered = xp.take(values, order)
    ours = xp.astype(order < n, xp.float64)
    # Where values are tied, only behind the last of them are the distribution functions what they are.
    last = xp.concat([ordered[1:] != ordered[:-1], xp.ones(1, dtype=xp.bool)])
    (ends,) = xp.nonzero(last)
    distinct = xp.take(ordered, ends)
    below_x = xp.take(xp.cumulative_sum(ours), ends)
    below = xp.astype(ends + 1, xp.float64)
    below_y = below - below_x
    gap = below_x / n - below_y / m
    steps = distinct[1:] - distinct[:-1]
    zero = xp.zeros(1, dtype=xp.float64)
    tied_x, tied_y = (side - xp.concat([zero, side[:-1]]) for side in (below_x, below_y))
    tied = tied_x + tied_y
    middle_x, middle_y = below_x - tied_x / 2, below_y - tied_y / 2
    middle = middle_x + middle_y
    spread = middle * (both - middle) - both * tied / 4
    is_inside = spread > 1e-15 * both * both
    terms = tied * (m * middle_x - n * middle_y) ** 2 / xp.where(is_inside, spread, xp.ones_like(spread))
    a2 = float(xp.sum(xp.where(is_inside, terms, xp.zeros_like(terms))))
    return BatchDistances(
        ks=float(xp.max(xp.abs(gap))),
        anderson_darling=a2 / (n * m) * (both - 1) / both,
        energy=2 * float(xp.sum(gap[:-1] ** 2 * steps)),
        wasserstein=float(xp.sum(xp.abs(gap[:-1]) * steps)),
    )


class Correlation:
    """Correlations of columns, taken in batch by batch; only sums are held.

    Deviations are summed from a centre, the mean of the first rows, so that nothing large is subtracted.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._centre: Any = None
        self._sums: Any = None
        self._products: Any = None

    def update(self, batch: Any) -> None:
        """Take in rows, float64 (rows, columns), without NaN."""
        if not batch.shape[0]:
            return
        xp = namespace(batch)
        if self._centre is None:
            self._centre = xp.mean(batch[:CHUNK, :], axis=0)
            self._sums, self._products = 0.0 * self._centre, 0.0
        self.rows += batch.shape[0]
        ones = xp.ones((1, min(CHUNK, batch.shape[0])), dtype=batch.dtype)
        for at in range(0, batch.shape[0], CHUNK):
            apart = batch[at : min(at + CHUNK, batch.shape[0]), :] - self._centre
            self._sums = self._sums + xp.matmul(ones[:, : apart.shape[0]], apart)[0, :]
            self._products = self._products + xp.matmul(xp.matrix_transpose(apart), apart)

    def table(self) -> Any:
        """Correlations, (columns, columns), NaN for a column without spread; needs two rows or more."""
        if self.rows < 2:
            raise OptionError("a correlation needs two rows", found=self.rows)
        xp = namespace(self._sums)
        mean = self._sums / self.rows
        covariance = self._products / self.rows - mean[:, None] * mean[None, :]
        variance = xp.linalg.diagonal(covariance)
        # What is left of a constant column is what rounding left.
        moved = variance > 1e-24 * (xp.linalg.diagonal(self._products) / self.rows + self._centre**2)
        scale = xp.sqrt(xp.where(moved, variance, xp.ones_like(variance)))
        table = covariance / (scale[:, None] * scale[None, :])
        return xp.where(moved[:, None] & moved[None, :], table, xp.full_like(table, float("nan")))
