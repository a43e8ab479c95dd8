"""Two threads behind a recorder: one puts the log on the disk, the other seals what is finished of it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rlx_datapipe.capture.sealing import Sealer
from rlx_datapipe.core.errors import DatapipeError, OutputError

_RETRY_S, _RETRY_MAX_S = 1.0, 60.0
_JOIN_S = 600.0


class SyncingThread:
    """Calls ``sync`` at every interval, and sooner when it is woken; after an error it stops for good.

    ``problem`` is that error: a second sync might succeed with the data gone.
    """

    def __init__(self, sync: Callable[[], None], every_ns: int) -> None:
        self._sync, self._every_s = sync, every_ns / 1e9
        self._wake, self._stopping = threading.Event(), threading.Event()
        self.problem: OutputError | None = None
        self._thread = threading.Thread(target=self._run, name="capture sync", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Sync now."""
        self._wake.set()

    def stop(self) -> None:
        """Let the thread end; what it has not synced is left to the caller."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._every_s)
            self._wake.clear()
            try:
                self._sync()
            except OutputError as error:
                self.problem = error
                return


class SealingThread:
    """Seals the finished part of the log whenever it is woken; what fails is tried again, ever more seldom.

    ``problem`` tells in words why it is behind, empty where it is not. Capture goes on meanwhile: the log
    holds all, and what is damaged is never removed.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._wake, self._stopping = threading.Event(), threading.Event()
        self.records = 0
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="capture sealing", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """A segment of the log was finished."""
        self._wake.set()

    def stop(self) -> None:
        """Let the thread end behind the segment that it is at."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        retry_s = _RETRY_S
        while True:
            self._wake.wait(retry_s if self.problem else None)
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                self.records += self._sealer.seal_all()
                self.problem, retry_s = "", _RETRY_S
            except DatapipeError as error:
                self.problem, retry_s = str(error), min(2 * retry_s, _RETRY_MAX_S)
            except BaseException as error:
                self.problem = f"sealing has ended by a fault of its own ({error!r}); the log grows"
                raise
