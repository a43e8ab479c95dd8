"""Recordings as what an exchange plays: frames of all files merged by time, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from rlx_datapipe.core.config import Settings
from rlx_datapipe.ingestion.lines import head_frames, read_frames
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.simulation.exchange.channels import Channel, Content, Floor, Timed
from rlx_datapipe.venues.binance_streams import SNAPSHOT_CHANNEL, unwrap

BATCH_MESSAGES = 1024
_OUR_OWN = ("!open", "!close", "!gap", "!note", "!raw")
"""Streams of our captures that no venue has sent."""


class Tape:
    """One recording of an exchange's play.

    ``symbol`` is that of a snapshot that names none; empty where the file mixes symbols. ``key_file`` has the
    keys of a capture that is encrypted.
    """

    def __init__(
        self, path: Path, format: str, symbol: str, settings: Settings, key_file: Path | None = None
    ) -> None:
        self.path, self.format, self.symbol = path, format, symbol
        self._settings, self._key_file = settings, key_file
        frames, _ = head_frames(path, 1, settings.line_bytes_max, key_file=key_file)
        self.first_ns = int(frames.received[0]) if len(frames) else 0

    def messages(self, floor: Floor, *, only_listed: bool) -> Iterator[Timed]:
        """Its messages in the order of arrival; what is no message of a venue is left out."""
        channels: dict[str, Channel | None] = {}
        batches = read_frames(
            self.path, BATCH_MESSAGES, self._settings.line_bytes_max, key_file=self._key_file
        )
        for frames, _, _ in batches:
            for time_ns, payload in zip(frames.received.tolist(), frames.payloads(), strict=True):
                stream, data = unwrap(payload)
                if stream not in channels:
                    channels[stream] = self._channel(stream, floor, only_listed)
                channel = channels[stream]
                if channel is not None:
                    yield time_ns, channel, data

    def _channel(self, stream: str, floor: Floor, only_listed: bool) -> Channel | None:
        if stream.startswith("@") and self.symbol:
            stream = self.symbol.lower() + stream
        if not stream or stream.startswith("@") or stream in _OUR_OWN:
            return None
        channel = floor.channel(self.format, stream)
        if only_listed and channel.listing is None:
            return None
        is_unlisted_snapshot = stream.endswith(f"@{SNAPSHOT_CHANNEL}") and channel.content is Content.OTHER
        return None if is_unlisted_snapshot else channel


def tapes_of(sources: list[Source], settings: Settings) -> list[Tape]:
    """The files of all sources, each once, by the time of their first message."""
    tapes: dict[Path, Tape] = {}
    for source in sources:
        for number, path in enumerate(source.files):
            is_mixed = bool(source.held and source.held[number])
            if path not in tapes:
                symbol = "" if is_mixed else source.instrument.symbol
                tapes[path] = Tape(path, source.format, symbol, settings, source.key_file)
    return sorted(tapes.values(), key=lambda tape: (tape.first_ns, tape.path.name))


def merged(tapes: list[Tape], floor: Floor, *, only_listed: bool = False) -> Iterator[list[Timed]]:
    """Messages of all tapes by time, those of one tape in their own order, some at a time.

    A tape is opened when its time has come, and closed at its end.
    """
    waiting = list(reversed(tapes))
    heap: list[tuple[int, int, Timed, Iterator[Timed]]] = []
    batch: list[Timed] = []
    opened = 0
    while waiting or heap:
        while waiting and (not heap or waiting[-1].first_ns <= heap[0][0]):
            messages = waiting.pop().messages(floor, only_listed=only_listed)
            first = next(messages, None)
            if first is not None:
                heapq.heappush(heap, (first[0], opened, first, messages))
                opened += 1
        if not heap:
            continue
        time_ns, order, message, messages = heap[0]
        batch.append(message)
        following = next(messages, None)
        if following is None:
            heapq.heappop(heap)
        else:
            # A clock that steps back must not move a message before its elders.
            heapq.heapreplace(heap, (max(time_ns, following[0]), order, following, messages))
        if len(batch) >= BATCH_MESSAGES:
            yield batch
            batch = []
    if batch:
        yield batch
