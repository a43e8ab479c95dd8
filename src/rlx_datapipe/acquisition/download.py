"""The downloader: many ranged parts of many files at a time, gone on with at the byte after any death."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from rlx_datapipe.acquisition.archive import Archive
from rlx_datapipe.acquisition.fetching import Fetcher
from rlx_datapipe.acquisition.holdings import LakeFile
from rlx_datapipe.acquisition.ledger import Ledger
from rlx_datapipe.acquisition.partial import forget
from rlx_datapipe.acquisition.plan import TO_FETCH, Plan
from rlx_datapipe.acquisition.refusals import ArchiveError, ChangedError, OutageError, RefusedError
from rlx_datapipe.acquisition.settings import AcquisitionSettings, checks_md5
from rlx_datapipe.acquisition.staged import ArchiveKey, Transfer
from rlx_datapipe.acquisition.staging import TOGETHER_MAX, StagingManager
from rlx_datapipe.acquisition.transfer import FileTransfer, Stretch, publish
from rlx_datapipe.core.errors import DatapipeError

_TICK_S = 0.1
_FAREWELL_S = 5.0
"""How long a stop waits for the parts in flight."""
_TELLING_BYTES = 100_000
"""Size from which a file that came twice the same shows that the tags of its store are no MD5s."""
_RESTARTS_MAX = 3
"""How often a file that changes while it is fetched is begun anew."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How a download goes. ``bytes_done`` counts what was here before; ``waiting`` says why nothing comes."""

    files: int
    files_done: int
    files_failed: int
    bytes: int
    bytes_done: int
    fetched_bytes: int
    retries: int
    seconds: float
    waiting: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a download came to. ``failed`` has a sentence for each file that did not come."""

    arrived: tuple[ArchiveKey, ...]
    failed: dict[str, str]
    told: tuple[str, ...]
    fetched_bytes: int
    resumed_bytes: int
    retries: int
    seconds: float

    def as_facts(self) -> dict[str, Any]:
        """The outcome for JSON."""
        facts: dict[str, Any] = msgspec.to_builtins(self)
        return facts | {"arrived": [str(key.path) for key in self.arrived]}


NOTHING = Outcome(arrived=(), failed={}, told=(), fetched_bytes=0, resumed_bytes=0, retries=0, seconds=0.0)
"""Of a plan that leaves nothing to do."""


class Downloader:
    """Fetches the files of a plan into a staging folder.

    Threads take stretches of files, each at most a part long; a file's last thread makes it whole.

    Parameters
    ----------
    staging
        Open; nobody else may use it meanwhile.
    on_progress
        Called in the calling thread, some ten times a second.
    """

    def __init__(
        self,
        archive: Archive,
        staging: StagingManager,
        plan: Plan,
        settings: AcquisitionSettings,
        ledger: Ledger,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._archive, self._staging, self._plan = archive, staging, plan
        self._settings, self._ledger, self._on_progress = settings, ledger, on_progress
        self._fetcher = Fetcher(archive, settings, ledger)
        self._lock = threading.Condition()
        # Of its own: names are put on the disk under it, and meanwhile nobody should wait for a stretch.
        self._zones = threading.Lock()
        self._is_over = False
        self._todo = [one.file for one in plan.files if one.state in TO_FETCH]
        self._waiting = deque(self._todo)
        self._unbegun_bytes = sum(file.size_bytes for file in self._todo)
        self._stretches: deque[Stretch] = deque()
        self._open: set[FileTransfer] = set()
        self._finished: deque[tuple[FileTransfer, Transfer]] = deque()
        self._busy = 0
        self._restarts: dict[ArchiveKey, int] = {}
        self._doubted: dict[ArchiveKey, str] = {}
        self._trusts_tags = checks_md5(settings)
        self._arrived: dict[ArchiveKey, int] = {}
        self._failed: dict[str, str] = {}
        self._told: list[str] = []
        self._fatal: BaseException | None = None
        self._resumed_bytes = 0

    def run(self) -> Outcome:
        """Fetch all there is to fetch.

        Raises
        ------
        RefusedError
            When the store refuses the key or the clock: what came can be gone on with.
        OutageError
            When the store brings nothing any more; likewise.
        UnwritableError
            When the system refuses to write, such as for a full disk; likewise.
        KeyboardInterrupt
            When it is stopped; likewise.
        """
        begun_s = time.monotonic()
        for one in self._plan.files:
            if one.state == "here":
                # What a death between the publication of a file and the end of its journal left.
                forget(self._staging.partial(one.file.key))
        threads = [
            threading.Thread(target=self._work, name=f"part-{number}", daemon=True)
            for number in range(self._settings.parts)
        ]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                with self._lock:
                    self._lock.wait(_TICK_S)
                self._on_progress(self._progress(time.monotonic() - begun_s))
        finally:
            self._stop()
            deadline_s = time.monotonic() + _FAREWELL_S
            for thread in threads:
                thread.join(max(0.0, deadline_s - time.monotonic()))
            with self._zones:
                self._is_over = True
            for transfer in list(self._open):
                self._let_go(transfer)
        seconds, fetched = time.monotonic() - begun_s, self._fetcher.fetched_bytes
        self._ledger.add(0, run_bytes=fetched, seconds=seconds)
        if self._fatal is not None:
            raise self._fatal
        return Outcome(
            arrived=tuple(sorted(self._arrived)),
            failed=self._failed,
            told=tuple(self._told),
            fetched_bytes=fetched,
            resumed_bytes=self._resumed_bytes,
            retries=self._fetcher.retries,
            seconds=seconds,
        )

    def _stop(self) -> None:
        self._fetcher.stop.set()
        with self._lock:
            self._lock.notify_all()

    # What threads do.

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                try:
                    if isinstance(task, LakeFile):
                        self._begin(task)
                    else:
                        self._fetch(task)
                finally:
                    with self._lock:
                        self._busy -= 1
                        self._lock.notify_all()
        except DatapipeError as error:
            self._fatal = self._fatal or error
            self._stop()
        except BaseException as error:
            # A fault of ours: the run must not end as if all were well.
            self._fatal = self._fatal or error
            self._stop()
            raise

    def _next(self) -> LakeFile | Stretch | None:
        """A stretch, or a file to begin; None when nothing will come any more."""
        with self._lock:
            while not self._fetcher.stop.is_set():
                if self._stretches or self._waiting:
                    self._busy += 1
                    return self._stretches.popleft() if self._stretches else self._waiting.popleft()
                if not self._busy:
                    return None
                self._lock.wait(_TICK_S)
        return None

    def _begin(self, file: LakeFile) -> None:
        """Open a file, and hand out what is missing of it."""
        with self._lock:
            part_bytes = self._part_bytes()
            self._unbegun_bytes -= file.size_bytes
        # Of the staging folder this touches no more than a folder of its own, so it waits for nobody.
        path = self._staging.partial(file.key)
        transfer = FileTransfer(self._archive, file, path, part_bytes, checks_md5=self._trusts_tags)
        with self._lock:
            self._open.add(transfer)
            self._resumed_bytes += transfer.held_bytes
            self._stretches.extend(transfer.stretches)
        if not transfer.stretches:
            self._finish(transfer)

    def _part_bytes(self) -> int:
        """How long a request should be now: each thread's share of what is not begun, within bounds.

        Guided self-scheduling (Polychronopoulos and Kuck, 1987): few requests, and no long one at the end.
        """
        settings = self._settings
        share = self._unbegun_bytes // settings.parts
        return max(settings.part_mb * 10**6, min(settings.part_mb_max * 10**6, share))

    def _fetch(self, stretch: Stretch) -> None:
        """Fetch a stretch; whoever is the last of a file sees to what becomes of it."""
        transfer, start = stretch.transfer, stretch.at
        try:
            self._fetcher.fetch(stretch)
            if stretch.at == stretch.end:
                transfer.has_come(start, stretch.end)
        except ChangedError:
            transfer.fate = "changed"
        except (RefusedError, OutageError):
            transfer.fate = "stopped"
            raise
        except ArchiveError as error:
            transfer.fate = "failed"
            self._give_up(transfer.file.key, error)
        finally:
            is_last = transfer.leave()
        if not is_last or self._fetcher.stop.is_set():
            return
        if transfer.fate == "changed":
            self._begin_anew(transfer, "changed while it was fetched")
        elif transfer.fate == "going":
            self._finish(transfer)
        else:
            self._let_go(transfer)

    def _finish(self, transfer: FileTransfer) -> None:
        """Make a file whole, and publish it in its zone; one whose tag does not fit is fetched once more.

        A tag that looks like an MD5 is one, unless the store encrypts with keys of its own. If the same bytes
        come twice it was that, and tags are not asked any more in this run; if others come, the way damages
        them.
        """
        record, fits = transfer.finish()
        key = transfer.file.key
        if self._trusts_tags and not fits:
            before = self._doubted.get(key)
            if before is None:
                self._doubted[key] = record.sha256
                self._begin_anew(transfer, "what came did not fit its ETag")
                return
            if before != record.sha256:
                self._let_go(transfer, discard=True)
                self._give_up(key, ArchiveError("comes damaged, and otherwise each time", archive=record.url))
                return
            # Of a few bytes, damage too can be the same twice.
            self._trusts_tags = record.size_bytes < _TELLING_BYTES
            with self._lock:
                self._told.append(f"{key.path}: its ETag is no MD5, for what came twice was the same")
        self._finished.append((transfer, record))
        self._publish()

    def _publish(self) -> None:
        """Publish what is finished; whoever finds another thread at it leaves it to that one."""
        while self._finished and self._zones.acquire(blocking=False):
            try:
                # Behind the farewell the staging folder is closed: the next run publishes it.
                if self._is_over:
                    return
                ready = dict(self._finished.popleft() for _ in range(min(len(self._finished), TOGETHER_MAX)))
                publish(self._staging, ready)
            finally:
                self._zones.release()
            with self._lock:
                self._open.difference_update(ready)
                self._arrived |= {transfer.file.key: one.size_bytes for transfer, one in ready.items()}

    def _begin_anew(self, transfer: FileTransfer, why: str) -> None:
        """Begin a file anew, as it is now; what came of it is thrown away."""
        key = transfer.file.key
        self._let_go(transfer, discard=True)
        restarts = self._restarts[key] = self._restarts.get(key, 0) + 1
        try:
            if restarts > _RESTARTS_MAX:
                raise ChangedError(
                    "changes while it is fetched, again and again", archive=transfer.origin.url
                )
            about = self._archive.head(transfer.file.path)
        except RefusedError:
            raise
        except ArchiveError as error:
            self._give_up(key, error)
            return
        file = msgspec.structs.replace(transfer.file, size_bytes=about.size_bytes, etag=about.etag)
        with self._lock:
            self._told.append(f"{key.path}: {why}, and it was begun anew")
            self._waiting.appendleft(file)
            self._unbegun_bytes += file.size_bytes

    def _give_up(self, key: ArchiveKey, error: ArchiveError) -> None:
        with self._lock:
            self._failed.setdefault(str(key.path), str(error))

    def _let_go(self, transfer: FileTransfer, *, discard: bool = False) -> None:
        with self._lock:
            self._open.discard(transfer)
        if discard:
            transfer.discard()
        else:
            transfer.close()

    def _progress(self, seconds: float) -> Progress:
        with self._lock:
            on_the_way = sum(one.held_bytes + one.fetched_bytes for one in self._open)
            return Progress(
                files=len(self._todo),
                files_done=len(self._arrived),
                files_failed=len(self._failed),
                bytes=sum(file.size_bytes for file in self._todo),
                bytes_done=sum(self._arrived.values()) + on_the_way,
                fetched_bytes=self._fetcher.fetched_bytes,
                retries=self._fetcher.retries,
                seconds=seconds,
                waiting=self._fetcher.waiting,
            )
