"""Capture folders as the recorder writes them, of lines that were recorded before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.limits import RecorderLimits
from rlx_datapipe.capture.recording import SegmentRecorder
from rlx_datapipe.store.capture_manifest import CaptureHead
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.store.keys import KeyRing

STREAMS = ("depth@100ms", "trade", "bookTicker")


def arrivals(lines: Iterable[bytes], symbol: str) -> Iterator[Arrival]:
    """Lines of a recording as they would arrive again, at the same times."""
    for number, line in enumerate(lines):
        received, _, payload = line.partition(b" ")
        kind, name = RecordKind.MESSAGE, payload[11 : payload.index(b'"', 11)].decode()
        if not payload.startswith(b'{"stream"'):
            kind, name = RecordKind.SNAPSHOT, f"{symbol.lower()}@snapshot"
        yield Arrival(kind, 1, name, payload, int(received), number)


class Recording:
    """A capture folder that is written bit by bit; each call of `write` seals one segment."""

    def __init__(
        self,
        folder: Path,
        symbols: tuple[str, ...],
        *,
        venue: str = "binance-spot",
        keys: KeyRing | None = None,
    ) -> None:
        head = CaptureHead(venue=venue, symbols=symbols, streams=STREAMS)
        limits = RecorderLimits(rotate_bytes=1, ballast_bytes=0, resume_bytes=0)
        self._recorder = SegmentRecorder(folder, head, keys=keys, limits=limits, in_background=False)

    def write(self, given: Iterable[Arrival]) -> None:
        """Record arrivals and seal them."""
        for arrival in given:
            self._recorder.record(arrival)
        self._recorder.tick_now()

    def close(self) -> None:
        """End the capture."""
        self._recorder.close()


def in_parts(given: Iterable[Arrival], count: int) -> list[list[Arrival]]:
    """Arrivals in so many parts of about the same length."""
    every = list(given)
    return [every[len(every) * n // count : len(every) * (n + 1) // count] for n in range(count)]


def write_folder(
    folder: Path,
    given: Iterable[Arrival],
    symbols: tuple[str, ...],
    *,
    segments: int = 5,
    keys: KeyRing | None = None,
) -> Path:
    """A finished capture of so many segments."""
    recording = Recording(folder, symbols, keys=keys)
    for part in in_parts(given, segments):
        recording.write(part)
    recording.close()
    return folder
