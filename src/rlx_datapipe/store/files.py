"""Files that appear whole or not at all, and are never overwritten."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import OutputError


class FileRecord(msgspec.Struct, frozen=True):
    """One file as it was published: its path below the dataset, size and SHA-256."""

    path: str
    size_bytes: int
    sha256: str


@contextmanager
def publishing(path: Path, *, adopt: bool = False) -> Iterator[Path]:
    """Give a temporary path to write; after the block the file is synced and gets its name.

    With ``adopt``, a file that is there already is taken for this one if it is the same to the byte.

    Raises
    ------
    OutputError
        When the name is taken, or the system refuses to write.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        make_folder(path.parent)
        temporary.unlink(missing_ok=True)
        yield temporary
        sync(temporary)
        crash_point("file written")
        # A hard link refuses to replace what is there; a rename would not.
        if not (adopt and path.is_file() and file_digest(path) == file_digest(temporary)):
            os.link(temporary, path)
        temporary.unlink()
        sync(path.parent)
        crash_point("file published")
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.lexists(path):
            raise OutputError("a file of this name is there already", file=path) from error
        raise unwritable(path, error) from error
    finally:
        _discard(temporary)


_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL)
"""What the sync of a folder says that others made: it was there before us, and can't be synced by us."""
_named: set[tuple[Path, int]] = set()
"""Folders, with their inodes, whose names this process has put on the disk."""


def make_folder(path: Path) -> None:
    """Make a folder with all above it, so that a power cut takes none of them back.

    One that is there already may have been made by a process that was killed before it could sync.
    """
    for folder in (path, *path.parents):
        folder.mkdir(parents=True, exist_ok=True)
        known = (folder, folder.stat().st_ino)
        if known in _named:
            return
        try:
            sync(folder.parent)
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            return
        _named.add(known)


def publish_bytes(path: Path, content: bytes) -> None:
    """Publish ``content`` as a file, whole or not at all; errors as `publishing`."""
    with publishing(path) as temporary:
        temporary.write_bytes(content)


def file_digest(path: Path) -> tuple[int, str]:
    """Size and SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return path.stat().st_size, digest


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder against other writers; the lock goes with the process, however it ends.

    Raises
    ------
    OutputError
        When another process holds it, or the folder can't be written.
    """
    path = folder / ".lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise unwritable(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(
                "is being written by another process", file=folder, remedy="Wait for it to end, or stop it"
            ) from error
        yield


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error for an output that the system refuses to write."""
    return OutputError(
        f"can't be written ({error.strerror or error})",
        file=path,
        remedy="Choose a folder that you may write to, with enough space, by --out",
    )


def _discard(path: Path) -> None:
    # What made the writing fail may forbid this too; the first error is the one to tell.
    with suppress(OSError):
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
