"""One file on its way: stretches handed out, pieces taken in, and at the end a whole file in its zone."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlx_datapipe.acquisition.archive import Archive
from rlx_datapipe.acquisition.holdings import LakeFile
from rlx_datapipe.acquisition.partial import PartialFile, forget_journal
from rlx_datapipe.acquisition.plan import origin_of
from rlx_datapipe.acquisition.staged import Transfer
from rlx_datapipe.acquisition.staging import StagingManager

Fate = Literal["going", "failed", "changed", "stopped"]
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


@dataclass
class Stretch:
    """Bytes of a file that one thread fetches: from ``at``, which moves on, to ``end`` (excluded)."""

    transfer: FileTransfer
    at: int
    end: int


class FileTransfer:
    """The transfer of one file; safe for several threads, each with stretches of its own.

    Parameters
    ----------
    file
        Size and tag known.
    path
        Where it is put together.
    part_bytes
        Longest stretch that is handed out.

    Attributes
    ----------
    stretches
        What is to be fetched, in order.
    held_bytes, fetched_bytes
        What was here before, and what came since.
    fate
        Whether it is still worth going on with.
    """

    def __init__(self, archive: Archive, file: LakeFile, path: Path, part_bytes: int) -> None:
        self.file, self.origin = file, origin_of(archive, file)
        self._partial = PartialFile(path, self.origin)
        self._lock = threading.Lock()
        self.stretches = [
            Stretch(self, at, min(at + part_bytes, end))
            for start, end in self._partial.missing()
            for at in range(start, end, part_bytes)
        ]
        self._held_by = len(self.stretches)
        self.held_bytes = sum(end - start for start, end in self._partial.held)
        self.fetched_bytes = 0
        self.fate: Fate = "going"

    def write(self, at: int, piece: bytes) -> None:
        """Take in bytes; errors as `PartialFile.write`."""
        self._partial.write(at, piece)
        with self._lock:
            self.fetched_bytes += len(piece)

    def leave(self) -> bool:
        """Tell that a stretch is done with, however; whether it was the last one that anybody held."""
        with self._lock:
            self._held_by -= 1
            return self._held_by == 0

    def finish(self, *, checks_md5: bool) -> tuple[Transfer, bool | None]:
        """Put the whole file on the disk; its record, and whether the tag, if it can be one, is its MD5."""
        match = _MD5.fullmatch(self.origin.etag) if checks_md5 else None
        digests = self._partial.finish(with_md5=match is not None)
        record = Transfer(
            url=self.origin.url,
            size_bytes=self.origin.size_bytes,
            etag=self.origin.etag,
            sha256=digests.sha256,
            fetched_bytes=self.fetched_bytes,
        )
        return record, (match[1] == digests.md5 if match else None)

    def publish(self, staging: StagingManager, record: Transfer) -> None:
        """Give the file to the staging folder; errors as `StagingManager.arrived`."""
        self._partial.close()
        if staging.standing(self.file.key) is not None:
            staging.remove(self.file.key)
        staging.arrived(self.file.key, record)
        forget_journal(self._partial.path)

    def close(self) -> None:
        """Let go of it; what came can be gone on with."""
        self._partial.close()

    def discard(self) -> None:
        """Throw away what came."""
        self._partial.discard()
