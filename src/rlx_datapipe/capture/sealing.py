"""Segments of the log become sealed segments: compressed, encrypted, counted; then the log may go.

The order is that of a commit: the segment, its entry in the manifest, the removal. A kill between any two
loses nothing, for the log is still there, and doubles nothing, for only an entry makes a segment count.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import IO

import msgspec
import zstandard

from rlx_datapipe.capture.judging import MarketJudge
from rlx_datapipe.capture.manifest import SegmentTally
from rlx_datapipe.capture.regime import TRAILING, Special
from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.store.capture_lines import line_of, unpacked
from rlx_datapipe.store.capture_manifest import (
    ENTRIES,
    LOG,
    NAME,
    PLAIN_SUFFIX,
    SEALED_SUFFIX,
    SEGMENTS,
    CaptureHead,
    PublishedEntry,
    entry_paths,
    newest_entry,
    publish_entry,
    read_entry,
    segment_name,
)
from rlx_datapipe.store.encryption import FILES, SealingWriter, new_file_key
from rlx_datapipe.store.files import file_digest, publishing, sync, unwritable
from rlx_datapipe.store.frames import Record
from rlx_datapipe.store.keys import KeyRing
from rlx_datapipe.store.segment import SegmentReader, list_segments
from rlx_datapipe.store.segment_cipher import opened_records

_WRITING = re.compile(r"segment-\d{10,}")
_LEVEL = 3
_COMPRESSED_AT_ONCE = 1 << 18


class Sealer:
    """Seals the finished segments of the log of one capture; ``lock`` is held while it is at it.

    Parameters
    ----------
    folder, head
        The capture, and what it records.
    keys
        The newest encrypts; all open the log. None: nothing is encrypted.
    calendar
        Periods that are not to be judged by what came before.
    random_bytes
        Where salts come from.
    """

    def __init__(
        self,
        folder: Path,
        head: CaptureHead,
        keys: KeyRing | None,
        *,
        calendar: Sequence[Special] = (),
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._folder, self._head, self._keys = folder, head, keys
        self._random_bytes = random_bytes
        self.newest: PublishedEntry | None = newest_entry(folder)
        self.lock = threading.Lock()
        before = (read_entry(path).entry for path in entry_paths(folder)[-TRAILING:])
        self._judge = MarketJudge(head, before, calendar)

    def remove_half_made(self) -> None:
        """Remove what a dead process did not come to the end of: only files that bear our own names.

        Raises
        ------
        OutputError
            When the system refuses.
        """
        try:
            self._remove_half_made()
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def _remove_half_made(self) -> None:
        for folder in (SEGMENTS, ENTRIES):
            for path in sorted((self._folder / folder).glob(".*.partial")):
                name = path.name.removeprefix(".").removesuffix(".partial")
                stems = [name.removesuffix(end) for end in (PLAIN_SUFFIX, SEALED_SUFFIX, ".json")]
                if _WRITING.fullmatch(name) or any(NAME.fullmatch(stem) for stem in stems if stem != name):
                    _unlink(path)
                    crash_point("half-made removed")

    def seal_all(self) -> int:
        """Seal every finished segment of the log in order; how many records they had.

        Raises
        ------
        OutputError
            When the system refuses; the log keeps what is not sealed, and a later call goes on.
        SourceError
            When the log is damaged, or does not go on behind what is sealed.
        """
        records = 0
        with self.lock:
            try:
                for segment in list_segments(self._folder / LOG):
                    if segment.is_open:
                        break
                    records += self._seal(segment.path)
            except OSError as error:
                raise unwritable(self._folder, error) from error
        return records

    def _seal(self, path: Path) -> int:
        reader = SegmentReader(path)
        opened = opened_records(reader, self._keys, must_be_locked=self._keys is not None)
        first = next(opened, None)
        due = self.newest.entry.last_sequence + 1 if self.newest else 0
        records = 0
        # A segment that counts already is left over by a kill before its removal.
        if first is not None and not first.sequence < due:
            if self.newest and first.sequence != due:
                raise OutputError(
                    "the log does not go on behind what is sealed",
                    file=path,
                    found=f"record {first.sequence}",
                    expected=f"record {due}",
                )
            self._remove_uncounted(first.sequence)
            records = self._publish(reader, chain([first], opened))
        _unlink(path)
        crash_point("log removed")
        return records

    def _publish(self, reader: SegmentReader, records: Iterator[Record]) -> int:
        tally = SegmentTally(self.newest, self._judge)
        first = next(records)
        segments = self._folder / SEGMENTS
        # Its name has the time of its last record, which is known at the end.
        writing = segments / f".segment-{first.sequence:010d}.partial"
        key_id = self._keys.newest.id if self._keys is not None else None
        try:
            writing.unlink(missing_ok=True)
            with writing.open("xb") as file:
                self._write(file, tally, chain([first], records), first.sequence)
            name = segment_name(*tally.span_ns, first.sequence)
            target = segments / f"{name}{PLAIN_SUFFIX if key_id is None else SEALED_SUFFIX}"
            with publishing(target) as temporary:
                writing.rename(temporary)
        finally:
            with suppress(OSError):
                writing.unlink(missing_ok=True)
        crash_point("segment published")
        size, digest = file_digest(target)
        entry = tally.entry(name, f"{SEGMENTS}/{target.name}", reader)
        entry = msgspec.structs.replace(entry, size_bytes=size, sha256=digest, key_id=key_id)
        self.newest = publish_entry(self._folder, entry)
        self._judge.counts(entry)
        crash_point("segment counted")
        return entry.records

    def _write(self, file: IO[bytes], tally: SegmentTally, records: Iterator[Record], first: int) -> None:
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        sealing: SealingWriter | None = None
        if self._keys is not None:
            key = new_file_key(self._keys, FILES, random_bytes=self._random_bytes)
            sealing = SealingWriter(file, key, self._head.place(first))
        put = sealing.write if sealing is not None else file.write
        for lines in _joined(tally, records):
            tally.add_lines(lines)
            put(compressor.compress(lines))
        put(compressor.flush())
        if sealing is not None:
            sealing.finish()

    def _remove_uncounted(self, first_sequence: int) -> None:
        """Remove a segment that was published but does not count: the log, which is whole, is sealed anew."""
        for path in sorted((self._folder / SEGMENTS).glob(f"*-{first_sequence:010d}.jsonl.zst*")):
            stem = path.name.removesuffix(".sealed").removesuffix(PLAIN_SUFFIX)
            if path.name in (stem + PLAIN_SUFFIX, stem + SEALED_SUFFIX) and NAME.fullmatch(stem):
                _unlink(path)
                crash_point("half-made removed")


def _joined(tally: SegmentTally, records: Iterator[Record]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for record in records:
        said = unpacked(record.payload)
        line, stream = line_of(record, said)
        tally.add(record, said, stream)
        held.append(line)
        size += len(line)
        if size >= _COMPRESSED_AT_ONCE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _unlink(path: Path) -> None:
    path.unlink()
    sync(path.parent)
