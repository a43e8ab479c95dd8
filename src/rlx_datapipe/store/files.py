"""Files that appear whole or not at all, and are never overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rlx_datapipe.core.errors import OutputError


def publish(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, sync it, and give it its name.

    Raises
    ------
    OutputError
        When the name is taken, or the folder can't be written.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        write(temporary)
        _sync(temporary)
        # A hard link refuses to replace what is there; a rename would not.
        os.link(temporary, path)
        temporary.unlink()
        _sync(path.parent)
    except FileExistsError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError("a file of this name is there already", file=path) from error
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def publish_bytes(path: Path, content: bytes) -> None:
    """Publish ``content`` as a file, whole or not at all; errors as `publish`."""
    publish(path, lambda temporary: _write_all(temporary, content))


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error for an output that the system refuses to write."""
    return OutputError(
        f"can't be written ({error.strerror or error})",
        file=path,
        remedy="Choose a folder that you may write to, with enough space, by --out",
    )


def _write_all(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
