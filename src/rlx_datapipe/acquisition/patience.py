"""An archive asked patiently: small questions are asked again after a wait, within a ceiling."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from rlx_datapipe.acquisition.archive import Address, Archive, ArchiveObject
from rlx_datapipe.acquisition.refusals import PassingError
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.core.breaker import delays

Answer = TypeVar("Answer")
_RETRIES = 4
"""Somebody waits for the answer: some seconds, not minutes."""


class PatientArchive:
    """Another archive that is asked again when that may help: for lists, heads, indexes and footers.

    Whole files are for `Fetcher`, which knows where they broke off.
    """

    def __init__(
        self, archive: Archive, settings: AcquisitionSettings, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._archive, self._settings, self._sleep = archive, settings, sleep

    @property
    def address(self) -> Address:
        """Where it is."""
        return self._archive.address

    def below(self, folder: str) -> PatientArchive:
        """The same archive with its root in a folder of it."""
        return PatientArchive(self._archive.below(folder), self._settings, self._sleep)

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders right below a prefix."""
        return self._again(lambda: self._archive.folders(prefix), prefix)

    def listed(self, prefix: str = "", after: str = "") -> Iterator[ArchiveObject]:
        """All objects below a prefix; a list that breaks off is gone on with behind its last object."""
        waits = self._waits(prefix)
        while True:
            try:
                for one in self._archive.listed(prefix, after):
                    yield one
                    after = one.path
                return
            except PassingError:
                if (wait_s := next(waits, None)) is None:
                    raise
                self._sleep(wait_s)

    def head(self, path: str) -> ArchiveObject:
        """What is known of one object."""
        return self._again(lambda: self._archive.head(path), path)

    def read(self, path: str, start: int, end: int, etag: str = "") -> Iterator[bytes]:
        """A few bytes of an object in one piece, all or none of them."""
        yield self._again(lambda: b"".join(self._archive.read(path, start, end, etag)), path)

    def _again(self, ask: Callable[[], Answer], what: str) -> Answer:
        for wait_s in self._waits(what):
            try:
                return ask()
            except PassingError:
                self._sleep(wait_s)
        return ask()

    def _waits(self, what: str) -> Iterator[float]:
        settings = self._settings
        return delays(settings.backoff_s, settings.backoff_max_s, min(settings.retries, _RETRIES), what)
