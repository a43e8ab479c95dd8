"""Quantile sketches: histograms over logarithmic buckets, right to one per cent, that add up."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.distances import FloatArray

ERROR = 0.01
LEAST, GREATEST = 1e-9, 1e19
_PPM = 1_000_000


class Word(IntEnum):
    """Head of the words of a sketch; behind it lie the buckets, negative ones first, zero in the middle."""

    ERROR_PPM = 0
    FIRST = 1
    """Number of the logarithmic bucket of the least magnitude that is told from 0."""
    SIDE = 2
    """Buckets on each side of zero."""
    NOT_FINITE = 3
    """Values that were no finite number: counted here and nowhere else."""
    CLAMPED = 4
    """Values beyond the greatest magnitude: they lie in the outermost bucket."""


HEAD = len(Word)


class Sketch:
    """A mergeable sketch of a distribution (DDSketch type).

    Bucket i holds the magnitudes in (g^(i-1), g^i] with g = (1 + error) / (1 - error), so each quantile is
    right to ``error`` of itself, whatever the distribution. Magnitudes below ``LEAST`` count as 0. The sketch
    of two parts together is the sum of their sketches, exactly.

    Parameters
    ----------
    words
        Its whole state, int64; None for an empty one. See `state`.
    error
        Relative error of an empty sketch, from 0.0001 to 0.5.

    Raises
    ------
    OptionError
        For an error out of range, or a state that no sketch has.

    References
    ----------
    Masson, Rim and Lee (2019), "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
    guarantees".
    """

    def __init__(self, words: Int64Array | None = None, *, error: float = ERROR) -> None:
        if words is None:
            words = _empty(error)
        elif words.ndim != 1 or len(words) < HEAD or len(words) != HEAD + 2 * int(words[Word.SIDE]) + 1:
            raise OptionError("these are not the words of a sketch", found=words.shape)
        self.words = np.ascontiguousarray(words, dtype=np.int64)
        growth = _growth(int(self.words[Word.ERROR_PPM]) / _PPM)
        self._per_bucket = 1.0 / float(np.log(growth))
        self._values = _representatives(self.words, growth)

    def update(self, values: FloatArray, weights: Int64Array | None = None) -> None:
        """Take in values, float64 (n,), each once or as often as its weight, int64 (n,), says."""
        if weights is None:
            sketch_values(np.ascontiguousarray(values), self._per_bucket, self.words)
        else:
            sketch_weighted(
                np.ascontiguousarray(values), np.ascontiguousarray(weights), self._per_bucket, self.words
            )

    def merge(self, other: Sketch) -> None:
        """Take in all that another sketch of the same error holds.

        Raises
        ------
        OptionError
            When it has another error or range.
        """
        if not np.array_equal(self.words[: Word.NOT_FINITE], other.words[: Word.NOT_FINITE]):
            raise OptionError("sketches of another error or range can't be merged")
        self.words[Word.NOT_FINITE :] += other.words[Word.NOT_FINITE :]

    def state(self) -> Int64Array:
        """A copy of the words, from which `Sketch` makes the same sketch again."""
        return self.words.copy()

    @property
    def counts(self) -> Int64Array:
        """Count of each bucket in ascending order of values, a view."""
        return self.words[HEAD:]

    @property
    def values(self) -> FloatArray:
        """The value that stands for each bucket, ascending."""
        return self._values

    @property
    def total(self) -> int:
        """Count, or weight, of all values in it."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """The quantile at a share from 0 to 1, right to the error; NaN when the sketch is empty."""
        total = self.total
        if not total:
            return float("nan")
        rank = min(max(share, 0.0), 1.0) * (total - 1)
        return float(self._values[np.searchsorted(np.cumsum(self.counts), rank, side="right")])


def ks_bounds(first: Sketch, second: Sketch) -> tuple[float, float]:
    """Bounds of the K-S distance of what two sketches hold, (low, high); NaN when one is empty.

    At the edges of the buckets the two distribution functions are known exactly: the low bound.
    """
    if not first.total or not second.total:
        return float("nan"), float("nan")
    f, g = (np.concatenate([[0.0], np.cumsum(one.counts) / one.total]) for one in (first, second))
    low = float(np.abs(f - g).max())
    high = max(float((f[1:] - g[:-1]).max()), float((g[1:] - f[:-1]).max()))
    return low, min(1.0, max(low, high))


def wasserstein_bounds(first: Sketch, second: Sketch) -> tuple[float, float]:
    """Bounds of the W1 distance of what two sketches hold, (low, high), in the unit of the values.

    No value lies further from that of its bucket than the error of it, so the distance of the buckets is
    right to the sum of these.
    """
    if not first.total or not second.total:
        return float("nan"), float("nan")
    f, g = (one.counts / one.total for one in (first, second))
    gaps = np.abs(np.cumsum(f - g))[:-1] * np.diff(first.values)
    error = max(int(one.words[Word.ERROR_PPM]) for one in (first, second)) / _PPM
    doubt = error * float(np.abs(first.values) @ f + np.abs(second.values) @ g) / (1 - error) + 2 * LEAST
    centre = float(gaps.sum())
    return max(0.0, centre - doubt), centre + doubt


@helper
def bucket_of(value: float, per_bucket: float, first: int, side: int) -> int:
    """Place of a finite value among the buckets, from 0; beyond the greatest: the outermost."""
    magnitude = abs(value)
    if magnitude < LEAST:
        return side
    at = min(int(np.ceil(np.log(magnitude) * per_bucket)) - first, side - 1)
    return side + 1 + at if value > 0 else side - 1 - at


@kernel
def sketch_values(values: FloatArray, per_bucket: float, words: Int64Array) -> None:
    """Count values into the words of a sketch."""
    first, side = words[Word.FIRST], words[Word.SIDE]
    for i in range(values.shape[0]):
        value = values[i]
        if not np.isfinite(value):
            words[Word.NOT_FINITE] += 1
            continue
        if abs(value) > GREATEST:
            words[Word.CLAMPED] += 1
        words[HEAD + bucket_of(value, per_bucket, first, side)] += 1


@kernel
def sketch_weighted(values: FloatArray, weights: Int64Array, per_bucket: float, words: Int64Array) -> None:
    """Add the weight of each value to the words of a sketch."""
    first, side = words[Word.FIRST], words[Word.SIDE]
    for i in range(values.shape[0]):
        value, weight = values[i], weights[i]
        if not np.isfinite(value):
            words[Word.NOT_FINITE] += weight
            continue
        if abs(value) > GREATEST:
            words[Word.CLAMPED] += weight
        words[HEAD + bucket_of(value, per_bucket, first, side)] += weight


def _growth(error: float) -> float:
    return (1 + error) / (1 - error)


def _empty(error: float) -> Int64Array:
    if not 1e-4 <= error <= 0.5:
        raise OptionError("relative error of a sketch out of range", found=error, expected="0.0001 to 0.5")
    per_bucket = 1.0 / np.log(_growth(round(error * _PPM) / _PPM))
    first, last = (int(np.ceil(np.log(bound) * per_bucket)) for bound in (LEAST, GREATEST))
    words = np.zeros(HEAD + 2 * (last - first + 1) + 1, dtype=np.int64)
    words[Word.ERROR_PPM], words[Word.FIRST], words[Word.SIDE] = round(error * _PPM), first, last - first + 1
    return words


def _representatives(words: Int64Array, growth: float) -> npt.NDArray[np.float64]:
    numbers = np.arange(int(words[Word.SIDE])) + int(words[Word.FIRST])
    positive = 2.0 * growth ** numbers.astype(np.float64) / (growth + 1.0)
    return np.concatenate([-positive[::-1], [0.0], positive])
