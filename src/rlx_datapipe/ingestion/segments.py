"""The sealed segments of a capture folder: which there are, and their lines, inflated and decrypted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.store.capture_files import CaptureFile, CaptureFolder
from rlx_datapipe.store.capture_manifest import (
    ENTRIES,
    SEGMENTS,
    PublishedEntry,
    chained,
    entry_paths,
    is_capture,
    read_entry,
)
from rlx_datapipe.store.keys import KeyRing, read_key_file

Sealed = tuple[Path, PublishedEntry]


def sealed_segments(folder: Path, behind: Sealed | None = None) -> list[Sealed]:
    """The sealed segments of a capture behind one of them, or all, in the order of their records.

    Raises
    ------
    SourceError
        When one is missing, or is not the one that the next was written behind.
    """
    paths = entry_paths(folder)
    if behind is not None:
        # Only what is new is read: a capture of weeks has thousands of entries.
        name = f"{behind[1].entry.name}.json"
        paths = paths[next((i for i, path in enumerate(paths) if path.name == name), 0) + 1 :]
    published = [read_entry(path) for path in paths]
    chained([*([behind[1]] if behind else []), *published], folder)
    return [(folder / one.entry.file, one) for one in published]


def capture_of(path: Path) -> Path | None:
    """The capture folder that a file is a sealed segment of; None if it is none."""
    folder = path.parent.parent
    return folder if path.parent.name == SEGMENTS and is_capture(folder) else None


class SegmentBytes:
    """The lines of one sealed segment as bytes; checked against its manifest before the first is given.

    ``consumed`` tells how much of the file was read for what was given out; ``damage`` is always empty, for a
    segment that is not what was sealed is an error.

    Parameters
    ----------
    folder, path
        The capture, and the segment in it.
    key_file
        Where the keys are of a capture that is encrypted.
    """

    def __init__(self, folder: Path, path: Path, key_file: Path | None) -> None:
        self._path, self._folder = path, CaptureFolder(folder, _keys(key_file))
        self._entry = entry_of(folder, path).entry
        self.consumed, self.damage = 0, ""

    def pieces(self) -> Iterator[bytes]:
        """The bytes, some at a time.

        Raises
        ------
        SourceError
            When the segment is not what was sealed, or there is no key for it.
        """
        entry = self._entry
        given = 0
        file = CaptureFile(self._path, entry.first_sequence, entry, is_newest=False)
        for piece in self._folder.lines(file):
            given += len(piece)
            self.consumed = entry.size_bytes * given // max(entry.lines_bytes, 1)
            yield piece


def _keys(key_file: Path | None) -> KeyRing | None:
    return read_key_file(key_file) if key_file is not None else None


def entry_of(folder: Path, path: Path) -> PublishedEntry:
    """What the manifest of a capture says of one of its sealed segments.

    Raises
    ------
    SourceError
        When it says nothing, or speaks of another.
    """
    name = path.name.partition(".jsonl")[0]
    published = read_entry(folder / ENTRIES / f"{name}.json")
    if folder / published.entry.file != path:
        raise SourceError("is not the segment of its manifest", file=path, expected=published.entry.file)
    return published
