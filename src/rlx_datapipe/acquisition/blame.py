"""Faults of rows, counted by what is wrong with them, with the first row of each kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.finding import Finding, Severity

BoolArray = npt.NDArray[np.bool_]


class Blame:
    """What is wrong with the rows of one file: one entry for each rule, field and reason."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, str], dict[str, Any]] = {}

    def rows(
        self,
        rule: str,
        severity: Severity,
        field: str,
        reason: str,
        wrong: BoolArray,
        first_row: int,
        values: Any = None,
    ) -> None:
        """Blame the rows of a mask; ``first_row`` is the number of its first one, from 1.

        Parameters
        ----------
        values
            What stands there, of which the first is told.
        """
        count = int(np.count_nonzero(wrong))
        if not count:
            return
        entry = self._entries.get((rule, field, reason))
        if entry is None:
            at = int(np.argmax(wrong))
            found = "" if values is None else str(values[at])
            entry = {"severity": severity, "rows": 0, "first_row": first_row + at, "found": found}
            self._entries[rule, field, reason] = entry
        entry["rows"] += count

    def findings(self, total: int) -> list[Finding]:
        """One finding of each entry; ``total`` is the number of all rows."""
        return [
            Finding(
                rule=rule,
                severity=entry["severity"],
                message=f"{field}: {reason} in {entry['rows']:,} of {total:,} rows, first in row "
                f"{entry['first_row']}" + (f" ({entry['found']})" if entry["found"] else ""),
                measures={
                    "field": field,
                    "reason": reason,
                    "rows": entry["rows"],
                    "first_row": entry["first_row"],
                    "found": entry["found"],
                },
            )
            for (rule, field, reason), entry in self._entries.items()
        ]
