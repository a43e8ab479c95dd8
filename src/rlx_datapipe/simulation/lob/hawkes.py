"""The algebra of self-exciting arrivals: branching matrix, spectral radius, stationary intensities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.simulation.lob.parameters import Flow

Float64Array = npt.NDArray[np.float64]

KINDS = ("market", "limit", "deep_limit", "cancel", "deep_cancel")
SIDES = ("buy", "sell")
TYPES = tuple(f"{kind}_{side}" for kind in KINDS for side in SIDES)
"""Types of arrivals: type = 2 x kind + side. A cancel has the side of the order that it withdraws."""


class Excitation(NamedTuple):
    """A multivariate Hawkes process whose kernels are sums of exponentials.

    phi_ij(t) = branching_ij sum_k weight_k decay_k exp(-decay_k t), for children of type i of a parent j.

    Attributes
    ----------
    baseline_per_s
        Shape (types,): events a second that come by themselves.
    branching
        Shape (types, types): events of type i that one of type j calls forth on average, directly.
    decays_per_s, weights
        Shape (exponentials,).
    """

    baseline_per_s: Float64Array
    branching: Float64Array
    decays_per_s: Float64Array
    weights: Float64Array

    @property
    def spectral_radius(self) -> float:
        """Largest absolute eigenvalue of the branching matrix; below 1 the process is stationary."""
        return float(np.max(np.abs(np.linalg.eigvals(self.branching))))

    @property
    def stationary_per_s(self) -> Float64Array:
        """Mean events a second of each type, shape (types,): (1 - branching)^-1 baseline."""
        ones = np.eye(len(self.baseline_per_s))
        return np.asarray(np.linalg.solve(ones - self.branching, self.baseline_per_s), np.float64)

    @property
    def jumps_per_s(self) -> Float64Array:
        """What an event adds to intensities, shape (exponentials, parent, child), contiguous by child."""
        rates = self.weights * self.decays_per_s
        return np.ascontiguousarray(rates[:, None, None] * self.branching.T[None, :, :])


def excitation(flow: Flow) -> Excitation:
    """The process that a flow describes.

    Raises
    ------
    OptionError
        When it is not stationary, or a number is negative, or the weights do not sum to 1.
    """
    baseline = np.repeat([getattr(flow.baseline_per_s, kind) for kind in KINDS], 2) * flow.speed
    branching = np.zeros((len(TYPES), len(TYPES)))
    for parent, parent_kind in enumerate(KINDS):
        children = getattr(flow.branching, parent_kind)
        for child, child_kind in enumerate(KINDS):
            same, other = getattr(children, child_kind)
            for side in (0, 1):
                branching[2 * child + side, 2 * parent + side] = same
                branching[2 * child + 1 - side, 2 * parent + side] = other
    found = Excitation(baseline, branching, np.array(flow.decays_per_s), np.array(flow.weights))
    _check(found)
    return found


def _check(found: Excitation) -> None:
    if len(found.decays_per_s) != len(found.weights):
        raise OptionError(
            "flow.decays_per_s and flow.weights must be of one length",
            found=f"{len(found.decays_per_s)} and {len(found.weights)}",
        )
    if not (np.all(np.isfinite(found.branching)) and found.branching.min() >= 0.0):
        raise OptionError("flow.branching must not be negative", found=float(found.branching.min()))
    if found.decays_per_s.min() < 1e-3 or found.decays_per_s.max() > 1e6:
        raise OptionError("flow.decays_per_s must lie in 0.001 to 1000000", found=found.decays_per_s.tolist())
    if found.weights.min() < 0.0 or abs(found.weights.sum() - 1.0) > 1e-9:
        raise OptionError("flow.weights must sum to 1, none negative", found=found.weights.tolist())
    if not found.baseline_per_s.sum() > 0.0:
        raise OptionError("flow.baseline_per_s must not be all zero")
    radius = found.spectral_radius
    if radius >= 1.0:
        raise OptionError(
            "the flow is not stationary: the spectral radius of its branching matrix must be below 1",
            found=round(radius, 6),
            remedy="Lower the numbers in flow.branching",
        )
