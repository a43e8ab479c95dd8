"""Columns of one struct of arrays into another, as fast as memory lets them."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.compiled import helper
from rlx_datapipe.core.event import Int64Array


@helper
def copy_columns(values: Int64Array, start: int, stop: int, out: Int64Array, at: int) -> None:
    """Copy columns ``start`` to ``stop`` of an int64 (k, n) array to column ``at`` of another and on.

    The numbers are none below zero. Said so, by unsigned ones, each row is one copy of memory; else every
    element is asked for whether its index counts from the end, which takes four times as long.
    """
    first, count, to = np.uint64(start), np.uint64(stop - start), np.uint64(at)
    for row in range(values.shape[0]):
        for i in range(count):
            out[row, to + i] = values[row, first + i]
