"""Maximum mean discrepancy of vectors, linear and in blocks, for arrays of any array-API library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.batches import namespace

SAMPLE = 500
"""Golden points whose pairwise distances make the bandwidth."""
STRIDE_TIMES = 3
_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class Mmd:
    """A squared MMD with its standard error; z is their ratio, about normal when the law is the same."""

    value: float
    error: float
    pairs: int

    @property
    def z(self) -> float:
        """Value in standard errors; 0 when there is no spread, as between equal samples."""
        return self.value / self.error if self.error > 0 else 0.0


def stride_above(correlation_time: float) -> int:
    """Every how many points one is taken, so that z is valid: three correlation times; 1 if independent."""
    if not correlation_time < float("inf"):
        raise OptionError("a constant series has no stride")
    return 1 if correlation_time <= 1.0 else ceil(STRIDE_TIMES * correlation_time)


def golden_bandwidth(golden: Any) -> float:
    """Median distance between golden points, evenly taken, about `SAMPLE`; never from both sides.

    Parameters
    ----------
    golden
        Array of shape (n, d), at least two rows. Scale its columns by golden spreads first.

    Raises
    ------
    OptionError
        When more than half of its points are equal.
    """
    xp = _namespace(golden)
    points = golden[:: max(1, golden.shape[0] // SAMPLE), :]
    count = points.shape[0]
    squares = _squares(xp, points, points)
    ordered = xp.sort(xp.reshape(squares, (-1,)))
    # The diagonal holds `count` zeros, each other distance stands twice.
    median = sqrt(max(0.0, float(ordered[count + (count * count - count) // 2])))
    if not median > 0:
        raise OptionError("no bandwidth: most golden points are equal")
    return median


def linear_mmd(golden: Any, recon: Any, bandwidths: Sequence[float], *, stride: int = 1) -> Mmd:
    """Linear-time MMD^2: the mean of h over disjoint pairs of points.

    h = k(x1, x2) + k(y1, y2) - k(x1, y2) - k(x2, y1) with k the mean of Gaussian kernels exp(-r^2 / 2 b^2).

    Parameters
    ----------
    golden, recon
        Arrays of shape (n, d), of one library, in the order of time.
    bandwidths
        b of each kernel, in the unit of the columns.
    stride
        Every how many points one is taken: above the correlation time, or z is not valid (`stride_above`).

    References
    ----------
    Gretton, Borgwardt, Rasch, Scholkopf and Smola (2012), "A kernel two-sample test", JMLR 13, lemma 14.
    """
    xp = _namespace(golden, recon)
    x, y = golden[::stride, :], recon[::stride, :]
    pairs = min(x.shape[0], y.shape[0]) // 2
    if pairs < 2:
        raise OptionError("too few points for pairs at this stride", found=x.shape[0], stride=stride)
    x1, x2, y1, y2 = (side[first : 2 * pairs : 2, :] for side in (x, y) for first in (0, 1))

    def k(a: Any, b: Any) -> Any:
        return _kernel(xp, xp.sum((a - b) ** 2, axis=1), bandwidths)

    h = k(x1, x2) + k(y1, y2) - k(x1, y2) - k(x2, y1)
    return _told(xp, h)


def block_mmd(
    golden: Any, recon: Any, bandwidths: Sequence[float], *, stride: int = 1, block: int | None = None
) -> Mmd:
    """Block MMD^2: the mean of the unbiased U-statistics of blocks, of sqrt(n) points each unless told.

    Parameters as of `linear_mmd`. More power than the linear one, at sqrt(n) times the cost.

    References
    ----------
    Zaremba, Gretton and Blaschko (2013), "B-test: a non-parametric, low variance kernel two-sample test".
    """
    xp = _namespace(golden, recon)
    x, y = golden[::stride, :], recon[::stride, :]
    count = min(x.shape[0], y.shape[0])
    size = block or int(sqrt(count))
    blocks = count // size if size else 0
    if size < 2 or blocks < 2:
        raise OptionError("too few points for blocks at this stride", found=count, stride=stride)
    at_once = max(1, _ELEMENTS // (size * size))
    found = []
    for start in range(0, blocks, at_once):
        stop = min(blocks, start + at_once)
        shape = (stop - start, size, x.shape[1])
        a, b = (xp.reshape(side[start * size : stop * size, :], shape) for side in (x, y))
        inside = _kernel(xp, _squares(xp, a, a), bandwidths) + _kernel(xp, _squares(xp, b, b), bandwidths)
        across = _kernel(xp, _squares(xp, a, b), bandwidths)
        across = across + xp.matrix_transpose(across)
        off = 1.0 - xp.eye(size, dtype=inside.dtype)
        found.append(xp.sum((inside - across) * off[None, :, :], axis=(1, 2)) / (size * (size - 1)))
    return _told(xp, xp.concat(found))


def _namespace(*arrays: Any) -> Any:
    """The library of the arrays, as the array API has it."""
    for array in arrays:
        if array.ndim != 2 or array.shape[0] < 2:
            raise OptionError("vectors are rows of an array of two dimensions", found=array.shape)
    return namespace(*arrays)


def _squares(xp: Any, a: Any, b: Any) -> Any:
    """Squared distances of all rows of a to all rows of b, of the last two axes."""
    product = xp.matmul(a, xp.matrix_transpose(b))
    norms = xp.sum(a * a, axis=-1)[..., :, None] + xp.sum(b * b, axis=-1)[..., None, :]
    squares = norms - 2.0 * product
    return xp.where(squares > 0, squares, xp.zeros_like(squares))


def _kernel(xp: Any, squares: Any, bandwidths: Sequence[float]) -> Any:
    """Mean of the Gaussian kernels over bandwidths."""
    if not bandwidths or min(bandwidths) <= 0:
        raise OptionError("bandwidths are above 0", found=list(bandwidths))
    total = xp.exp(squares * (-0.5 / bandwidths[0] ** 2))
    for bandwidth in bandwidths[1:]:
        total = total + xp.exp(squares * (-0.5 / bandwidth**2))
    return total / len(bandwidths)


def _told(xp: Any, terms: Any) -> Mmd:
    count = int(terms.shape[0])
    return Mmd(float(xp.mean(terms)), float(xp.std(terms, correction=1)) / sqrt(count), count)
