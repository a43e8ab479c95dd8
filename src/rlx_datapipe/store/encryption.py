"""Authenticated encryption of files in chunks: what was cut, changed, moved or swapped is never accepted.

AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015), as age has it: each file
has a key of its own, derived from a master key and a random salt; the nonce of a chunk is its number and
whether it is the last. Own code over the `cryptography` library, though libraries for files exist: age
(pyrage) has ChaCha20 and no associated data, so a file could pass for another one of the same key; Tink's
streaming AEAD is this construction, but has no value that tells a wrong key from damage.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from rlx_datapipe.core.errors import OptionError, OutputError, SourceError
from rlx_datapipe.store.frames import LOCK_BYTES
from rlx_datapipe.store.keys import KEY_BYTES, KeyMismatchError, KeyRing, MasterKey

Buffer = bytes | bytearray | memoryview

CHUNK_BYTES = 1 << 16
TAG_BYTES = 16
CHUNKS_MAX = 1 << 32
SALT_BYTES = 16
FILES, LOGS = b"rlx-datapipe sealed file 1", b"rlx-datapipe log segment 1"
"""Purposes: a key that is derived for the one opens nothing of the other."""

_MAGIC = b"RLXAES1\n"
_LOCK = struct.Struct("<32s16s16s")
_PLACE_BYTES = struct.Struct("<H")
_CRC = struct.Struct("<I")
_SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
assert _LOCK.size == LOCK_BYTES  # noqa: S101 (segments leave that much room for it)


class SealError(SourceError):
    """Raised when an encrypted file is not, to the byte, what was written under its name."""


class FileKey:
    """The key of one file, and the lock by which it is found again: key id, salt, and a value to check it.

    The caller sees to it that no number is sealed twice: GCM is broken by a repeated nonce.

    Parameters
    ----------
    master
        What it is derived from.
    salt
        16 random bytes, never used for another file.
    purpose
        `FILES` or `LOGS`.
    """

    __slots__ = ("_cipher", "_invalid", "lock")

    def __init__(self, master: MasterKey, salt: bytes, purpose: bytes) -> None:
        derived = master.derive(salt, purpose, KEY_BYTES + 16)
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._invalid = InvalidTag
        self._cipher = AESGCM(derived[:KEY_BYTES])
        # GCM itself opens with more than one key; this value commits the file to one.
        self.lock = _LOCK.pack(master.id.encode(), salt, derived[KEY_BYTES:])

    def seal(self, number: int, plain: Buffer, context: bytes, *, is_last: bool = False) -> bytes:
        """Encrypt one chunk; ``context`` is not written, but must be the same to open it."""
        if not 0 <= number < CHUNKS_MAX:
            raise OutputError("a file has 2^32 encrypted chunks at most", found=number)
        return self._cipher.encrypt(_nonce(number, is_last), plain, context)

    def open(self, number: int, sealed: Buffer, context: bytes, *, is_last: bool = False) -> bytes | None:
        """Decrypt one chunk; None if it is not this chunk of this file, whole and unchanged."""
        try:
            return self._cipher.decrypt(_nonce(number, is_last), sealed, context)
        except self._invalid:
            return None

    def __repr__(self) -> str:
        return "FileKey(hidden)"


def _nonce(number: int, is_last: bool) -> bytes:
    return (number << 8 | is_last).to_bytes(12, "big")


def new_file_key(
    keys: KeyRing, purpose: bytes, *, random_bytes: Callable[[int], bytes] = os.urandom
) -> FileKey:
    """A key for a file that is not there yet, from the newest master key and a new salt."""
    return FileKey(keys.newest, random_bytes(SALT_BYTES), purpose)


def key_id_of(lock: bytes) -> str:
    """Id of the master key that a lock asks for."""
    return str(_LOCK.unpack(lock)[0].rstrip(b"\0").decode("ascii", "replace"))


def file_key(keys: KeyRing | None, lock: bytes, purpose: bytes, file: Path | str) -> FileKey:
    """The key that opens a file with this lock.

    Raises
    ------
    KeyMismatchError
        When no key is given, none has the id, or the one that has it is another.
    """
    _, salt, _ = _LOCK.unpack(lock)
    key_id = key_id_of(lock)
    if keys is None:
        raise KeyMismatchError("is encrypted", file=file, key_id=key_id, remedy="Give its key by --key-file")
    found = FileKey(keys.find(key_id, file), salt, purpose)
    if found.lock != lock:
        raise KeyMismatchError(
            "was encrypted with another key of the same id; it is not damaged",
            file=file,
            key_id=key_id,
            remedy="Give the key file that was used for this capture",
        )
    return found


def self_test(keys: KeyRing) -> None:
    """Encrypt and open again with every key, before anything depends on it.

    Raises
    ------
    OptionError
        When that fails.
    """
    for key_id in keys.ids:
        ring = KeyRing([keys.find(key_id, "the key self-test")])
        sealed = io.BytesIO()
        writer = SealingWriter(sealed, new_file_key(ring, FILES), b"self-test")
        writer.write(bytes(CHUNK_BYTES) + b"end")
        writer.finish()
        opened = SealedReader(io.BytesIO(sealed.getvalue()), ring, b"self-test", "the key self-test")
        if b"".join(opened) != bytes(CHUNK_BYTES) + b"end":
            raise OptionError("the key self-test failed: what was encrypted does not open", key_id=key_id)


class SealingWriter:
    """Encrypts what is written to a file; holds one chunk in memory.

    Parameters
    ----------
    file
        Takes header and chunks; is not closed.
    key
        Made for this file alone.
    place
        Whose file it is, 65,535 bytes at most: another place does not open it.
    """

    def __init__(self, file: IO[bytes], key: FileKey, place: bytes) -> None:
        content = _MAGIC + key.lock + _PLACE_BYTES.pack(len(place)) + place
        self._header = content + _CRC.pack(zlib.crc32(content))
        self._file, self._key, self._number = file, key, 0
        self._held = bytearray()
        file.write(self._header)

    def write(self, content: Buffer) -> None:
        """Encrypt the next bytes; the last of them wait until it is known whether more come."""
        self._held += content
        done = 0
        while len(self._held) - done > CHUNK_BYTES:
            chunk = memoryview(self._held)[done : done + CHUNK_BYTES]
            self._file.write(self._key.seal(self._number, chunk, self._header))
            chunk.release()
            self._number, done = self._number + 1, done + CHUNK_BYTES
        del self._held[:done]

    def finish(self) -> None:
        """Write the last chunk, which says that it is the last."""
        self._file.write(self._key.seal(self._number, self._held, self._header, is_last=True))
        self._held.clear()


class SealedReader:
    """Iterate over the plain chunks of an encrypted file, each verified before it is given out.

    Whether the file is whole is known only at its end: a reader that stops before has a verified head of it.

    Parameters
    ----------
    file
        Opened for reading, buffered; two chunks are held in memory.
    keys
        Among them must be that of the file; None if there are none.
    place
        Whose file it is to be.
    told_as
        How errors name it.

    Raises
    ------
    SealError
        When it is damaged, or the file of another place; while iterating too.
    KeyMismatchError
        When its key is not at hand.
    """

    def __init__(self, file: BinaryIO, keys: KeyRing | None, place: bytes, told_as: Path | str) -> None:
        self._file, self._told_as = file, told_as
        self._header = self._read_header()
        lock = self._header[len(_MAGIC) :][:LOCK_BYTES]
        self.key_id = key_id_of(lock)
        self._key = file_key(keys, lock, FILES, told_as)
        found = self._header[len(_MAGIC) + LOCK_BYTES + _PLACE_BYTES.size : -_CRC.size]
        if found != place:
            raise SealError(
                "is the file of another place, put under this name",
                file=told_as,
                found=found.decode("utf-8", "replace"),
                expected=place.decode("utf-8", "replace"),
            )

    def _read_header(self) -> bytes:
        fixed = self._file.read(len(_MAGIC) + LOCK_BYTES + _PLACE_BYTES.size)
        if len(fixed) < len(_MAGIC) + LOCK_BYTES + _PLACE_BYTES.size or not fixed.startswith(_MAGIC):
            raise self._damaged("no header of an encrypted file")
        (length,) = _PLACE_BYTES.unpack(fixed[-_PLACE_BYTES.size :])
        content = fixed + self._file.read(length + _CRC.size)
        if len(content) < len(fixed) + length + _CRC.size:
            raise self._damaged("a header cut short")
        if _CRC.pack(zlib.crc32(content[: -_CRC.size])) != content[-_CRC.size :]:
            raise self._damaged("a header with a wrong checksum")
        return content

    def __iter__(self) -> Iterator[bytes]:
        """The plain bytes of chunk after chunk."""
        number, sealed = 0, self._file.read(_SEALED_BYTES)
        while True:
            following = self._file.read(_SEALED_BYTES) if len(sealed) == _SEALED_BYTES else b""
            is_last = not following
            plain = self._key.open(number, sealed, self._header, is_last=is_last)
            if plain is None:
                raise self._damaged(self._finding(number, sealed, is_last))
            # Only an empty file has an empty chunk, so that no two files hold the same.
            if not plain and number:
                raise self._damaged("an empty chunk at its end")
            yield plain
            if is_last:
                return
            number, sealed = number + 1, following

    def _finding(self, number: int, sealed: bytes, is_last: bool) -> str:
        if is_last and self._key.open(number, sealed, self._header) is not None:
            return f"its end behind chunk {number}, which is not the last"
        return f"chunk {number} {'cut short or ' if is_last else ''}changed"

    def _damaged(self, found: str) -> SealError:
        return SealError(
            "is damaged",
            file=self._told_as,
            found=found,
            remedy="Nothing from there on is given out; restore the file from a copy",
        )
