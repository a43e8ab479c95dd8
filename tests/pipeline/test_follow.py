"""A capture folder gives what the recording it was made of gives: read at once, or followed as it grows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.depth import deep
from tests.pipeline.capture_folders import Recording, arrivals, in_parts, write_folder
from tests.pipeline.captures import IN_PROCESSES, SPOT, capture, kinds, lines_of, three_symbols

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.core.errors import DatasetError, OptionError, SourceError, StoppedError
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.chain import write_chain
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress, Watcher
from rlx_datapipe.simulation.capture_file import read_capture
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.store.keys import KeyMismatchError, add_key, read_key_file
from rlx_datapipe.store.manifest import start_dataset
from rlx_datapipe.store.tables import create_tables

SETTINGS = msgspec.structs.replace(IN_PROCESSES, threads=2)
SYMBOL = ("BTCUSDT",)


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return lines_of(SPOT)


@pytest.fixture(scope="module")
def digest(lines: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the dataset that is made of the recording itself."""
    folder = tmp_path_factory.mktemp("plain")
    told = reconstruct(capture(folder / "recording.gz", SPOT), folder / "out", SETTINGS)
    return str(told["digest"])


@pytest.mark.parametrize("segments", [1, 7])
def test_the_rows_of_a_folder_are_those_of_the_recording(
    segments: int, lines: list[bytes], digest: str, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "capture", arrivals(lines, "BTCUSDT"), SYMBOL, segments=segments)
    told = reconstruct(folder, tmp_path / "out", SETTINGS)
    assert told["digest"] == digest
    assert len(list((folder / "segments").iterdir())) == segments


def test_what_the_capture_says_of_itself_is_in_the_data_for_any_batch_size(
    lines: list[bytes], tmp_path: Path
) -> None:
    given = list(arrivals(lines, "BTCUSDT"))
    lost = b'{"stream":"btcusdt@trade","from_id":7,"to_id":9,"reason":"reconnect"}'
    for at in (900, 300):
        told = given[at]
        given.insert(at, Arrival(RecordKind.GAP, 0, "!gap", lost, told.wall_ns, told.monotonic_ns))
    given.insert(0, given[0]._replace(kind=RecordKind.OPEN, stream="!open", payload=b'{"url":"wss://x"}'))
    folder = write_folder(tmp_path / "capture", given, SYMBOL)
    digests = set()
    for rows in (50, 200, 5_000):
        out = tmp_path / f"out-{rows}"
        settings = msgspec.structs.replace(SETTINGS, batch_rows=rows)
        told_run = reconstruct(folder, out, settings)
        digests.add(told_run["digest"])
        assert told_run["chains"][0]["capture_gaps"] == 2
        assert {"capture_gap": 2, "capture_boundary": 1}.items() <= kinds(open_dataset(out)).items()
    assert len(digests) == 1


def test_an_encrypted_folder_needs_its_keys(lines: list[bytes], digest: str, tmp_path: Path) -> None:
    key_file, other = tmp_path / "keys", tmp_path / "others"
    add_key(key_file, "one")
    add_key(other, "two")
    given = arrivals(lines, "BTCUSDT")
    folder = write_folder(tmp_path / "capture", given, SYMBOL, keys=read_key_file(key_file))
    assert reconstruct(folder, tmp_path / "out", SETTINGS, key_file=key_file)["digest"] == digest
    for wrong in (None, other):
        with pytest.raises(KeyMismatchError):
            reconstruct(folder, tmp_path / "out2", SETTINGS, key_file=wrong)


@deep
@pytest.mark.parametrize("workers", [0, 2])
def test_each_symbol_of_a_folder_is_what_it_is_alone(workers: int, tmp_path: Path) -> None:
    parts = {path.name.partition(".")[0].upper(): path for path in three_symbols(tmp_path)}
    every = [one for symbol, path in parts.items() for one in arrivals(read_capture(path), symbol)]
    every.sort(key=lambda arrival: arrival.wall_ns)
    folder = write_folder(tmp_path / "capture", every, tuple(parts))
    told = reconstruct(folder, tmp_path / "out", SETTINGS, workers=workers)
    alone = reconstruct(list(parts.values()), tmp_path / "alone", SETTINGS)
    assert told["digest"] == alone["digest"]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_capture_is_followed_to_its_end(
    workers: int, lines: list[bytes], digest: str, tmp_path: Path
) -> None:
    folder = tmp_path / "capture"
    recording = Recording(folder, SYMBOL)

    def record() -> None:
        for part in in_parts(arrivals(lines, "BTCUSDT"), 6):
            time.sleep(0.3)
            recording.write(part)
        recording.close()

    recorder = threading.Thread(target=record)
    recorder.start()
    try:
        told = reconstruct(folder, tmp_path / "out", SETTINGS, follow=True, workers=workers)
    finally:
        recorder.join()
    assert told["digest"] == digest
    assert len(told["chains"]) == 1


