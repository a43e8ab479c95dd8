"""The bytes of a recording, inflated piece by piece: gzip, zstd, xz, or plain as they are."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import zstandard

from rlx_datapipe.core.errors import SourceError

_STEP_BYTES = 1 << 16
_PIECE_BYTES = 1 << 20
"""Most that gzip and xz are let inflate to at a time."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK_BYTES = 1 << 17
"""Most that one block of zstd inflates to."""
_BLOCKS = 128
_CAREFUL_STEP_BYTES = 1 << 10
"""Inflates to 32 MiB at most, whatever it is."""
_XZ_MEMORY_BYTES = 256 << 20
_BROKEN = (zlib.error, zstandard.ZstdError, lzma.LZMAError)


class Codec(NamedTuple):
    """A compression.

    ``cut`` gives a file in pieces, ``make`` what inflates one stream, ``parts`` what a piece inflates to.
    """

    name: str
    cut: Callable[[BinaryIO], Iterator[bytes]]
    make: Callable[[], Any]
    parts: Callable[[Any, bytes], Iterator[bytes]]


def codec_of(path: Path) -> Codec | None:
    """The compression of a file, told by its first bytes; None for plain text.

    Raises
    ------
    SourceError
        When the path is no readable file, or is empty.
    """
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


class Pieces(Protocol):
    """One pass over the bytes of a recording.

    ``consumed`` tells how much of the file was read for what was given out, ``damage`` in words where it
    breaks; what lies before that is given out.
    """

    consumed: int
    damage: str

    def pieces(self) -> Iterator[bytes]:
        """The bytes, some at a time."""


class Inflated:
    """The bytes of a file that is compressed by any of these, or not at all; see `Pieces`."""

    def __init__(self, path: Path, codec: Codec | None, chunk_bytes: int) -> None:
        self._path = path
        self._codec = codec
        self._chunk_bytes = chunk_bytes
        self.consumed = 0
        self.damage = ""

    def pieces(self) -> Iterator[bytes]:
        """The bytes, some at a time.

        Raises
        ------
        SourceError
            When the disk fails.
        """
        try:
            with self._path.open("rb") as source:
                if self._codec is not None:
                    yield from self._inflate(source, self._codec)
                    return
                while piece := source.read(self._chunk_bytes):
                    self.consumed += len(piece)
                    yield piece
        except OSError as error:
            raise _unreadable(self._path, error) from error

    def _inflate(self, source: BinaryIO, codec: Codec) -> Iterator[bytes]:
        inflater = _Inflater(codec)
        for piece in codec.cut(source):
            whole, given = self.consumed, 0
            self.consumed += len(piece)
            try:
                for part in inflater.feed(piece):
                    yield part
                    given += len(part)
            except _BROKEN as error:
                self.consumed = whole
                yield _salvage(self._path, codec, whole)[given:]
                self.damage = f"{codec.name} stream is corrupt here or before ({error})"
                return
        if not inflater.complete:
            self.damage = f"{codec.name} stream ends before its end marker; the lines before it are whole"


class _Inflater:
    """Decompression of one stream after another, fed in pieces."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._open: Any = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What a piece inflates to, in parts."""
        while piece:
            if self._open is None:
                # Zeros between streams are padding, which gzip and xz allow.
                piece = piece.lstrip(b"\0")
                if not piece:
                    break
                self._open = self._codec.make()
            yield from self._codec.parts(self._open, piece)
            if not self._open.eof:
                break
            piece, self._open = self._open.unused_data, None

    @property
    def complete(self) -> bool:
        return self._open is None


def _gzip_parts(stream: Any, piece: bytes) -> Iterator[bytes]:
    part = stream.decompress(piece, _PIECE_BYTES)
    yield part
    # What comes next may need no more input.
    while not stream.eof and (stream.unconsumed_tail or len(part) == _PIECE_BYTES):
        part = stream.decompress(stream.unconsumed_tail, _PIECE_BYTES)
        yield part


