"""Settings of a capture: every wait, bound and pace of it, frozen and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from rlx_datapipe.core.layers import layered

Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0.0, le=1e7)]
Maybe = Annotated[float, msgspec.Meta(ge=0.0, le=1e7)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]

_PREFIX = "RLX_CAPTURE_"


class CaptureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What shapes a capture, apart from what is captured.

    Attributes
    ----------
    ws_url, rest_url
        Scheme and host to use in place of the venue's; empty for the venue's own.
    microseconds
        Whether times are asked for in microseconds, where the venue has them.
    compression
        Whether the venue may compress what it sends; costs time at both ends.
    message_bytes_max
        Longest message accepted; a longer one closes its connection (1009), and what it held is a gap.
    queue_messages
        Messages that may wait between the socket and us before no more is read from it.
    open_s, close_s
        Longest wait for a connection to stand, and for a polite close.
    tick_ms
        Pace of what is done besides receiving: syncs, watching, holding back.
    hold_ms, hold_messages
        How long, and how many, messages of a stream wait for those that are missing before them.
    overlap_hold_ms
        How long they wait while two connections overlap, of which one may be slower.
    stall_s, pong_s
        Silence of a whole connection after which it is pinged, and the longest wait for its pong. After
        ``stall_s`` without any message of a symbol the venue is asked whether it knows it.
    silence_s
        Silence of a whole connection, its pongs notwithstanding, after which another is opened beside it;
        and of a symbol from the start, after which that is told.
    lost_s, lost_messages
        A stream is taken for lost when it has been silent for so long while, by its usual share, the others
        on its connection promised so many messages of it.
    age_s, stagger_s
        Age at which a connection is replaced, and the range below it over which replacements are spread.
    prove_s
        For how long a new connection may bring messages of every stream before the old one is given up.
    backoff_s, backoff_max_s
        Upper end of the first wait before a connection is tried again, and of every wait.
    connects_per_s, connects_per_5min
        Connections opened at most, over all addresses.
    rotate_s, rotate_mb
        Age and size at which a segment is sealed; whoever follows the capture sees it then.
    snapshot_every_s
        Pace of snapshots of each symbol; 0 for none but those that a gap or a start asks for.
    snapshot_timeout_s, snapshot_bytes_max, snapshot_tries
        Longest wait for a snapshot, its most bytes, and how often one is asked for before it is given up.
    weight_share
        Share of the venue's weight per minute above which no more is asked for in that minute.
    ntp_server, ntp_every_s, ntp_timeout_s
        Where the offset of the clock is asked for, how often, for how long; an empty name asks nobody.
    step_ms
        A change between wall clock and steady clock that counts as a step.
    """

    ws_url: str = ""
    rest_url: str = ""
    microseconds: bool = True
    compression: bool = False
    message_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=15_000_000)] = 2 * 1024 * 1024
    queue_messages: Count = 256
    open_s: Seconds = 10.0
    close_s: Seconds = 2.0
    tick_ms: Milliseconds = 50
    hold_ms: Milliseconds = 500
    hold_messages: Count = 100_000
    overlap_hold_ms: Milliseconds = 2_000
    stall_s: Seconds = 5.0
    pong_s: Seconds = 5.0
    silence_s: Seconds = 20.0
    lost_s: Seconds = 10.0
    lost_messages: Count = 50
    age_s: Seconds = 23 * 3600.0
    stagger_s: Maybe = 1_800.0
    prove_s: Seconds = 60.0
    backoff_s: Seconds = 1.0
    backoff_max_s: Seconds = 60.0
    connects_per_s: Seconds = 1.0
    connects_per_5min: Count = 280
    rotate_s: Seconds = 300.0
    rotate_mb: Annotated[int, msgspec.Meta(ge=1, le=90)] = 64
    snapshot_every_s: Maybe = 1_800.0
    snapshot_timeout_s: Seconds = 10.0
    snapshot_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=15_000_000)] = 8_000_000
    snapshot_tries: Count = 10
    weight_share: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 0.5
    ntp_server: str = "pool.ntp.org"
    ntp_every_s: Seconds = 3_600.0
    ntp_timeout_s: Seconds = 5.0
    step_ms: Milliseconds = 50


def capture_settings(
    file: Path | None, environment: Mapping[str, str], given: Mapping[str, Any] | None = None
) -> CaptureSettings:
    """Settings from defaults, then the TOML file, then ``RLX_CAPTURE_*`` variables, then what was given.

    Raises
    ------
    OptionError
        For a file that can't be read, an unknown name, or a value that has no meaning.
    """
    return layered(CaptureSettings, _PREFIX, file, environment, given, is_ours=True)
