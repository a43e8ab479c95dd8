"""Encrypted payloads of raw segments: each record opens at its own place, and nowhere else."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlx_datapipe.core.errors import OutputError, SourceError
from rlx_datapipe.store.frames import FRAME_BYTES, HEADER_BYTES, LOCK_BYTES, Record, RecordKind
from rlx_datapipe.store.keys import KeyMismatchError, KeyRing, MasterKey
from rlx_datapipe.store.segment import SegmentError, SegmentReader, list_segments, segment_path
from rlx_datapipe.store.segment_cipher import opened_records
from rlx_datapipe.store.segment_writer import SegmentWriter

RING = KeyRing([MasterKey("k1", bytes(range(32)))])
PAYLOADS = [b"the first", b"", b"x" * 300, b"the last of them"]


def write(folder: Path, payloads: list[bytes], keys: KeyRing | None = RING, gather_bytes: int = 0) -> Path:
    with SegmentWriter(folder, "w", keys=keys, gather_bytes=gather_bytes) as writer:
        for n, payload in enumerate(payloads):
            writer.append(RecordKind.MESSAGE, payload, wall_ns=10**18 + n, monotonic_ns=n, connection=7)
    return list_segments(folder)[-1].path


def read(path: Path, keys: KeyRing | None = RING) -> list[Record]:
    return list(opened_records(SegmentReader(path), keys))


@pytest.mark.parametrize("gather_bytes", [0, 100, 1 << 20])
def test_what_was_appended_is_read_back(tmp_path: Path, gather_bytes: int) -> None:
    path = write(tmp_path, PAYLOADS, gather_bytes=gather_bytes)
    assert [(r.sequence, r.payload, r.wall_ns) for r in read(path)] == [
        (n, payload, 10**18 + n) for n, payload in enumerate(PAYLOADS)
    ]
    assert not any(payload in path.read_bytes() for payload in PAYLOADS if payload)


def test_a_plain_segment_needs_no_key(tmp_path: Path) -> None:
    path = write(tmp_path, PAYLOADS, None)
    assert [r.payload for r in read(path, None)] == [r.payload for r in read(path)] == PAYLOADS


def test_the_key_must_be_the_right_one(tmp_path: Path) -> None:
    path = write(tmp_path, PAYLOADS)
    for keys in (None, KeyRing([MasterKey("k2", bytes(32))]), KeyRing([MasterKey("k1", bytes(32))])):
        with pytest.raises(KeyMismatchError):
            read(path, keys)


def frames(path: Path) -> list[tuple[int, int]]:
    """Where the frame of each record begins and ends; the seal's is not among them."""
    found, at, content = [], HEADER_BYTES + LOCK_BYTES, path.read_bytes()
    while at < len(content):
        word = struct.unpack_from("<I", content, at + 4)[0]
        if word >> 24 == RecordKind.SEAL:
            break
        found.append((at, at + FRAME_BYTES + ((word & 0xFFFFFF) + 7) // 8 * 8))
        at = found[-1][1]
    return found


def with_checksums(path: Path, content: bytearray) -> None:
    """Write an open segment with all checksums as they should be: what a forger would do."""
    seed = zlib.crc32(content[: HEADER_BYTES + LOCK_BYTES - 4])
    at = HEADER_BYTES + LOCK_BYTES
    while at < len(content):
        size = struct.unpack_from("<I", content, at + 4)[0] & 0xFFFFFF
        payload = content[at + FRAME_BYTES : at + FRAME_BYTES + size]
        struct.pack_into("<I", content, at + FRAME_BYTES - 4, zlib.crc32(payload))
        struct.pack_into("<I", content, at, zlib.crc32(content[at + 4 : at + FRAME_BYTES], seed))
        at += FRAME_BYTES + (size + 7) // 8 * 8
    path.write_bytes(content)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """An open segment, without its seal."""
    path = write(tmp_path, PAYLOADS)
    opened = segment_path(tmp_path, 0, 0, is_open=True)
    opened.write_bytes(path.read_bytes()[: frames(path)[-1][1]])
    path.unlink()
    return opened


def read_left(path: Path) -> list[Record]:
    return list(opened_records(SegmentReader(path, newest=True), RING))


def test_a_forged_record_is_refused_at_every_bit_of_head_and_payload(left: Path) -> None:
    """The checksums of a frame find accidents; that they can be made anew helps no forger."""
    content, whole = left.read_bytes(), read_left(left)
    with_checksums(left, bytearray(content))
    assert left.read_bytes() == content
    start, stop = frames(left)[0]
    size = struct.unpack_from("<I", content, start + 4)[0] & 0xFFFFFF
    for bit in range(8 * (start + 8), 8 * (start + FRAME_BYTES + size)):
        if start + FRAME_BYTES - 4 <= bit // 8 < start + FRAME_BYTES:
            continue
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        with_checksums(left, changed)
        with pytest.raises(SourceError, match="is damaged"):
            read_left(left)
    left.write_bytes(content)
    assert read_left(left) == whole
    assert stop > start


def test_records_swapped_within_a_file_are_refused(left: Path) -> None:
    content = bytearray(left.read_bytes())
    (a, b), (c, d) = frames(left)[1], frames(left)[3]
    swapped = content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]
    for at, sequence in ((a, 1), (a + (d - c) + (c - b), 3)):
        struct.pack_into("<Q", swapped, at + 8, sequence)
    with_checksums(left, swapped)
    with pytest.raises(SegmentError, match="record 1 changed, or of another file"):
        read_left(left)


def test_records_of_another_file_under_the_same_key_are_refused(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a", PAYLOADS), write(tmp_path / "b", PAYLOADS)
    opened = segment_path(tmp_path / "a", 0, 0, is_open=True)
    head, body = (
        one.read_bytes()[: HEADER_BYTES + LOCK_BYTES],
        other.read_bytes()[HEADER_BYTES + LOCK_BYTES :],
    )
    one.rename(opened)
    with_checksums(opened, bytearray(head + body[: frames(other)[-1][1] - HEADER_BYTES - LOCK_BYTES]))
    with pytest.raises(SegmentError, match="record 0 changed, or of another file"):
        read_left(opened)


def test_every_file_has_a_salt_of_its_own(tmp_path: Path) -> None:
    """F69: over rotations and over processes, also behind a crash."""
    for _ in range(3):
        writer = SegmentWriter(tmp_path, "w", keys=RING)
        for _ in range(3):
            writer.append(RecordKind.MESSAGE, b"x", wall_ns=0, monotonic_ns=0, connection=0)
            writer.rotate()
        writer.append(RecordKind.MESSAGE, b"y", wall_ns=0, monotonic_ns=0, connection=0)
        writer._let_go()
        writer._held.close()
    SegmentWriter(tmp_path, "w", keys=RING).close()
    locks = []
    for segment in list_segments(tmp_path):
        reader = SegmentReader(segment.path)
        list(opened_records(reader, RING))
        assert reader.header is not None
        locks.append(reader.header.lock)
    assert len(set(locks)) == len(locks) == 13


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=25), st.integers(0, 600))
def test_gathered_records_come_back_whatever_is_flushed_when(
    tmp_path_factory: pytest.TempPathFactory, given: list[tuple[bytes, bool]], gather_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("gathered")
    with SegmentWriter(
        folder, "w", keys=RING, gather_bytes=gather_bytes, segment_bytes=1_500, max_payload=300
    ) as writer:
        for payload, is_flushed in given:
            writer.append(RecordKind.MESSAGE, payload, wall_ns=0, monotonic_ns=0, connection=0)
            if is_flushed:
                writer.flush()
                # What is flushed is there for everyone, at once.
                *before, last = list_segments(folder)
                told = [r.payload for s in before for r in read(s.path)]
                told += [r.payload for r in opened_records(SegmentReader(last.path, newest=True), RING)]
                assert told == [payload for payload, _ in given[: writer.next_sequence]]
    files = list_segments(folder)
    assert [r.payload for s in files for r in read(s.path)] == [payload for payload, _ in given]
    assert all(s.path.stat().st_size <= 1_500 for s in files)


def test_a_process_begins_behind_what_the_one_before_it_used_up(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path, "w", after_generation=4, after_sequence=99) as writer:
        assert (writer.generation, writer.next_sequence) == (5, 100)
        writer.append(RecordKind.MESSAGE, b"x", wall_ns=0, monotonic_ns=0, connection=0)
    with SegmentWriter(tmp_path, "w", after_generation=4, after_sequence=99) as writer:
        assert (writer.generation, writer.next_sequence) == (6, 101)
    generations = [segment.generation for segment in list_segments(tmp_path)]
    assert all(before < after for before, after in pairwise(generations))


def test_a_record_too_long_for_its_tag_is_refused(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path, "w", keys=RING, segment_bytes=2_000, max_payload=300) as writer:
        writer.append(RecordKind.MESSAGE, b"x" * 284, wall_ns=0, monotonic_ns=0, connection=0)
        with pytest.raises(OutputError, match="is no record that fits"):
            writer.append(RecordKind.MESSAGE, b"x" * 285, wall_ns=0, monotonic_ns=0, connection=0)
