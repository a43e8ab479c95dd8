"""Captures: lines of a venue's own messages, found and read; snapshots are put where they belong."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from rlx_datapipe.core.event import NONE, Field, Int64Array
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.capture_records import take_out
from rlx_datapipe.ingestion.following import POLL_S, is_finished, with_new_segments
from rlx_datapipe.ingestion.mixed import Taken
from rlx_datapipe.ingestion.placement import SnapshotPlacer
from rlx_datapipe.ingestion.reader import (
    NS_PER_MS,
    Reader,
    Step,
    Task,
    number_messages,
    refuse_future,
)
from rlx_datapipe.ingestion.recognise import Seen, look_at, look_into
from rlx_datapipe.ingestion.recordings import pass_over, take_recording
from rlx_datapipe.ingestion.source import Source, instrument_of
from rlx_datapipe.ingestion.wanted import Wanted
from rlx_datapipe.venues import binance


class CaptureReader(Reader):
    """Captures of one recorder: one stream, file after file, line after line.

    Snapshots that name no time are held back until a delta dates them.
    """

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self._placer = SnapshotPlacer(task.settings.horizon_ms * NS_PER_MS)
        self._newest = NONE

    def steps(self, stream: int, file: int, row: int) -> Iterator[Step]:
        """The lines behind a row of a file, and those of the files after it."""
        number, last = file, Step(Parsed(), file, row, 0)
        while number < len(self.source.files) or (yield from self._wait_for_more(last)):
            source = self.source
            take = self.task.take or partial(take_recording, source, self.task.settings)
            skips = self.task.skips_of(number)
            for taken in take(number, row if number == file else 0):
                if len(taken.frames):
                    self.task.begin(number, int(taken.frames.rows[0]), int(taken.frames.rows[-1]))
                pass_over(taken, skips, source.files[number].name)
                last = Step(self._parse(taken, number), number, taken.row, taken.consumed)
                yield last
            number += 1

    def settle(self, stream: int, events: Int64Array) -> Int64Array:
        """Put snapshots where their update ids belong."""
        self._newest = max(self._newest, int(events[Field.ORIGIN_TIME].max(initial=NONE)))
        return self._placer.place(events)

    def finish(self, stream: int) -> Int64Array:
        """Snapshots that no delta has followed."""
        return self._placer.finish(self._newest)

    def state(self) -> State:
        """The snapshots that wait, and by what they will be dated."""
        state = State({"newest": self._newest})
        state.put("placer", self._placer.state())
        return state

    def restore(self, state: State) -> None:
        """Go on with the snapshots that wait."""
        self._newest = state.integer("newest")
        self._placer.restore(state.part("placer"))

    def _wait_for_more(self, last: Step) -> Generator[Step, None, bool]:
        """Wait for the next segment of a capture that is followed: whether one came before its end.

        Meanwhile empty steps tell those behind that nothing is wrong.
        """
        while self.source.is_followed and self.source.capture is not None:
            # Asked first: what was sealed before the end is then found behind it.
            has_ended = is_finished(self.source.capture)
            grown = with_new_segments(self.source)
            if grown is not self.source:
                self.source = grown
                return True
            if has_ended:
                return False
            yield last._replace(parsed=Parsed())
            time.sleep(POLL_S)
        return False

    def _parse(self, taken: Taken, number: int) -> Parsed:
        source, settings = self.source, self.task.settings
        name = source.files[number].name
        market = binance.MARKETS[source.format]
        frames, said = take_out(taken.frames, name, source.instrument.symbol)
        parsed = binance.parse(frames, name, source.instrument, market, source.trades)
        parsed.rejects += taken.rejects + said.rejects
        parsed.records = said.records
        parsed.counts += said.counts
        if taken.elsewhere:
            parsed.counts["of other symbols"] = taken.elsewhere

        def raw_of(row: int) -> bytes:
            return frames.payload(int(np.searchsorted(frames.rows, row)))

        refuse_future(parsed, name, settings, raw_of)
        parsed.rejects.sort(key=lambda reject: reject.row)
        number_messages(parsed, number)
        return parsed


def find_captures(paths: Sequence[Path], wanted: Wanted) -> list[Source]:
    """Chains of recordings, by market and symbol.

    Raises
    ------
    SourceError
        When one is of no known market, or of another than was named, or names no symbol.
    """
    return _sources([one for path in paths for one in look_at(path, wanted.format, wanted.settings)], wanted)


def find_capture_folders(folders: Sequence[Path], wanted: Wanted) -> list[Source]:
    """Chains of what the sealed segments of capture folders hold.

    Raises
    ------
    SourceError
        When a segment is missing or can't be read, or none is sealed yet.
    """
    return _sources(
        [one for path in folders for one in look_into(path, wanted.settings, wanted.key_file)], wanted
    )


def _sources(seen: list[Seen], wanted: Wanted) -> list[Source]:
    chains: dict[tuple[str, str], list[Seen]] = {}
    for one in seen:
        chains.setdefault((one.format, one.symbol), []).append(one)
    sources = []
    for (found, symbol), parts in chains.items():
        parts.sort(key=lambda part: (part.first_received, part.paths[0].name, str(part.paths[0])))
        market = binance.MARKETS[found]
        kinds = frozenset[str]().union(*(part.kinds for part in parts))
        probes = [part.probe for part in parts]
        sources.append(
            Source(
                instrument=instrument_of(market.exchange, symbol, probes, wanted.decimals),
                format=found,
                rule=market.rule,
                files=tuple(path for part in parts for path in part.paths),
                trades="aggTrade" if "aggTrade" in kinds and "trade" not in kinds else "trade",
                held=tuple(part.held for part in parts for _ in part.paths),
                rate=max(part.rate for part in parts),
                capture=parts[0].folder if len(parts) == 1 else None,
                key_file=wanted.key_file,
                kinds=kinds if all(part.is_telling for part in parts) else frozenset(),
            )
        )
    return sources
