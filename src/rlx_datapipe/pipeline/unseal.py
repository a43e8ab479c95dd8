"""Unseal a capture: its segments decrypted, as files that any zstd reader opens, each held to its digests."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.capture_files import CaptureFile, CaptureFolder, checked_lines
from rlx_datapipe.store.capture_manifest import PLAIN_SUFFIX, Entry
from rlx_datapipe.store.files import make_folder, publishing, unwritable
from rlx_datapipe.store.keys import KeyRing


def unseal(
    capture: Path,
    out: Path,
    keys: KeyRing | None = None,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Write every sealed segment of a capture to a folder in plain form; what was written, for JSON.

    Its zstd bytes are those that were encrypted, so the lines are the same to the byte. A file that is there
    already is taken if it is the same; so it can be cut off and begun again, or go on with a capture that has
    grown. What is not sealed yet is left out, and told.

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
    try:
        make_folder(out)
    except OSError as error:
        raise unwritable(out, error) from error
    total, done, records = sum(entry.lines_bytes for _, entry in sealed), 0, 0
    told: list[dict[str, Any]] = []
    for file, entry in sealed:
        told.append(_write(folder, file, entry, out))
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


def _write(folder: CaptureFolder, file: CaptureFile, entry: Entry, out: Path) -> dict[str, Any]:
    target = out / f"{entry.name}{PLAIN_SUFFIX}"
    digest, size = hashlib.sha256(), 0
    with publishing(target, adopt=True) as temporary, temporary.open("wb") as copy:
        kept = _copied(folder.compressed(file), copy)
        for piece in checked_lines(kept, entry, file.path):
            digest.update(piece)
            size += len(piece)
        # Behind the end of its frame nothing should come; if anything does, it is not dropped.
        deque(kept, maxlen=0)
    return {
        "file": target.name,
        "records": entry.records,
        "lines_bytes": size,
        "lines_sha256": digest.hexdigest(),
    }


def _copied(pieces: Iterator[bytes], copy: IO[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        copy.write(piece)
        yield piece
