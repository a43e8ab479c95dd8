"""Arrays in mapped files go to processes of ours by their place in the file, not by their content."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import numpy.typing as npt

Place = tuple[str, int, tuple[int, ...], tuple[int, ...], str]


def share_mapped_arrays() -> None:
    """From now on, arrays that this process sends to those that it starts are sent so; others as ever."""
    ForkingPickler.register(np.ndarray, _told)


def _told(array: npt.NDArray[Any]) -> Any:
    file = _file_of(array)
    if file is None:
        return array.__reduce__()
    at = int(array.__array_interface__["data"][0]) - int(file.__array_interface__["data"][0])
    return _attached, (str(file.filename), int(file.offset) + at, array.shape, array.strides, array.dtype.str)


def _file_of(array: npt.NDArray[Any]) -> np.memmap[Any, Any] | None:
    """The mapped file that an array is a view of."""
    base: Any = array
    found = None
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.filename is not None:
            found = base
        base = base.base
    return found


def _attached(
    path: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: str
) -> npt.NDArray[Any]:
    """The same view of the file in another process, which may not write to it."""
    file = np.memmap(path, dtype=np.uint8, mode="c")
    view: npt.NDArray[Any] = np.ndarray(shape, np.dtype(dtype), file, offset, strides)
    return view
