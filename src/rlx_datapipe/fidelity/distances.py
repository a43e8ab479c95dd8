"""Distances of two samples, all from one pass over the sorted values: K-S, Anderson-Darling and others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.errors import OptionError

FloatArray: TypeAlias = npt.NDArray[np.float64]

_UNWEIGHTED = np.zeros(0)


@dataclass(frozen=True)
class Distances:
    """How far two samples are apart; 0 is equality, or nearly so for the two with a sample size in them.

    Parameters
    ----------
    ks
        D = sup abs(F - G), in [0, 1].
    anderson_darling
        A2 of two samples with midranks for ties; about 1 for independent draws of one law.
    anderson_darling_per_pair
        A2 N / (n m): the integral of (F - G)^2 / (H (1 - H)) dH. It has no sample size in it, so it can be
        compared between samples of any size.
    cramer_von_mises
        T of Anderson (1962) with midranks for ties; about 1/6 for independent draws of one law.
    energy
        Squared energy distance, 2 int (F - G)^2 dx, in the unit of the values. SciPy gives its root.
    wasserstein
        W1 = int abs(F - G) dx, in the unit of the values.
    n, m
        How many values each sample has.
    """

    ks: float
    anderson_darling: float
    anderson_darling_per_pair: float
    cramer_von_mises: float
    energy: float
    wasserstein: float
    n: int
    m: int

    @property
    def anderson_darling_normalised(self) -> float:
        """(A2 - 1) / sigma, as SciPy's ``anderson_ksamp`` tells it; NaN for fewer than four values."""
        if self.n + self.m < 4:
            return float("nan")
        return (self.anderson_darling - 1.0) / float(np.sqrt(_variance_of_a2(self.n, self.m)))


def two_sample(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x_weights: npt.ArrayLike | None = None,
    y_weights: npt.ArrayLike | None = None,
) -> Distances:
    """All distances of two samples.

    Parameters
    ----------
    x, y
        Finite values in any order, at least one each, shapes (n,) and (m,).
    x_weights, y_weights
        Positive weight of each value (say, the nanoseconds for which it stood), both or none. They are scaled
        to a mean of 1, so that equal weights are no weights.

    Raises
    ------
    OptionError
        For an empty sample, a value that is not finite, or weights that do not fit.

    References
    ----------
    Scholz and Stephens (1987), "K-sample Anderson-Darling tests", equation 7. Anderson (1962), "On the
    distribution of the two-sample Cramer-von Mises criterion". Szekely and Rizzo (2013), "Energy statistics".
    """
    if (x_weights is None) != (y_weights is None):
        raise OptionError("weights are given for both samples or for none")
    first, first_masses = _sorted(x, x_weights)
    second, second_masses = _sorted(y, y_weights)
    out = np.zeros(5)
    merge_pass(first, second, first_masses, second_masses, out)
    return _told(out, len(first), len(second))


def from_histograms(centres: FloatArray, x_counts: npt.ArrayLike, y_counts: npt.ArrayLike) -> Distances:
    """All distances of two histograms over the same bins; values of a bin count as ties at its centre.

    K-S is that at the edges of the bins: never above the D of the values, and below it by at most the share
    of one bin. Energy and Wasserstein distances are right to the width of a bin.

    Parameters
    ----------
    centres
        Ascending, shape (bins,).
    x_counts, y_counts
        Counts or times in each bin, at least 0, of shape (bins,).

    Raises
    ------
    OptionError
        When a histogram is empty or of another shape.
    """
    sides = [np.asarray(counts, dtype=np.float64) for counts in (x_counts, y_counts)]
    for side in sides:
        if side.shape != centres.shape:
            raise OptionError("histograms over other bins", found=side.shape, expected=centres.shape)
        if not side.sum() > 0:
            raise OptionError("no distance from an empty histogram")
    out = np.zeros(5)
    merge_pass(centres, centres, sides[0], sides[1], out)
    return _told(out, int(sides[0].sum()), int(sides[1].sum()))


