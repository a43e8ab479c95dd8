"""A recorder keeps what it gets: in its order, byte for byte, sealed and counted."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.capture.scripted import (
    BEGIN_NS,
    HEAD,
    RING,
    SMALL,
    lines,
    record_all,
    recorder,
    trade,
    trades,
)

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.limits import RecorderLimits
from rlx_datapipe.capture.recording import SegmentRecorder
from rlx_datapipe.capture.regime import Special
from rlx_datapipe.capture.sealing import Sealer
from rlx_datapipe.core.errors import OutputError, SourceError
from rlx_datapipe.store.capture_files import CaptureFolder
from rlx_datapipe.store.capture_manifest import DeclaredGap, Entry, StreamTally, entry_paths, read_entry
from rlx_datapipe.store.encryption import SealError
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.store.keys import KeyMismatchError, KeyRing, MasterKey

every_ring = pytest.mark.parametrize("keys", [None, RING], ids=["plain", "encrypted"])


def event(kind: RecordKind, stream: str, content: bytes, number: int = 0) -> Arrival:
    return Arrival(kind, 0, stream, content, BEGIN_NS + number, number)


def entries(folder: Path) -> list[Entry]:
    return [read_entry(path).entry for path in entry_paths(folder)]


def make(folder: Path, count: int, keys: KeyRing | None = None, **given: Any) -> Path:
    into = recorder(folder, keys, **given)
    for _ in record_all(into, [trade(number) for number in range(count)]):
        pass
    into.close()
    return folder


def test_a_line_holds_the_data_byte_for_byte(tmp_path: Path) -> None:
    into = recorder(tmp_path / "c")
    data = b'{"e":"trade", "s":"BTCUSDT","p":"1.10","x":1e400,"u":"\\u00e9\xc3\xa9"} '
    into.record(
        Arrival(
            RecordKind.MESSAGE,
            3,
            "btcusdt@trade",
            b'{"stream":"btcusdt@trade","data":%b}' % data,
            BEGIN_NS,
            7,
        )
    )
    into.record(event(RecordKind.SNAPSHOT, "btcusdt@snapshot", b'{"lastUpdateId":5,"bids":[],"asks":[]}', 1))
    into.record(event(RecordKind.OPEN, "!open", b'{"url":"wss://x","streams":[]}', 2))
    into.close()
    [file] = CaptureFolder(tmp_path / "c").files()
    assert b"".join(CaptureFolder(tmp_path / "c").lines(file)) == (
        b'{"capture_ns":1723161253937085768,"monotonic_ns":7,"connection":3,"stream":"btcusdt@trade","data":'
        + data
        + b"}\n"
        b'{"capture_ns":1723161253937085769,"monotonic_ns":1,"connection":0,"stream":"btcusdt@snapshot",'
        b'"data":{"lastUpdateId":5,"bids":[],"asks":[]}}\n'
        b'{"capture_ns":1723161253937085770,"monotonic_ns":2,"connection":0,"stream":"!open",'
        b'"data":{"url":"wss://x","streams":[]}}\n'
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not json",
        b'{"stream":"btcusdt@trade","data":{"broken":}}',
        b'{"stream":"btcusdt@trade","data":{"a":1}',
        b'{"stream":"btcusdt@trade","data":1,"data":2}',
        b'{"stream":"btcusdt@trade","data":{"a":\n1}}',
        b'{"stream":"btcusdt@trade","data":{"a":"\xff"}}',
        b'{"stream": "btcusdt@trade","data":{}}',
        b'{"stream":"ethusdt@trade","data":{}}',
        b'{"data":{},"stream":"btcusdt@trade"}',
        b'{"stream":"btcusdt@trade","data":}',
        b'\xef\xbb\xbf{"stream":"btcusdt@trade","data":{}}',
        b'{"stream":"btcusdt@trade","data":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        bytes(range(256)),
    ],
)
def test_what_is_no_such_message_is_kept_raw(tmp_path: Path, payload: bytes) -> None:
    """F38, F40: every byte is there, nothing crashes, and each line is JSON."""
    into = recorder(tmp_path / "c")
    into.record(Arrival(RecordKind.MESSAGE, 1, "btcusdt@trade", payload, BEGIN_NS, 0))
    into.close()
    [line] = lines(tmp_path / "c")
    assert line["stream"] == "!raw"
    assert base64.b64decode(line["data"]) == payload
    assert entries(tmp_path / "c")[0].streams == {"!raw": StreamTally(1)}


@every_ring
def test_records_come_back_in_order_over_many_segments(tmp_path: Path, keys: KeyRing | None) -> None:
    folder = make(tmp_path / "c", 40, keys)
    assert trades(folder, keys) == list(range(40))
    assert len(entries(folder)) > 3
    assert [file.is_sealed for file in CaptureFolder(folder, keys).files()] == [True] * len(entries(folder))


def test_plain_segments_are_read_by_zstdcat(tmp_path: Path) -> None:
    folder = make(tmp_path / "c", 10)
    names = [folder / entry.file for entry in entries(folder)]
    if not shutil.which("zstdcat"):
        pytest.skip("no zstdcat here")
    done = subprocess.run(["zstdcat", *names], capture_output=True, check=True)
    assert [json.loads(line)["data"]["t"] for line in done.stdout.splitlines()] == list(range(10))


def test_an_entry_tells_what_its_segment_holds(tmp_path: Path) -> None:
    into = recorder(tmp_path / "c", calendar=[Special("always", 0, 1 << 62)])
    into.record(event(RecordKind.OPEN, "!open", b"{}"))
    into.record(event(RecordKind.NOTE, "!note", b'{"kind":"clock","offset_ns":-1270000000,"rtt_ns":3}'))
    into.record(trade(4))
    gap = b'{"stream":"btcusdt@trade","from_id":5,"to_id":6,"reason":"reconnect"}'
    into.record(event(RecordKind.GAP, "!gap", gap))
    into.record(event(RecordKind.GAP, "!gap", b'{"odd":1}'))
    into.record(event(RecordKind.GAP, "!gap", b'{"stream":4}'))
    into.record(trade(7))
    depth = Arrival(RecordKind.MESSAGE, 1, "d", b'{"stream":"d","data":{}}', BEGIN_NS + 10**10, 99, 100, 120)
    into.record(depth)
    into.record(depth._replace(first_id=121, last_id=150))
    into.record(event(RecordKind.CLOSE, "!close", b'{"reason":"bye"}', 8))
    into.close()
    [entry] = entries(tmp_path / "c")
    assert entry.name == "20240808T235413.937Z-20240808T235413.937Z-0000000000"
    assert entry.kinds == {"message": 4, "gap": 3, "open": 1, "close": 1, "note": 1}
    assert entry.streams["btcusdt@trade"] == StreamTally(2, 4, 7)
    assert entry.streams["d"] == StreamTally(2, 100, 150)
    assert entry.streams["!gap"] == StreamTally(3)
    assert entry.gaps == (
        DeclaredGap("btcusdt@trade", 5, 6, "reconnect"),
        DeclaredGap(),
        DeclaredGap(reason="unreadable"),
    )
    assert entry.last_ids == {"btcusdt@trade": 7, "d": 150}
    assert entry.clock_offset_ns == -1_270_000_000
    assert entry.markets["BTCUSDT"].regime == "special"
    assert (entry.first_sequence, entry.last_sequence, entry.records, entry.generation) == (0, 9, 10, 0)
    assert (entry.key_id, entry.lost_bytes, entry.is_damaged) == (None, 0, False)
    content = b"".join(CaptureFolder(tmp_path / "c").lines(CaptureFolder(tmp_path / "c").files()[0]))
    assert entry.lines_bytes == len(content)


def test_a_name_is_the_time_range_and_the_first_record(tmp_path: Path) -> None:
    folder = make(tmp_path / "c", 12)
    names = [entry.name for entry in entries(folder)]
    assert names[0].startswith("20240808T235413.937Z-")
    assert all(re.fullmatch(r"\d{8}T\d{6}\.\d{3}Z-\d{8}T\d{6}\.\d{3}Z-\d{10}", name) for name in names)
    assert [int(name[-10:]) for name in names] == [entry.first_sequence for entry in entries(folder)]


def test_entries_are_linked_and_a_missing_or_changed_one_is_found(tmp_path: Path) -> None:
    folder = make(tmp_path / "c", 40)
    paths = entry_paths(folder)
    content = paths[1].read_bytes()
    paths[1].unlink()
    with pytest.raises(SourceError, match="missing or doubled before this one"):
        CaptureFolder(folder).files()
    paths[1].write_bytes(content.replace(b'"regime": "unknown"', b'"regime": "low"'))
    with pytest.raises(SourceError, match="is not the one that it was written behind"):
        CaptureFolder(folder).files()


def test_nothing_that_was_received_lies_there_in_plain_text(tmp_path: Path) -> None:
    into = recorder(tmp_path / "c", RING)
    for _ in record_all(into, [trade(number) for number in range(12)]):
        pass
    assert list((tmp_path / "c" / "open").glob("*.open"))
    for path in (tmp_path / "c").rglob("*"):
        assert not path.is_file() or b"61234.10" not in path.read_bytes()
    into.close()
    assert trades(tmp_path / "c", RING) == list(range(12))
    for path in (tmp_path / "c").rglob("*"):
        assert not path.is_file() or b"61234.10" not in path.read_bytes()
    [first, *_] = (tmp_path / "c" / "segments").iterdir()
    assert first.name.endswith(".jsonl.zst.sealed")


def test_keys_are_rotated_file_by_file(tmp_path: Path) -> None:
    make(tmp_path / "c", 6, RING)
    ring = KeyRing([RING.newest, MasterKey("k2", bytes(32))])
    into = recorder(tmp_path / "c", ring)
    for number in range(6, 12):
        into.record(trade(number))
    into.close()
    assert [entry.key_id for entry in entries(tmp_path / "c")] == ["k1", "k2"]
    assert trades(tmp_path / "c", ring) == list(range(12))
    with pytest.raises(KeyMismatchError, match="needs a key that is not in the key file"):
        trades(tmp_path / "c", RING)


def test_a_capture_goes_on_as_it_began_or_not_at_all(tmp_path: Path) -> None:
    make(tmp_path / "c", 3)
    with pytest.raises(OutputError, match="found plain; expected encrypted"):
        recorder(tmp_path / "c", RING)
    other = msgspec.structs.replace(HEAD, symbols=("BTCUSDT", "ETHUSDT"))
    with pytest.raises(OutputError, match="found BTCUSDT; expected BTCUSDT, ETHUSDT"):
        SegmentRecorder(tmp_path / "c", other)
    with SegmentHeld(tmp_path / "c"), pytest.raises(OutputError, match="is being written by another process"):
        recorder(tmp_path / "c")


class SegmentHeld:
    """A recorder that is at work."""

    def __init__(self, folder: Path) -> None:
        self._recorder = recorder(folder)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._recorder.close()


@every_ring
def test_a_torn_tail_is_told_and_the_last_ids_are_those_before_it(
    tmp_path: Path, keys: KeyRing | None
) -> None:
    into = recorder(tmp_path / "c", keys, limits=RecorderLimits(ballast_bytes=0))
    for number in range(5):
        into.record(trade(number))
    into._writer._let_go()
    into._writer._held.close()
    into._locks.close()
    [path] = (tmp_path / "c" / "open").glob("*.open")
    path.write_bytes(path.read_bytes()[:-7])
    assert trades(tmp_path / "c", keys) == [0, 1, 2, 3]
    again = recorder(tmp_path / "c", keys)
    assert again.last_ids == {"btcusdt@trade": 3}
    again.record(trade(6))
    again.close()
    held = lines(tmp_path / "c", keys)
    assert [line["stream"] for line in held] == ["btcusdt@trade"] * 4 + ["!note", "btcusdt@trade"]
    note = held[4]["data"]
    assert note["kind"] == "recovered"
    assert note["generation"] == 0
    assert note["lost_bytes"] > 100
    assert [(entry.lost_bytes, entry.generation) for entry in entries(tmp_path / "c")] == [
        (note["lost_bytes"], 0),
        (0, 1),
    ]


def test_last_ids_reach_up_to_the_end_of_a_gap_that_is_declared(tmp_path: Path) -> None:
    into = recorder(tmp_path / "c")
    into.record(trade(4))
    for to_id in (9, 7):
        gap = b'{"stream":"btcusdt@trade","from_id":5,"to_id":%d,"reason":"halt"}' % to_id
        into.record(event(RecordKind.GAP, "!gap", gap))
    into.record(event(RecordKind.GAP, "!gap", b'{"stream":"d","from_id":null,"to_id":null,"reason":"x"}'))
    into.close()
    assert entries(tmp_path / "c")[0].last_ids == {"btcusdt@trade": 9}


def test_last_ids_reach_back_over_segments_that_are_silent(tmp_path: Path) -> None:
    make(tmp_path / "c", 1)
    into = recorder(tmp_path / "c")
    for number in range(30):
        into.record(event(RecordKind.NOTE, "!note", b'{"kind":"stall","filler":"%b"}' % (b"x" * 90), number))
        into.tick_now()
    into.close()
    assert "btcusdt@trade" not in entries(tmp_path / "c")[-1].streams
    assert recorder(tmp_path / "c").last_ids == {"btcusdt@trade": 0}


def test_a_segment_is_rotated_by_age_too(tmp_path: Path) -> None:
    limits = RecorderLimits(rotate_ns=20_000_000, ballast_bytes=0)
    into = recorder(tmp_path / "c", limits=limits)
    for number in range(30):
        into.record(trade(number))
        into.tick_now()
    assert len(entries(tmp_path / "c")) >= 2
    into.close()
    assert trades(tmp_path / "c") == list(range(30))


def test_an_idle_capture_makes_no_segments(tmp_path: Path) -> None:
    into = recorder(tmp_path / "c", limits=RecorderLimits(rotate_ns=1, ballast_bytes=0))
    for _ in range(10):
        into.tick_now()
    into.close()
    assert entries(tmp_path / "c") == []
    assert lines(tmp_path / "c") == []


def test_one_turn_of_the_loop_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    real = os.write
    held_by_log: list[int] = []

    def write(handle: int, content: bytes) -> int:
        if handle in held_by_log:
            writes.append(len(content))
        return real(handle, content)

    async def main() -> None:
        into = recorder(tmp_path / "c", limits=RecorderLimits(ballast_bytes=0))
        held_by_log.append(into._writer._handle)
        monkeypatch.setattr(os, "write", write)
        for number in range(50):
            into.record(trade(number))
        assert writes == []
        await asyncio.sleep(0)
        assert len(writes) == 1
        assert trades(tmp_path / "c") == list(range(50)), "a kill now would lose nothing"
        into.record(trade(50))
        await asyncio.sleep(0)
        assert len(writes) == 2
        into.close()

    asyncio.run(main())
    assert trades(tmp_path / "c") == list(range(51))


def test_what_arrives_during_a_rotation_waits_and_is_kept_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the disk takes long, the tick is cancelled meanwhile, and more arrives than may wait."""

    async def main() -> None:
        into = recorder(tmp_path / "c", limits=msgspec.structs.replace(SMALL, held_bytes=4_000))
        began, may_end = threading.Event(), threading.Event()
        real = into._writer.rotate

        def slow() -> None:
            began.set()
            may_end.wait(10)
            real()

        monkeypatch.setattr(into._writer, "rotate", slow)
        for number in range(20):
            into.record(trade(number))
        rotation = asyncio.create_task(into.tick())
        while not began.is_set():
            await asyncio.sleep(0.001)
        for number in range(20, 40):
            into.record(trade(number))
            await asyncio.sleep(0)
        assert into.records == 20
        rotation.cancel()
        threading.Timer(0.2, may_end.set).start()
        for number in range(40, 100):
            into.record(trade(number))
        assert into.records > 60, "it waited for the disk rather than keep more in memory"
        into.close()

    asyncio.run(main())
    assert trades(tmp_path / "c") == list(range(100))
    assert len(entries(tmp_path / "c")) == 2


