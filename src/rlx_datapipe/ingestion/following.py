"""Following a capture that is still being written: the segments sealed since, and whether more will come."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from rlx_datapipe.core.config import Settings
from rlx_datapipe.ingestion.recognise import SEGMENTS_LOOKED_INTO, symbols_seen
from rlx_datapipe.ingestion.segments import Sealed, entry_of, sealed_segments
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.store.capture_manifest import LOG, entry_paths, read_head
from rlx_datapipe.store.files import was_let_go
from rlx_datapipe.store.segment import list_segments

POLL_S = 0.2
"""How often a capture that is followed is looked at."""


def with_new_segments(source: Source) -> Source:
    """The source with the segments behind those that it has; itself where there are none.

    Raises
    ------
    SourceError
        When a segment between them is missing.
    """
    assert source.capture is not None  # noqa: S101 (no other source is followed)
    new = [path for path, _ in sealed_segments(source.capture, _last(source))]
    if not new:
        return source
    held = source.held[:1] * len(new)
    return replace(source, files=(*source.files, *new), held=(*source.held, *held))


def is_finished(folder: Path) -> bool:
    """Whether the recorder of a capture has ended by itself, with all that it received sealed.

    One that died has not: it is waited for until it is started again.
    """
    return was_let_go(folder) and not list_segments(folder / LOG)


def wait_for_symbols(folder: Path, settings: Settings, key_file: Path | None) -> tuple[str, ...]:
    """Wait until each symbol of a capture has been seen, as long as one may be; those that were not.

    Raises
    ------
    DatasetError, SourceError
        When the folder is no capture, or a segment can't be read.
    """
    symbols, looked_into = read_head(folder).symbols, -1
    while True:
        # Asked first: what was sealed before the end is then found behind it.
        is_over = is_finished(folder)
        sealed = len(entry_paths(folder))
        if sealed not in (0, looked_into):
            looked_into = sealed
            seen = symbols_seen(folder, settings, key_file)
            missing = tuple(symbol for symbol in symbols if symbol not in seen)
            if not missing or is_over or sealed >= SEGMENTS_LOOKED_INTO:
                return missing
        elif is_over:
            return symbols
        time.sleep(POLL_S)


def _last(source: Source) -> Sealed:
    assert source.capture is not None  # noqa: S101 (no other source is followed)
    path = source.files[-1]
    return path, entry_of(source.capture, path)
