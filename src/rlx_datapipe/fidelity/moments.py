"""Running moments: count, mean and central sums to the fourth order, that parts add up to."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.distances import FloatArray


class Moment(IntEnum):
    """Words of running moments, float64 of shape (MOMENTS,)."""

    WEIGHT = 0
    """How many values, or their weight in all."""
    MEAN = 1
    M2 = 2
    """Sums of powers of the deviations from the mean."""
    M3 = 3
    M4 = 4


MOMENTS = len(Moment)


@helper
def join_moments(words: FloatArray, weight: float, mean: float, m2: float, m3: float, m4: float) -> None:
    """Take the moments of another part into these."""
    if weight == 0.0:
        return
    n, total = words[0], words[0] + weight
    delta = mean - words[1]
    step = delta / total
    product = n * weight * step
    words[4] += (
        m4
        + product * delta * step * step * (n * n - n * weight + weight * weight)
        + 6 * step * step * (n * n * m2 + weight * weight * words[2])
        + 4 * step * (n * m3 - weight * words[3])
    )
    words[3] += m3 + product * delta * step * (n - weight) + 3 * step * (n * m2 - weight * words[2])
    words[2] += m2 + product * delta
    words[1] += weight * step
    words[0] = total


@kernel
def take_moments(values: FloatArray, weights: FloatArray, words: FloatArray) -> None:
    """Take in values, float64 (n,), each with its weight, float64 (n,) or of shape (0,) for none."""
    weighted = weights.shape[0] > 0
    for i in range(values.shape[0]):
        join_moments(words, weights[i] if weighted else 1.0, values[i], 0.0, 0.0, 0.0)


@kernel
def merge_moments(other: FloatArray, words: FloatArray) -> None:
    """Take the words of other moments into these."""
    join_moments(words, other[0], other[1], other[2], other[3], other[4])


class Moments:
    """Mean, variance, skewness and kurtosis of all values so far, right to rounding at any size of the mean.

    Parameters
    ----------
    words
        The whole state, float64 of shape (MOMENTS,); None for no values. See `state`.

    References
    ----------
    Pebay (2008), "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
    statistical moments", Sandia report SAND2008-6212.
    """

    def __init__(self, words: FloatArray | None = None) -> None:
        if words is not None and words.shape != (MOMENTS,):
            raise OptionError("these are not the words of moments", found=words.shape, expected=(MOMENTS,))
        self.words = np.zeros(MOMENTS) if words is None else np.array(words, dtype=np.float64)

    def update(self, values: FloatArray, weights: FloatArray | None = None) -> None:
        """Take in values, float64 (n,), with their weights if they have some."""
        none = np.zeros(0)
        take_moments(
            np.ascontiguousarray(values, dtype=np.float64),
            none if weights is None else np.ascontiguousarray(weights, dtype=np.float64),
            self.words,
        )

    def merge(self, other: Moments) -> None:
        """Take in all that other moments hold."""
        merge_moments(other.words, self.words)

    def state(self) -> FloatArray:
        """A copy of the words."""
        return self.words.copy()

    @property
    def weight(self) -> float:
        """How many values, or their weight in all."""
        return float(self.words[Moment.WEIGHT])

    @property
    def mean(self) -> float:
        """Mean; NaN of nothing."""
        return float(self.words[Moment.MEAN]) if self.weight else float("nan")

    @property
    def variance(self) -> float:
        """Variance, with the weight as divisor; NaN of nothing."""
        return float(self.words[Moment.M2]) / self.weight if self.weight else float("nan")

    @property
    def skewness(self) -> float:
        """Third standardised moment; NaN without spread."""
        return self._standardised(Moment.M3, 3)

    @property
    def excess_kurtosis(self) -> float:
        """Fourth standardised moment less 3, the normal law's; NaN without spread."""
        return self._standardised(Moment.M4, 4) - 3.0

    def _standardised(self, word: Moment, power: int) -> float:
        variance = self.variance
        if not variance > 0:
            return float("nan")
        return float(self.words[word] / self.weight / variance ** (power / 2))
