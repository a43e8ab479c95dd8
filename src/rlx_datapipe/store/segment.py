"""Raw segments of a live capture, read back: every record verified, and three ends told apart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.store.frames import (
    ALIGNMENT,
    FRAME_BYTES,
    HEADER_BYTES,
    Head,
    Header,
    Record,
    RecordKind,
    Seal,
    header_bytes,
    parse_head,
    parse_header,
    parse_seal,
    payload_of,
)

SECTOR = 512
_KINDS = {int(kind): kind for kind in RecordKind}
_READ_AT_ONCE = 1 << 18
_SEARCHED_AT_ONCE = 1 << 20
_NAME = re.compile(r"generation-(\d{10})-segment-(\d{10})\.(open|raw)")


class SegmentError(SourceError):
    """Raised when a segment holds anything but what was written; what comes behind is not read.

    ``facts`` has the file, the ``offset`` of the first bad byte range, and what was found there.
    """


class SegmentFile(NamedTuple):
    """A segment by its name; ordered as it was written."""

    generation: int
    number: int
    path: Path

    @property
    def is_open(self) -> bool:
        """Whether it has not been sealed and published yet."""
        return self.path.suffix == ".open"


class End(NamedTuple):
    """How a segment ends.

    Attributes
    ----------
    next_sequence
        Sequence number behind its last record.
    valid_bytes
        Bytes up to the end of the last record, or of the seal.
    torn_bytes
        Bytes behind them that are no whole record; only in a segment that is open.
    seal
        None where the segment is open: its process is still writing, or is dead.
    """

    next_sequence: int
    valid_bytes: int
    torn_bytes: int
    seal: Seal | None


def segment_path(folder: Path, generation: int, number: int, *, is_open: bool = False) -> Path:
    """Where a segment lies: of which process (generation), and which of its segments, both from 0."""
    return folder / f"generation-{generation:010d}-segment-{number:010d}.{'open' if is_open else 'raw'}"


def list_segments(folder: Path) -> list[SegmentFile]:
    """The segments in a folder in the order in which they were written; other files are passed over.

    One that a crash left under both its names counts once, as open.
    """
    found: dict[tuple[int, int], SegmentFile] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            key = (int(match[1]), int(match[2]))
            found.setdefault(key, SegmentFile(*key, path))
    return [found[key] for key in sorted(found)]


class SegmentReader:
    """Iterate over the records of one segment; memory is bounded by the longest record.

    Parameters
    ----------
    path
        The segment; its name tells its place, and whether it is sealed.
    newest
        Whether it is the last of its writer. Only then, and only if it is open, it may end in a torn record:
        the iteration stops before it, and ``end`` tells how many bytes that leaves out.
    """

    def __init__(self, path: Path, *, newest: bool = False) -> None:
        self.path = path
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise SourceError("is not named like a segment", file=path)
        self._place = (int(match[1]), int(match[2]))
        self._may_be_torn = newest and match[3] == "open"
        self._digest = hashlib.sha256()
        self.offset, self.next_sequence = 0, 0
        self.header: Header | None = None
        self.end: End | None = None

    def __iter__(self) -> Iterator[Record]:
        """Records in order; `SegmentError` where anything but a record stands."""
        try:
            with self.path.open("rb", buffering=_READ_AT_ONCE) as file:
                size = self.path.stat().st_size
                yield from self._records(file, size, self._read_header(file))
        except OSError as error:
            raise SourceError(f"can't be read ({error.strerror or error})", file=self.path) from error

    def _read_header(self, file: IO[bytes]) -> int:
        content = file.read(HEADER_BYTES)
        content += file.read(header_bytes(content) - HEADER_BYTES)
        header = parse_header(content)
        if header is None:
            raise self._damage("no header of a segment")
        if (header.generation, header.number) != self._place:
            raise self._damage(f"the header of generation {header.generation}, segment {header.number}")
        self._digest.update(content)
        self.header, self.offset, self.next_sequence = header, len(content), header.first_sequence
        return header.seed

    def _records(self, file: IO[bytes], size: int, seed: int) -> Iterator[Record]:
        while self.offset < size:
            content = file.read(min(FRAME_BYTES, size - self.offset))
            head = parse_head(seed, content) if len(content) == FRAME_BYTES else None
            if head is not None:
                content += file.read(min(head.rest, size - self.offset - FRAME_BYTES))
            payload = payload_of(head, content[FRAME_BYTES:]) if head is not None else None
            if head is None or payload is None:
                return self._end_torn(file, size, seed, content, head)
            record = self._record(head, payload)
            if record.kind is RecordKind.SEAL:
                return self._end_sealed(payload, len(content), size)
            self._digest.update(content)
            self.offset += len(content)
            self.next_sequence += 1
            yield record
        if not self._may_be_torn:
            raise self._damage("its end without a seal")
        self.end = End(self.next_sequence, self.offset, 0, None)

    def _record(self, head: Head, payload: bytes) -> Record:
        if head.sequence != self.next_sequence:
            raise self._damage(f"record {head.sequence} where {self.next_sequence} is due")
        # Faster than a call of the enumeration, for each record passes here.
        kind = _KINDS.get(head.kind)
        if kind is None:
            raise self._damage(f"a record of unknown kind {head.kind}")
        return Record(head.sequence, kind, head.wall_ns, head.monotonic_ns, head.connection, payload)

    def _end_sealed(self, payload: bytes, length: int, size: int) -> None:
        seal = parse_seal(payload)
        if seal is None or seal.digest != self._digest.digest():
            raise self._damage("a seal that does not fit what comes before it")
        if self.offset + length != size:
            raise self._damage(f"{size - self.offset - length} bytes behind the seal")
        self.end = End(self.next_sequence, size, 0, seal)

    def _end_torn(self, file: IO[bytes], size: int, seed: int, content: bytes, head: Head | None) -> None:
        """Stop before what is no record: the torn tail of an open segment, or else damage.

        A write that was cut off leaves an end before its time, or after a power cut sectors of zeros; and it
        leaves no valid record behind.
        """
        found = "a record cut short" if self._is_cut(content, head) else "a record with a wrong checksum"
        if not self._may_be_torn:
            raise self._damage(found)
        if not self._is_cut(content, head) and not _has_zero_sector(content, self.offset):
            raise self._damage(found)
        later = self._valid_head_behind(file, size, seed)
        if later is not None:
            raise self._damage(f"{found}, and a valid one behind it at offset {later}")
        self.end = End(self.next_sequence, self.offset, size - self.offset, None)

    @staticmethod
    def _is_cut(content: bytes, head: Head | None) -> bool:
        return len(content) < FRAME_BYTES or (head is not None and len(content) < FRAME_BYTES + head.rest)

    def _valid_head_behind(self, file: IO[bytes], size: int, seed: int) -> int | None:
        """Offset of the first head of a later record of this file that is valid; None if there is none."""
        start = self.offset + ALIGNMENT
        highest = self.next_sequence + size // FRAME_BYTES
        while start + FRAME_BYTES <= size:
            file.seek(start)
            content = file.read(_SEARCHED_AT_ONCE + FRAME_BYTES)
            words = np.frombuffer(content[: len(content) // ALIGNMENT * ALIGNMENT], dtype="<u8")
            # The sequence number is the second word of a head.
            likely = np.flatnonzero((words[1:] >= self.next_sequence) & (words[1:] <= highest))
            for at in (likely * ALIGNMENT).tolist():
                head = content[at : at + FRAME_BYTES]
                if len(head) == FRAME_BYTES and parse_head(seed, head) is not None:
                    return int(start + at)
            start += _SEARCHED_AT_ONCE
        return None

    def _damage(self, found: str) -> SegmentError:
        return SegmentError(
            "is damaged",
            file=self.path,
            offset=self.offset,
            found=found,
            remedy="What comes before can be read, what comes behind is left as it is",
        )


def read_segments(folder: Path, *, first: int = 0) -> Iterator[Record]:
    """All records of a writer, over all its segments in order; ``first`` is the sequence number due first.

    Raises
    ------
    SegmentError
        At the first byte that is not what was written, and where a record or a segment is missing or doubled.
    SourceError
        When a segment can't be read, or belongs to another writer.
    """
    segments = list_segments(folder)
    writer, due = "", first
    for segment in segments:
        reader = SegmentReader(segment.path, newest=segment is segments[-1])
        records = iter(reader)
        head = next(records, None)
        assert reader.header is not None  # noqa: S101 (the first step has read it)
        writer = writer or reader.header.writer
        _refuse_hole(reader.path, reader.header, Header(writer, segment.generation, segment.number, due))
        if head is not None:
            yield head
        yield from records
        due = reader.next_sequence


def _refuse_hole(path: Path, found: Header, due: Header) -> None:
    if found.writer != due.writer:
        raise SourceError(
            "is a segment of another writer", file=path, found=found.writer, expected=due.writer
        )
    if found.first_sequence != due.first_sequence:
        missing = found.first_sequence > due.first_sequence
        raise SegmentError(
            "records are missing before this segment" if missing else "this segment doubles records",
            file=path,
            offset=0,
            found=f"record {found.first_sequence}",
            expected=f"record {due.first_sequence}",
            remedy="Put the missing segment back" if missing else "Take away the one that is no part of it",
        )


def _has_zero_sector(content: bytes, offset: int) -> bool:
    """Whether a part of ``content``, which lies at ``offset``, that is in one sector is all zero."""
    bounds = sorted({0, len(content), *range(-offset % SECTOR, len(content), SECTOR)})
    return any(not content[start:stop].strip(b"\0") for start, stop in pairwise(bounds))