def test_threads_sync_and_seal_behind(tmp_path: Path) -> None:
    async def main() -> int:
        into = recorder(tmp_path / "c", RING, in_background=True, clock=time.monotonic_ns)
        for number in range(60):
            into.record(trade(number))
            if number % 10 == 9:
                await into.tick()
        for _ in range(500):
            await asyncio.sleep(0.01)
            if into.status.sealed_records >= 50 and not into.status.unsynced_bytes:
                break
        status = into.status
        assert status.durable_lag_ns
        assert (status.state, status.sealing_problem, status.records) == ("recording", "", 60)
        sealed = status.sealed_records
        into.close()
        return sealed

    assert asyncio.run(main()) >= 50
    assert trades(tmp_path / "c", RING) == list(range(60))


def test_a_slow_disk_holds_up_nothing_that_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F16: a sync takes 200 ms; arrivals are recorded, and written, in much less."""
    real = os.fsync

    def slow(handle: int) -> None:
        time.sleep(0.2)
        real(handle)

    async def main() -> None:
        limits = RecorderLimits(ballast_bytes=0)
        into = recorder(tmp_path / "c", in_background=True, limits=limits, clock=time.monotonic_ns)
        monkeypatch.setattr(os, "fsync", slow)
        took_s: list[float] = []
        for number in range(200):
            began_s = time.monotonic()
            into.record(trade(number, time.monotonic_ns()))
            await into.tick()
            took_s.append(time.monotonic() - began_s)
            await asyncio.sleep(0.005)
        assert sorted(took_s)[190] < 0.1
        assert trades(tmp_path / "c") == list(range(200))
        lags_ms = [lag_ns // 1_000_000 for lag_ns in into.status.durable_lag_ns]
        assert lags_ms
        assert min(lags_ms) >= 200
        monkeypatch.undo()
        into.close()

    asyncio.run(main())
    assert trades(tmp_path / "c") == list(range(200))


def test_a_sync_comes_after_50_ms_or_256_kib(tmp_path: Path) -> None:
    async def main(count: int, pause_s: float) -> int:
        limits = RecorderLimits(ballast_bytes=0, sync_ns=50_000_000)
        into = recorder(tmp_path / str(count), in_background=True, limits=limits)
        for number in range(count):
            into.record(trade(number))
        await asyncio.sleep(pause_s)
        unsynced = into.status.unsynced_bytes
        into.close()
        return unsynced

    assert asyncio.run(main(1, 0)) > 0
    assert asyncio.run(main(2, 1.0)) == 0
    # More than 256 KiB in one turn: the sync is under way before its time.
    began_s = time.monotonic()
    into = recorder(tmp_path / "much", in_background=True, limits=RecorderLimits(sync_ns=60 * 10**9))
    for number in range(3_000):
        into.record(trade(number))
    while into.status.unsynced_bytes > 256 * 1024:
        assert time.monotonic() - began_s < 30
        time.sleep(0.01)
    into.close()


def test_what_can_not_be_sealed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlx_datapipe.capture.background._RETRY_S", 0.02)
    real, calls = Sealer.seal_all, list[int]()

    def failing(self: Sealer) -> int:
        calls.append(1)
        if len(calls) in (2, 3):
            raise OutputError("can't be written")
        return real(self)

    monkeypatch.setattr(Sealer, "seal_all", failing)

    async def main() -> None:
        into = recorder(tmp_path / "c", in_background=True)
        for number in range(20):
            into.record(trade(number))
        await into.tick()
        told = ""
        for _ in range(500):
            told = told or into.status.sealing_problem
            await asyncio.sleep(0.01)
            if into.status.sealed_records:
                break
        assert told == "can't be written"
        assert into.status.sealing_problem == ""
        into.close()

    asyncio.run(main())
    assert trades(tmp_path / "c") == list(range(20))


def test_a_failed_sync_ends_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F15: what the disk has may be less than what it was given, so nothing more is given to it."""
    into = recorder(tmp_path / "c", in_background=True)
    into.record(trade(0))
    assert into._syncing is not None
    into._syncing.stop()
    monkeypatch.setattr(os, "fsync", _refusing)
    into.record(trade(1))
    into._syncing.problem = None
    with pytest.raises(OutputError, match="Input/output error"):
        into._sync()
    with pytest.raises(OutputError, match="takes nothing more since an error"):
        into.record(trade(2))
    monkeypatch.undo()
    into.close()
    assert list((tmp_path / "c" / "open").glob("*.open")), "left as it is, for the next start"
    assert trades(tmp_path / "c") == [0, 1]
    recorder(tmp_path / "c").close()
    assert trades(tmp_path / "c") == [0, 1]


