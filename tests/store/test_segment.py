"""Raw segments: what was written is read back, or where and why not is told; a kill loses nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlx_datapipe.core.errors import OptionError, OutputError, SourceError
from rlx_datapipe.store import segment_writer
from rlx_datapipe.store.frames import FRAME_BYTES, HEADER_BYTES, Record, RecordKind
from rlx_datapipe.store.segment import (
    End,
    SegmentError,
    SegmentReader,
    list_segments,
    read_segments,
    segment_path,
)
from rlx_datapipe.store.segment_recovery import recover
from rlx_datapipe.store.segment_writer import SegmentWriter

PAYLOADS = [b'{"e":"trade"}', b"", b"x" * 700, b"\x00\x01" * 9, b"last one here"]
KINDS = [RecordKind.OPEN, RecordKind.MESSAGE, RecordKind.MESSAGE, RecordKind.GAP, RecordKind.CLOSE]


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def append_all(writer: SegmentWriter) -> None:
    for at, (kind, payload) in enumerate(zip(KINDS, PAYLOADS, strict=True)):
        writer.append(kind, payload, wall_ns=10**18 + at, monotonic_ns=at, connection=7)


def read(path: Path, *, newest: bool = True) -> tuple[list[Record], End]:
    reader = SegmentReader(path, newest=newest)
    records = list(reader)
    assert reader.end is not None
    return records, reader.end


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    with SegmentWriter(tmp_path / "made", "BINANCE") as writer:
        append_all(writer)
    return segment_path(tmp_path / "made", 0, 0)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The segment that a killed process left open."""
    writer = SegmentWriter(tmp_path / "left", "BINANCE")
    append_all(writer)
    writer._let_go()  # the descriptors go with the process; nothing else does
    writer._held.close()
    return writer.path


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[Path]:
    before = path.read_bytes()
    path.write_bytes(content)
    yield path
    path.write_bytes(before)


