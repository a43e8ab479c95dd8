"""Encrypted payloads in raw segments: each record by itself, so that a kill loses none that was written.

Sizes and times of the records stay readable, as they are in the manifest. The number of a record in its file
is its nonce, and no process ever appends to a file of another one, so none comes twice under one key. A
segment that was sealed after a crash is a copy of the same ciphertext, not a new encryption; its end is held
by the record number of whatever comes behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain

from rlx_datapipe.store.encryption import LOGS, FileKey, file_key
from rlx_datapipe.store.frames import Record
from rlx_datapipe.store.keys import KeyRing
from rlx_datapipe.store.segment import SegmentError, SegmentReader

_CONTEXT = struct.Struct("<BQqqI")


def sealed_payload(key: FileKey, header: bytes, index: int, record: Record) -> bytes:
    """The payload of a record, encrypted for its place in one segment; ``index`` is its number there."""
    return key.seal(index, record.payload, header + _context(record))


def opened_records(
    reader: SegmentReader, keys: KeyRing | None, *, must_be_locked: bool = False
) -> Iterator[Record]:
    """The records of a segment with plain payloads, whether they are encrypted there or not.

    ``must_be_locked`` refuses what is not: in an encrypted capture nobody but a forger leaves plain records.

    Raises
    ------
    SegmentError
        Where anything but what was written stands.
    KeyMismatchError
        When the segment is encrypted and its key is not at hand.
    """
    records = iter(reader)
    first = next(records, None)
    if first is None:
        return
    assert reader.header is not None  # noqa: S101 (the first step has read it)
    if not reader.header.lock:
        if must_be_locked:
            raise SegmentError("is not encrypted, though its capture is", file=reader.path)
        yield first
        yield from records
        return
    key = file_key(keys, reader.header.lock, LOGS, reader.path)
    header, begin = reader.header.encoded(), reader.header.first_sequence
    for record in chain([first], records):
        sequence, kind, wall_ns, monotonic_ns, connection, sealed = record
        plain = key.open(sequence - begin, sealed, header + _context(record))
        if plain is None:
            raise SegmentError(
                "is damaged", file=reader.path, found=f"record {sequence} changed, or of another file"
            )
        yield Record(sequence, kind, wall_ns, monotonic_ns, connection, plain)


def _context(record: Record) -> bytes:
    sequence, kind, wall_ns, monotonic_ns, connection, _ = record
    return _CONTEXT.pack(kind, sequence, wall_ns, monotonic_ns, connection)
