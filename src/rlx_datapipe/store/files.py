"""Files that appear whole or not at all, and are never overwritten but by the one call that says so."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import DiskFullError, OutputError, UnwritableError

_LOCK_POLL_S = 0.05


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
            if adopt:
                raise OutputError(
                    "is not the same to the byte as it is written now",
                    file=path,
                    remedy="Resume with the version that began it, or reconstruct in a new folder",
                ) from error
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


def publish_bytes(path: Path, content: bytes, *, adopt: bool = False) -> None:
    """Publish ``content`` as a file, whole or not at all; ``adopt`` and errors as `publishing`."""
    with publishing(path, adopt=adopt) as temporary:
        temporary.write_bytes(content)


def replace_bytes(path: Path, content: bytes) -> None:
    """Put ``content`` in place of a file, or where none is: readers see the one or the other, whole.

    Raises
    ------
    OutputError
        When the system refuses to write.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        make_folder(path.parent)
        temporary.write_bytes(content)
        sync(temporary)
        os.replace(temporary, path)  # noqa: PTH105 (the one call that replaces)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _discard(temporary)


def file_digest(path: Path) -> tuple[int, str]:
    """Size and SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return path.stat().st_size, digest


@contextmanager
def locked(folder: Path, name: str = ".lock", *, patience_s: float = 0.0) -> Iterator[Callable[[], None]]:
    """Hold a folder against other writers; the lock goes with the process, however it ends.

    ``name`` is that of the lock; one that is held is waited for as long as ``patience_s`` says. Gives a check
    to be called before anything is committed: that this is still the folder that is held.

    Raises
    ------
    OutputError
        When another process holds it, or the folder can't be written; by the check, when it was removed.
    """
    path = folder / name
    try:
        file = path.open("a")
    except OSError as error:
        raise unwritable(folder, error) from error
    with file:
        deadline = time.monotonic() + patience_s
        while not _try_lock(file.fileno()):
            if time.monotonic() >= deadline:
                raise OutputError(
                    "is being written by another process",
                    file=folder,
                    **_holder(path),
                    remedy="Wait for it to end, or stop it",
                )
            time.sleep(_LOCK_POLL_S)
        _tell_holder(file.fileno(), str(os.getpid()))
        try:
            yield partial(_check_held, folder, path, file.fileno())
        finally:
            _tell_holder(file.fileno(), "")


def was_let_go(folder: Path, name: str = ".lock") -> bool:
    """Whether who held a folder last let it go by itself; one who died has not."""
    return not _holder(folder / name)


def is_held(folder: Path, name: str = ".lock") -> bool:
    """Whether a living process holds a folder; looks at the lock itself, which goes with the process."""
    try:
        file = (folder / name).open("rb")
    except OSError:
        return False
    with file:
        # Held for this moment only, and only where nobody let it go: so hardly one who starts is hindered.
        return not was_let_go(folder, name) and not _try_lock(file.fileno(), fcntl.LOCK_SH)


def _tell_holder(handle: int, told: str) -> None:
    # For people only: a disk too full for it must not stop a run, and what a dead process left blocks nobody.
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.write(handle, told.encode())


def _holder(path: Path) -> dict[str, str]:
    with suppress(OSError):
        told = path.read_bytes()[:20].decode("ascii", "replace")
        if told.isascii() and told.isdigit():
            return {"pid": told}
    return {}


def _try_lock(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _check_held(folder: Path, path: Path, descriptor: int) -> None:
    try:
        same = os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        same = False
    except OSError as error:
        raise unwritable(folder, error) from error
    if not same:
        raise removed(folder)


def unwritable(path: Path, error: Exception) -> UnwritableError:
    """The error for an output that the system refuses to write."""
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return (DiskFullError if is_full else UnwritableError)(
        f"can't be written ({system_reason(error)})",
        file=path,
        remedy="Choose a folder that you may write to, with enough space, by --out",
    )


def removed(folder: Path) -> OutputError:
    """The error for a dataset that somebody took away while it was being written."""
    return OutputError(
        "was removed or replaced while it was being written",
        file=folder,
        remedy="Put it back and go on with --resume, or reconstruct in a new folder",
    )


def system_reason(error: Exception) -> str:
    """What the system said, in its own words; libraries wrap that in several lines of theirs."""
    if isinstance(error, OSError) and error.strerror and "errno" not in error.strerror:
        return error.strerror
    if number := re.search(r"(?:os error|errno) (\d+)", str(error)):
        return os.strerror(int(number[1]))
    return str(error).partition("\n")[0]


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
