"""What a dead capture left open is sealed, so that the next one goes on behind it."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from rlx_datapipe.store.files import publishing, sync, unwritable
from rlx_datapipe.store.frames import Record, RecordKind, Seal, encode
from rlx_datapipe.store.segment import (
    SegmentError,
    SegmentFile,
    SegmentReader,
    list_segments,
    segment_path,
)

_COPIED_AT_ONCE = 1 << 20
_PARTIAL = re.compile(r"\.generation-\d{10}-segment-\d{10}\.(open|raw)\.partial")


class Recovered(NamedTuple):
    """Where a writer goes on, and what `recover` left out of the segment that it sealed.

    Attributes
    ----------
    generation, next_sequence
        Of the next process.
    sealed
        The segment that a dead process had left open; None if there was none.
    lost_bytes
        Bytes behind its last valid record.
    damage
        What they are, if they are no torn tail; None if they are.
    aside
        The file as it was found, where there is damage.
    """

    generation: int
    next_sequence: int
    sealed: Path | None = None
    lost_bytes: int = 0
    damage: str | None = None
    aside: Path | None = None


def recover(folder: Path) -> Recovered:
    """Seal what a dead process left open, as a new file of the same records; hold the folder's lock.

    Can be cut off and begun again. A torn tail is left out, and its length told. Before damage in the middle
    the sealed segment ends, its seal says so, and the whole file is kept under a name of its own.

    Raises
    ------
    SourceError
        When the newest segment can't be read at all, or a sealed one is damaged.
    OutputError
        When the system refuses to write.
    """
    _remove_partials(folder)
    segments = list_segments(folder)
    if not segments:
        return Recovered(0, 0)
    for segment in segments[:-1]:
        if segment.is_open:
            raise SegmentError("is open, but not the newest", file=segment.path, offset=0)
    newest = segments[-1]
    reader = SegmentReader(newest.path, newest=True)
    damage: SegmentError | None = None
    try:
        for _ in reader:
            pass
    except SegmentError as error:
        if not newest.is_open or reader.header is None:
            raise
        damage = error
    standing = Recovered(newest.generation + 1, reader.next_sequence)
    return _seal(reader, newest, standing, damage) if newest.is_open else standing


def _seal(
    reader: SegmentReader, segment: SegmentFile, standing: Recovered, damage: SegmentError | None
) -> Recovered:
    sealed = segment_path(segment.path.parent, segment.generation, segment.number)
    aside = segment.path.with_suffix(".damaged") if damage is not None else None
    is_sealed = reader.end is not None and reader.end.seal is not None
    lost = 0 if is_sealed else segment.path.stat().st_size - reader.offset
    try:
        if aside is not None and not (aside.exists() and aside.samefile(segment.path)):
            os.link(segment.path, aside)
        with publishing(sealed, adopt=True) as temporary:
            _copy_sealed(reader, temporary, lost, is_damaged=damage is not None)
        segment.path.unlink()
        sync(segment.path.parent)
    except OSError as error:
        raise unwritable(segment.path, error) from error
    told = str(damage.facts["found"]) if damage is not None else None
    return standing._replace(sealed=sealed, lost_bytes=lost, damage=told, aside=aside)


def _copy_sealed(reader: SegmentReader, target: Path, lost: int, *, is_damaged: bool) -> None:
    assert reader.header is not None  # noqa: S101 (without one there is nothing to seal)
    digest, rest = hashlib.sha256(), reader.offset
    with reader.path.open("rb") as source, target.open("wb") as copy:
        while rest > 0:
            content = source.read(min(rest, _COPIED_AT_ONCE))
            digest.update(content)
            copy.write(content)
            rest -= len(content)
        seal = Seal(digest.digest(), lost, is_damaged).encoded()
        copy.write(encode(reader.header.seed, Record(reader.next_sequence, RecordKind.SEAL, 0, 0, 0, seal)))


def _remove_partials(folder: Path) -> None:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _PARTIAL.fullmatch(path.name):
            path.unlink()
