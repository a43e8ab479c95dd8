"""Fetching stretches of files: asked again from the byte where an answer broke off, within ceilings."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from rlx_datapipe.acquisition.archive import Archive
from rlx_datapipe.acquisition.ledger import Ledger
from rlx_datapipe.acquisition.pace import Pace
from rlx_datapipe.acquisition.refusals import OutageError, PassingError
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.acquisition.transfer import Stretch
from rlx_datapipe.core.breaker import Breaker, delays

_TICK_S = 0.1
_SILENT_S = 2.0
_ENTERED_BYTES = 8 * 10**6
"""What the ledger may miss of each request when a process is killed."""


class Fetcher:
    """Fetches stretches for several threads, which share a breaker, a pace and a ledger.

    A stretch is tried again as long as tries bring anything; ``retries`` further tries in a row that bring
    nothing end it. When failures pile up over all parts it is the store that fails: then nobody asks until
    one has probed, no part is charged for it, and ``outage_s`` without a byte end the run.

    Attributes
    ----------
    fetched_bytes, retries
        Over all threads.
    stop
        Set from outside when nothing more is to be fetched.
    """

    def __init__(self, archive: Archive, settings: AcquisitionSettings, ledger: Ledger) -> None:
        self._archive, self._settings, self._ledger = archive, settings, ledger
        self._pace = Pace(settings.limit_mb_s * 10**6)
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_pause_s)
        self._lock = threading.Lock()
        self._why, self._last_byte_s = "", time.monotonic()
        self.stop = threading.Event()
        self.fetched_bytes = self.retries = 0

    @property
    def waiting(self) -> str:
        """Why nothing comes at the moment; empty while something does."""
        is_silent = time.monotonic() - self._last_byte_s > _SILENT_S
        return self._why if is_silent or self._breaker.state != "closed" else ""

    def fetch(self, stretch: Stretch) -> None:
        """Fetch a stretch to its end, unless its file is given up or all is stopped.

        Raises
        ------
        PassingError
            When tries bring nothing any more.
        OutageError
            When the store brings nothing any more, to nobody.
        ArchiveError
            When the store refuses, or the object is another one now.
        UnwritableError
            When the system refuses.
        """
        settings = self._settings
        before = -1
        waits: Iterator[float] = iter(())
        while not self._is_over(stretch) and self._may_ask():
            if stretch.at > before:
                seed = f"{stretch.transfer.file.path} {stretch.at}"
                before = stretch.at
                waits = delays(settings.backoff_s, settings.backoff_max_s, settings.retries, seed)
            try:
                self._read(stretch)
            except PassingError as error:
                if not self._has_failed(error):
                    continue
                if (wait_s := next(waits, None)) is None:
                    raise
                self.stop.wait(wait_s)
            else:
                self._has_answered()

    def _read(self, stretch: Stretch) -> None:
        """One request: what is left of a stretch, taken in piece by piece."""
        transfer, begun = stretch.transfer, stretch.at
        pieces = self._archive.read(transfer.file.path, stretch.at, stretch.end, transfer.file.etag)
        try:
            for piece in pieces:
                transfer.write(stretch.at, piece)
                stretch.at += len(piece)
                with self._lock:
                    self.fetched_bytes += len(piece)
                    self._last_byte_s = time.monotonic()
                if stretch.at - begun >= _ENTERED_BYTES:
                    self._ledger.add(stretch.at - begun)
                    begun = stretch.at
                if (wait_s := self._pace.after(len(piece))) > 0:
                    self.stop.wait(wait_s)
                if self._is_over(stretch):
                    return
        finally:
            self._ledger.add(stretch.at - begun)

    def _is_over(self, stretch: Stretch) -> bool:
        return stretch.at >= stretch.end or stretch.transfer.fate != "going" or self.stop.is_set()

    def _may_ask(self) -> bool:
        """Wait until something may be asked for; False when all is stopped."""
        while not self.stop.is_set():
            with self._lock:
                if self._breaker.allows():
                    return True
                silent_s, why = time.monotonic() - self._last_byte_s, self._why
            if silent_s > self._settings.outage_s:
                raise OutageError(
                    f"nothing came for {silent_s:,.0f} s",
                    archive=self._archive.address.url,
                    reason=why,
                    remedy="What came is kept: run the same command again",
                )
            self.stop.wait(_TICK_S)
        return False

    def _has_answered(self) -> None:
        with self._lock:
            self._breaker.succeeded()
            self._why = ""

    def _has_failed(self, error: PassingError) -> bool:
        """Whether a failure is this stretch's own; one of many in a row is the store's, and costs no try."""
        with self._lock:
            self._breaker.failed()
            self.retries += 1
            self._why = str(error.facts.get("reason") or error.what)
            return self._breaker.state == "closed"
