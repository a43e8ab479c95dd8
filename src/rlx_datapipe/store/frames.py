"""The bytes of a raw segment: its header, framed records, and the seal that ends it."""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import NamedTuple

from rlx_datapipe.core.errors import OptionError

ALIGNMENT = 8
MAX_PAYLOAD = (1 << 24) - 1
"""Bytes of the longest payload: its length shares four bytes with the kind."""

_MAGIC = b"RLXSEG1\n"
_LOCKED_MAGIC = b"RLXSEG2\n"
_HEADER = struct.Struct("<8sQQQ60sI")
_CRC = struct.Struct("<I")
_BODY = struct.Struct("<IQqqII")
_SEAL = struct.Struct("<32sQQ")
_PADDING = [bytes(-length % ALIGNMENT) for length in range(ALIGNMENT)]
HEADER_BYTES = _HEADER.size
LOCK_BYTES = 64
"""Bytes that a header is longer by where the payloads are encrypted: see `store.encryption`."""
FRAME_BYTES = _CRC.size + _BODY.size
SEAL_BYTES = FRAME_BYTES + _SEAL.size


class RecordKind(IntEnum):
    """What a record says; the seal is written by the segment itself."""

    MESSAGE = 1
    GAP = 2
    OPEN = 3
    CLOSE = 4
    SEAL = 5
    SNAPSHOT = 6
    NOTE = 7


class Record(NamedTuple):
    """One record as it was written.

    ``wall_ns`` is the receive time in ns UTC and ``monotonic_ns`` the steady clock of the same process; wall
    times may step, so intervals are told by the other one. ``sequence`` is dense over a writer's segments.
    """

    sequence: int
    kind: RecordKind
    wall_ns: int
    monotonic_ns: int
    connection: int
    payload: bytes


class Header(NamedTuple):
    """How a segment begins: whose it is, its place, and the sequence number of its first record.

    ``lock`` tells which key opens its payloads, and is empty where they are plain.
    """

    writer: str
    generation: int
    number: int
    first_sequence: int
    lock: bytes = b""

    def encoded(self) -> bytes:
        """The header's bytes, its checksum last.

        Raises
        ------
        OptionError
            When the writer's name is not 1 to 60 ASCII characters.
        """
        name = self.writer.encode("ascii", "replace")
        if not (self.writer.isascii() and self.writer.isprintable() and 0 < len(name) <= 60):
            raise OptionError(
                "a writer's name has 1 to 60 printable ASCII characters", found=ascii(self.writer[:70])
            )
        place = (self.generation, self.number, self.first_sequence)
        magic = _LOCKED_MAGIC if self.lock else _MAGIC
        content = _HEADER.pack(magic, *place, name, 0)[: -_CRC.size] + self.lock
        return content + _CRC.pack(zlib.crc32(content))

    @property
    def seed(self) -> int:
        """Where the checksums of this file's records start, so that no other file's records fit."""
        # Without its own checksum: over both, any CRC comes to the same constant.
        return zlib.crc32(self.encoded()[: -_CRC.size])


def header_bytes(start: bytes) -> int:
    """How long the header is that starts with these bytes."""
    return HEADER_BYTES + (LOCK_BYTES if start.startswith(_LOCKED_MAGIC) else 0)


def parse_header(content: bytes) -> Header | None:
    """The header in the first bytes of a segment; None if it is none, or damaged."""
    if len(content) < HEADER_BYTES or len(content) != header_bytes(content):
        return None
    lock = content[HEADER_BYTES - _CRC.size : -_CRC.size]
    magic, generation, number, first, name, _ = _HEADER.unpack(content[:HEADER_BYTES])
    (checksum,) = _CRC.unpack(content[-_CRC.size :])
    if magic not in (_MAGIC, _LOCKED_MAGIC) or checksum != zlib.crc32(content[: -_CRC.size]):
        return None
    return Header(name.rstrip(b"\0").decode("ascii"), generation, number, first, lock)


class Head(NamedTuple):
    """The head of a frame, its own checksum verified; so its length can be trusted."""

    kind: int
    length: int
    sequence: int
    wall_ns: int
    monotonic_ns: int
    connection: int
    payload_checksum: int

    @property
    def rest(self) -> int:
        """Bytes of payload and padding behind the head."""
        return self.length + -self.length % ALIGNMENT


def parse_head(seed: int, content: bytes) -> Head | None:
    """The head of a frame of the file with this ``seed``; None if its checksum is another."""
    (checksum,) = _CRC.unpack_from(content)
    if checksum != zlib.crc32(content[_CRC.size :], seed):
        return None
    word, sequence, wall_ns, monotonic_ns, connection, payload_checksum = _BODY.unpack_from(
        content, _CRC.size
    )
    return Head(word >> 24, word & MAX_PAYLOAD, sequence, wall_ns, monotonic_ns, connection, payload_checksum)


def payload_of(head: Head, rest: bytes) -> bytes | None:
    """The payload in the bytes behind a head; None if they are not those that were written."""
    length = head.length
    padding = _PADDING[length % ALIGNMENT]
    payload = rest[:length]
    if len(rest) != length + len(padding) or zlib.crc32(payload) != head.payload_checksum:
        return None
    return payload if rest.endswith(padding) else None


def encode(seed: int, record: Record) -> bytes:
    """A record as a frame.

    The head has a checksum of its own, over length, sequence, clocks, connection and the checksum of the
    payload: a length that can't be trusted must not make the rest of a file look like a torn tail.
    """
    sequence, kind, wall_ns, monotonic_ns, connection, payload = record
    word = kind << 24 | len(payload)
    body = _BODY.pack(word, sequence, wall_ns, monotonic_ns, connection, zlib.crc32(payload))
    head = _CRC.pack(zlib.crc32(body, seed))
    return b"".join((head, body, payload, _PADDING[len(payload) % ALIGNMENT]))


class Seal(NamedTuple):
    """What the last frame of a sealed segment says.

    ``digest`` is the SHA-256 of all bytes before the seal. ``lost_bytes`` were behind the last valid record
    when a dead process's segment was sealed: a torn tail, or with ``is_damaged`` bytes that were set aside.
    """

    digest: bytes
    lost_bytes: int = 0
    is_damaged: bool = False

    def encoded(self) -> bytes:
        """The payload of the seal's frame."""
        return _SEAL.pack(self.digest, self.lost_bytes, self.is_damaged)


def parse_seal(payload: bytes) -> Seal | None:
    """The seal in a payload; None if it has another length."""
    if len(payload) != _SEAL.size:
        return None
    digest, lost_bytes, is_damaged = _SEAL.unpack(payload)
    return Seal(digest, lost_bytes, bool(is_damaged))