def _refusing(handle: int) -> None:
    raise OSError(5, "Input/output error")


def test_a_damaged_segment_is_found(tmp_path: Path) -> None:
    for keys in (None, RING):
        folder = make(tmp_path / str(keys), 5, keys)
        [entry] = entries(folder)
        path = folder / entry.file
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(SourceError, match="it is not the file of the manifest"):
            lines(folder, keys)
        reader = CaptureFolder(folder, keys)
        with pytest.raises(SealError if keys else SourceError, match="is damaged"):
            list(reader.lines(reader.files()[0], verify=False))


@every_ring
def test_at_every_byte_cut_or_changed_a_segment_is_refused(tmp_path: Path, keys: KeyRing | None) -> None:
    folder = make(tmp_path / "c", 3, keys)
    reader = CaptureFolder(folder, keys)
    [file] = reader.files()
    content, whole = file.path.read_bytes(), b"".join(reader.lines(file))
    for at in range(len(content)):
        for changed in (content[:at], content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]):
            file.path.write_bytes(changed)
            for verify in (True, False):
                given: list[bytes] = []
                try:
                    given.extend(reader.lines(file, verify=verify))
                except SourceError:
                    assert keys is None or whole.startswith(b"".join(given))
                    continue
                # A change in the frame of a plain file may change no line of it.
                assert not verify
                assert keys is None
                assert b"".join(given) == whole


