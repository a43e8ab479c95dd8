"""Raw frames from a recording: plain, gzip, zstd or xz, one receive time and one JSON message a line."""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.feed import Frames, Reject

CHUNK_BYTES = 1 << 20
FOREVER_NS = 1 << 62
TIME_FROM_NS = 1_483_228_800_000_000_000
TIME_TO_NS = 4_102_444_800_000_000_000
"""Receive times lie in the years 2017 to 2100."""

_XZ_MEMORY_BYTES = 256 << 20
_CODECS: dict[bytes, tuple[str, int, Callable[[], Any]]] = {
    # Name, bytes fed at a time, maker. Small pieces keep what a bomb can blow up to within some 30 MiB.
    b"\x1f\x8b": ("gzip", 16384, lambda: zlib.decompressobj(31)),
    b"\x28\xb5\x2f\xfd": ("zstd", 1024, lambda: zstandard.ZstdDecompressor().decompressobj()),
    b"\xfd7zXZ\x00": ("xz", 1024, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)),
}
_BROKEN = (zlib.error, zstandard.ZstdError, lzma.LZMAError)

Batch = tuple[Frames, list[Reject], int]


class _Captured(msgspec.Struct):
    """A line of our own capture."""

    capture_ns: int
    stream: str
    data: msgspec.Raw


_COMBINED = re.compile(rb'\{\s*"stream"\s*:')
_CAPTURED = msgspec.json.Decoder(_Captured)


