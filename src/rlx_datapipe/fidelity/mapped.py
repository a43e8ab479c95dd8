"""Sides of a comparison in mapped files: what metrics derive of windows is made once, for all processes."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.market import MarketSide, Quotes, Trades

Rows = TypeVar("Rows", Quotes, Trades)


def keep_derived(side: MarketSide, folder: Path) -> MarketSide:
    """The same side, whose windows have their quotes and trades in files of a folder, mapped into memory.

    They are derived here, one window after the other, and never again: memory does not grow with the side,
    and all processes share the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    room = sum(window.events.shape[1] + 1 for window in side.windows)
    quotes = _Room(len(fields(Quotes)), folder / "quotes", room)
    trades = _Room(len(fields(Trades)), folder / "trades", room)
    for window in side.windows:
        # What `cached_property` would keep.
        vars(window).update(quotes=quotes.kept(window.quotes), trades=trades.kept(window.trades))
    return side


class _Room:
    """A file for rows of some columns, one after the other; it has a hole where none is written."""

    def __init__(self, columns: int, path: Path, room: int) -> None:
        self._file = np.asarray(np.memmap(path, dtype=np.int64, mode="w+", shape=(columns, max(1, room))))
        self._at = 0

    def kept(self, rows: Rows) -> Rows:
        """The same rows in the file."""
        columns: list[Int64Array] = [getattr(rows, field.name) for field in fields(rows)]
        start, self._at = self._at, self._at + len(columns[0])
        for kept, column in zip(self._file, columns, strict=True):
            kept[start : self._at] = column
        return type(rows)(*(kept[start : self._at] for kept in self._file))


def share_mapped_arrays() -> None:
    """From now on arrays in mapped files go to processes of ours by their place, not by their content."""
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
    """The same view of the file in another process, which does not write to it."""
    view: npt.NDArray[Any] = np.ndarray(shape, np.dtype(dtype), _opened(path), offset, strides)
    return view


@cache
def _opened(path: str) -> npt.NDArray[np.uint8]:
    return np.memmap(path, dtype=np.uint8, mode="c")
