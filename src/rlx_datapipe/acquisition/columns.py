"""Columns of a Crypto Lake table as arrays, with what has no value as a mask of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.acquisition.blame import BoolArray

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def integers(column: pa.ChunkedArray) -> tuple[Int64Array, BoolArray]:
    """An int64 column, 0 where it has no value, and the mask of where it has none."""
    return pc.fill_null(column, 0).to_numpy(), mask(pc.is_null(column))


def floats(column: pa.ChunkedArray) -> FloatArray:
    """A double column, NaN where it has no value."""
    values: FloatArray = pc.fill_null(column, float("nan")).to_numpy()
    return values


def mask(told: Any) -> BoolArray:
    """An Arrow mask as NumPy's, no value as False."""
    values: BoolArray = pc.fill_null(told, False).to_numpy()
    return values
