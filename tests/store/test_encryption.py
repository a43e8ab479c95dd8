"""Encrypted files: what was written is read back, and nothing else is ever accepted."""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from rlx_datapipe.core.errors import DatapipeError, OutputError
from rlx_datapipe.store import encryption
from rlx_datapipe.store.encryption import (
    CHUNK_BYTES,
    CHUNKS_MAX,
    FILES,
    LOGS,
    TAG_BYTES,
    FileKey,
    SealedReader,
    SealError,
    SealingWriter,
    file_key,
    new_file_key,
    self_test,
)
from rlx_datapipe.store.keys import KeyMismatchError, KeyRing, MasterKey

SECRET, OTHER_SECRET = bytes(range(32)), bytes(range(1, 33))
RING = KeyRing([MasterKey("k1", SECRET)])
PLACE = b"BINANCE/BTCUSDT 7"
PLAIN = b"Small, but whole."


def sealed(
    plain: bytes, ring: KeyRing = RING, place: bytes = PLACE, salt: bytes = bytes(16), step: int = 1 << 20
) -> bytes:
    file = io.BytesIO()
    writer = SealingWriter(file, new_file_key(ring, FILES, random_bytes=lambda count: salt[:count]), place)
    for at in range(0, len(plain), step):
        writer.write(plain[at : at + step])
    writer.finish()
    return file.getvalue()


def opened(content: bytes, ring: KeyRing | None = RING, place: bytes = PLACE) -> bytes:
    return b"".join(SealedReader(io.BytesIO(content), ring, place, "the file"))


def twin(content: bytes, secret: bytes, place: bytes) -> bytes:
    """The plain bytes by the shortest reading of a sound file."""
    salt, start = content[40:56], 74 + len(place) + 4
    key = AESGCM(HKDF(SHA256(), 48, salt, b"rlx-datapipe sealed file 1").derive(secret)[:32])
    chunks = [content[at : at + 65_552] for at in range(start, len(content), 65_552)]
    return b"".join(
        key.decrypt(struct.pack(">QHBB", 0, 0, n, n == len(chunks) - 1), chunk, content[:start])
        for n, chunk in enumerate(chunks)
    )


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 200_001]
)
def test_what_was_written_is_read_back(size: int) -> None:
    plain = bytes(n * 7 % 251 for n in range(size))
    content = sealed(plain)
    assert opened(content) == plain == twin(content, SECRET, PLACE)
    assert size < 64 or plain[:64] not in content
    chunks = max(1, -(-size // CHUNK_BYTES))
    assert len(content) == 74 + len(PLACE) + 4 + size + chunks * TAG_BYTES


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 2 * CHUNK_BYTES), max_size=5), st.binary(max_size=64))
def test_how_it_is_written_does_not_matter(sizes: list[int], place: bytes) -> None:
    plain = bytes(sum(sizes))
    file = io.BytesIO()
    writer = SealingWriter(file, FileKey(RING.newest, bytes(16), FILES), place)
    for size in sizes:
        writer.write(bytes(size))
    writer.finish()
    assert file.getvalue() == sealed(plain, place=place)
    assert opened(file.getvalue(), place=place) == plain


def test_memory_is_bounded_by_two_chunks() -> None:
    """A reader gives out a chunk before it has read the rest."""
    content = sealed(bytes(10 * CHUNK_BYTES))
    file = io.BytesIO(content)
    reader = iter(SealedReader(file, RING, PLACE, "the file"))
    assert next(reader) == bytes(CHUNK_BYTES)
    assert file.tell() <= 100 + 2 * (CHUNK_BYTES + TAG_BYTES)


def cut(content: bytes) -> Iterator[bytes]:
    return (content[:size] for size in range(len(content)))


