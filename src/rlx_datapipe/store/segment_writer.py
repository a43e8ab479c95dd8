"""Raw segments of a live capture, written: each record at once, synced soon, sealed when full."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import DiskFullError, OptionError, OutputError
from rlx_datapipe.store.encryption import LOGS, TAG_BYTES, FileKey, new_file_key
from rlx_datapipe.store.files import locked, publish_bytes, sync, unwritable
from rlx_datapipe.store.frames import (
    ALIGNMENT,
    FRAME_BYTES,
    HEADER_BYTES,
    LOCK_BYTES,
    MAX_PAYLOAD,
    SEAL_BYTES,
    Header,
    Record,
    RecordKind,
    Seal,
    encode,
)
from rlx_datapipe.store.keys import KeyRing
from rlx_datapipe.store.segment import segment_path
from rlx_datapipe.store.segment_cipher import sealed_payload
from rlx_datapipe.store.segment_recovery import recover

SEGMENT_BYTES = 100_000_000
SYNC_BYTES = 256 * 1024
SYNC_NS = 50_000_000
_COPIED_AT_ONCE = 1 << 20


class SegmentWriter:
    """Keeps what a connection says, as received; use it as a context manager.

    A record is in the file when `append` returns, or with ``gather_bytes`` when `flush` does: a kill of the
    process loses none of them, a power cut at most those since the last sync. Only `sync` may be called from
    another thread than the rest; it does not hold up what is appended meanwhile. Each process begins a file
    of its own (its generation), behind all that came before: what a dead one left open is sealed by `recover`
    first. After an error of the system nothing more is written or synced, for a second attempt may succeed
    with the data gone; a new writer goes on.

    Parameters
    ----------
    folder
        Holds the segments of this writer alone, and its lock; made if it is not there.
    writer
        Name, 1 to 60 ASCII characters; part of every checksum.
    segment_bytes
        Bytes of a segment, its seal included, at most.
    max_payload
        Bytes of a payload, at most.
    sync_bytes, sync_ns
        A sync comes as soon as this many bytes, or the oldest of them this long, are not on the disk.
    clock
        A steady clock in ns.
    gather_bytes
        Records are written together, at the latest when they have this many bytes; 0: each at once.
    keys
        The newest of them encrypts all payloads; None: they are plain.
    after_generation, after_sequence
        What a process before this one has used up, if its segments are not there any more.

    Raises
    ------
    OutputError
        When another process holds the folder, or the system refuses to write.
    SourceError
        When what is there already can't be gone on behind.
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_payload: int = MAX_PAYLOAD,
        sync_bytes: int = SYNC_BYTES,
        sync_ns: int = SYNC_NS,
        clock: Callable[[], int] = time.monotonic_ns,
        gather_bytes: int = 0,
        keys: KeyRing | None = None,
        after_generation: int = -1,
        after_sequence: int = -1,
    ) -> None:
        self._lock_bytes, self._tag_bytes = (LOCK_BYTES, TAG_BYTES) if keys is not None else (0, 0)
        needed = HEADER_BYTES + self._lock_bytes + FRAME_BYTES + max_payload + ALIGNMENT + SEAL_BYTES
        if not 0 <= max_payload <= MAX_PAYLOAD or segment_bytes < needed:
            raise OptionError(
                "a segment can't hold the longest payload",
                segment_bytes=segment_bytes,
                max_payload=max_payload,
            )
        Header(writer, 0, 0, 0).encoded()
        self._folder, self._writer, self._clock = folder, writer, clock
        self._segment_bytes, self._max_payload = segment_bytes, max_payload
        self._sync_bytes, self._sync_ns = sync_bytes, sync_ns
        self._handle, self._number, self._seed, self._size = -1, -1, 0, 0
        self._gather_bytes, self._gathered, self._waiting = gather_bytes, list[bytes](), 0
        self._keys, self._header, self._first = keys, b"", 0
        self._key: FileKey | None = None
        # Bytes that were ever written and synced; each counted by one thread alone.
        self._written, self._synced, self._unsynced_since = 0, 0, 0
        self._syncing = threading.RLock()
        self._has_failed = False
        self._digest = hashlib.sha256()
        with ExitStack() as held:
            _make_folder(folder)
            held.enter_context(locked(folder))
            self.recovered = recover(folder)
            self.generation = max(self.recovered.generation, after_generation + 1)
            self.next_sequence = max(self.recovered.next_sequence, after_sequence + 1)
            self._begin_segment()
            self._held = held.pop_all()

    @property
    def path(self) -> Path:
        """The segment that is being written."""
        return segment_path(self._folder, self.generation, self._number, is_open=True)

    def append(
        self, kind: RecordKind, payload: bytes, *, wall_ns: int, monotonic_ns: int, connection: int
    ) -> int:
        """Write a record; its sequence number.

        Raises
        ------
        OutputError
            When it does not fit or the system refuses; in the latter case the writer is done for.
        """
        size = len(payload) + self._tag_bytes
        if kind is RecordKind.SEAL or size > self._max_payload:
            raise OutputError(
                "is no record that fits a segment", kind=kind.name, found=f"{len(payload)} bytes"
            )
        frame_bytes = FRAME_BYTES + size + -size % ALIGNMENT
        if self._size + self._waiting + frame_bytes + SEAL_BYTES > self._segment_bytes:
            self.rotate()
        sequence = self.next_sequence
        record = Record(sequence, kind, wall_ns, monotonic_ns, connection, payload)
        if self._key is not None:
            sealed = sealed_payload(self._key, self._header, sequence - self._first, record)
            record = Record(sequence, kind, wall_ns, monotonic_ns, connection, sealed)
        self._gathered.append(encode(self._seed, record))
        self._waiting += frame_bytes
        self.next_sequence += 1
        if self._waiting > self._gather_bytes:
            self.flush()
        if not self._waiting:
            self.sync_if_due()
        return sequence

    def flush(self) -> None:
        """Write what was gathered: from then on a kill of the process loses nothing of it.

        Raises
        ------
        DiskFullError
            When there is no room; what was gathered still waits, and a later call may succeed.
        OutputError
            When the system refuses for another reason; the writer is done for.
        """
        if not self._waiting:
            return
        try:
            self._write(b"".join(self._gathered))
        except DiskFullError:
            raise
        except OutputError:
            # What was not written does not count.
            self.next_sequence -= len(self._gathered)
            raise
        self._gathered.clear()
        self._waiting = 0
        crash_point("log written")

    @property
    def has_failed(self) -> bool:
        """Whether it is done for."""
        return self._has_failed or self._handle < 0

    @property
    def waiting_records(self) -> int:
        """Records that were gathered, and not yet written."""
        return len(self._gathered)

    @property
    def segment_bytes(self) -> int:
        """Bytes of the present segment, with what is gathered for it."""
        return self._size + self._waiting

    @property
    def unsynced_bytes(self) -> int:
        """Bytes that were written, but may not be on the disk."""
        return self._written - self._synced

    def sync_if_due(self) -> None:
        """Sync if enough bytes wait, or the oldest for long enough; call it when nothing arrives, too."""
        unsynced = self.unsynced_bytes
        if unsynced and (
            unsynced >= self._sync_bytes or self._clock() - self._unsynced_since >= self._sync_ns
        ):
            self.sync()

    def sync(self) -> None:
        """Put all that was written on the disk."""
        with self._syncing:
            self._refuse_after_failure()
            written = self._written
            try:
                os.fsync(self._handle)
            except OSError as error:
                raise self._failed(error) from error
            self._synced = written

    def rotate(self) -> None:
        """Seal and publish the segment, and begin the next one; nothing happens if it has no record."""
        if self.next_sequence > self._first:
            with self._syncing:
                self._seal_segment()
                crash_point("log sealed")
                self._begin_segment()
                crash_point("log begun")

    def close(self) -> None:
        """Seal and publish the last segment; after a failure it is left as it is, for `recover`."""
        with self._held:
            try:
                if self._handle >= 0 and not self._has_failed:
                    self._seal_segment()
            finally:
                self._let_go()

    def _begin_segment(self) -> None:
        self._number += 1
        self._key = new_file_key(self._keys, LOGS) if self._keys is not None else None
        lock = self._key.lock if self._key is not None else b""
        header = Header(self._writer, self.generation, self._number, self.next_sequence, lock)
        self._header = content = header.encoded()
        # Published whole, so that an open segment always has its header.
        publish_bytes(self.path, content)
        try:
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise self._failed(error) from error
        self._seed, self._size, self._first = header.seed, len(content), header.first_sequence
        self._digest = hashlib.sha256(content)

    def _seal_segment(self) -> None:
        self.flush()
        seal = Seal(self._digest.digest()).encoded()
        self._write(encode(self._seed, Record(self.next_sequence, RecordKind.SEAL, 0, 0, 0, seal)))
        self.sync()
        self._let_go()
        try:
            # A hard link refuses to replace what is there; a rename would not.
            os.link(self.path, segment_path(self._folder, self.generation, self._number))
            self.path.unlink()
            sync(self._folder)
        except OSError as error:
            raise self._failed(error) from error

    def _write(self, frame: bytes) -> None:
        self._refuse_after_failure()
        rest = memoryview(frame)
        try:
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except OSError as error:
            self._take_back(error)
            raise self._failed(error) from error
        if not self.unsynced_bytes:
            self._unsynced_since = self._clock()
        self._written += len(frame)
        self._size += len(frame)
        self._digest.update(frame)

    def _take_back(self, error: OSError) -> None:
        """Cut off what a full disk took of a write: it is not damaged, so that the writer can go on."""
        refusal = unwritable(self.path, error)
        if isinstance(refusal, DiskFullError):
            with suppress(OSError):
                os.ftruncate(self._handle, self._size)
                raise refusal from error

    def _failed(self, error: OSError) -> OutputError:
        self._has_failed = True
        return unwritable(self.path, error)

    def _refuse_after_failure(self) -> None:
        if self._has_failed or self._handle < 0:
            raise OutputError(
                "takes nothing more since an error", file=self.path, remedy="Begin a new writer"
            )

    def _let_go(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
