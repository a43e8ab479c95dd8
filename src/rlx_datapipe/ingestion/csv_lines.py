"""Lines of a CSV file, plain or compressed: whole ones only, in bounded memory, each with its number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.feed import Bytes, Reject
from rlx_datapipe.ingestion.inflate import Inflated, codec_of

CHUNK_BYTES = 1 << 20
"""Bytes that are cut into lines at a time, at least."""
NEWLINE, RETURN = 10, 13
CUT = "the last line has no end: it may be cut"


class Lines(NamedTuple):
    """Some lines of a file: uint8 ``data`` (b,), and of int64 (n,) each where they lie, and their numbers.

    ``consumed`` are the bytes of the file read for them; ``is_last`` says that no whole line comes behind
    them, ``end`` what does, if anything.
    """

    data: Bytes
    starts: Int64Array
    stops: Int64Array
    rows: Int64Array
    consumed: int
    is_last: bool = False
    end: Reject | None = None

    def head(self, count: int) -> Lines:
        """The first so many of them."""
        return self._replace(starts=self.starts[:count], stops=self.stops[:count], rows=self.rows[:count])

    def text(self, index: int) -> bytes:
        """The bytes of one line."""
        return self.data[self.starts[index] : self.stops[index]].tobytes()


def read_lines(path: Path, start_row: int, line_bytes_max: int, file: str) -> Iterator[Lines]:
    """The lines of a file behind a row, some at a time; blank ones are left out, but have their numbers.

    Parameters
    ----------
    path
        A file, plain, gzip, zstd or xz.
    start_row
        Lines to pass over; a compressed file is inflated from its beginning all the same.
    line_bytes_max
        Longest line accepted.
    file
        Name told in the reject of what lies behind the last whole line: it is damaged there, or a line that
        has no end.

    Raises
    ------
    SourceError
        When the file can't be read, has a longer line, or fewer lines than ``start_row``.
    """
    inflated = Inflated(path, codec_of(path), CHUNK_BYTES)
    waiting: list[bytes] = []
    row = waiting_bytes = 0
    for piece in inflated.pieces():
        waiting.append(piece)
        waiting_bytes += len(piece)
        if waiting_bytes < CHUNK_BYTES:
            continue
        whole, newline, rest = b"".join(waiting).rpartition(b"\n")
        if len(rest) > line_bytes_max:
            raise SourceError(f"a line longer than {line_bytes_max} bytes", file=path, row=row + 1)
        waiting, waiting_bytes = [rest], len(rest)
        if newline:
            lines, row = _lines(whole + newline, row, start_row, inflated.consumed)
            yield lines
    whole, newline, rest = b"".join(waiting).rpartition(b"\n")
    lines, row = _lines(whole + newline, row, start_row, inflated.consumed)
    if row + bool(rest or inflated.damage) < start_row:
        raise SourceError(
            "fewer lines than were read before",
            file=path,
            found=row,
            expected=f"at least {start_row}",
            remedy="Put the file back that was read, or start anew.",
        )
    end = None
    if (inflated.damage or rest.strip()) and row + 1 > start_row:
        end = Reject(file, row + 1, inflated.damage or CUT, raw=rest[:line_bytes_max])
    yield lines._replace(is_last=True, end=end)


def _lines(block: bytes, row: int, start_row: int, consumed: int) -> tuple[Lines, int]:
    """The lines of a block that ends with one, and the number of its last; ``row`` is that before them."""
    data = np.frombuffer(block, dtype=np.uint8)
    stops = np.flatnonzero(data == NEWLINE).astype(np.int64, copy=False)
    starts = np.concatenate((np.zeros(min(1, len(stops)), dtype=np.int64), stops[:-1] + 1))
    last = row + len(stops)
    rows = np.arange(row + 1, last + 1, dtype=np.int64)
    if len(stops):
        stops = stops - (data[np.maximum(stops - 1, 0)] == RETURN)
    kept = (rows > start_row) & (stops > starts)
    if not kept.all():
        starts, stops, rows = starts[kept], stops[kept], rows[kept]
    return Lines(data, starts, stops, rows, consumed), last
