"""Settings of a run: frozen, checked, hashed, from a TOML file, the environment and the command line."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from rlx_datapipe.core.errors import OptionError

Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]
Levels = Annotated[int, msgspec.Meta(ge=1, le=5_000)]
# As nanoseconds they fit into int64, with room for a date beside them.
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]
Cadence = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

_NOT_SHAPING = (
    "batch_rows",
    "threads",
    "queue_batches",
    "alarm_drift_ms",
    "alarm_gap_share",
    "alarm_best_price_error",
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every choice that shapes a reconstruction.

    Attributes
    ----------
    batch_rows
        Source messages (or Parquet rows) read at a time; never changes the output.
    threads
        1 runs reading, replay and writing in turn; more lets them overlap. Never changes the output.
    queue_batches
        Batches that may wait between two threads.
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
    alarm_drift_ms, alarm_gap_share, alarm_best_price_error
        Thresholds of the alarms: how far the clocks may move against each other, the share of the data that
        may be missing, the relative error of best prices (root mean square). They never change the tables.
    """

    batch_rows: Positive = 16_384
    threads: Positive = 2
    queue_batches: Positive = 4
    horizon_ms: Milliseconds = 10_000
    skew_max_ms: Milliseconds = 3_600_000
    silence_ms: Milliseconds = 10_000
    books_every_ms: Cadence = 100
    books_levels: Levels = 20
    keyframe_events: Positive = 250_000
    epoch_events: Positive = 1_000_000
    epoch_s: Seconds = 300
    line_bytes_max: Positive = 64 * 1024 * 1024
    alarm_drift_ms: Milliseconds = 1_000
    alarm_gap_share: Share = 0.001
    alarm_best_price_error: Share = 0.001

    def digest(self) -> str:
        """SHA-256 of the settings that shape the output, in hex."""
        shaping = msgspec.structs.asdict(self)
        for name in _NOT_SHAPING:
            del shaping[name]
        return hashlib.sha256(msgspec.json.encode(shaping, order="sorted")).hexdigest()


def load_settings(
    file: Path | None, environment: Mapping[str, str], given: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from defaults, then the TOML file, then ``RLX_*`` variables, then what was given.

    Raises
    ------
    OptionError
        For a file that can't be read, an unknown key, or a value of the wrong type.
    """
    merged: dict[str, Any] = {}
    if file is not None:
        try:
            merged.update(tomllib.loads(file.read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise OptionError(f"can't read the settings ({error})", file=file) from error
    names = {field.name for field in msgspec.structs.fields(Settings)}
    merged.update(
        {
            name: environment[f"RLX_{name.upper()}"]
            for name in sorted(names)
            if f"RLX_{name.upper()}" in environment
        }
    )
    merged.update({name: value for name, value in (given or {}).items() if value is not None})
    try:
        return msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise OptionError(
            f"bad setting: {error}", remedy=f"Known settings: {', '.join(sorted(names))}"
        ) from error