def flipped(content: bytes) -> Iterator[bytes]:
    for at in range(8 * len(content)):
        changed = bytearray(content)
        changed[at // 8] ^= 1 << at % 8
        yield bytes(changed)


def every_byte_changed(content: bytes) -> Iterator[bytes]:
    for at in range(len(content)):
        for value in {0, 255, content[at] ^ 0x55} - {content[at]}:
            yield content[:at] + bytes([value]) + content[at + 1 :]


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 8 bytes, so that a small file has several."""
    monkeypatch.setattr(encryption, "CHUNK_BYTES", 8)
    monkeypatch.setattr(encryption, "_SEALED_BYTES", 8 + TAG_BYTES)


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("change", [cut, flipped, every_byte_changed])
def test_a_changed_file_is_damaged_and_never_accepted(change: Callable[[bytes], Iterator[bytes]]) -> None:
    """F70, figure R7: at every byte and every bit; and it is never told as a wrong key."""
    content, tried = sealed(PLAIN), 0
    for changed in change(content):
        given_out: list[bytes] = []
        with pytest.raises(SealError, match="is damaged"):
            given_out.extend(SealedReader(io.BytesIO(changed), RING, PLACE, "the file"))
        assert PLAIN.startswith(b"".join(given_out))
        assert b"".join(given_out) != PLAIN
        tried += 1
    assert tried >= len(content)


@pytest.mark.usefixtures("short_chunks")
def test_chunks_moved_doubled_left_out_or_added_are_not_accepted() -> None:
    content = sealed(PLAIN)
    start = 74 + len(PLACE) + 4
    head, body = content[:start], content[start:]
    chunks = [body[at : at + 24] for at in range(0, len(body), 24)]
    assert len(chunks) == 3
    other = sealed(PLAIN[::-1], salt=b"another salt too")[start:][:24]
    tried = 0
    for count in range(5):
        for choice in itertools.product([*chunks, other], repeat=count):
            if list(choice) == chunks:
                continue
            with pytest.raises(SealError, match="is damaged"):
                opened(head + b"".join(choice))
            tried += 1
    assert tried == 4**0 + 4**1 + 4**2 + 4**3 - 1 + 4**4
    for more in (b"\0", b"more", bytes(24), chunks[-1]):
        with pytest.raises(SealError, match="is damaged"):
            opened(content + more)


def test_a_cut_between_two_chunks_is_told_as_such() -> None:
    content = sealed(bytes(2 * CHUNK_BYTES + 5))
    start = 74 + len(PLACE) + 4
    with pytest.raises(SealError, match="found its end behind chunk 1, which is not the last"):
        opened(content[: start + 2 * (CHUNK_BYTES + TAG_BYTES)])


def test_the_file_of_another_place_is_not_accepted() -> None:
    with pytest.raises(SealError, match="is the file of another place, put under this name"):
        opened(sealed(PLAIN, place=b"BINANCE/BTCUSDT 8"))


def test_a_wrong_key_is_told_apart_from_damage() -> None:
    """F68: the id is missing, the id has another secret, or no key was given at all; none is damage."""
    content = sealed(PLAIN)
    wrong = [
        (KeyRing([MasterKey("k2", SECRET)]), "needs a key that is not in the key file .key id k1; found k2"),
        (KeyRing([MasterKey("k1", OTHER_SECRET)]), "another key of the same id; it is not damaged"),
        (None, "is encrypted"),
    ]
    for ring, told in wrong:
        with pytest.raises(KeyMismatchError, match=told):
            opened(content, ring)


def test_old_keys_open_what_they_wrote_and_the_newest_writes() -> None:
    old = sealed(PLAIN)
    ring = KeyRing([MasterKey("k1", SECRET), MasterKey("k2", OTHER_SECRET)])
    new = sealed(PLAIN, ring)
    assert opened(old, ring) == opened(new, ring) == PLAIN
    assert SealedReader(io.BytesIO(new), ring, PLACE, "the file").key_id == "k2"


def test_a_key_of_a_file_opens_no_log() -> None:
    one, other = (FileKey(RING.newest, bytes(16), purpose) for purpose in (FILES, LOGS))
    assert other.open(0, one.seal(0, PLAIN, b""), b"") is None
    with pytest.raises(KeyMismatchError):
        file_key(RING, one.lock, LOGS, "the file")


def test_no_two_files_share_a_key() -> None:
    locks = {new_file_key(RING, FILES).lock for _ in range(100)}
    assert len(locks) == 100


def test_a_file_has_a_limited_number_of_chunks() -> None:
    key = FileKey(RING.newest, bytes(16), FILES)
    key.seal(CHUNKS_MAX - 1, b"", b"")
    for number in (CHUNKS_MAX, -1):
        with pytest.raises(OutputError, match="2\\^32 encrypted chunks"):
            key.seal(number, b"", b"")


def test_keys_are_tested_before_anything_depends_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    self_test(RING)
    monkeypatch.setattr(FileKey, "seal", lambda self, number, plain, context, is_last=False: bytes(plain))
    with pytest.raises(DatapipeError):
        self_test(RING)


def _one_nonce(number: int, is_last: bool) -> bytes:
    return bytes(11) + bytes([is_last])


def _no_last_flag(number: int, is_last: bool) -> bytes:
    return (number << 8).to_bytes(12, "big")


def _context_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    seal, opening = FileKey.seal, FileKey.open

    def blind(real: Any) -> Any:
        return lambda self, number, content, context, is_last=False: real(
            self, number, content, b"", is_last=is_last
        )

    monkeypatch.setattr(FileKey, "seal", blind(seal))
    monkeypatch.setattr(FileKey, "open", blind(opening))


def _flag_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    real = FileKey.open

    def either(self: FileKey, number: int, content: bytes, context: bytes, is_last: bool = False) -> Any:
        return real(self, number, content, context, is_last=is_last) or real(
            self, number, content, context, is_last=not is_last
        )

    monkeypatch.setattr(FileKey, "open", either)


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize(
    ("mutate", "caught_by"),
    [
        (lambda patch: patch.setattr(encryption, "_nonce", _one_nonce), "moved"),
        (lambda patch: patch.setattr(encryption, "_nonce", _no_last_flag), "cut"),
        (_flag_not_asked, "cut"),
    ],
)
def test_planted_faults_are_found(mutate: Any, caught_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one nonce for all chunks they can be swapped, without the last flag a cut is accepted."""
    mutate(monkeypatch)
    with pytest.raises(BaseException) as failure:  # noqa: PT012
        if caught_by == "moved":
            test_chunks_moved_doubled_left_out_or_added_are_not_accepted()
        else:
            test_a_changed_file_is_damaged_and_never_accepted(cut)
    assert "DID NOT RAISE" in str(failure.value)


def test_without_the_header_as_context_a_file_of_another_place_would_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same key and chunks under a forged header: it is the context that refuses, not the comparison."""
    content = sealed(PLAIN, place=b"BINANCE/BTCUSDT 8")
    start = 74 + len(PLACE) + 4
    forged = sealed(b"", place=PLACE)[:start] + content[start:]
    with pytest.raises(SealError, match="changed"):
        opened(forged)
    _context_ignored(monkeypatch)
    content = sealed(PLAIN, place=b"BINANCE/BTCUSDT 8")
    assert opened(sealed(b"", place=PLACE)[:start] + content[start:]) == PLAIN