def read_frames(
    path: Path,
    batch_rows: int,
    line_bytes_max: int = 64 << 20,
    *,
    file: str | None = None,
    start_row: int = 0,
    span_ns: int = FOREVER_NS,
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

    Raises
    ------
    SourceError
        At the call if the path is no readable file or is empty; later if the disk fails, or the file turns
        out to hold no line, or fewer than ``start_row``. Damage inside is no error: what is whole before it
        is delivered, then one reject says what happened.
    """
    codec = _check(path)
    return _Reader(path, codec, file or path.name, line_bytes_max, start_row).batches(batch_rows, span_ns)


def last_row(frames: Frames, rejects: list[Reject]) -> int:
    """The last row that a batch of `read_frames` looked at: a full one stops at its last frame."""
    return max([*frames.rows[-1:], *(reject.row for reject in rejects[-1:])], default=0)


def head_frames(path: Path, count: int, line_bytes_max: int = 64 << 20) -> tuple[Frames, list[Reject]]:
    """The first ``count`` frames of a recording and the rejects among them, to recognise it by."""
    for frames, rejects, _ in read_frames(path, count, line_bytes_max):
        return frames, rejects
    return Frames([], [], []), []


def _check(path: Path) -> tuple[str, int, Callable[[], Any]] | None:
    """The codec of a file, None for plain text."""
    try:
        if not path.exists():
            raise SourceError("no such file", file=path)
        if not path.is_file():
            raise SourceError("not a file", file=path, remedy="Give a recording, not a folder.")
        with path.open("rb") as source:
            head = source.read(6)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not head:
        raise SourceError("the file is empty", file=path)
    return next((codec for magic, codec in _CODECS.items() if head.startswith(magic)), None)


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"can't be read ({error.strerror or error})", file=path)


class _Inflater:
    """Decompression of one stream after another, fed in pieces."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._open: Any = None

    def feed(self, piece: bytes) -> bytes:
        out = []
        while piece:
            if self._open is None:
                # Zeros between streams are padding, which gzip and xz allow.
                piece = piece.lstrip(b"\0")
                if not piece:
                    break
                self._open = self._make()
            out.append(self._open.decompress(piece))
            if not self._open.eof:
                break
            piece, self._open = self._open.unused_data, None
        return b"".join(out)

    @property
    def complete(self) -> bool:
        return self._open is None


class _Reader:
    """One pass over one file: chunks, then lines, then frames."""

    def __init__(
        self,
        path: Path,
        codec: tuple[str, int, Callable[[], Any]] | None,
        file: str,
        line_bytes_max: int,
        start_row: int,
    ) -> None:
        self.path = path
        self.codec = codec
        self.file = file
        self.line_bytes_max = line_bytes_max
        self.start_row = start_row
        self.consumed = 0
        self.damage = ""
        self.row = 0
        self.rejects: list[Reject] = []

    def batches(self, batch_rows: int, span_ns: int) -> Iterator[Batch]:
        """Frames in batches of ``batch_rows``, fewer where they span ``span_ns``, then the rest."""
        frames = Frames([], [], [])
        for lines in self._line_lists():
            start = max(0, min(self.start_row - self.row, len(lines)))
            self.row += start
            while start < len(lines):
                start = self._take(lines, start, frames, batch_rows, span_ns)
                times = frames.received
                if len(times) == batch_rows or (times and times[-1] - times[0] >= span_ns):
                    yield frames, self.rejects, self.consumed
                    frames, self.rejects = Frames([], [], []), []
        self._check_end()
        if frames.rows or self.rejects:
            yield frames, self.rejects, self.consumed

    def _check_end(self) -> None:
        """Refuse a file without lines, or one that has lost some since it was read before."""
        # Damage was told as the row behind the last whole line.
        rows = self.row + bool(self.damage)
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

    def _take(self, lines: list[bytes], start: int, frames: Frames, batch_rows: int, span_ns: int) -> int:
        """Frame lines from ``start`` on until the batch is full; where it stopped."""
        rows, received, payloads = frames.rows, frames.received, frames.payloads
        room = batch_rows - len(rows)
        row = self.row
        at = start
        for at in range(start, len(lines)):
            line = lines[at]
            row += 1
            stamp, _, payload = line.partition(b" ")
            # The usual line, told by cheap checks; all others are looked at one by one.
            if len(stamp) == 19 and stamp.isdigit() and payload[:1] == b"{" and payload.isascii():
                time = int(stamp)
                if TIME_FROM_NS <= time < TIME_TO_NS and len(line) <= self.line_bytes_max:
                    rows.append(row)
                    received.append(time)
                    payloads.append(payload)
                    room -= 1
                    if not room or time - received[0] >= span_ns:
                        break
                    continue
            frame = self._look(line)
            if isinstance(frame, str):
                self.rejects.append(Reject(self.file, row, frame, raw=line[: self.line_bytes_max]))
            elif frame is not None:
                rows.append(row)
                received.append(frame[0])
                payloads.append(frame[1])
                room -= 1
                if not room or frame[0] - received[0] >= span_ns:
                    break
        self.row = row
        return at + 1

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

    def _line_lists(self) -> Iterator[list[bytes]]:
        """Whole lines, some at a time; the last line of an undamaged file may lack its newline."""
        pending: list[bytes] = []
        size = 0
        for chunk in self._chunks():
            first, newline, rest = chunk.partition(b"\n")
            if size <= self.line_bytes_max:
                pending.append(first)
                size += len(first)
            if not newline:
                continue
            if self.row < self.start_row and (count := chunk.count(b"\n")) <= self.start_row - self.row:
                # All whole lines of this chunk were read before: counting them is enough.
                self.row += count
                pending = [chunk[chunk.rfind(b"\n") + 1 :]]
                size = len(pending[0])
                continue
            lines = [b"".join(pending), *rest.split(b"\n")]
            pending = [lines.pop()]
            size = len(pending[0])
            yield lines
        last = b"".join(pending)
        if self.damage and self.row + 1 > self.start_row:
            raw = last[: self.line_bytes_max]
            self.rejects.append(Reject(self.file, self.row + 1, self.damage, raw=raw))
        elif last and not self.damage:
            yield [last]

    def _chunks(self) -> Iterator[bytes]:
        """Decompressed bytes, about a MiB at a time; sets ``damage`` where the stream breaks."""
        try:
            with self.path.open("rb") as source:
                if self.codec is None:
                    while chunk := source.read(CHUNK_BYTES):
                        self.consumed += len(chunk)
                        yield chunk
                    return
                yield from self._inflated(source, *self.codec)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _inflated(self, source: BinaryIO, name: str, step: int, make: Callable[[], Any]) -> Iterator[bytes]:
        inflater = _Inflater(make)
        parts: list[bytes] = []
        size = 0
        while piece := source.read(step):
            try:
                part = inflater.feed(piece)
            except _BROKEN as error:
                parts.append(self._salvage(step, make))
                self.damage = f"{name} stream is corrupt here or before ({error})"
                break
            self.consumed += len(piece)
            parts.append(part)
            size += len(part)
            if size >= CHUNK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        yield b"".join(parts)
        if not self.damage and not inflater.complete:
            self.damage = f"{name} stream ends before its end marker; the lines before it are whole"

    def _salvage(self, step: int, make: Callable[[], Any]) -> bytes:
        """What lies in the broken piece before the damage: the file again, its last piece byte by byte."""
        inflater = _Inflater(make)
        out = []
        with self.path.open("rb") as source:
            for _ in range(self.consumed // step):
                inflater.feed(source.read(step))
            try:
                for byte in source.read(step):
                    out.append(inflater.feed(bytes((byte,))))  # noqa: PERF401 (kept up to the failure)
            except _BROKEN:
                pass
        return b"".join(out)


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
