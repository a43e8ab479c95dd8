"""Time-rescaling residuals: under the true kernels the compensator between arrivals is exponential."""

from __future__ import annotations

from math import exp

import numpy as np

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.hawkes import Excitation, Float64Array

_NS = 1e9


def residuals(
    excitation: Excitation, times: Int64Array, types: Int64Array, changes: Float64Array, start_ns: int
) -> Float64Array:
    """For each arrival the compensator of its type since the arrival of that type before it, shape (n,).

    If the arrivals come from the process, these are independent exponential draws of mean 1 (Ogata 1988,
    "Statistical models for earthquake occurrences and residual analysis for point processes").

    Parameters
    ----------
    excitation
        The process that is believed.
    times, types
        Arrivals from ``start_ns`` on, before which there was nothing; ns.
    changes
        Factor of the baselines, rows of (from when on in ns, factor), the first at ``start_ns`` or before.
    """
    told = np.vstack([changes, [2.0**62, 1.0]])
    return _residuals(
        excitation.baseline_per_s,
        excitation.jumps_per_s,
        excitation.decays_per_s,
        times,
        types,
        told[:, 0].astype(np.int64),
        np.ascontiguousarray(told[:, 1]),
        start_ns,
    )


@kernel
def _residuals(
    baseline: Float64Array,
    jumps: Float64Array,
    decays: Float64Array,
    times: Int64Array,
    types: Int64Array,
    change_ns: Int64Array,
    factors: Float64Array,
    start_ns: int,
) -> Float64Array:
    clusters, _, kinds = jumps.shape
    excited = np.zeros((clusters, kinds))
    passed = np.zeros(kinds)
    found = np.empty(len(times))
    now_ns = start_ns
    at = 0
    factor = 1.0
    row = 0
    while row < len(times):
        is_change = change_ns[at] <= times[row]
        next_ns = max(now_ns, change_ns[at]) if is_change else times[row]
        step_s = (next_ns - now_ns) / _NS
        for kind in range(kinds):
            passed[kind] += baseline[kind] * factor * step_s
        for cluster in range(clusters):
            kept = exp(-decays[cluster] * step_s)
            for kind in range(kinds):
                passed[kind] += excited[cluster, kind] * (1.0 - kept) / decays[cluster]
                excited[cluster, kind] *= kept
        now_ns = next_ns
        if is_change:
            factor = factors[at]
            at += 1
            continue
        own = types[row]
        found[row] = passed[own]
        passed[own] = 0.0
        for cluster in range(clusters):
            for kind in range(kinds):
                excited[cluster, kind] += jumps[cluster, own, kind]
        row += 1
    return found
