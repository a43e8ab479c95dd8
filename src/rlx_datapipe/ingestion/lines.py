"""Raw frames from a recording: plain, gzip, zstd or xz, one receive time and one JSON message a line."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.feed import AHEAD_BYTES, Bytes, Frames, Reject
from rlx_datapipe.ingestion.inflate import Inflated, Pieces, codec_of
from rlx_datapipe.ingestion.line_kernel import (
    RECEIVED,
    ROW,
    SPAN_FIELDS,
    START,
    STOP,
    TIME_FROM_NS,
    TIME_TO_NS,
    frame_lines,
)
from rlx_datapipe.ingestion.segments import SegmentBytes, capture_of

CHUNK_BYTES = 1 << 20
"""Bytes that are searched for lines at a time, at least."""
FOREVER_NS = 1 << 62
NEWLINE = 10
LAST_ASCII = 127

Batch = tuple[Frames, list[Reject], int]


class _Captured(msgspec.Struct):
    """A line of our own capture."""

    capture_ns: int
    stream: str
    data: msgspec.Raw


_COMBINED = re.compile(rb'\{\s*"stream"\s*:\s*"[^"]*"\s*,\s*"data"\s*:')
_CAPTURED = msgspec.json.Decoder(_Captured)


def read_frames(
    path: Path,
    batch_rows: int,
    line_bytes_max: int = 64 << 20,
    *,
    file: str | None = None,
    start_row: int = 0,
    span_ns: int = FOREVER_NS,
    key_file: Path | None = None,
) -> Iterator[Batch]:
    """Batches of frames, the lines that are none, and the bytes of the file consumed so far.

    Parameters
    ----------
    path
        A recording; compression is told by its first bytes, never by its name.
    batch_rows
        Frames in each batch but those cut by time, and the last, which may have none, with rejects.
    line_bytes_max
        Longest line accepted; also the most that is kept of a longer one.
    file
        Name told in rejects; the file's own name if not given.
    start_row
        Rows to pass over because they were read before, see `last_row`; what was wrong with them is not told
        again. A compressed file is inflated from its beginning all the same.
    span_ns
        A batch also ends with the first frame received so long after its first one.
    key_file
        Where the keys are of a capture that is encrypted.

    Raises
    ------
    SourceError
        At the call if the path is no readable file or is empty; later if the disk fails, or the file turns
        out to hold no line, or fewer than ``start_row``. Damage inside is no error: what is whole before it
        is delivered, then one reject says what happened.
    """
    folder = capture_of(path)
    pieces: Pieces = (
        Inflated(path, codec_of(path), CHUNK_BYTES)
        if folder is None
        else SegmentBytes(folder, path, key_file)
    )
    return _Reader(path, pieces, file or path.name, line_bytes_max, start_row).batches(batch_rows, span_ns)


def last_row(frames: Frames, rejects: list[Reject]) -> int:
    """The last row that a batch of `read_frames` looked at: a full one stops at its last frame."""
    return max([*frames.rows[-1:].tolist(), *(reject.row for reject in rejects[-1:])], default=0)


def head_frames(
    path: Path, count: int, line_bytes_max: int = 64 << 20, *, key_file: Path | None = None
) -> tuple[Frames, list[Reject]]:
    """The first ``count`` frames of a recording and the rejects among them, to recognise it by."""
    for frames, rejects, _ in read_frames(path, count, line_bytes_max, key_file=key_file):
        return frames, rejects
    return Frames(), []


class _Reader:
    """One pass over one file: bytes, then lines, then frames.

    The bytes of the frames that wait for their batch lie in one block, behind them the line that has not
    ended yet, behind that free room.
    """

    def __init__(self, path: Path, pieces: Pieces, file: str, line_bytes_max: int, start_row: int) -> None:
        self.path = path
        self.file = file
        self.line_bytes_max = line_bytes_max
        self.start_row = start_row
        self.row = 0
        self.rejects: list[Reject] = []
        self._inflated = pieces
        self._block = _new_block(2 * CHUNK_BYTES)
        self._line, self._seen, self._filled = 0, 0, 0
        """Where in the block the open line starts, what was searched for its end, and what is in use."""
        self._waiting: list[Int64Array] = []
        self._batch_bytes = 0

    def batches(self, batch_rows: int, span_ns: int) -> Iterator[Batch]:
        """Frames in batches of ``batch_rows``, fewer where they span ``span_ns``, then the rest."""
        count, first_ns = 0, 0
        for spans in self._framed():
            at, received = 0, spans[RECEIVED]
            while at < len(received):
                room = received[at : at + batch_rows - count]
                first_ns = first_ns if count else int(room[0])
                late = np.flatnonzero(room - first_ns >= span_ns)
                taken = int(late[0]) + 1 if len(late) else len(room)
                self._waiting.append(spans[:, at : at + taken])
                at, count = at + taken, count + taken
                if len(late) or count == batch_rows:
                    yield self._batch()
                    count = 0
        self._check_end()
        if self._waiting or self.rejects:
            yield self._batch(is_last=True)

    def _batch(self, *, is_last: bool = False) -> Batch:
        """The frames that wait, with the rejects among them."""
        spans = np.concatenate([*self._waiting, np.zeros((SPAN_FIELDS, 0), dtype=np.int64)], axis=1)
        self._waiting = []
        frames = Frames(self._block, spans[ROW], spans[RECEIVED], spans[START], spans[STOP])
        if len(frames):
            self._batch_bytes = int(frames.stops[-1] - frames.starts[0])
        # Lines are looked at ahead: what is wrong with those behind the last frame is for the next batch.
        told = len(self.rejects) if is_last else bisect(self.rejects, frames.rows[-1], key=_row_of)
        rejects, self.rejects = self.rejects[:told], self.rejects[told:]
        return frames, rejects, self._inflated.consumed

    def _check_end(self) -> None:
        """Refuse a file without lines, or one that has lost some since it was read before."""
        # Damage was told as the row behind the last whole line.
        rows = self.row + bool(self._inflated.damage)
        if not rows:
            raise SourceError("the file holds no lines", file=self.path)
        if rows < self.start_row:
            raise SourceError(
                "fewer lines than were read before",
                file=self.path,
                found=rows,
                expected=f"at least {self.start_row}",
                remedy="Put the file back that was read, or start anew.",
            )

    def _framed(self) -> Iterator[Int64Array]:
        """Framed lines, some at a time; the last line of an undamaged file may lack its newline."""
        for piece in self._inflated.pieces():
            self._add(piece)
            if self._filled - self._seen >= CHUNK_BYTES:
                yield self._frame()
        yield self._frame()
        damage = self._inflated.damage
        if damage and self.row + 1 > self.start_row:
            last = self._block[self._line : min(self._filled, self._line + self.line_bytes_max)]
            self.rejects.append(Reject(self.file, self.row + 1, damage, raw=last.tobytes()))
        elif self._filled > self._line and not damage:
            yield self._frame_until(np.array([self._filled], dtype=np.int64))

    def _add(self, piece: bytes) -> None:
        """Put bytes behind those in the block; into a new one, with all that waits, where they do not fit."""
        if not piece:
            return
        if self._filled + len(piece) > len(self._block) - AHEAD_BYTES:
            base = int(self._waiting[0][START, 0]) if self._waiting else self._line
            held = self._block[base : self._filled]
            block = _new_block(2 * max(CHUNK_BYTES, self._batch_bytes, len(held) + len(piece)))
            block[: len(held)] = held
            for spans in self._waiting:
                spans[START:] -= base
            self._block = block
            self._line, self._seen, self._filled = self._line - base, self._seen - base, len(held)
        self._block[self._filled : self._filled + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
        self._filled += len(piece)

    def _frame(self) -> Int64Array:
        """Frame the lines that have ended since; of one that goes on no more is kept than is told of it."""
        new = self._block[self._seen : self._filled]
        newlines = np.flatnonzero(new == NEWLINE) + self._seen
        spans = self._frame_until(newlines)
        # Two bytes more than the longest: cut there, it is too long even without a carriage return.
        self._filled = min(self._filled, self._line + self.line_bytes_max + 2)
        self._seen = self._filled
        return spans

    def _frame_until(self, newlines: Int64Array) -> Int64Array:
        """Frame the lines up to these newlines but those that were read before."""
        passed = max(0, min(self.start_row - self.row, len(newlines)))
        self.row += passed
        if passed:
            self._line = int(newlines[passed - 1]) + 1
            newlines = newlines[passed:]
        spans = np.empty((SPAN_FIELDS, len(newlines)), dtype=np.int64)
        if not len(newlines):
            return spans
        spans[ROW] = np.arange(self.row + 1, self.row + 1 + len(newlines))
        end = int(newlines[-1])
        may_be_text = int(self._block[self._line : end].max(initial=0)) > LAST_ASCII
        frame_lines(self._block, newlines, self._line, self.line_bytes_max, may_be_text, spans)
        for index in np.flatnonzero(spans[RECEIVED] == 0).tolist():
            self._look_at(spans[:, index])
        self.row += len(newlines)
        self._line = end + 1
        return spans if spans[RECEIVED].all() else spans[:, spans[RECEIVED] > 0]

    def _look_at(self, span: Int64Array) -> None:
        """Frame an odd line, or reject it; its payload, which is never longer, is put in its place."""
        line = self._block[span[START] : span[STOP]].tobytes()
        frame = self._look(line)
        if isinstance(frame, str):
            self.rejects.append(Reject(self.file, int(span[ROW]), frame, raw=line[: self.line_bytes_max]))
        elif frame is not None:
            span[RECEIVED], payload = frame
            assert len(payload) <= len(line)  # noqa: S101 (else it would overwrite the next line)
            span[STOP] = span[START] + len(payload)
            self._block[span[START] : span[STOP]] = np.frombuffer(payload, dtype=np.uint8)

    def _look(self, line: bytes) -> tuple[int, bytes] | str | None:
        """Receive time and payload of a line, or what is wrong with it; None for a blank one."""
        line = line.removesuffix(b"\r")
        if not line:
            return None
        if len(line) > self.line_bytes_max:
            return f"line longer than {self.line_bytes_max} bytes"
        try:
            line.decode()
        except UnicodeDecodeError:
            return "not valid UTF-8"
        if line.startswith(b"{"):
            return _captured(line)
        stamp, space, payload = line.partition(b" ")
        if not space or not stamp.isdigit():
            return "no receive time at the start of the line"
        if len(stamp) not in (16, 19):
            return "receive time has neither 19 digits (ns) nor 16 digits (\u00b5s)"
        time = int(stamp) * (1000 if len(stamp) == 16 else 1)
        if not TIME_FROM_NS <= time < TIME_TO_NS:
            return "receive time out of range (2017 to 2100)"
        if not payload.startswith((b"{", b"[")):
            return "no JSON after the receive time"
        return time, payload


def _row_of(reject: Reject) -> int:
    return reject.row


def _new_block(size: int) -> Bytes:
    """Room for some bytes, and for a kernel to read ahead of them."""
    block = np.empty(size + AHEAD_BYTES, dtype=np.uint8)
    block[size:] = 0
    return block


def _captured(line: bytes) -> tuple[int, bytes] | str:
    """Receive time and payload of a line of our own capture; a bare message gets its stream name."""
    try:
        captured = _CAPTURED.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        if b'"capture_ns"' not in line[:64]:
            return "no receive time at the start of the line"
        return f"not a capture line: {error}"
    if not TIME_FROM_NS <= captured.capture_ns < TIME_TO_NS:
        return "receive time out of range (2017 to 2100)"
    data = bytes(captured.data)
    if _COMBINED.match(data):
        return captured.capture_ns, data
    if not data.startswith((b"{", b"[")):
        return "no JSON message in data"
    stream = msgspec.json.encode(captured.stream)
    return captured.capture_ns, b'{"stream":' + stream + b',"data":' + data + b"}"
