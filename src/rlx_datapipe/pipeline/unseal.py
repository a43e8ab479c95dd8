"""Unseal a capture: the same one in plain form, for any zstd reader, with each file held to its digests."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.capture_files import CaptureFile, CaptureFolder, checked_lines
from rlx_datapipe.store.capture_manifest import (
    PLAIN_SUFFIX,
    SEGMENTS,
    Entry,
    PublishedEntry,
    begin_capture,
    publish_entry,
)
from rlx_datapipe.store.files import file_digest, locked, publishing
from rlx_datapipe.store.keys import KeyRing


def unseal(
    capture: Path,
    out: Path,
    keys: KeyRing | None = None,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Write the sealed segments of a capture to a folder in plain form; what was written, for JSON.

    That folder is a capture, too: it is read as the other one, and becomes the same dataset. The bytes
    are those that were encrypted: the lines are the same to the byte. A file that is there already is taken
    if it is the same; so it can be cut off and begun again, or go on with a capture that has grown. What is
    not sealed yet is left out, and told.

    Raises
    ------
    DatasetError, SourceError, KeyMismatchError
        When the folder is no capture, is damaged, or its key is not at hand.
    OutputError
        When ``out`` can't be written, lies in the capture, or holds other files of these names.
    """
    folder = CaptureFolder(capture, keys)
    if out.resolve().is_relative_to(capture.resolve()):
        raise OutputError("is inside the capture itself", file=out, remedy="Choose another --out")
    files = folder.files()
    sealed = [(file, file.entry) for file in files if file.entry is not None]
    if sealed:
        # A key that is missing is told before anything is written.
        next(folder.compressed(sealed[0][0]), None)
    begin_capture(out, msgspec.structs.replace(folder.head, key_id=None))
    total, done, records = sum(entry.lines_bytes for _, entry in sealed), 0, 0
    told: list[dict[str, Any]] = []
    last: PublishedEntry | None = None
    with locked(out):
        for file, entry in sealed:
            last = _write(folder, file, entry, out, last)
            told.append(_told(last.entry))
            done, records = done + entry.lines_bytes, records + entry.records
            on_progress(Progress(folder.head.venue, "segments", done, total, records))
    return {
        "capture": str(capture),
        "out": str(out),
        "segments": len(told),
        "records": records,
        "lines_bytes": done,
        "unsealed_segments": len(files) - len(sealed),
        "files": told,
    }


def _write(
    folder: CaptureFolder, file: CaptureFile, entry: Entry, out: Path, last: PublishedEntry | None
) -> PublishedEntry:
    """Write one segment behind the last one, and its entry."""
    target = out / SEGMENTS / f"{entry.name}{PLAIN_SUFFIX}"
    digest, size = hashlib.sha256(), 0
    with publishing(target, adopt=True) as temporary, temporary.open("wb") as copy:
        kept = _copied(folder.compressed(file), copy)
        for piece in checked_lines(kept, entry, file.path):
            digest.update(piece)
            size += len(piece)
        # Behind the end of its frame nothing should come; if anything does, it is not dropped.
        deque(kept, maxlen=0)
    size_bytes, sha256 = file_digest(target)
    plain = msgspec.structs.replace(
        entry,
        file=f"{SEGMENTS}/{target.name}",
        size_bytes=size_bytes,
        sha256=sha256,
        lines_bytes=size,
        lines_sha256=digest.hexdigest(),
        key_id=None,
        previous_sha256=last.sha256 if last else None,
    )
    return publish_entry(out, plain, adopt=True)


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "file": entry.file,
        "records": entry.records,
        "lines_bytes": entry.lines_bytes,
        "lines_sha256": entry.lines_sha256,
    }


def _copied(pieces: Iterator[bytes], copy: IO[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        copy.write(piece)
        yield piece
