"""The disk half of a capture: arrivals into a log at once, and the log into sealed segments behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.background import SealingThread, SyncingThread
from rlx_datapipe.capture.disk_full import DiskFull
from rlx_datapipe.capture.lag import LagHistogram
from rlx_datapipe.capture.limits import RecorderLimits, RecorderStatus
from rlx_datapipe.capture.regime import Special
from rlx_datapipe.capture.sealing import Sealer
from rlx_datapipe.core.errors import DiskFullError, OutputError, UnwritableError
from rlx_datapipe.store.capture_lines import packed
from rlx_datapipe.store.capture_manifest import LOG, CaptureHead, begin_capture
from rlx_datapipe.store.encryption import self_test
from rlx_datapipe.store.files import locked
from rlx_datapipe.store.frames import MAX_PAYLOAD, RecordKind
from rlx_datapipe.store.keys import KeyRing
from rlx_datapipe.store.segment_writer import SegmentWriter

_NEVER = 1 << 62


class SegmentRecorder:
    """Keeps arrivals in their order, as received, in a capture folder of its own.

    What one turn of the event loop records is written to the log at its end, without an event loop at once:
    from then on a kill loses nothing of it. A thread syncs it after 50 ms or 256 KiB: from then on a power
    cut loses nothing of it. What is lost by either is less than all that comes behind it, so the last ids of
    `last_ids`, at the next start, tell where the gap begins that has to be declared.

    Parameters
    ----------
    folder
        The capture; made, or gone on with if it is the same one.
    head
        What is recorded; its key id is filled in here.
    keys
        The newest encrypts log and segments; None: both are plain.
    limits
        Bounds.
    calendar
        Periods whose market is not to be judged by what came before.
    wall_clock, clock
        UTC and a steady clock, in ns, for records of our own.
    in_background
        Whether threads sync and seal; if not, `tick_now` does.

    Raises
    ------
    OutputError
        When the folder is held by another process, holds another capture, or can't be written.
    OptionError, KeyMismatchError
        When the keys fail their self-test, or do not open the log that is there.
    """

    def __init__(
        self,
        folder: Path,
        head: CaptureHead,
        *,
        keys: KeyRing | None = None,
        limits: RecorderLimits | None = None,
        calendar: Sequence[Special] = (),
        wall_clock: Callable[[], int] = time.time_ns,
        clock: Callable[[], int] = time.monotonic_ns,
        in_background: bool = True,
    ) -> None:
        self.limits = limits or RecorderLimits()
        self._folder, self._keys = folder, keys
        self._wall_clock, self._clock = wall_clock, clock
        self._gathered_since_ns, self._unsynced_since_ns = 0, 0
        self._durable_lag_ns: deque[int] = deque(maxlen=4096)
        self._safe_after = LagHistogram()
        self._held: deque[Arrival] = deque()
        self._held_bytes, self._rotated = 0, threading.Event()
        self._rotated.set()
        self._flush_is_due = False
        self._problem: OutputError | None = None
        self._sealing_problem = ""
        self._syncing: SyncingThread | None = None
        self._sealing: SealingThread | None = None
        self.records = 0
        if keys is not None:
            self_test(keys)
        head = msgspec.structs.replace(head, key_id=keys.newest.id if keys is not None else None)
        with ExitStack() as stack:
            self.head = begin_capture(folder, head)
            stack.enter_context(locked(folder))
            self._full = DiskFull(folder, self.limits.ballast_bytes, self.limits.resume_bytes)
            self._sealer = Sealer(folder, self.head, keys, calendar=calendar)
            self._sealer.remove_half_made()
            self._writer = self._new_writer()
            stack.callback(self._writer.close)
            # All that a process before this one left, so that the last ids are those of the whole capture.
            self._sealer.seal_all()
            newest = self._sealer.newest
            self.last_ids: dict[str, int] = newest.entry.last_ids if newest else {}
            self._log_since_ns = clock()
            self._full.make_ballast()
            self._tell_recovered()
            self._locks = stack.pop_all()
        if in_background:
            self._syncing = SyncingThread(self._sync, self.limits.sync_ns)
            self._sealing = SealingThread(self._sealer)

    def _new_writer(self, after_sequence: int = -1) -> SegmentWriter:
        newest = self._sealer.newest
        return SegmentWriter(
            self._folder / LOG,
            self.head.place(0).decode()[:60],
            # It rotates by itself only when nobody calls `tick` for long.
            segment_bytes=2 * self.limits.rotate_bytes + 2 * MAX_PAYLOAD,
            sync_bytes=_NEVER,
            sync_ns=_NEVER,
            gather_bytes=self.limits.gather_bytes,
            keys=self._keys,
            after_generation=newest.entry.generation if newest else -1,
            after_sequence=max(after_sequence, newest.entry.last_sequence if newest else -1),
        )

    def _tell_recovered(self) -> None:
        found = self._writer.recovered
        if found.sealed is None:
            return
        told = {
            "kind": "recovered",
            "generation": self._writer.generation - 1,
            "lost_bytes": found.lost_bytes,
            "damage": found.damage,
        }
        self.record(self._own(RecordKind.NOTE, "!note", told))

    def _own(self, kind: RecordKind, stream: str, told: dict[str, object]) -> Arrival:
        return Arrival(kind, 0, stream, msgspec.json.encode(told), self._wall_clock(), self._clock())

    def record(self, arrival: Arrival) -> None:
        """Keep one arrival.

        Never drops, but on a full disk: what arrives then is declared as a gap when there is room again.

        Raises
        ------
        OutputError
            When the disk fails; the recorder is done for, and what it had not written is lost.
        """
        self._raise_problem()
        if self._held and self._rotated.is_set():
            self._drain()
        if not self._rotated.is_set():
            self._hold(arrival)
        else:
            self._append(arrival)

    def _hold(self, arrival: Arrival) -> None:
        """Keep an arrival in memory while the log is rotated in a thread."""
        self._held.append(arrival)
        self._held_bytes += len(arrival.payload)
        if self._held_bytes > self.limits.held_bytes:
            self._rotated.wait()
            self._drain()

    def _drain(self) -> None:
        while self._held:
            self._append(self._held.popleft())
        self._held_bytes = 0

    def _append(self, arrival: Arrival) -> None:
        if self._full.is_active:
            self._full.lose(arrival)
            return
        kind, connection, stream, payload, wall_ns, monotonic_ns, first_id, last_id = arrival
        before = self._writer.next_sequence
        try:
            self._writer.append(
                kind,
                packed(stream, payload, first_id, last_id),
                wall_ns=wall_ns,
                monotonic_ns=monotonic_ns,
                connection=connection,
            )
        except DiskFullError:
            self._full.begin()
            if self._writer.next_sequence == before:
                self._full.lose(arrival)
            else:
                # It waits with the writer, which has taken it.
                self.records += 1
            return
        except OutputError as error:
            self._problem = error
            raise
        self.records += 1
        if not self._flush_is_due:
            self._flush_is_due = True
            self._gathered_since_ns = monotonic_ns
            self._plan_flush()

    def _plan_flush(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._flush()
            self._raise_problem()
        else:
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what was gathered; a problem is kept for the next call of `record`, as nobody awaits this."""
        if not self._rotated.is_set():
            # The rotation writes it.
            self._flush_is_due = False
            return
        self._flush_is_due = False
        try:
            self._writer.flush()
        except DiskFullError:
            self._full.begin()
            return
        except OutputError as error:
            self._problem = self._problem or error
            return
        self._unsynced_since_ns = self._unsynced_since_ns or self._gathered_since_ns
        if self._syncing is not None and self._writer.unsynced_bytes >= self.limits.sync_bytes:
            self._syncing.wake()

    def _sync(self) -> None:
        writer = self._writer
        if not writer.unsynced_bytes or writer.has_failed:
            return
        since_ns, self._unsynced_since_ns = self._unsynced_since_ns, 0
        writer.sync()
        self._tell_durable(since_ns)

    def _tell_durable(self, since_ns: int) -> None:
        if since_ns:
            self._durable_lag_ns.append(self._clock() - since_ns)
            self._safe_after.add(self._durable_lag_ns[-1])

    async def tick(self) -> None:
        """Rotate the log when it is due, in a thread, and go on after a full disk; to be called every 50 ms.

        Raises
        ------
        OutputError
            When the disk fails.
        """
        self._before_rotation()
        if self._rotation_is_due():
            self._rotated.clear()
            # The thread itself tells its end, so that a cancelled tick leaves nothing half done.
            await asyncio.shield(asyncio.to_thread(self._rotate))
        self._after_rotation()

    def tick_now(self) -> None:
        """The same without an event loop; without threads it also syncs and seals."""
        self._before_rotation()
        if self._rotation_is_due():
            self._rotated.clear()
            self._rotate()
        self._after_rotation()
        if self._syncing is None:
            self._sync()
            self._seal_now()

    def _seal_now(self) -> None:
        try:
            self._sealer.seal_all()
            self._sealing_problem = ""
        except UnwritableError as error:
            # The log holds all; the next call tries again.
            self._sealing_problem = str(error)

    def _before_rotation(self) -> None:
        self._raise_problem()
        if not self._rotated.is_set():
            return
        if self._full.is_active and self._full.has_room():
            self._resume()
        if not self._full.is_active:
            self._flush()
        self._raise_problem()

    def _after_rotation(self) -> None:
        if self._rotated.is_set():
            self._drain()
        self._raise_problem()

    def _rotation_is_due(self) -> bool:
        age_ns = self._clock() - self._log_since_ns
        is_due = self._writer.segment_bytes >= self.limits.rotate_bytes or age_ns >= self.limits.rotate_ns
        return is_due and self._rotated.is_set() and not self._full.is_active

    def _rotate(self) -> None:
        try:
            since_ns, self._unsynced_since_ns = self._unsynced_since_ns, 0
            self._writer.rotate()
            self._tell_durable(since_ns)
            self._log_since_ns = self._clock()
        except DiskFullError:
            self._full.begin()
        except OutputError as error:
            self._problem = error
        finally:
            self._rotated.set()
        if self._sealing is not None:
            self._sealing.wake()

    def _resume(self) -> None:
        due = self._writer.next_sequence
        try:
            if self._writer.has_failed:
                # Nothing is sealed, and so removed, while the new writer looks at what is there.
                with self._sealer.lock:
                    self._writer.close()
                    self._writer = self._new_writer(due - 1)
                self._require_all_before(due)
            else:
                self._writer.flush()
        except DiskFullError:
            return
        except OutputError as error:
            self._problem = error
            return
        self._full.make_ballast()
        for arrival in self._full.end(self._wall_clock(), self._clock()):
            self._append(arrival)

    def _require_all_before(self, due: int) -> None:
        newest = self._sealer.newest
        sealed = newest.entry.last_sequence + 1 if newest else 0
        if max(self._writer.recovered.next_sequence, sealed) < due:
            raise OutputError("is on a disk that has lost what was written to it", file=self._folder)

    def _raise_problem(self) -> None:
        problem = self._problem or (self._syncing.problem if self._syncing is not None else None)
        if problem is not None:
            raise problem

    @property
    def status(self) -> RecorderStatus:
        """How it stands."""
        sealing = self._sealing
        return RecorderStatus(
            "disk full" if self._full.is_active else "recording",
            self.records,
            self._writer.unsynced_bytes,
            sealing.records if sealing is not None else 0,
            sealing.problem if sealing is not None else self._sealing_problem,
            self._full.lost_records,
            tuple(self._durable_lag_ns),
            dict(self._safe_after.told()),
        )

    def close(self) -> None:
        """Seal what is open; after a failure the log is left as it is, for the next start.

        Raises
        ------
        OutputError
            When the disk fails or is still full: then the log, too, is left for the next start.
        """
        with self._locks:
            self._rotated.wait()
            try:
                if not self._problem:
                    self._before_rotation()
                    self._drain()
                    self._flush()
            finally:
                for thread in (self._syncing, self._sealing):
                    if thread is not None:
                        thread.stop()
            if self._full.is_active:
                waiting = self._writer.waiting_records
                with suppress(OutputError):
                    self._writer.close()
                raise OutputError(
                    "is on a disk that is full: what arrived since is lost, and is no declared gap yet",
                    file=self._folder,
                    records=self._full.lost_records + waiting,
                    remedy="Make room and start again: the gap is declared then",
                )
            has_failed = self._writer.has_failed
            self._writer.close()
            if not has_failed:
                self._sealer.seal_all()
