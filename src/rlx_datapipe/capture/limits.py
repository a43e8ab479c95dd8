"""Bounds of the disk half of a capture, and how it stands."""

from __future__ import annotations

import msgspec

from rlx_datapipe.store.segment_writer import SYNC_BYTES, SYNC_NS


class RecorderLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the disk half.

    Attributes
    ----------
    rotate_bytes, rotate_ns
        A segment of the log is sealed when it has this size or age.
    gather_bytes
        Arrivals of one turn of the event loop are written together; the longest such write.
    held_bytes
        What may wait in memory while the log is rotated; beyond that `SegmentRecorder.record` waits too.
    ballast_bytes
        Room kept back for the sealing of the log when the disk is full; 0: none.
    resume_bytes
        Free room at which a capture goes on after that.
    """

    rotate_bytes: int = 64_000_000
    rotate_ns: int = 300_000_000_000
    gather_bytes: int = 64 * 1024
    sync_bytes: int = SYNC_BYTES
    sync_ns: int = SYNC_NS
    held_bytes: int = 64_000_000
    ballast_bytes: int = 16_000_000
    resume_bytes: int = 64_000_000


class RecorderStatus(msgspec.Struct, frozen=True):
    """How the disk half stands, for a live view.

    ``durable_lag_ns`` has, for each of the last syncs, how long the oldest arrival that it covers had waited
    for it since its receipt, by the steady clock; ``safe_after_ms`` percentiles of all of them.
    """

    state: str
    records: int
    unsynced_bytes: int
    sealed_records: int
    sealing_problem: str
    lost_records: int
    durable_lag_ns: tuple[int, ...]
    safe_after_ms: dict[str, float | None]