def test_segments_that_are_swapped_are_found(tmp_path: Path) -> None:
    folder = make(tmp_path / "c", 40, RING)
    one, other = (folder / entry.file for entry in entries(folder)[:2])
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    reader = CaptureFolder(folder, RING)
    with pytest.raises(SourceError, match="it is not the file of the manifest"):
        list(reader.lines(reader.files()[0]))
    with pytest.raises(SealError, match="is the file of another place"):
        list(reader.lines(reader.files()[0], verify=False))


def test_plain_records_are_not_taken_into_an_encrypted_capture(tmp_path: Path) -> None:
    """A forger needs no key to write plain files, with a manifest and a log that fit."""
    forged = make(tmp_path / "forged", 5)
    into = recorder(forged)
    into.record(trade(5))
    folder = tmp_path / "c"
    shutil.copytree(forged, folder)
    into.close()
    head = msgspec.json.decode((folder / "capture.json").read_bytes())
    (folder / "capture.json").write_bytes(msgspec.json.encode({**head, "key_id": "k1"}))
    reader = CaptureFolder(folder, RING)
    sealed, log = reader.files()[0], reader.files()[-1]
    assert sealed.is_sealed
    assert not log.is_sealed
    for file, told in (
        (sealed, "is not as its capture began .found plain"),
        (log, "is not encrypted, though"),
    ):
        with pytest.raises(SourceError, match=told):
            list(reader.lines(file))
    with pytest.raises(SourceError, match="is not encrypted, though its capture is"):
        recorder(folder, RING)


