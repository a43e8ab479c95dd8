"""Block permutation: one matrix of labels for all metrics, p-values, and corrections for many of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.blocks import Blocks
from rlx_datapipe.fidelity.distances import FloatArray


def label_matrix(golden: int, recon: int, permutations: int, rng: np.random.Generator) -> FloatArray:
    """Labels of all blocks, golden ones first, float64 of shape (permutations + 1, golden + recon).

    1 stands for golden, 0 for recon. Row 0 is the truth; each other row gives whole blocks at random to the
    sides, as many to each as in truth. The same matrix for all metrics keeps their dependence.
    """
    if min(golden, recon) < 1 or permutations < 1:
        raise OptionError("both sides need a block, and the test a permutation", found=(golden, recon))
    labels = np.zeros((permutations + 1, golden + recon))
    labels[:, :golden] = 1.0
    labels[1:] = rng.permuted(labels[1:], axis=1)
    return labels


def permuted_distances(labels: FloatArray, blocks: Blocks) -> FloatArray:
    """Distance of the two sides under each row of labels, float64 of shape (permutations + 1,)."""
    return blocks.apart(labels, 1.0 - labels)


def studentised(values: FloatArray, labels: FloatArray) -> FloatArray:
    """Absolute difference of the means of both sides over its standard error, under each row of labels.

    Parameters
    ----------
    values
        A number of each block, float64 (blocks,), NaN where there is none; a side needs two, else it is 0.

    References
    ----------
    Janssen (1997), "Studentized permutation tests for non-i.i.d. hypotheses": valid for unequal variances.
    """
    known = ~np.isnan(values)
    held = np.where(known, values, 0.0)
    held = np.where(known, held - held[known].mean(), 0.0) if known.any() else held
    mean, error = [], np.zeros(len(labels))
    enough = np.ones(len(labels), dtype=np.bool_)
    for side in (labels, 1.0 - labels):
        count = side @ known.astype(np.float64)
        enough &= count >= 2
        mean.append(side @ held / np.maximum(count, 1))
        squares = side @ held**2 / np.maximum(count, 1) - mean[-1] ** 2
        error += np.maximum(squares, 0.0) / np.maximum(count - 1, 1)
    least = 1e-12 * float(held @ held) / max(1, len(values)) ** 2
    apart = np.abs(mean[0] - mean[1]) / np.sqrt(np.maximum(error, least) if least > 0 else 1.0)
    return np.where(enough, apart, 0.0)


def p_value(distances: FloatArray) -> float:
    """Share of arrangements that lie at least as far apart as the truth, which is row 0 and counts itself."""
    return float((distances[1:] >= distances[0]).sum() + 1) / len(distances)


def max_t(distances: FloatArray) -> FloatArray:
    """Adjusted p-value of each metric, float64 (metrics,): all may be looked at, and 5 % stay 5 %.

    Each metric is studentised by the mean and deviation of its permutations; its distance is held against the
    greatest of all metrics in each arrangement.

    Parameters
    ----------
    distances
        float64 of shape (metrics, permutations + 1), all under the same labels.

    References
    ----------
    Westfall and Young (1993), "Resampling-based multiple testing", the single-step max-T.
    """
    mean, deviation = distances.mean(axis=1, keepdims=True), distances.std(axis=1, keepdims=True)
    scores = np.where(deviation > 0, (distances - mean) / np.where(deviation > 0, deviation, 1), 0.0)
    greatest = scores.max(axis=0)
    beaten: npt.NDArray[np.bool_] = greatest[None, 1:] >= scores[:, :1]
    return np.asarray((beaten.sum(axis=1) + 1) / distances.shape[1], dtype=np.float64)


def false_discovery(p_values: FloatArray) -> FloatArray:
    """Benjamini-Hochberg adjusted p-values, for reports that list many metrics; never for the gate."""
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p_values, method="bh"), dtype=np.float64)