def twin(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Sequence, kind and payload of each record by the plainest reading of a sound file."""
    seed, at = zlib.crc32(content[:92]), 96
    while at < len(content):
        crc, word, sequence = struct.unpack_from("<IIQ", content, at)
        assert crc == zlib.crc32(content[at + 4 : at + 40], seed)
        payload = content[at + 40 : at + 40 + (word & 0xFFFFFF)]
        yield sequence, word >> 24, payload
        at += 40 + (len(payload) + 7) // 8 * 8


def test_what_was_appended_is_read_back(sealed: Path) -> None:
    records, end = read(sealed)
    assert [(r.sequence, r.kind, r.payload) for r in records] == list(
        zip(range(5), KINDS, PAYLOADS, strict=True)
    )
    assert [(r.wall_ns, r.monotonic_ns, r.connection) for r in records] == [
        (10**18 + n, n, 7) for n in range(5)
    ]
    assert (end.next_sequence, end.torn_bytes) == (5, 0)
    assert end.seal is not None
    assert sorted(path.name for path in sealed.parent.iterdir()) == [".lock", sealed.name]


def test_every_record_is_aligned(sealed: Path) -> None:
    assert sealed.stat().st_size % 8 == HEADER_BYTES % 8 == FRAME_BYTES % 8 == 0


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.binary(max_size=300), st.integers(-(2**63), 2**63 - 1)),
        max_size=30,
    )
)
def test_round_trip_over_small_segments(tmp_path_factory: pytest.TempPathFactory, given: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("many")
    with SegmentWriter(folder, "w", segment_bytes=900, max_payload=300) as writer:
        for kind, payload, time in given:
            writer.append(kind, payload, wall_ns=time, monotonic_ns=-1 - time, connection=2**32 - 1)
    told = [(r.kind, r.payload, r.wall_ns) for r in read_segments(folder)]
    assert told == given
    files = [segment.path.read_bytes() for segment in list_segments(folder)]
    assert all(len(content) <= 900 for content in files)
    plain = [record for content in files for record in twin(content) if record[1] != RecordKind.SEAL]
    assert plain == [(n, kind, payload) for n, (kind, payload, _) in enumerate(given)]


def test_the_same_records_make_the_same_bytes(sealed: Path, tmp_path: Path) -> None:
    with SegmentWriter(tmp_path / "again", "BINANCE") as writer:
        append_all(writer)
    assert segment_path(tmp_path / "again", 0, 0).read_bytes() == sealed.read_bytes()


def test_truncated_at_every_byte_an_open_segment_is_its_whole_records(left: Path) -> None:
    """F08, figure R6: no wrong prefix, and the bytes left out are told."""
    content, whole = left.read_bytes(), read(left)[0]
    ends = [HEADER_BYTES]
    for record in whole:
        ends.append(ends[-1] + FRAME_BYTES + (len(record.payload) + 7) // 8 * 8)
    assert ends[-1] == len(content)
    for size in range(len(content) + 1):
        with replaced(left, content[:size]):
            if size < HEADER_BYTES:
                with pytest.raises(SegmentError, match="no header"):
                    read(left)
                continue
            records, end = read(left)
        count = sum(place <= size for place in ends) - 1
        assert records == whole[:count]
        assert end == End(count, ends[count], size - ends[count], None)


def test_truncated_at_any_byte_a_sealed_segment_is_damaged(sealed: Path) -> None:
    content, whole = sealed.read_bytes(), read(sealed)[0]
    for size in range(len(content)):
        with replaced(sealed, content[:size]):
            reader, records = SegmentReader(sealed, newest=True), list[Record]()
            with pytest.raises(SegmentError, match="is damaged"):
                records.extend(reader)
            assert reader.end is None
            assert records == whole[: len(records)]


@pytest.mark.parametrize("name", ["sealed", "left"])
def test_every_flipped_bit_is_found(name: str, request: pytest.FixtureRequest) -> None:
    """F09, figure R6: no wrong record is accepted, none goes unnoticed, and none passes for a torn tail."""
    path: Path = request.getfixturevalue(name)
    content, whole = path.read_bytes(), read(path)[0]
    for at in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[at // 8] ^= 1 << at % 8
        path.write_bytes(flipped)
        records: list[Record] = []
        with pytest.raises(SegmentError) as caught:
            records.extend(SegmentReader(path, newest=True))
        assert records == whole[: len(records)]
        assert caught.value.facts["offset"] <= at // 8
    path.write_bytes(content)


def test_damage_is_told_by_file_offset_and_finding(left: Path) -> None:
    content = bytearray(left.read_bytes())
    content[HEADER_BYTES + FRAME_BYTES] ^= 1
    left.write_bytes(content)
    with pytest.raises(SegmentError) as caught:
        read(left)
    assert str(caught.value) == (
        f"{left}: is damaged (offset {HEADER_BYTES}; found a record with a wrong checksum). "
        "What comes before can be read, what comes behind is left as it is"
    )


def test_nothing_may_stand_behind_the_seal(sealed: Path) -> None:
    sealed.write_bytes(sealed.read_bytes() + bytes(8))
    with pytest.raises(SegmentError, match="8 bytes behind the seal"):
        read(sealed)


def test_zeroed_sectors_at_the_end_are_a_torn_tail(left: Path) -> None:
    content, whole = left.read_bytes(), read(left)[0]
    for start in range(512, len(content), 512):
        with replaced(left, content[:start] + bytes(len(content) - start)):
            records, end = read(left)
        assert records == whole[: len(records)]
        assert end.torn_bytes == len(content) - end.valid_bytes > 0


def test_a_hole_with_records_behind_it_is_no_torn_tail(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "w")
    append_all(writer)
    append_all(writer)
    content = bytearray(writer.path.read_bytes())
    content[512:1024] = bytes(512)
    writer.path.write_bytes(content)
    with pytest.raises(SegmentError, match="found a record with a wrong checksum, and a valid one behind it"):
        read(writer.path)


def test_a_torn_tail_is_allowed_in_the_newest_segment_only(left: Path) -> None:
    left.write_bytes(left.read_bytes()[:-1])
    assert read(left, newest=True)[1].torn_bytes > 0
    with pytest.raises(SegmentError, match="a record cut short"):
        read(left, newest=False)


def test_records_of_another_file_or_place_are_not_taken(sealed: Path, left: Path, tmp_path: Path) -> None:
    other = segment_path(tmp_path, 0, 1)
    other.write_bytes(sealed.read_bytes())
    with pytest.raises(SegmentError, match="the header of generation 0, segment 0"):
        read(other)
    with SegmentWriter(tmp_path / "b", "BYBIT") as writer:
        append_all(writer)
    mixed = segment_path(tmp_path / "b", 0, 0)
    mixed.write_bytes(mixed.read_bytes()[:HEADER_BYTES] + sealed.read_bytes()[HEADER_BYTES:])
    with pytest.raises(SegmentError, match="wrong checksum"):
        read(mixed)
    left.write_bytes(left.read_bytes() + left.read_bytes()[HEADER_BYTES:])
    with pytest.raises(SegmentError, match="record 0 where 5 is due"):
        read(left)


def test_a_missing_or_doubled_segment_is_found(tmp_path: Path) -> None:
    for _ in range(2):
        with SegmentWriter(tmp_path, "w", segment_bytes=1_000, max_payload=700) as writer:
            append_all(writer)
    paths = [segment.path for segment in list_segments(tmp_path)]
    assert [r.sequence for r in read_segments(tmp_path)] == list(range(10))
    assert len(paths) == 6
    for path in paths[:-1]:
        hidden = path.rename(tmp_path / "hidden")
        with pytest.raises(SegmentError, match="records are missing before this segment"):
            list(read_segments(tmp_path))
        hidden.rename(path)
    with SegmentWriter(tmp_path / "else", "w", segment_bytes=1_000, max_payload=700) as writer:
        append_all(writer)
        append_all(writer)
    doubled = segment_path(tmp_path, 0, 2)
    doubled.write_bytes(segment_path(tmp_path / "else", 0, 2).read_bytes())
    with pytest.raises(
        SegmentError, match=r"this segment doubles records .*found record 5; expected record 7"
    ):
        list(read_segments(tmp_path))


def test_another_writers_segment_is_refused(sealed: Path) -> None:
    with SegmentWriter(sealed.parent, "BYBIT"):
        pass
    with pytest.raises(SourceError, match=r"another writer \(found BYBIT; expected BINANCE\)"):
        list(read_segments(sealed.parent))


def test_a_dead_generation_is_sealed_and_never_appended_to(left: Path) -> None:
    whole = read(left)[0]
    left.write_bytes(left.read_bytes()[:-3])
    before = left.read_bytes()
    inode = left.stat().st_ino
    with SegmentWriter(left.parent, "BINANCE") as writer:
        assert writer.recovered.sealed == segment_path(left.parent, 0, 0)
        assert (writer.generation, writer.next_sequence) == (1, 4)
        assert writer.recovered.lost_bytes == FRAME_BYTES + 16 - 3
        append_all(writer)
    assert not left.exists()
    records, end = read(segment_path(left.parent, 0, 0))
    assert records == whole[:4]
    assert end.seal is not None
    assert (end.seal.lost_bytes, end.seal.is_damaged) == (FRAME_BYTES + 13, False)
    assert segment_path(left.parent, 0, 0).stat().st_ino != inode
    assert before.startswith(
        segment_path(left.parent, 0, 0).read_bytes()[: end.valid_bytes - FRAME_BYTES - 48]
    )
    assert [r.sequence for r in read_segments(left.parent)] == list(range(9))


def test_damage_in_the_middle_is_kept_whole_and_told(left: Path) -> None:
    content = bytearray(left.read_bytes())
    content[HEADER_BYTES + FRAME_BYTES + 16 + 5] ^= 1
    left.write_bytes(content)
    told = recover(left.parent)
    assert (told.damage or "").startswith("a record with a wrong checksum")
    assert told.aside is not None
    assert told.aside.read_bytes() == content
    records, end = read(segment_path(left.parent, 0, 0))
    assert (len(records), told.next_sequence) == (1, 1)
    assert end.seal is not None
    assert end.seal.is_damaged
    assert end.seal.lost_bytes == told.lost_bytes == len(content) - HEADER_BYTES - FRAME_BYTES - 16
    assert recover(left.parent) == told._replace(sealed=None, lost_bytes=0, damage=None, aside=None)


def test_recovery_can_be_cut_off_at_every_step(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of the system fails once, as if the process ended there; the outcome is the same."""
    content = bytearray(left.read_bytes())
    content[HEADER_BYTES + 1] ^= 1
    goal = None
    for fails_at in range(30):
        for path in left.parent.iterdir():
            path.unlink()
        left.write_bytes(content)
        steps = iter(range(fails_at + 1))
        with monkeypatch.context() as patched:
            for module, name in ((os, "link"), (os, "fsync"), (Path, "unlink")):
                patched.setattr(module, name, _failing(getattr(module, name), steps))
            try:
                recover(left.parent)
                ended = True
            except OutputError:
                ended = False
        recover(left.parent)
        found = {path.name: path.read_bytes() for path in left.parent.iterdir()}
        goal = goal or found
        assert found == goal
        assert len(found) == 2
        if ended:
            break
    assert ended
    assert fails_at >= 6


def _failing(real: Any, steps: Iterator[int]) -> Any:
    def step(*given: Any, **named: Any) -> Any:
        if next(steps, None) is None:
            raise OSError(errno.EIO, "Input/output error")
        return real(*given, **named)

    return step


def test_left_between_link_and_unlink_it_is_one_segment(sealed: Path) -> None:
    os.link(sealed, sealed.with_suffix(".open"))
    assert len(list_segments(sealed.parent)) == 1
    content = sealed.read_bytes()
    assert recover(sealed.parent).next_sequence == 5
    assert not sealed.with_suffix(".open").exists()
    assert sealed.read_bytes() == content


def test_foreign_files_stay(sealed: Path) -> None:
    names = [
        "notes.txt",
        "generation-1-segment-1.raw",
        ".mine.partial",
        "generation-0000000001-segment-000.open",
    ]
    for name in names:
        (sealed.parent / name).write_text("mine")
    (sealed.parent / f".{sealed.name}.partial").write_text("ours")
    with SegmentWriter(sealed.parent, "BINANCE") as writer:
        append_all(writer)
    assert all((sealed.parent / name).read_text() == "mine" for name in names)
    assert not (sealed.parent / f".{sealed.name}.partial").exists()
    assert len(list(read_segments(sealed.parent))) == 10


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "w")
    append_all(writer)
    segment_path(tmp_path, 0, 0).write_bytes(b"theirs")
    with pytest.raises(OutputError, match="File exists"):
        writer.close()
    assert segment_path(tmp_path, 0, 0).read_bytes() == b"theirs"
    assert len(read(writer.path)[0]) == 5


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with (
        SegmentWriter(tmp_path, "w"),
        pytest.raises(OutputError, match="is being written by another process"),
    ):
        SegmentWriter(tmp_path, "w")


