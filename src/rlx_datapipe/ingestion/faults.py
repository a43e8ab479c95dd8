"""What is wrong with rows of a table: the first fault of each, and the messages that fall with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import Int64Array

BoolArray = npt.NDArray[np.bool_]


class Faults:
    """The first fault of each row: which field, and why."""

    def __init__(self, count: int) -> None:
        self.reason = np.zeros(count, dtype=np.int64)
        """Number of the reason from 1; 0 for a row without a fault of its own."""
        self.reasons = [("", "")]
        self.culprit = np.full(count, -1, dtype=np.int64)
        """Index of the row for whose fault this one is refused, or -1."""

    def add(self, rows: BoolArray | Int64Array, field: str, reason: str) -> None:
        """Blame rows (a mask or indices) that have no earlier fault."""
        if rows.dtype == np.bool_ and not rows.any():
            return
        blamed = np.zeros(len(self.reason), dtype=np.bool_)
        blamed[rows] = True
        blamed &= self.reason == 0
        if blamed.any():
            self.reason[blamed] = len(self.reasons)
            self.reasons.append((field, reason))

    def spread(self, groups: Int64Array) -> None:
        """Refuse the rest of a message with its first bad row: it is applied whole or not at all.

        Parameters
        ----------
        groups
            The message of each row, int64 (n,), by numbers from 0; -1 for a row that belongs to none.
        """
        bad = np.flatnonzero((self.reason > 0) & (groups >= 0))
        if not bad.size:
            return
        bad_groups, firsts = np.unique(groups[bad], return_index=True)
        culprits = np.full(int(groups.max()) + 1, -1, dtype=np.int64)
        culprits[bad_groups] = bad[firsts]
        self.culprit = np.where((self.reason == 0) & (groups >= 0), culprits[groups], -1)

    @property
    def good(self) -> BoolArray:
        """Mask of rows to keep."""
        kept: BoolArray = (self.reason == 0) & (self.culprit < 0)
        return kept

    def told(self, row: int, number_of: Callable[[int], int]) -> tuple[str, str]:
        """Field and reason of a refused row; ``number_of`` gives the number of a row in its file."""
        culprit = int(self.culprit[row])
        if culprit < 0:
            return self.reasons[int(self.reason[row])]
        field, reason = self.reasons[int(self.reason[culprit])]
        what = f"{field} is {reason}" if field else reason
        return "", f"row {number_of(culprit)} of the same message is refused: {what}"
