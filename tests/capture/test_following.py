"""A capture read by another process while it is written, rotated and sealed: each record once, in order."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.capture.scripted import RING, SMALL, lines, trade, trades

from rlx_datapipe.capture.recording import SegmentRecorder
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.store.capture_files import CaptureFolder

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, time
from pathlib import Path
from tests.capture.test_following import record_for
record_for(Path(sys.argv[1]), float(sys.argv[2]))
"""
ID = re.compile(rb'"t":(\d+),')


def record_for(folder: Path, seconds: float) -> None:
    """Record trades for some time, with threads, a rotation every other moment, and each sealed at once."""
    import asyncio

    from tests.capture.scripted import HEAD

    async def run() -> None:
        limits = msgspec.structs.replace(SMALL, rotate_bytes=20_000)
        into = SegmentRecorder(folder, HEAD, keys=RING, limits=limits)
        end, number = time.monotonic() + seconds, into.last_ids.get("btcusdt@trade", -1) + 1
        while time.monotonic() < end:
            for _ in range(20):
                into.record(trade(number))
                number += 1
            await into.tick()
            # Behind it stands what this turn of the loop has written.
            await asyncio.sleep(0)
            sys.stdout.write(f"{number - 1}\n")
            sys.stdout.flush()
        into.close()

    asyncio.run(run())


def ids_behind(reader: CaptureFolder, last: int) -> list[int]:
    """Ids in all lines behind a record, as a follower reads them."""
    found: list[int] = []
    for file in reader.files(after_sequence=last):
        ids = [int(number) for number in ID.findall(b"".join(reader.lines(file)))]
        found += ids[max(0, last + 1 - file.first_sequence) :]
    return found


def test_a_reader_sees_each_record_once_whatever_is_sealed_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    command = [sys.executable, "-c", PROGRAM, str(folder), "2"]
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while not (folder / "capture.json").exists() and process.poll() is None:
            pass
        reader = CaptureFolder(folder, RING)
        last, looks, retries = -1, 0, 0
        while process.poll() is None:
            try:
                found = ids_behind(reader, last)
            except FileNotFoundError:
                retries += 1
                continue
            except SourceError as error:
                # Segments come and go each few ms here; whoever looks again reads on behind what it has.
                if error.what != "changes faster than it can be read":
                    raise
                retries += 1
                continue
            # All trades and nothing else were recorded, so ids are record numbers.
            assert found == list(range(last + 1, last + 1 + len(found)))
            last += len(found)
            looks += 1
        assert process.wait() == 0
    last += len(ids_behind(reader, last))
    entries = [file.entry for file in reader.files()]
    newest = entries[-1]
    assert newest is not None
    assert last == newest.last_sequence
    assert (looks > 20, len(entries) > 10, retries < looks) == (True, True, True), (
        looks,
        len(entries),
        retries,
    )


def test_a_process_killed_at_random_times_loses_nothing_that_it_told_of(tmp_path: Path) -> None:
    """Threads, rotations, encryption and all; each goes on behind the last id that it finds."""
    dice, folder = np.random.default_rng(7), tmp_path / "c"
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-c", PROGRAM, str(folder), "60"]
    for _ in range(4):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(float(dice.uniform(0.0, 0.4)))
            process.send_signal(signal.SIGKILL)
            told = process.stdout.read().rpartition(b"\n")[0].split()
        found = trades(folder, RING)
        assert found == list(range(len(found)))
        assert not told or int(told[-1]) < len(found)
    notes = [line["data"] for line in lines(folder, RING) if line["stream"] == "!note"]
    # One that died between two segments of the log has left none open.
    assert {note["kind"] for note in notes} == {"recovered"}


@pytest.mark.recordings
@pytest.mark.parametrize("name", ["binance_spot", "binance_usdm", "binance_coinm"])
def test_a_real_recording_comes_back_byte_for_byte(name: str, recordings: Path, tmp_path: Path) -> None:
    """Each message, whatever is in it, and its receive time, through an encrypted capture."""
    from tests.capture.scripted import HEAD

    from rlx_datapipe.capture.arrival import Arrival
    from rlx_datapipe.ingestion.inflate import Inflated, codec_of
    from rlx_datapipe.store.frames import RecordKind

    paths = sorted(path for path in (recordings / name).iterdir() if path.suffix in (".gz", ".dat"))
    assert paths
    # One of each kind: the others differ in day and symbol only.
    for number, path in enumerate(paths[:1]):
        recorded = b"".join(Inflated(path, codec_of(path), 1 << 20).pieces()).splitlines()
        into = SegmentRecorder(tmp_path / str(number), HEAD, keys=RING, in_background=False)
        messages: list[tuple[int, bytes]] = []
        for line in recorded:
            received, _, message = line.partition(b" ")
            head = re.match(rb'\{"stream":"([^"]+)","data":', message)
            kind = RecordKind.MESSAGE if head else RecordKind.SNAPSHOT
            stream = head[1].decode() if head else "x@snapshot"
            into.record(Arrival(kind, 1, stream, message, int(received), 0))
            messages.append((int(received), message))
        into.close()
        reader = CaptureFolder(tmp_path / str(number), RING)
        held = b"".join(b"".join(reader.lines(file)) for file in reader.files()).splitlines()
        assert len(held) == len(messages)
        pattern = re.compile(
            rb'\{"capture_ns":(\d+),"monotonic_ns":0,"connection":1,"stream":"([^"]+)","data":(.*)\}'
        )
        for line, (received_ns, message) in zip(held, messages, strict=True):
            match = pattern.fullmatch(line)
            assert match is not None
            told = (
                match[3] if match[2] == b"x@snapshot" else b'{"stream":"%b","data":%b}' % (match[2], match[3])
            )
            assert (int(match[1]), told) == (received_ns, message)