def test_a_sync_comes_after_50_ms_or_256_kib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    clock = Clock()
    with SegmentWriter(tmp_path, "w", clock=clock) as writer:

        def fsync(handle: int) -> None:
            synced.append(clock.now)
            real(handle)

        monkeypatch.setattr(os, "fsync", fsync)

        def message(payload: bytes = b"m") -> None:
            writer.append(RecordKind.MESSAGE, payload, wall_ns=0, monotonic_ns=0, connection=0)

        message()
        clock.now = 49_999_999
        message()
        writer.sync_if_due()
        assert synced == []
        clock.now = 50_000_000
        writer.sync_if_due()
        assert synced == [50_000_000]
        clock.now = 500_000_000
        writer.sync_if_due()
        assert len(synced) == 1, "nothing waits"
        message(b"x" * (256 * 1024 - 2 * FRAME_BYTES - 8))
        assert len(synced) == 1
        message(b"y" * 8)
        assert len(synced) == 2


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: real(handle, bytes(content[:3])))
    with SegmentWriter(tmp_path, "w") as writer:
        append_all(writer)
    monkeypatch.undo()
    assert [r.payload for r in read_segments(tmp_path)] == PAYLOADS


def test_a_full_disk_stops_the_writer_and_a_new_one_goes_on(tmp_path: Path) -> None:
    """F14 with a real limit: the kernel writes a part of a record, then refuses."""
    writer = SegmentWriter(tmp_path, "w")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_001, hard))
    try:
        with pytest.raises(OutputError, match=r"can't be written \(File too large\)"):
            append_all(writer)
        assert writer.path.stat().st_size == 1_001
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    written = writer.next_sequence
    with pytest.raises(OutputError, match="takes nothing more since an error"):
        append_all(writer)
    writer.close()
    assert writer.path.exists(), "left for recovery, not sealed"
    with SegmentWriter(tmp_path, "w") as second:
        assert second.next_sequence == written
        assert second.recovered.lost_bytes > 0
        append_all(second)
    assert [r.sequence for r in read_segments(tmp_path)] == list(range(written + 5))


