"""Recordings read step by step: from their files, of mixed ones what each chain gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.ingestion.lines import last_row, read_frames
from rlx_datapipe.ingestion.mixed import Taken, share_out
from rlx_datapipe.ingestion.source import Source

NS_PER_S = 1_000_000_000
_BATCHES_AN_EPOCH = 4
"""So that an epoch, which ends with a batch, lasts at most a quarter longer than ``epoch_s``."""

Take = Callable[[int, int], Iterator[Taken]]
"""Reads one recording of a chain, by its number, behind a row: the steps that `DataIngestion` works on."""


def take_recording(source: Source, settings: Settings, number: int, start_row: int) -> Iterator[Taken]:
    """The steps of one recording behind a row, read from its file; of a mixed one what the chain gets."""
    if source.held and source.held[number]:
        for shares in take_shares(source, settings, number, start_row):
            yield shares[source.instrument.symbol]
    else:
        yield from _take(source, settings, number, start_row)


def take_shares(
    source: Source, settings: Settings, number: int, start_row: int
) -> Iterator[dict[str, Taken]]:
    """The steps of one recording that mixes symbols behind a row, shared out among all symbols it holds."""
    for taken in _take(source, settings, number, start_row):
        yield share_out(taken, source.held[number], source.files[number].name)


def _take(source: Source, settings: Settings, number: int, start_row: int) -> Iterator[Taken]:
    path = source.files[number]
    batches = read_frames(
        path,
        settings.batch_rows,
        settings.line_bytes_max,
        start_row=start_row,
        span_ns=span_ns(settings),
        key_file=source.key_file,
    )
    for frames, rejects, consumed in batches:
        yield Taken(frames, rejects, last_row(frames, rejects), consumed)


def pass_over(taken: Taken, skips: Sequence[Skip], file: str) -> None:
    """Reject the messages of rows that are skipped."""
    for skip in skips:
        frames = taken.frames
        is_skipped = (frames.rows >= skip.from_row) & (frames.rows <= skip.to_row)
        if not is_skipped.any():
            continue
        for index in np.flatnonzero(is_skipped).tolist():
            row = int(frames.rows[index])
            taken.rejects.append(Reject(file, row, skip.reason, raw=frames.payload(index)))
        taken.frames = frames.take(np.flatnonzero(~is_skipped))


def span_ns(settings: Settings) -> int:
    """How much time a batch may span: a quiet market is cut by time, not by rows alone."""
    return settings.epoch_s * NS_PER_S // _BATCHES_AN_EPOCH
