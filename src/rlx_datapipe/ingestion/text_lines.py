"""The lines of a text file, plain, compressed, or a member of a zip, as spans of one block of bytes."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.feed import AHEAD_BYTES, Bytes
from rlx_datapipe.ingestion.inflate import Inflated, Pieces, codec_of

CHUNK_BYTES = 1 << 20
ZIP_MAGIC = b"PK\x03\x04"
_NEWLINE, _RETURN = 10, 13
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError)


class Lines(NamedTuple):
    """Some lines, as spans of a block of bytes, without what ends them; behind the last is free room."""

    data: Bytes
    starts: Int64Array
    stops: Int64Array

    def text(self, index: int) -> bytes:
        """One of them."""
        return self.data[self.starts[index] : self.stops[index]].tobytes()

    def texts(self) -> list[bytes]:
        """All of them."""
        block = self.data.data
        return [bytes(block[a:b]) for a, b in zip(self.starts.tolist(), self.stops.tolist(), strict=True)]


class ZipMember:
    """The bytes of one member of a zip; see `Pieces`."""

    def __init__(self, path: Path, member: str) -> None:
        self._path, self._member = path, member
        self.consumed = 0
        self.damage = ""

    def pieces(self) -> Iterator[bytes]:
        """The bytes, some at a time.

        Raises
        ------
        SourceError
            When the file is no zip, or the member can't be opened: encrypted, or packed in an unknown way.
        """
        given = 0
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(self._member) as source:
                told = archive.getinfo(self._member)
                while piece := source.read(CHUNK_BYTES):
                    given += len(piece)
                    self.consumed = told.compress_size * given // max(told.file_size, given)
                    yield piece
        except _BROKEN as error:
            self.damage = f"zip stream is corrupt here or before ({error})"
        except (OSError, KeyError, RuntimeError, NotImplementedError) as error:
            raise SourceError(
                f"can't be unzipped ({error})",
                file=self._path,
                found=self._member,
                remedy="Unzip it, and give the files",
            ) from error


class TextLines:
    """One pass over the lines of a file.

    A last line without an end counts as one, unless the file is damaged there.

    Parameters
    ----------
    path
        The file.
    line_bytes_max
        Where no line ends within so many bytes the file counts as damaged.
    member
        Which file of a zip, if it is one.
    """

    def __init__(self, path: Path, line_bytes_max: int, member: str = "") -> None:
        self._source: Pieces = (
            ZipMember(path, member) if member else Inflated(path, codec_of(path), CHUNK_BYTES)
        )
        self._pieces = self._source.pieces()
        self._line_bytes_max = line_bytes_max
        self._rest = b""
        self._is_over = False
        self._damage = ""
        self.row = 0
        """Lines taken so far."""

    @property
    def consumed(self) -> int:
        """Bytes of the file that were read."""
        return self._source.consumed

    @property
    def damage(self) -> str:
        """What broke the file off behind the last line, in words; empty if nothing did."""
        return self._damage or self._source.damage

    def skip(self, count: int) -> int:
        """Pass over so many lines; how many there were."""
        before = self.row
        while self.row - before < count and len(self.take(min(count - self.row + before, 1 << 16)).starts):
            pass
        return self.row - before

    def take(self, count: int) -> Lines:
        """The next lines, fewer where the file ends."""
        parts, ends = [self._rest], self._rest.count(b"\n")
        while ends < count and not self._is_over:
            piece = next(self._pieces, None)
            if piece is None:
                self._is_over = True
                tail = next((part for part in reversed(parts) if part), b"\n")
                if not self.damage and not tail.endswith(b"\n"):
                    parts.append(b"\n")
            elif ends == 0 and sum(map(len, parts)) > self._line_bytes_max:
                self._is_over, self._damage = True, f"line longer than {self._line_bytes_max} bytes"
            else:
                parts.append(piece)
                ends += piece.count(b"\n")
        block = bytearray().join([*parts, bytes(AHEAD_BYTES)])
        data = np.frombuffer(block, dtype=np.uint8)
        newlines = np.flatnonzero(data[: len(block) - AHEAD_BYTES] == _NEWLINE)[:count]
        starts = np.concatenate((np.zeros(1, dtype=np.int64), newlines[:-1] + 1))[: len(newlines)]
        stops = newlines.copy()
        stops -= (data[stops - 1] == _RETURN) & (stops > starts)
        used = int(newlines[-1]) + 1 if len(newlines) else 0
        self._rest = bytes(block[used : len(block) - AHEAD_BYTES])
        self.row += len(newlines)
        return Lines(data, starts, stops)