def test_after_a_failed_sync_nothing_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F15: a second fsync may succeed with the data gone."""
    calls: list[int] = []

    def fail(handle: int) -> None:
        calls.append(handle)
        raise OSError(errno.EIO, "Input/output error")

    writer = SegmentWriter(tmp_path, "w")
    append_all(writer)
    size = writer.path.stat().st_size
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="Input/output error"):
        writer.sync()
    for attempt in (writer.sync, lambda: append_all(writer)):
        with pytest.raises(OutputError, match="takes nothing more since an error"):
            attempt()
    writer.close()
    assert len(calls) == 1
    assert writer.path.stat().st_size == size
    monkeypatch.undo()
    with SegmentWriter(tmp_path, "w") as second:
        assert second.next_sequence == 5


PROGRAM = """
import os, sys
from pathlib import Path
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.store.segment_writer import SegmentWriter
writer = SegmentWriter(Path(sys.argv[1]), "w", segment_bytes=4_000, max_payload=300, sync_ns=1_000_000)
while True:
    n = writer.next_sequence
    writer.append(RecordKind.MESSAGE, b"%d" % n * (n % 50), wall_ns=n, monotonic_ns=n, connection=0)
    os.write(1, b"%d\\n" % n)
"""


def test_a_killed_process_loses_nothing_that_it_appended(tmp_path: Path) -> None:
    """Three generations, each killed in the middle of its work; every record that it told of is there."""
    told = -1
    for after in (1, 57, 400):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(after)]
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().rpartition(b"\n")[0].split()
        told = int((lines + rest)[-1])
        held = [r.sequence for r in read_segments(tmp_path)]
        assert held == list(range(len(held)))
        assert told <= held[-1] <= told + 1
    recover(tmp_path)
    assert all(r.payload == b"%d" % n * (n % 50) for n, r in enumerate(read_segments(tmp_path)))
    assert not list(tmp_path.glob("*.open"))
    with (tmp_path / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="can't hold the longest payload"):
        SegmentWriter(tmp_path, "w", segment_bytes=1_000, max_payload=900)
    for name in ("", "é", "x" * 61, "a\nb"):
        with pytest.raises(OptionError, match="1 to 60 printable ASCII characters"):
            SegmentWriter(tmp_path, name)
    with SegmentWriter(tmp_path, "w", segment_bytes=1_000, max_payload=600) as writer:
        for kind, payload in ((RecordKind.MESSAGE, b"x" * 601), (RecordKind.SEAL, b"")):
            with pytest.raises(OutputError, match="is no record that fits"):
                writer.append(kind, payload, wall_ns=0, monotonic_ns=0, connection=0)
        writer.append(RecordKind.MESSAGE, b"x" * 600, wall_ns=0, monotonic_ns=0, connection=0)
    assert [r.sequence for r in read_segments(tmp_path)] == [0]
    assert segment_writer.SEGMENT_BYTES == 100_000_000
