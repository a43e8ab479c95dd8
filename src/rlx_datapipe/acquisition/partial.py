"""A file while it comes: its bytes at their places, and beside it a journal of those that are there."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import msgspec

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.store.files import unwritable

_BLOCK = 1 << 20
_PIECE_MAX = 1 << 28


class Origin(msgspec.Struct, frozen=True):
    """Which object a partial file is of: a journal of another one counts for nothing."""

    url: str
    etag: str
    size_bytes: int


class _Piece(msgspec.Struct, frozen=True, array_like=True):
    """Bytes that were written: where, how many, and their CRC-32."""

    at: int
    length: int
    crc: int


class Digests(msgspec.Struct, frozen=True):
    """Digests of a whole file, in hex; ``md5`` is empty where nobody asked for it."""

    sha256: str
    md5: str = ""


class PartialFile:
    """A file in the making, that can be gone on with at the byte after any death.

    Bytes are written first and then entered in the journal with their checksum. On opening, each entry is
    compared with what lies in the file: after a kill all of it is there; after a power cut an entry whose
    bytes were not on the disk yet is void, and they are asked for again. So nothing has to be synced on the
    way. Digests go on while bytes come: at the end little is left to hash. Safe for several threads that
    write different bytes.

    Parameters
    ----------
    path
        Of the file; the journal lies beside it.
    origin
        What it is a copy of. What was fetched of another object is thrown away.
    with_md5
        Whether its MD5 is wanted beside its SHA-256.

    Raises
    ------
    UnwritableError
        When the system refuses.
    """

    def __init__(self, path: Path, origin: Origin, *, with_md5: bool = True) -> None:
        self.path, self.origin = path, origin
        self._journal_path = journal_of(path)
        self._lock = threading.Lock()
        self._handle = self._journal = -1
        try:
            pieces = _read_journal(self._journal_path, origin)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            held = [piece for piece in pieces or () if self._is_there(piece)]
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            self._journal = os.open(self._journal_path, flags, 0o644)
            if pieces is None:
                os.ftruncate(self._journal, 0)
                os.ftruncate(self._handle, 0)
                os.write(self._journal, msgspec.json.encode(origin) + b"\n")
            else:
                # A torn last line must not take the next one with it.
                os.write(self._journal, b"\n")
            os.ftruncate(self._handle, origin.size_bytes)
        except OSError as error:
            self.close()
            raise unwritable(path, error) from error
        self.held = _merged(held)
        """Stretches that were there when it was opened, start and end (excluded), in order."""
        self._hashing = threading.Lock()
        self._digests = [hashlib.sha256(), *([hashlib.md5(usedforsecurity=False)] if with_md5 else [])]
        self._hashed = 0
        self._whole = dict(self.held)

    def missing(self) -> list[tuple[int, int]]:
        """Stretches that were not there when it was opened."""
        gaps, at = [], 0
        for start, end in [*self.held, (self.origin.size_bytes, self.origin.size_bytes)]:
            if at < start:
                gaps.append((at, start))
            at = max(at, end)
        return gaps

    def write(self, at: int, piece: bytes) -> None:
        """Put bytes in their place, and enter them in the journal.

        Raises
        ------
        UnwritableError
            When the system refuses, such as for a full disk.
        """
        entry = msgspec.json.encode(_Piece(at, len(piece), zlib.crc32(piece))) + b"\n"
        try:
            # Not beside `close`: the number of a closed file may be another's by then.
            with self._lock:
                _write_all(self._handle, piece, at)
                crash_point("piece written")
                os.write(self._journal, entry)
        except OSError as error:
            raise unwritable(self.path, error) from error
        crash_point("piece entered")

    def is_whole(self, start: int, end: int) -> None:
        """Tell that a missing stretch is written: digests go on as far as all before it is there too.

        Whoever comes while another thread hashes leaves it to that one, or to the end.

        Raises
        ------
        UnwritableError
            When the system refuses.
        """
        with self._lock:
            self._whole[start] = end
        if self._hashing.acquire(blocking=False):
            try:
                while (end := self._whole.pop(self._hashed, 0)) > 0:
                    self._hash(end)
            finally:
                self._hashing.release()

    def finish(self) -> Digests:
        """Put the whole file on the disk; its digests. The journal goes when the file has its name."""
        with self._hashing:
            self._hash(self.origin.size_bytes)
        try:
            os.fsync(self._handle)
        except OSError as error:
            raise unwritable(self.path, error) from error
        crash_point("file fetched")
        return Digests(*(one.hexdigest() for one in self._digests))

    def close(self) -> None:
        """Let go of it; what came can be gone on with."""
        with self._lock:
            for handle in (self._handle, self._journal):
                if handle >= 0:
                    with suppress(OSError):
                        os.close(handle)
            self._handle = self._journal = -1

    def discard(self) -> None:
        """Throw away what came."""
        self.close()
        forget(self.path)

    def _hash(self, end: int) -> None:
        """Let the digests go on to a byte."""
        room = memoryview(bytearray(min(_BLOCK, max(0, end - self._hashed))))
        try:
            while self._hashed < end:
                block = room[: os.preadv(self._handle, [room[: end - self._hashed]], self._hashed)]
                if not block:
                    raise OSError(errno.EIO, "the file is shorter than it was made")
                for one in self._digests:
                    one.update(block)
                self._hashed += len(block)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _is_there(self, piece: _Piece) -> bool:
        """Whether the bytes of an entry are those that were written."""
        if not (piece.at >= 0 and 0 < piece.length <= _PIECE_MAX):
            return False
        if piece.at + piece.length > self.origin.size_bytes:
            return False
        return zlib.crc32(os.pread(self._handle, piece.length, piece.at)) == piece.crc


def journal_of(path: Path) -> Path:
    """Where the journal of a partial file lies."""
    return path.with_name(f"{path.name}.journal")


def forget(path: Path) -> None:
    """Remove a partial file and its journal, whichever of them is there."""
    # The journal first: bytes without an entry are nothing, an entry without its bytes would be looked for.
    for one in (journal_of(path), path):
        try:
            one.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(one, error) from error


def held_bytes(path: Path, origin: Origin) -> int:
    """How much of an object a partial file says that it holds, without a look at the bytes themselves."""
    pieces = _read_journal(journal_of(path), origin)
    return sum(end - start for start, end in _merged(pieces or []))


def _read_journal(path: Path, origin: Origin) -> list[_Piece] | None:
    """Entries of a journal that is of this object; None if there is none. Lines that are torn are skipped."""
    try:
        first, *lines = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if msgspec.json.decode(first, type=Origin) != origin:
            return None
    except msgspec.MsgspecError:
        return None
    pieces = []
    for line in lines:
        with suppress(msgspec.MsgspecError):
            pieces.append(msgspec.json.decode(line, type=_Piece))
    return pieces


def _merged(pieces: list[_Piece]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted((piece.at, piece.at + piece.length) for piece in pieces):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _write_all(handle: int, piece: bytes, at: int) -> None:
    left = memoryview(piece)
    while left:
        written = os.pwrite(handle, left, at)
        left, at = left[written:], at + written
