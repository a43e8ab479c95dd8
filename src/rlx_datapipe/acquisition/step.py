"""On which step numbers lie: the decimals that nearly all of them need, and which need more."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rlx_datapipe.acquisition.blame import Blame, BoolArray
from rlx_datapipe.acquisition.columns import FloatArray
from rlx_datapipe.core.finding import Finding, Severity

RULE = "values"
_DECIMALS_MAX = 18
_EXACT, _ULP = 2.0**53, 2.0**-52
_COMMON_SHARE = 0.999
_NO_DECIMAL_DIGITS = 16
"""A double that needs so many digits to be told from its neighbours is no price: it was computed."""


class StepCheck:
    """Counts how many decimals each number of one kind needs.

    Steps of exchanges are powers of ten; of others only the decimals are held to.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts = np.zeros(_DECIMALS_MAX + 1, dtype=np.int64)
        self._first: dict[int, tuple[int, float]] = {}
        """Of each number of decimals the first row that needs them, and its value."""

    def observe(
        self,
        values: FloatArray,
        good: BoolArray,
        field: str,
        first_row: int,
        blame: Blame,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Look at the next values; ``rows`` are their rows, counted from 0, where they are not one a row."""
        at = np.flatnonzero(good & (values != 0.0))
        if not at.size:
            return
        where = at if rows is None else rows[at]
        distinct, inverse = np.unique(values[at], return_inverse=True)
        needed = _decimals_needed(distinct)[inverse]
        if (none := needed > _DECIMALS_MAX).any():
            wrong = np.zeros(int(where.max()) + 1, dtype=np.bool_)
            shown = np.zeros(len(wrong))
            wrong[where[none]] = True
            shown[where[none]] = values[at[none]]
            reason = "no plain decimal: computed, or damaged"
            blame.rows(RULE, Severity.GATE, field, reason, wrong, first_row, shown)
        self._counts += np.bincount(needed[~none], minlength=_DECIMALS_MAX + 1)
        for decimals in np.unique(needed[~none]).tolist():
            if decimals not in self._first:
                first = int(np.argmax(needed == decimals))
                self._first[decimals] = first_row + int(where[first]), float(values[at[first]])

    @property
    def decimals(self) -> int | None:
        """The fewest decimals that hold nearly all; None before any number was seen."""
        total = int(self._counts.sum())
        if not total:
            return None
        return int(np.argmax(np.cumsum(self._counts) >= _COMMON_SHARE * total))

    def conclude(self) -> list[Finding]:
        """Numbers that lie between the steps of nearly all others."""
        common = self.decimals
        if common is None or not (beyond := int(self._counts[common + 1 :].sum())):
            return []
        finest = int(np.flatnonzero(self._counts)[-1])
        row, value = min(self._first[d] for d in self._first if d > common)
        told = (
            f"{self._name}: {beyond:,} of {int(self._counts.sum()):,} need more than the {common} decimals "
            f"of nearly all, up to {finest}; first in row {row} ({value})"
        )
        measures = {"rows": beyond, "first_row": row, "decimals": common, "finest": finest}
        return [Finding(rule=RULE, severity=Severity.WARN, message=told, measures=measures)]


def _decimals_needed(values: FloatArray) -> npt.NDArray[np.int64]:
    """Fewest decimals of each positive number; one more than the most there are for what is no decimal.

    By the rule of `core.units.scale_float`, without its kernels: to load those takes longer than most files.
    """
    needed = np.full(len(values), _DECIMALS_MAX + 1, dtype=np.int64)
    left = np.flatnonzero(values < _EXACT)
    for decimals in range(_DECIMALS_MAX + 1):
        scaled = values[left] * 10.0**decimals
        is_exact = np.abs(np.rint(scaled) / 10.0**decimals - values[left]) <= 2.0 * values[left] * _ULP
        needed[left[is_exact]] = decimals
        # What is too large for a scale is so for each finer one.
        left = left[~is_exact & (scaled < _EXACT)]
        if not left.size:
            break
    digits = needed + np.maximum(np.floor(np.log10(values)), -_DECIMALS_MAX).astype(np.int64) + 1
    needed[digits >= _NO_DECIMAL_DIGITS] = _DECIMALS_MAX + 1
    return needed
