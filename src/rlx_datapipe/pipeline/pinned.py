"""The input files as they were hashed, and whether they are still those."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.store.manifest import SourceFile, hash_file

_Stamp = tuple[int, int, int]


class Pinned:
    """Files of a chain, pinned by size and SHA-256.

    They are read a second time to make the dataset, and a recorder may still be writing them. So their
    identity, size and time of change are taken before hashing, and compared before each commit: what a commit
    says of its input is true of the bytes that it was made from.

    Raises
    ------
    SourceError
        When a file can't be read.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._stamps = {path: _stamp(path) for path in paths}
        self.files: tuple[SourceFile, ...] = tuple(hash_file(path) for path in self._stamps)

    def upto(self, paths: Sequence[Path]) -> tuple[SourceFile, ...]:
        """The records of these files, which begin with those that are pinned; the others are pinned now."""
        new = paths[len(self.files) :]
        self._stamps.update({path: _stamp(path) for path in new})
        self.files += tuple(hash_file(path) for path in new)
        return self.files[: len(paths)]

    def check(self) -> None:
        """Compare the files on disk with those that were hashed.

        Raises
        ------
        SourceError
            When one has changed, grown, shrunk or gone.
        """
        for path, stamp in self._stamps.items():
            now = _stamp(path)
            if now != stamp:
                raise SourceError(
                    "changed while it was being read",
                    file=path,
                    found=f"{now[1]} bytes",
                    expected=f"the {stamp[1]} bytes of the start, untouched",
                    remedy="Wait until nothing writes to it, then reconstruct in a new folder",
                )


def _stamp(path: Path) -> _Stamp:
    try:
        held = path.stat()
    except OSError as error:
        raise SourceError(f"can't be read ({error.strerror or error})", file=path) from error
    return held.st_ino, held.st_size, held.st_mtime_ns
