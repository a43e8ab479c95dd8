"""A pool of uniform draws for kernels: what they take does not depend on when it is filled up."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.simulation.lob.hawkes import Float64Array

_POOL = 1 << 18


class Uniforms:
    """Draws on [0, 1) in an array; a kernel takes them from a cursor on and stops before they run out.

    Kernels do not hold the generator itself: so they run, and draw the same, without being compiled.

    Attributes
    ----------
    pool
        Shape (draws,), float64. The draws before the cursor are spent.
    """

    def __init__(self, seed: np.random.SeedSequence, draws: int = _POOL) -> None:
        self._random = np.random.Generator(np.random.PCG64(seed))
        self.pool: Float64Array = self._random.random(draws)

    def refill(self, cursor: int) -> None:
        """Move what is left to the front and fill up; the cursor begins at 0 again."""
        left = len(self.pool) - cursor
        self.pool[:left] = self.pool[cursor:].copy()
        self._random.random(out=self.pool[left:])