@kernel
def merge_pass(
    x: FloatArray, y: FloatArray, x_masses: FloatArray, y_masses: FloatArray, out: FloatArray
) -> None:
    """Fill ``out``, float64 (5,), with D, A2, T, energy and W1 of ascending samples; no masses: all 1."""
    weighted = x_masses.shape[0] > 0
    n, m = float(x.shape[0]), float(y.shape[0])
    if weighted:
        n, m = x_masses.sum(), y_masses.sum()
    both = n + m
    before_x, before_y, gap = 0.0, 0.0, 0.0
    ks, a2, squares, mixed, energy, w1 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    cubes_x, cubes_y, tied_x, tied_y = 0.0, 0.0, 0.0, 0.0
    i, j = 0, 0
    previous = min(x[0], y[0])
    while i < x.shape[0] or j < y.shape[0]:
        value = x[i] if j == y.shape[0] or (i < x.shape[0] and x[i] <= y[j]) else y[j]
        w1 += abs(gap) * (value - previous)
        energy += gap * gap * (value - previous)
        at_x, at_y = 0.0, 0.0
        while i < x.shape[0] and x[i] == value:
            at_x += x_masses[i] if weighted else 1.0
            i += 1
        while j < y.shape[0] and y[j] == value:
            at_y += y_masses[j] if weighted else 1.0
            j += 1
        middle_x, middle_y = before_x + at_x / 2, before_y + at_y / 2
        middle, at = middle_x + middle_y, at_x + at_y
        spread = middle * (both - middle) - both * at / 4
        if spread > 1e-15 * both * both:
            a2 += at * (m * middle_x - n * middle_y) ** 2 / spread
        squares += at * (middle_x / n - middle_y / m) ** 2
        mixed += at_x * at_y * at
        cubes_x += at_x**3
        cubes_y += at_y**3
        tied_x += at_x**3 - at_x
        tied_y += at_y**3 - at_y
        before_x += at_x
        before_y += at_y
        gap = before_x / n - before_y / m
        ks = max(ks, abs(gap))
        previous = value
    out[0] = ks
    out[1] = a2 / (n * m) * (both - 1) / both
    # The rank form of T subtracts two great numbers; this is the same, term by term, without that.
    share = n * m / (both * both)
    ties = (n * tied_x + m * tied_y) / (12 * n * m * both)
    atoms = cubes_x / (12 * n * n) + cubes_y / (12 * m * m) - mixed / (4 * n * m)
    out[2] = share * (squares + atoms) + ties + 1 / (6 * both)
    out[3] = 2 * energy
    out[4] = w1


@kernel
def _harmonics(total: int) -> tuple[float, float]:
    """Sums h and g of Scholz and Stephens for ``total`` values in all."""
    running, g = 0.0, 0.0
    for i in range(total - 1, 1, -1):
        running += 1.0 / i
        g += running / (total + 1 - i)
    return running + 1.0, g


def _variance_of_a2(n: int, m: int) -> float:
    """Variance of A2 under equality for two samples (Scholz and Stephens 1987, equation 4)."""
    total = n + m
    inverse = 1.0 / n + 1.0 / m
    h, g = _harmonics(total)
    a = (4 * g - 6) + (10 - 6 * g) * inverse
    b = (2 * g - 4) * 4 + 16 * h + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * 4 + (4 * h - 4 * g + 6) * 2 + (2 * h - 6) * inverse + 4 * h
    d = (2 * h + 6) * 4 - 8 * h
    size = float(total)
    return (a * size**3 + b * size**2 + c * size + d) / ((size - 1) * (size - 2) * (size - 3))


def classical_ks_p(d: float, n: int, m: int) -> float:
    """The classical two-sided p-value of a K-S distance: NOT valid under dependence.

    It takes all values as independent draws. On order-book series it rejects perfect likeness; it is told
    beside the verdict for those who expect it, and decides nothing.
    """
    from scipy.stats import kstwo

    return float(kstwo.sf(d, max(1, round(n * m / (n + m)))))


def _sorted(values: npt.ArrayLike, weights: npt.ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    """Values in ascending order and their masses, none where there are no weights."""
    sample = np.ascontiguousarray(values, dtype=np.float64)
    if sample.ndim != 1 or not len(sample):
        raise OptionError("a sample is a row of at least one value", found=sample.shape)
    if not np.isfinite(sample).all():
        raise OptionError("a value of a sample is not finite")
    if weights is None:
        return np.sort(sample), _UNWEIGHTED
    masses = np.asarray(weights, dtype=np.float64)
    if masses.shape != sample.shape or not (masses > 0).all():
        raise OptionError("each value needs a weight above 0", found=masses.shape, expected=sample.shape)
    order = np.argsort(sample, kind="stable")
    return sample[order], masses[order] * (len(masses) / masses.sum())


def _told(out: FloatArray, n: int, m: int) -> Distances:
    ks, a2, t, energy, w1 = (float(value) for value in out)
    return Distances(
        ks=ks,
        anderson_darling=a2,
        anderson_darling_per_pair=a2 * (n + m) / (n * m),
        cramer_von_mises=t,
        energy=energy,
        wasserstein=w1,
        n=n,
        m=m,
    )
