"""Seal what a dead capture left open, by the recorder's own start and end; nothing is listened to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlx_datapipe.capture.limits import RecorderLimits
from rlx_datapipe.capture.recording import SegmentRecorder
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.store.capture_files import CaptureFolder
from rlx_datapipe.store.capture_manifest import read_head
from rlx_datapipe.store.keys import KeyRing


def seal_capture(folder: Path, keys: KeyRing | None = None) -> dict[str, Any]:
    """Seal what is open in a capture that nobody writes; what was sealed, for JSON.

    A recorder goes on with the folder and ends at once: what it does at every start is all that is done here.
    A note, in a segment of its own, tells that a dead process was recovered from. Where nothing is open,
    nothing is written. A later ``rlx capture run`` goes on behind it and declares what was missed.

    Raises
    ------
    DatasetError
        When it is no capture.
    SourceError, OptionError, KeyMismatchError
        When it is encrypted and its key is not at hand, or the log is damaged.
    OutputError
        When another process holds the folder, or it can't be written.
    """
    head = read_head(folder)
    if head.key_id is not None and keys is None:
        raise SourceError(
            "is encrypted", file=folder, key_id=head.key_id, remedy="Give its key by --key-file"
        )
    before = _sealed(folder)
    limits = RecorderLimits(ballast_bytes=0, resume_bytes=0)
    SegmentRecorder(folder, head, keys=keys, limits=limits, in_background=False).close()
    after = _sealed(folder)
    return {
        "capture": str(folder),
        "segments": after[0] - before[0],
        "records": after[1] - before[1],
        "segments_in_all": after[0],
    }


def _sealed(folder: Path) -> tuple[int, int]:
    """Sealed segments and their records."""
    entries = [file.entry for file in CaptureFolder(folder).files() if file.entry is not None]
    return len(entries), sum(entry.records for entry in entries)
