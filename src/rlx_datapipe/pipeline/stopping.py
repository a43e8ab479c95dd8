"""Stopped by the system in the middle: one sentence, and the promise that ``--resume`` goes on."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlx_datapipe.core.errors import OptionError, StoppedError, UnwritableError
from rlx_datapipe.store.files import removed, unwritable
from rlx_datapipe.store.layout import MANIFEST

HANDLES_LEAST = 64
"""Open files that a run may need: some twenty, and those of the caller."""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def require_handles() -> None:
    """Refuse to start where too few files may be open; delta-rs would panic for want of one.

    Raises
    ------
    OptionError
        When the limit is under `HANDLES_LEAST`.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < HANDLES_LEAST:
        raise OptionError(
            "too few open files are allowed",
            found=allowed,
            expected=f"at least {HANDLES_LEAST}",
            remedy="Raise the limit (ulimit -n 1024)",
        )


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Tell a dataset that the system stops in the making as stopped: what is committed stands.

    Raises
    ------
    StoppedError
        In place of `UnwritableError`, or of an error of the system that nobody put into words.
    OutputError
        When the dataset itself is gone.
    """
    try:
        yield
    except (UnwritableError, OSError) as error:
        told = unwritable(Path(error.filename or folder), error) if isinstance(error, OSError) else error
        told.__cause__ = told.__cause__ or error
        if isinstance(told.__cause__, FileNotFoundError) and not (folder / MANIFEST).is_file():
            raise removed(folder) from error
        raise _stopped(told) from error


def _stopped(error: UnwritableError) -> StoppedError:
    cause = error.__cause__
    full = (isinstance(cause, OSError) and cause.errno in _NO_ROOM) or "No space left" in error.what
    remedy = f"{'Make room' if full else 'Mend that'}, then go on by the same command with --resume"
    return StoppedError(error.what, remedy=remedy, **error.facts)
