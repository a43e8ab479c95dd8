"""Reading a capture folder: sealed segments and the log behind them, as lines in the order of receipt."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.store.capture_lines import line_of, unpacked
from rlx_datapipe.store.capture_manifest import (
    LOG,
    CaptureHead,
    Entry,
    PublishedEntry,
    chained,
    entry_paths,
    read_entry,
    read_head,
)
from rlx_datapipe.store.encryption import CHUNK_BYTES, SealedReader
from rlx_datapipe.store.files import file_digest, system_reason
from rlx_datapipe.store.frames import HEADER_BYTES, header_bytes, parse_header
from rlx_datapipe.store.keys import KeyRing
from rlx_datapipe.store.segment import SegmentError, SegmentFile, SegmentReader, list_segments
from rlx_datapipe.store.segment_cipher import opened_records

_INFLATED_AT_ONCE = 1 << 20
_ATTEMPTS = 10
"""Looks at a folder whose log is being sealed under our eyes; each look meets at most a few segments."""


class CaptureFile(NamedTuple):
    """One part of a capture: a sealed segment with its entry, or a segment of the log that has none yet."""

    path: Path
    first_sequence: int
    entry: Entry | None
    is_newest: bool

    @property
    def is_sealed(self) -> bool:
        """Whether it is a sealed segment; if not, more may be written to it or behind it."""
        return self.entry is not None


class CaptureFolder:
    """A capture, finished or still being written.

    Parameters
    ----------
    path
        The folder.
    keys
        What opens it; None if it is not encrypted.

    Raises
    ------
    DatasetError
        When it is no capture.
    """

    def __init__(self, path: Path, keys: KeyRing | None = None) -> None:
        self.path, self._keys = path, keys
        self.head: CaptureHead = read_head(path)
        self._read: dict[str, PublishedEntry] = {}

    def files(self, *, after_sequence: int = -1) -> list[CaptureFile]:
        """Its parts in the order of their records, each record in just one.

        Parameters
        ----------
        after_sequence
            Parts that hold nothing behind this record are left out.

        Raises
        ------
        SourceError
            When a part is missing, doubled or another's.
        """
        for _ in range(_ATTEMPTS):
            # The log first: what leaves it meanwhile is then found sealed, never in neither place.
            log = list_segments(self.path / LOG)
            entries = chained([self._entry(path) for path in entry_paths(self.path)], self.path)
            try:
                found = [(_first_sequence(segment), segment) for segment in log]
            except FileNotFoundError:
                continue
            parts = self._joined(entries, found)
            return [part for part, last in parts if last > after_sequence]
        raise SourceError("changes faster than it can be read", file=self.path)

    def _entry(self, path: Path) -> PublishedEntry:
        # Published once and never changed: a follower need not read years of them at each look.
        if path.name not in self._read:
            self._read[path.name] = read_entry(path)
        return self._read[path.name]

    def _joined(
        self, entries: list[Entry], log: list[tuple[int, SegmentFile]]
    ) -> Iterator[tuple[CaptureFile, float]]:
        for entry in entries:
            path = self.path / entry.file
            yield CaptureFile(path, entry.first_sequence, entry, is_newest=False), entry.last_sequence
        due = entries[-1].last_sequence + 1 if entries else None
        # Sealed already, but not yet removed: what a crash may leave.
        waiting = [(first, segment) for first, segment in log if due is None or first >= due]
        if waiting and due is not None and waiting[0][0] != due:
            raise SegmentError(
                "records are missing before this segment",
                file=waiting[0][1].path,
                found=f"record {waiting[0][0]}",
                expected=f"record {due}",
            )
        for first, segment in waiting:
            newest = segment is waiting[-1][1]
            yield CaptureFile(segment.path, first, None, is_newest=newest), float("inf")

    def lines(self, file: CaptureFile, *, verify: bool = True) -> Iterator[bytes]:
        """The bytes of its lines, some at a time; of an open log up to its last whole record.

        Parameters
        ----------
        verify
            Read the whole file first and hold it against its digest; what is encrypted, or in the log, is
            verified piece by piece in any case.

        Raises
        ------
        SourceError
            When the file can't be read, or is not what was written.
        KeyMismatchError
            When its key is not at hand.
        FileNotFoundError
            When a segment of the log has been sealed since `files` was called; call it again.
        """
        if file.entry is None:
            yield from self._log_lines(file)
            return
        yield from checked_lines(self.compressed(file, verify=verify), file.entry, file.path)

    def open_lines(self, file: CaptureFile, *, verify: bool = True) -> io.BufferedReader:
        """The same as a binary stream."""
        return io.BufferedReader(_Stream(self.lines(file, verify=verify)), _INFLATED_AT_ONCE)

    def compressed(self, file: CaptureFile, *, verify: bool = True) -> Iterator[bytes]:
        """The bytes of a sealed segment, decrypted but still compressed; errors as `lines`."""
        assert file.entry is not None  # noqa: S101 (of a segment of the log there are none)
        if (file.entry.key_id is None) != (self.head.key_id is None):
            raise SourceError(
                "is not as its capture began",
                file=file.path,
                found="plain" if file.entry.key_id is None else "encrypted",
            )
        try:
            if verify:
                _check_digest(file.path, file.entry)
            with file.path.open("rb") as source:
                if file.entry.key_id is None:
                    yield from iter(lambda: source.read(CHUNK_BYTES), b"")
                    return
                place = self.head.place(file.first_sequence)
                yield from SealedReader(source, self._keys, place, file.path)
        except OSError as error:
            raise SourceError(f"can't be read ({system_reason(error)})", file=file.path) from error

    def _log_lines(self, file: CaptureFile) -> Iterator[bytes]:
        reader = SegmentReader(file.path, newest=file.is_newest)
        held: list[bytes] = []
        size = 0
        try:
            for record in opened_records(reader, self._keys, must_be_locked=self.head.key_id is not None):
                line, _ = line_of(record, unpacked(record.payload))
                held.append(line)
                size += len(line)
                if size >= _INFLATED_AT_ONCE:
                    yield b"".join(held)
                    held, size = [], 0
        except SourceError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise FileNotFoundError(file.path) from error
            raise
        yield b"".join(held)


def checked_lines(compressed: Iterator[bytes], entry: Entry, told_as: Path) -> Iterator[bytes]:
    """The lines in compressed bytes, some at a time; at their end they are held against their entry.

    Raises
    ------
    SourceError
        When they are not those that were sealed.
    """
    digest, size = hashlib.sha256(), 0
    # What a reader gives at a time is bounded, however much a piece inflates to.
    stream = zstandard.ZstdDecompressor().stream_reader(io.BufferedReader(_Stream(compressed)))
    try:
        while size <= entry.lines_bytes and (piece := stream.read(_INFLATED_AT_ONCE)):
            digest.update(piece)
            size += len(piece)
            yield piece
    except zstandard.ZstdError as error:
        raise SourceError("is damaged (zstd)", file=told_as, found=str(error)) from error
    if (size, digest.hexdigest()) != (entry.lines_bytes, entry.lines_sha256):
        raise SourceError(
            "is damaged: its lines are not those of the manifest",
            file=told_as,
            found=f"{size} bytes",
            expected=f"{entry.lines_bytes} bytes",
        )


class _Stream(io.RawIOBase):
    """Pieces as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _first_sequence(segment: SegmentFile) -> int:
    with segment.path.open("rb") as file:
        content = file.read(HEADER_BYTES)
        content += file.read(header_bytes(content) - HEADER_BYTES)
    header = parse_header(content)
    if header is None:
        raise SegmentError("is damaged", file=segment.path, offset=0, found="no header of a segment")
    return header.first_sequence


def _check_digest(path: Path, entry: Entry) -> None:
    found = file_digest(path)
    if found != (entry.size_bytes, entry.sha256):
        raise SourceError(
            "is damaged: it is not the file of the manifest",
            file=path,
            found=f"SHA-256 {found[1]}, {found[0]} bytes",
            expected=f"{entry.sha256}, {entry.size_bytes} bytes",
            remedy="Restore the file from a copy",
        )
