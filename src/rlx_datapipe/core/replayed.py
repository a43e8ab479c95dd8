"""What passes from replay to sink: events with book state, samples, full books and quality records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.finding import Severity


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not perfect: a row of the ``quality`` table.

    Ids and times are NONE where they do not apply; ``measures`` holds the columns of its struct that do,
    prices as scaled integers.
    """

    kind: str
    severity: Severity
    detail: str
    from_event_id: int = NONE
    to_event_id: int = NONE
    from_time: int = NONE
    to_time: int = NONE
    measures: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Keyframe:
    """The full book after an event, with the price range in which it is known to be whole.

    ``levels`` are bid prices, bid quantities, ask prices, ask quantities, each side best first. The known
    range is in scaled prices; NONE where the whole side is known.
    """

    event_id: int
    origin_time: int
    update_id: int
    levels: tuple[Int64Array, Int64Array, Int64Array, Int64Array]
    known_low: int
    known_high: int


@dataclass
class Replayed:
    """A stretch of replayed events.

    ``events`` is int64 (FIELDS, n), ``best`` int64 (4, n) and ``flags`` int64 (n,), without dropped rows; the
    first event has id ``first_event_id``. ``samples`` is int64 (k, 4, depth) with heads int64 (k, 4).
    ``ends_epoch`` tells that the counted quality records are closed with the last of these events; commits
    end by the input instead.
    """

    first_event_id: int
    events: Int64Array
    best: Int64Array
    flags: Int64Array
    samples: Int64Array
    sample_heads: Int64Array
    keyframes: list[Keyframe] = field(default_factory=list)
    quality: list[Quality] = field(default_factory=list)
    ends_epoch: bool = False
