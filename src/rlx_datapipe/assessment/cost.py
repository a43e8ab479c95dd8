"""What a reconstruction will need: memory by what it holds at its fullest, time by a calibration."""

from __future__ import annotations

from dataclasses import dataclass

from rlx_datapipe.assessment.result import Cost
from rlx_datapipe.core.config import Settings

PROGRAM_BYTES = 260_000_000
"""The program with its libraries and kernels, before it has read anything."""
IN_FLIGHT_BYTES = 150
"""An event on its way: its fields, best prices and flags, each an int64."""
ROW_BYTES = 500
"""A row that waits for its row group: as Arrow, once more as it is encoded, and what the allocator keeps."""
BESIDE = 1.25
"""Processor time of a run by that of its parts alone: hand-over between threads, checkpoints, checks."""
_GROUP_ROWS = 131_072
_GROUPS = 2
_STAGES = 3
"""Batches that stages work on, beside those that wait between them."""


@dataclass
class Measured:
    """What was measured while a chain was assessed; times are those of processors, of all threads, in s.

    ``finding_s`` is that of recognising its files, ``ingestion_s`` of reading and ordering all of it,
    ``work_s`` of replaying and writing ``worked`` events and quotes, ``commit_s`` of one commit.
    ``batch_events`` is the size of the largest batch.
    """

    finding_s: float = 0.0
    ingestion_s: float = 0.0
    work_s: float = 0.0
    worked: int = 0
    commit_s: float = 0.0
    batch_events: int = 0


def estimate(measured: Measured, settings: Settings, events: int, quotes: int) -> Cost:
    """Peak memory and processor time of the reconstruction of a chain with these settings.

    Parameters
    ----------
    measured
        What was measured of it.
    settings
        Those of the reconstruction.
    events, quotes
        How many there are.
    """
    memory_bytes = _memory(measured.batch_events, settings, events)
    epochs = 1 + events // settings.epoch_events
    per_row_s = measured.work_s / measured.worked if measured.worked else 0.0
    working_s = per_row_s * (events + quotes)
    parts_s = measured.finding_s + measured.ingestion_s + working_s + measured.commit_s * epochs
    return Cost(
        memory_bytes=memory_bytes,
        processor_s=round(BESIDE * parts_s, 2),
        events=events,
        measured={
            "finding_and_reading": round(measured.finding_s + measured.ingestion_s, 3),
            f"replaying_and_writing_{measured.worked:,}_rows": round(measured.work_s, 3),
            "one_commit": round(measured.commit_s, 3),
        },
        assumed=[
            "Memory: the program itself, batches on their way and row groups being written, by their sizes.",
            "Time: reading was measured on all of it, replaying and writing on its first part; a quarter is "
            "added for what stands between them. Of two threads each does about half.",
        ],
    )


def _memory(batch_events: int, settings: Settings, events: int) -> int:
    """Bytes at the fullest moment of the process that writes a chain."""
    batches = 2 * settings.queue_batches + _STAGES if settings.threads > 1 else 1
    rows = min(events, _GROUPS * _GROUP_ROWS) * ROW_BYTES
    least = PROGRAM_BYTES + rows + min(events, batch_events) * IN_FLIGHT_BYTES
    peak = PROGRAM_BYTES + rows + min(events, batches * batch_events) * IN_FLIGHT_BYTES
    # Near the limit fewer batches are read ahead; what has to be held is held.
    limit = settings.memory_mb * 1_000_000
    return max(least, min(peak, limit)) if limit else peak
