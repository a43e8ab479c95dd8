"""What an assessment says of one chain, ready for JSON."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from rlx_datapipe.assessment.strategy import Recommendation
from rlx_datapipe.core.finding import Finding

Spread = dict[str, int | None]
"""``count`` of values and the quantiles ``p01`` to ``p99``, which are right to two in a thousand."""
Bars = list[tuple[int, int, int]]
"""A distribution for a plot: least value, value behind the last, count."""


class Grade(StrEnum):
    """What a source is good for."""

    READY = "ready"
    """Nothing is known to be wrong with it."""
    USABLE = "usable"
    """Something is missing or odd; the findings say what."""
    UNFIT = "unfit"
    """As it stands, a reconstruction would not be worth its name."""


class Contiguity(StrEnum):
    """What can be known of missing messages."""

    PROVEN = "proven"
    """Each message is proven to follow the one before."""
    GAPS = "gaps"
    UNKNOWABLE = "unknowable"
    """The ids don't name their predecessors."""
    ABSENT = "absent"
    """There are no such messages."""


class ClockReport(msgspec.Struct, frozen=True, kw_only=True):
    """The times of one kind of message. Lags are receive time minus origin time.

    ``origin_back`` counts messages whose origin time lies before that of the message before them,
    ``received_back`` the same for the receive time; ``ahead`` those received, by the two clocks, before they
    happened. ``whole_ms`` and ``received_whole_ms`` count the times that are whole milliseconds.
    """

    messages: int
    timeless: int
    origin_back: int
    origin_back_max_ns: int
    received_back: int
    received_back_max_ns: int
    ahead: int
    whole_ms: int
    received_whole_ms: int
    lag_min_ns: int | None
    lag_max_ns: int | None
    lag_ns: Spread
    lag_bars: Bars
    first_time: int | None
    last_time: int | None


class GapReport(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of a feed whose ids are missing: they lie between ``after_id`` and ``before_id``."""

    after_id: int
    before_id: int
    missing: int
    from_time: int
    to_time: int


class FeedReport(msgspec.Struct, frozen=True, kw_only=True):
    """The ids of a feed, depth or trades.

    ``ids`` counts the ids that the feed came forward by, ``ids_missing`` those of them that no message
    brought; ``id_steps`` is the distribution of the difference from message to message, ``time_steps_ns``
    that of the time between them. ``gaps_named`` has the first thousand gaps.
    """

    contiguity: Contiguity
    statement: str
    messages: int
    proven: int
    gaps: int
    ids_missing: int
    ids: int
    duplicates: int
    resets: int
    late: int
    gaps_named: list[GapReport]
    id_steps: Spread
    id_bars: Bars
    time_steps_ns: Spread
    time_bars: Bars

    @property
    def gap_share(self) -> float:
        """Missing ids as a share of all that the feed came forward by."""
        return self.ids_missing / self.ids if self.ids else 0.0


class BookReport(msgspec.Struct, frozen=True, kw_only=True):
    """What states the book, and how deep it is.

    ``meets`` counts snapshots with exactly the update id of the delta before them, where drift is measured
    without doubt. ``levels_mean`` and ``levels_most`` are levels held a side, bids and asks, while the deltas
    are applied; ``unknown_deletes`` are deletes of levels that are not held, which is normal.
    """

    stated: str
    snapshots: int
    sampled: int
    apart_ns: Spread
    bid_levels: Spread
    ask_levels: Spread
    one_sided: int
    crossed: int
    locked: int
    repeated: int
    meets: int
    changes: int
    deletes: int
    unknown_deletes: int
    unchanged: int
    levels_mean: tuple[float, float]
    levels_most: tuple[int, int]


class LossReport(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever only looks at the book now and then does not see.

    A window lies between two sampled snapshots, or is a stretch of a 100 ms grid where there are none.
    ``overwritten`` changes of a level were followed by another before the next look, ``beyond`` ones lay
    deeper than the look reached: ``unseen_share`` of all ``changes`` is lost.
    """

    looks: str
    windows: int
    busy: int
    changes: int
    trades: int
    overwritten: int
    beyond: int
    unseen_share: float | None
    changes_per_window: Spread
    change_bars: Bars
    trades_per_window: Spread
    trade_bars: Bars


class RateReport(msgspec.Struct, frozen=True, kw_only=True):
    """Event rows over time: by hour of UTC, and in equal stretches of ``width_ns`` from ``begins`` on.

    ``hours`` has the beginning of each hour in ns with its trades, snapshot rows and delta rows;
    ``least_lag_ns`` the least lag of a message in each stretch, a trace of the offset between both clocks.
    """

    hours: list[tuple[int, int, int, int]]
    width_ns: int
    begins: int
    trades: list[int]
    snapshot_rows: list[int]
    delta_rows: list[int]
    least_lag_ns: list[int | None]


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconstruction of this chain will need, estimated.

    ``processor_s`` is time of processors, of all threads together; ``measured`` says what of it was measured
    while the source was read, in seconds, and ``assumed`` what the figures rest on.
    """

    memory_bytes: int
    processor_s: float
    events: int
    measured: dict[str, float]
    assumed: list[str]


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What a source holds of one symbol, how good it is, and what to do with it."""

    exchange: str
    symbol: str
    format: str
    files: int
    bytes: int
    first_time: int | None
    last_time: int | None
    messages: dict[str, int]
    rows: dict[str, int]
    quotes: int
    kept: int
    refused: int
    refused_reasons: dict[str, int]
    refused_times: dict[str, int]
    breaks: list[str]
    capture_gaps: int
    clocks: dict[str, ClockReport]
    depth: FeedReport
    trades: FeedReport
    book: BookReport
    loss: LossReport
    rate: RateReport
    quiet: int
    quiet_max_ns: int
    quiet_named: list[GapReport]
    cost: Cost | None = None
    advice: Recommendation
    findings: list[Finding]
    grade: Grade
    verdict: str

    def told(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told