def test_half_made_files_of_ours_go_and_all_others_stay(tmp_path: Path) -> None:
    folder = make(tmp_path / "c", 5)
    [entry] = entries(folder)
    ours = [
        folder / "segments" / ".segment-0000000007.partial",
        folder / "segments" / f".{entry.name}.jsonl.zst.partial",
        folder / "segments" / f".{entry.name}.jsonl.zst.sealed.partial",
        folder / "manifest" / f".{entry.name}.json.partial",
    ]
    others = [
        folder / "segments" / ".mine.partial",
        folder / "segments" / "notes.txt",
        folder / "segments" / f"{entry.name}.jsonl.zst.bak",
        folder / "manifest" / ".segment.partial",
    ]
    for path in ours + others:
        path.touch()
    make(folder, 0)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


def test_the_open_log_is_read_while_it_is_written(tmp_path: Path) -> None:
    """A reader that comes at any moment sees every record once, wherever it lies just then."""
    into = recorder(tmp_path / "c", RING)
    reader = CaptureFolder(tmp_path / "c", RING)
    for number in range(30):
        into.record(trade(number))
        found = b"".join(b"".join(reader.lines(file)) for file in reader.files())
        assert found.count(b"\n") == number + 1
        behind = reader.files(after_sequence=number - 1)
        assert b"".join(reader.lines(behind[-1])).count(b'"e":"trade"') <= 30
        assert len(behind) == 1
        if number % 7 == 0:
            into._writer.rotate()
            assert len(trades(tmp_path / "c", RING)) == number + 1
        into.tick_now()
    into.close()


def test_a_sealed_segment_whose_log_is_still_there_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlx_datapipe.capture.sealing._unlink", lambda path: None)
    folder = make(tmp_path / "c", 12)
    assert list((folder / "open").glob("*.raw"))
    assert trades(folder) == list(range(12))
    monkeypatch.undo()
    make(folder, 0)
    assert not list((folder / "open").glob("*.raw"))
    assert trades(folder) == list(range(12))


def test_a_damaged_log_is_not_sealed_and_not_removed(tmp_path: Path) -> None:
    into = recorder(tmp_path / "c")
    for number in range(5):
        into.record(trade(number))
    into._writer.rotate()
    [path] = (tmp_path / "c" / "open").glob("*.raw")
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    sealer = Sealer(tmp_path / "c", into.head, None)
    with pytest.raises(SourceError, match="is damaged"):
        sealer.seal_all()
    assert path.read_bytes() == content
    assert entries(tmp_path / "c") == []
    assert not list((tmp_path / "c" / "segments").iterdir())
