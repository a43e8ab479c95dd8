"""Append-only files of JSON lines, each linked to the one before by its digest; a torn tail is cut off."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.store.files import sync, unwritable

_NUL: Final = b"\0"


class _Line(msgspec.Struct, frozen=True):
    """What stands on one line; ``sha256`` is over ``previous`` and the bytes of ``content``."""

    content: msgspec.Raw
    previous: str
    sha256: str


class LinkedLines:
    """A file of linked lines, open for appending; one writer at a time, which its caller sees to.

    A last line without its end, or with the zeros that a power cut leaves, was never acknowledged and is cut
    off. Anything else that does not fit is damage, and nothing is appended behind it.

    Raises
    ------
    DatasetError
        When a line is missing, doubled or changed.
    OutputError
        When the file can't be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            is_new = not path.exists()
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            self.contents, self._head, self._size = read_linked(path)
            """What was there when it was opened, oldest first."""
            if self._size < os.fstat(self._handle).st_size:
                os.ftruncate(self._handle, self._size)
            # What a killed process wrote may not be on the disk yet.
            os.fsync(self._handle)
            if is_new:
                sync(path.parent)
        except OSError as error:
            self.close()
            raise unwritable(path, error) from error
        except DatasetError:
            self.close()
            raise
        self._is_sound = True

    def append(self, *contents: bytes) -> None:
        """Put more lines behind the others; they are on the disk when this returns.

        Raises
        ------
        OutputError
            When the system refuses; from then on this object takes nothing more, for nobody knows what is on
            the disk until the file is opened anew.
        """
        if not self._is_sound:
            raise OutputError("could not be written before", file=self._path, remedy="Run it again")
        head, lines = self._head, b""
        for content in contents:
            digest = _digest(head, content)
            lines += msgspec.json.encode(_Line(msgspec.Raw(content), head, digest)) + b"\n"
            head = digest
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._handle, left) :]
            crash_point("change written")
            os.fsync(self._handle)
        except OSError as error:
            self._is_sound = False
            with suppress(OSError):
                os.ftruncate(self._handle, self._size)
            raise unwritable(self._path, error) from error
        self._head = head
        self._size += len(lines)
        crash_point("change recorded")

    @property
    def head(self) -> str:
        """Digest of the last line, which vouches for all before it; empty while there is none."""
        return self._head

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)


def read_linked(path: Path) -> tuple[list[bytes], str, int]:
    """Contents of all whole lines of a file, the digest of the last, and how many bytes they take.

    Raises
    ------
    DatasetError
        When a line is missing, doubled or changed.
    OSError
        When the file can't be read.
    """
    held = path.read_bytes()
    contents: list[bytes] = []
    head, size = "", 0
    while (end := held.find(b"\n", size)) >= 0:
        text = held[size:end]
        try:
            line = msgspec.json.decode(text, type=_Line)
            content = bytes(line.content)
            fits = line.previous == head and line.sha256 == _digest(head, content)
        except msgspec.MsgspecError:
            fits = False
        if not fits:
            if _NUL in text and end == len(held) - 1:
                break
            raise DatasetError(
                "is damaged: a line is missing, doubled or changed",
                file=path,
                row=len(contents) + 1,
                remedy="Restore it from a copy",
            )
        contents.append(content)
        head, size = line.sha256, end + 1
    return contents, head, size


def _digest(previous: str, content: bytes) -> str:
    return hashlib.sha256(previous.encode() + content).hexdigest()
