"""Sources whose stream breaks off: told from the reason for which what followed could not be read."""

from __future__ import annotations

import re
from typing import NamedTuple

_BREAK = re.compile(r"(?:gzip|zstd|xz|zip) stream (?:ends before its end marker|is corrupt here or before)")
_DETAIL = re.compile(r"(?P<file>.*), first at row (?P<row>\d+): (?P<reason>.*)", re.DOTALL)


class Break(NamedTuple):
    """Where a file breaks off: the row (from 1) that is not whole, and why; nothing behind it was read."""

    file: str
    row: int
    reason: str

    @property
    def sentence(self) -> str:
        """What a user must know of it."""
        what = self.reason.partition(";")[0]
        return f"{self.file} breaks off at row {self.row:,} ({what}): everything behind it is missing"


def breaks_off(reason: str) -> bool:
    """Whether the reason of a reject is that the file's stream ends too soon or is corrupt."""
    return _BREAK.match(reason) is not None


def break_told(detail: str) -> Break | None:
    """The break that a quality record of kind ``quarantine`` tells of; None if it tells of another thing."""
    found = _DETAIL.fullmatch(detail)
    if found is None or not breaks_off(found["reason"]):
        return None
    return Break(found["file"], int(found["row"]), found["reason"])
