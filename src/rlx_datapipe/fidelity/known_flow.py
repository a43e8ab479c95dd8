"""Known answers of integrated order flow, and of the integrity of a stream."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.known_answer import KnownAnswer
from rlx_datapipe.fidelity.metrics.flow import slope
from rlx_datapipe.fidelity.metrics.flow_levels import first_component
from rlx_datapipe.fidelity.metrics.integrity import broken_steps, drift

CCZ = "Cont, Cucuringu and Zhang (2023)"
SHARED = "ten levels that share one flow"


def _shared_flow() -> tuple[FloatArray, FloatArray]:
    """Flows of ten levels, all with one part in common, and moves that have twice that part in them."""
    rng = np.random.default_rng(17)
    shared = rng.normal(size=20_000)
    return shared[:, None] + 0.05 * rng.normal(size=(20_000, 10)), 2 * shared + rng.normal(size=20_000)


def _integrated() -> FloatArray:
    flows = _shared_flow()[0]
    return flows @ first_component(flows)


def _broken() -> float:
    return broken_steps(np.array([1, 2, 3, 5, 5, 6], dtype=np.int64))


def _drift() -> float:
    hours = np.arange(0, 24, 0.1)
    return drift(5 + 3 * hours + np.random.default_rng(18).normal(size=len(hours)), hours)


def _weight() -> float:
    return float(first_component(_shared_flow()[0])[3])


def _slope(part: int) -> float:
    return slope(_integrated(), _shared_flow()[1])[part]


FLOW_ANSWERS: tuple[KnownAnswer, ...] = (
    KnownAnswer("integrated order flow, weight of a level", SHARED, 0.1, 0.001, _weight, CCZ),
    KnownAnswer("integrated order flow, slope", SHARED, 2.0, 0.03, lambda: _slope(0), CCZ),
    KnownAnswer("integrated order flow, R^2", SHARED, 0.8, 0.01, lambda: _slope(1), CCZ),
    KnownAnswer("broken steps", "1 2 3 5 5 6: a gap and a double", 0.4, 0.0, _broken, "definition"),
    KnownAnswer("drift of the touch", "3 ticks an hour in noise of a tick", 3.0, 0.05, _drift, "definition"),
)
