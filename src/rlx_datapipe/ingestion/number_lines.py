"""Lines of whole numbers read column by column, and what is wrong with those that can't be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.ingestion.text_lines import Lines
from rlx_datapipe.venues.integer_rows import read_rows


class Columns(NamedTuple):
    """What lines of numbers are made of.

    ``names`` of the columns, ``decimals`` of each, int64 (columns,); ``faults`` finds the rows of numbers,
    int64 (n, columns), that can't be, ``fault`` says field and reason of one.
    """

    names: tuple[str, ...]
    decimals: Int64Array
    faults: Callable[[Int64Array], Int64Array]
    fault: Callable[[list[int]], tuple[str, str] | None]


class NumberLines:
    """Some lines of one file as numbers.

    Attributes
    ----------
    numbers
        int64 (count, columns), zeros where a line could not be read or is not there.
    is_sound
        int64 (count,): 1 where a line was read and can be.
    """

    def __init__(self, file: str, lines: Lines, first_row: int, count: int, columns: Columns) -> None:
        self._file, self._lines, self._first_row, self._columns = file, lines, first_row, columns
        self.numbers = np.zeros((count, len(columns.names)), dtype=np.int64)
        self._unread = np.zeros(count, dtype=np.int64)
        read_rows(lines.data, lines.starts, lines.stops, columns.decimals, self.numbers, self._unread)
        self._unread[len(lines.starts) :] = -1
        self.numbers[self._unread != 0] = 0
        self.is_sound = np.ones(count, dtype=np.int64)
        self.is_sound[columns.faults(self.numbers)] = 0
        self.is_sound[self._unread != 0] = 0

    def rejects(self, start: int, stop: int) -> Iterator[Reject]:
        """What is wrong with the lines from one index to another."""
        names = self._columns.names
        for index in (np.flatnonzero(self.is_sound[start:stop] == 0) + start).tolist():
            if index >= len(self._lines.starts):
                return
            raw, column = self._lines.text(index), int(self._unread[index])
            texts = raw.split(b",")
            if column < 0:
                field, reason, found = "", f"not a line of {len(names)} columns", f"{len(texts)} columns"
            elif column:
                field, reason = names[column - 1], "not a whole number that fits"
                found = texts[column - 1].decode("utf-8", "replace")
            else:
                field, reason = self._columns.fault(self.numbers[index].tolist()) or ("", "")
                found = texts[names.index(field)].decode() if field in names else ""
            yield Reject(self._file, self._first_row + index, reason, field, found, raw)