@deep
def test_several_symbols_are_followed_side_by_side(tmp_path: Path) -> None:
    parts = {path.name.partition(".")[0].upper(): path for path in three_symbols(tmp_path)}
    every = [one for symbol, path in parts.items() for one in arrivals(read_capture(path), symbol)]
    every.sort(key=lambda arrival: arrival.wall_ns)
    recording = Recording(tmp_path / "capture", tuple(parts))
    first, *rest = in_parts(every, 4)
    recording.write(first)
    events: dict[str, int] = {}

    def look(progress: Progress) -> None:
        events[progress.symbol] = progress.events
        if rest and len(events) == 3 and all(events.values()):  # each has come on before the capture ends
            for part in rest:
                recording.write(part)
            rest.clear()
            recording.close()

    told = reconstruct(tmp_path / "capture", tmp_path / "out", SETTINGS, follow=True, on_progress=look)
    alone = reconstruct(list(parts.values()), tmp_path / "alone", SETTINGS)
    assert told["digest"] == alone["digest"]


def stopped_after(events: int) -> tuple[Callable[[Progress], None], Callable[[], bool]]:
    seen = [0]

    def look(progress: Progress) -> None:
        seen[0] = progress.events

    return look, lambda: seen[0] >= events


@pytest.mark.parametrize("is_followed", [False, True])
def test_what_was_stopped_goes_on_with_the_segments_that_came_since(
    is_followed: bool, lines: list[bytes], digest: str, tmp_path: Path
) -> None:
    folder, out = tmp_path / "capture", tmp_path / "out"
    recording = Recording(folder, SYMBOL)
    parts = in_parts(arrivals(lines, "BTCUSDT"), 6)
    for part in parts[:3]:
        recording.write(part)
    on_progress, is_stopped = stopped_after(2_000)
    _stop(folder, out, is_followed=is_followed, on_progress=on_progress, is_stopped=is_stopped)
    for part in parts[3:]:
        recording.write(part)
    recording.close()
    told = reconstruct(folder, out, SETTINGS, resume=True, follow=is_followed)
    assert told["digest"] == digest


def _stop(
    folder: Path,
    out: Path,
    *,
    is_followed: bool,
    on_progress: Callable[[Progress], None],
    is_stopped: Callable[[], bool],
) -> None:
    (source,) = find_sources([folder], SETTINGS)
    start_dataset(out, WRITER, SETTINGS, ["BINANCE/BTCUSDT"], resume=False)
    create_tables(out)
    with pytest.raises(StoppedError):
        write_chain(
            replace(source, is_followed=is_followed),
            out,
            SETTINGS,
            Watcher(on_progress=on_progress, is_stopped=is_stopped),
        )


def test_a_finished_dataset_does_not_grow_without_a_word(lines: list[bytes], tmp_path: Path) -> None:
    folder, out = tmp_path / "capture", tmp_path / "out"
    recording = Recording(folder, SYMBOL)
    parts = in_parts(arrivals(lines, "BTCUSDT"), 3)
    recording.write(parts[0])
    reconstruct(folder, out, SETTINGS)
    recording.write(parts[1])
    recording.close()
    with pytest.raises(DatasetError, match="other input"):
        reconstruct(folder, out, SETTINGS, resume=True)


def test_a_damaged_or_missing_segment_is_refused(lines: list[bytes], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "capture", arrivals(lines, "BTCUSDT"), SYMBOL)
    first, second, *_ = sorted((folder / "segments").iterdir())
    content = second.read_bytes()
    second.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    with pytest.raises(SourceError, match="is damaged"):
        reconstruct(folder, tmp_path / "damaged", SETTINGS)
    second.write_bytes(content)
    (folder / "manifest" / f"{second.name.partition('.jsonl')[0]}.json").unlink()
    with pytest.raises(SourceError, match="missing or doubled"):
        reconstruct(folder, tmp_path / "missing", SETTINGS)
    assert first.exists()


def test_only_one_capture_is_followed(tmp_path: Path) -> None:
    recording = capture(tmp_path / "recording.gz", SPOT)
    for given in ([recording], [recording, recording]):
        with pytest.raises(OptionError, match="can be followed"):
            reconstruct(given, tmp_path / "out", follow=True)


def test_a_capture_without_a_sealed_segment_says_so(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "capture", SYMBOL)
    with pytest.raises(SourceError, match="no sealed segment yet"):
        reconstruct(tmp_path / "capture", tmp_path / "out")
    recording.close()