def _xz_parts(stream: Any, piece: bytes) -> Iterator[bytes]:
    yield stream.decompress(piece, _PIECE_BYTES)
    while not stream.eof and not stream.needs_input:
        yield stream.decompress(b"", _PIECE_BYTES)


def _zstd_parts(stream: Any, piece: bytes) -> Iterator[bytes]:
    yield stream.decompress(piece)


def _salvage(path: Path, codec: Codec, start: int) -> bytes:
    """What lies behind byte ``start`` of a file and before its damage: read again, in ever smaller steps."""
    good, out = start, b""
    for step in (_CAREFUL_STEP_BYTES, 1):
        inflater = _Inflater(codec)
        kept: list[bytes] = []
        with path.open("rb") as source:
            try:
                while piece := source.read(_step_to(source.tell(), start, good, step)):
                    is_kept = source.tell() > start
                    for part in inflater.feed(piece):
                        kept += [part] * is_kept
                    good = max(good, source.tell())
            except _BROKEN:
                pass
        out = b"".join(kept)
    return out


def _step_to(at: int, start: int, good: int, step: int) -> int:
    """How much to read from ``at`` on: not across ``start``, nor beyond ``good`` but in small steps."""
    border = start if at < start else good
    return min(_CAREFUL_STEP_BYTES, border - at) if at < border else step


def _steps(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(_STEP_BYTES):
        yield piece


def _zstd_pieces(source: BinaryIO) -> Iterator[bytes]:
    """Pieces of whole blocks, cut by their headers, so that none can inflate to more than 16 MiB.

    From the first thing on that is not a frame of blocks the steps are careful: what it is, and whether it is
    sound, is not decided here.
    """
    held, at, blocks = b"", 0, 0
    in_frame = has_checksum = False
    while True:
        size = _frame_header_bytes(held, at) if not in_frame else 3
        if size and len(held) >= at + size and in_frame:
            header = int.from_bytes(held[at : at + 3], "little")
            kind, is_last = header >> 1 & 3, header & 1
            size += 1 if kind == 1 else header >> 3
            size += 4 * (is_last and has_checksum)
            if kind == 3 or header >> 3 > _BLOCK_BYTES:
                break
        if not size:
            if len(held) >= at + 5 or (held[at:] and not _ZSTD_MAGIC.startswith(held[at : at + 4])):
                break
            size = 5
        if len(held) < at + size:
            # Cut here, and read on.
            if at:
                yield held[:at]
                held, at, blocks = held[at:], 0, 0
            more = source.read(_STEP_BYTES)
            if not more:
                break
            held += more
            continue
        if in_frame:
            in_frame = not is_last
            blocks += 1
        else:
            has_checksum, in_frame = bool(held[at + 4] & 4), True
        at += size
        if blocks == _BLOCKS or at >= _STEP_BYTES:
            yield held[:at]
            held, at, blocks = held[at:], 0, 0
    if at:
        yield held[:at]
    for start in range(at, len(held), _CAREFUL_STEP_BYTES):
        yield held[start : start + _CAREFUL_STEP_BYTES]
    while piece := source.read(_CAREFUL_STEP_BYTES):
        yield piece


def _frame_header_bytes(held: bytes, at: int) -> int:
    """Length of the header of a frame; 0 if none begins here, or too little of it is there."""
    if len(held) < at + 5 or not held.startswith(_ZSTD_MAGIC, at):
        return 0
    described = held[at + 4]
    is_single = described >> 5 & 1
    content_bytes = (is_single, 2, 4, 8)[described >> 6]
    return 5 + (not is_single) + (0, 1, 2, 4)[described & 3] + content_bytes


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"can't be read ({error.strerror or error})", file=path)


_CODECS: dict[bytes, Codec] = {
    b"\x1f\x8b": Codec("gzip", _steps, lambda: zlib.decompressobj(31), _gzip_parts),
    _ZSTD_MAGIC: Codec(
        "zstd", _zstd_pieces, lambda: zstandard.ZstdDecompressor().decompressobj(), _zstd_parts
    ),
    b"\xfd7zXZ\x00": Codec("xz", _steps, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES), _xz_parts),
}
