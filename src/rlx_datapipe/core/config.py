"""Settings of a run: frozen, checked, hashed, from a TOML file, the environment and the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from rlx_datapipe.core.layers import layered

Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]
Levels = Annotated[int, msgspec.Meta(ge=1, le=5_000)]
# As nanoseconds they fit into int64, with room for a date beside them.
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]
Percent = Annotated[int, msgspec.Meta(ge=1, le=99)]
Megabytes = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Cadence = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Strategy = Literal["auto", "full", "snapshot", "origin_time_sort"]


_NO_MATTER = (
    "batch_rows",
    "threads",
    "queue_batches",
    "queue_low_percent",
    "throttle_ms",
    "flush_ms",
    "memory_mb",
    "memory_percent",
    "memory_max_mb",
    "queue_messages",
    "patience_ms",
    "stall_ms",
    "tries_max",
    "skips_max",
    "restart_ms",
    "probe_ms",
    "drain_ms",
    "alarm_drift_ms",
    "alarm_gap_share",
    "alarm_best_price_error",
    "report_s",
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every choice that shapes a reconstruction.

    Attributes
    ----------
    batch_rows
        Messages of a recording read at a time, of an archive four times as many rows; never changes the
        output.
    threads
        1 runs reading, replay and writing in turn; more lets them overlap. Never changes the output.
    queue_batches
        Batches that may wait between two threads.
    queue_low_percent, throttle_ms, flush_ms
        Backpressure: from half-way between this fill of a queue and a full one its producer waits
        ``throttle_ms`` before each batch, at a full one until the fill has fallen to this. When nothing is
        taken from a full queue for ``flush_ms``, rows that wait for their file go to the disk.
    memory_mb, memory_percent
        Memory of the process, in 10^6 bytes, that a chain should stay below, and the share of it at which
        measures begin; 0 MB for none. In even steps to the limit: fewer batches are read ahead, caches are
        dropped, rows that wait for their file go to the disk. The default is what we promise a symbol; a
        chain that needs no help peaks at half of it.
    horizon_ms
        How far, in exchange time, an event may arrive behind a later one and still be put in order.
    skew_max_ms
        How far an exchange's time may lie ahead of the recorder's before the message is refused.
    silence_ms
        A stretch without any event longer than this is noted.
    books_every_ms, books_levels
        Cadence and depth of the ``books`` table; cadence 0 is after every update group.
    keyframe_events
        Events between two full books in ``keyframes``.
    epoch_events
        Events after which the tables are committed, and the counted quality records closed.
    epoch_s
        Seconds of input, by the times of its events, after which the tables are committed if fewer events
        came.
    line_bytes_max
        Longest line accepted in a capture.
    queue_messages, patience_ms
        Messages that the router lets wait for one worker, and for how long it waits for one that takes none
        before it leaves it to read by itself.
    stall_ms
        A worker that neither reads nor comes on for so long is ended and started again.
    memory_max_mb
        A worker that holds more than this, in 10^6 bytes, is ended and started again; 0 for no limit.
    tries_max
        Deaths of a worker without a commit between them before its input is skipped, or a last try is made.
    skips_max
        Stretches of its input that one run skips in a chain at most.
    restart_ms, probe_ms
        Longest wait before the first restart, doubled at each; the pause before the last try of all.
    drain_ms
        For how long a run that is stopped lets its workers come to the end of their epochs.
    alarm_drift_ms, alarm_gap_share, alarm_best_price_error
        Thresholds of the alarms: how far the clocks may move against each other, the share of the data that
        may be missing, the relative error of best prices (root mean square). They never change the tables.
    report_s
        How long a report against golden (``--golden``) may take before it is given up; never changes the
        tables.
    strategy
        How a source becomes events with a book: by its deltas, by its snapshots, or merged as it is; ``auto``
        leaves it to what each source holds.
    """

    batch_rows: Positive = 16_384
    threads: Positive = 2
    queue_batches: Positive = 4
    queue_low_percent: Percent = 50
    throttle_ms: Milliseconds = 5
    flush_ms: Milliseconds = 2_000
    memory_mb: Megabytes = 1_000
    memory_percent: Percent = 70
    horizon_ms: Milliseconds = 10_000
    skew_max_ms: Milliseconds = 3_600_000
    silence_ms: Milliseconds = 10_000
    books_every_ms: Cadence = 100
    books_levels: Levels = 20
    keyframe_events: Positive = 250_000
    epoch_events: Positive = 1_000_000
    epoch_s: Seconds = 300
    line_bytes_max: Positive = 64 * 1024 * 1024
    queue_messages: Positive = 1_000
    patience_ms: Milliseconds = 5_000
    stall_ms: Milliseconds = 120_000
    memory_max_mb: Megabytes = 4_000
    tries_max: Positive = 3
    skips_max: Cadence = 3
    restart_ms: Milliseconds = 200
    probe_ms: Milliseconds = 10_000
    drain_ms: Milliseconds = 20_000
    alarm_drift_ms: Milliseconds = 1_000
    alarm_gap_share: Share = 0.001
    alarm_best_price_error: Share = 0.001
    report_s: Seconds = 3_600
    strategy: Strategy = "auto"

    def digest(self) -> str:
        """SHA-256 of the settings that shape the output, in hex."""
        shaping = msgspec.structs.asdict(self)
        for name in _NO_MATTER:
            del shaping[name]
        if self.strategy == "auto":
            # As it was before there was a choice: what was begun then can be gone on with.
            del shaping["strategy"]
        return hashlib.sha256(msgspec.json.encode(shaping, order="sorted")).hexdigest()


_NO_SETTINGS = ("RLX_WORKERS", "RLX_TEST_", "RLX_CAPTURE_", "RLX_KEY_FILE")
"""Variables of ours, or their beginnings, that are no settings."""


def differing(one: Settings, other: Settings) -> list[str]:
    """Settings in which two differ so that a dataset of the one can't be gone on with by the other.

    The size of batches is among them: it changes no row, but an epoch ends with a batch.
    """
    free = set(_NO_MATTER) - {"batch_rows"}
    names = [field.name for field in msgspec.structs.fields(Settings) if field.name not in free]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def load_settings(
    file: Path | None, environment: Mapping[str, str], given: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from defaults, then the TOML file, then ``RLX_*`` variables, then what was given.

    Raises
    ------
    OptionError
        For a file that can't be read, an unknown key, or a value of the wrong type.
    """
    return layered(Settings, "RLX_", file, environment, given, foreign=_NO_SETTINGS)
