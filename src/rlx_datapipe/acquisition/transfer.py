"""One file on its way: stretches handed out, pieces taken in, and at the end a whole file in its zone."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from rlx_datapipe.acquisition.archive import Archive
from rlx_datapipe.acquisition.holdings import LakeFile
from rlx_datapipe.acquisition.partial import PartialFile, journal_of
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
        About as long are the stretches that are handed out: what is missing is cut into equal ones.
    checks_md5
        Whether its tag is held against its MD5, if it can be one.

    Attributes
    ----------
    stretches
        What is to be fetched, in order.
    held_bytes, fetched_bytes
        What was here before, and what came since.
    fate
        Whether it is still worth going on with.
    """

    def __init__(
        self, archive: Archive, file: LakeFile, path: Path, part_bytes: int, *, checks_md5: bool
    ) -> None:
        self.file, self.origin = file, origin_of(archive, file)
        tag = _MD5.fullmatch(file.etag) if checks_md5 else None
        self._md5 = tag[1] if tag else ""
        self._partial = PartialFile(path, self.origin, with_md5=tag is not None)
        self._lock = threading.Lock()
        self.stretches = [
            Stretch(self, *ends)
            for start, end in self._partial.missing()
            for ends in _cut(start, end, part_bytes)
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

    def has_come(self, start: int, end: int) -> None:
        """Tell that a stretch came to its end; errors as `PartialFile.is_whole`."""
        self._partial.is_whole(start, end)

    def leave(self) -> bool:
        """Tell that a stretch is done with, however; whether it was the last one that anybody held."""
        with self._lock:
            self._held_by -= 1
            return self._held_by == 0

    def finish(self) -> tuple[Transfer, bool]:
        """Put the whole file on the disk; its record, and whether its tag, if that is asked, fits."""
        digests = self._partial.finish()
        record = Transfer(
            url=self.origin.url,
            size_bytes=self.origin.size_bytes,
            etag=self.origin.etag,
            sha256=digests.sha256,
            fetched_bytes=self.fetched_bytes,
        )
        return record, self._md5 == digests.md5

    def close(self) -> None:
        """Let go of it; what came can be gone on with."""
        self._partial.close()

    def discard(self) -> None:
        """Throw away what came."""
        self._partial.discard()

    def forget_journal(self) -> None:
        """Tell that the file has its name; a journal that a power cut brings back is of nothing."""
        journal_of(self._partial.path).unlink(missing_ok=True)


def publish(staging: StagingManager, finished: Mapping[FileTransfer, Transfer]) -> None:
    """Give whole files to the staging folder; bounds and errors as `StagingManager.arrived`."""
    for transfer in finished:
        transfer.close()
        if staging.standing(transfer.file.key) is not None:
            staging.remove(transfer.file.key)
    staging.arrived({transfer.file.key: record for transfer, record in finished.items()})
    for transfer in finished:
        transfer.forget_journal()


def _cut(start: int, end: int, part_bytes: int) -> Iterator[tuple[int, int]]:
    """Equal stretches from one byte to another, about as long as is wished."""
    count = max(1, round((end - start) / part_bytes))
    ends = [start + (end - start) * number // count for number in range(count + 1)]
    return pairwise(ends)
