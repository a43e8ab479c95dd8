"""What was counted of a chain, told in figures and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlx_datapipe.assessment.assessor import DataAssessor
from rlx_datapipe.assessment.chains import Chains, Id, Note, Steps, Stretch
from rlx_datapipe.assessment.clocks import Clock
from rlx_datapipe.assessment.levels import Level
from rlx_datapipe.assessment.result import (
    BookReport,
    ClockReport,
    Contiguity,
    FeedReport,
    GapReport,
    LossReport,
    RateReport,
)
from rlx_datapipe.assessment.strategy import BookStated
from rlx_datapipe.assessment.timeline import NS_PER_HOUR
from rlx_datapipe.assessment.windows import Shape, Window
from rlx_datapipe.core.event import NONE, Kind
from rlx_datapipe.core.period import time_text
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.core.spread import Spread

CADENCE_NS = 1_000_000_000
"""Snapshots that come at least so often, at the median, are a sampled book."""
_OFTEN = 10
_MOSTLY = 0.99
_SHOWN = 3
_NAMES = {Kind.TRADE: "trades", Kind.BOOK_SNAPSHOT: "snapshots", Kind.BOOK_DELTA: "deltas"}


def clock_reports(assessor: DataAssessor) -> dict[str, ClockReport]:
    """The clocks of each kind of message that is there."""
    clocks = assessor.clocks
    return {
        name: _clock(clocks.words[kind].tolist(), Spread(clocks.lags[kind]))
        for kind, name in _NAMES.items()
        if clocks.words[kind, Clock.MESSAGES]
    }


def _clock(words: Sequence[int], lags: Spread) -> ClockReport:
    timed, lagging = words[Clock.MESSAGES] > words[Clock.TIMELESS], lags.total > 0
    return ClockReport(
        messages=words[Clock.MESSAGES],
        timeless=words[Clock.TIMELESS],
        origin_back=words[Clock.BACK],
        origin_back_max_ns=words[Clock.BACK_MAX_NS],
        received_back=words[Clock.RECEIVED_BACK],
        received_back_max_ns=words[Clock.RECEIVED_BACK_MAX_NS],
        ahead=words[Clock.AHEAD],
        whole_ms=words[Clock.WHOLE_MS],
        received_whole_ms=words[Clock.RECEIVED_WHOLE_MS],
        lag_min_ns=words[Clock.LAG_MIN_NS] if lagging else None,
        lag_max_ns=words[Clock.LAG_MAX_NS] if lagging else None,
        lag_ns=lags.told(),
        lag_bars=lags.drawn_evenly(),
        first_time=words[Clock.OLDEST] if timed else None,
        last_time=words[Clock.NEWEST] if timed else None,
    )


def depth_report(assessor: DataAssessor) -> FeedReport:
    """What can be known of the depth feed's gaps."""
    chains = assessor.chains
    words = chains.words.tolist()
    messages = int(assessor.clocks.words[Kind.BOOK_DELTA, Clock.MESSAGES])
    gaps = _named(chains.named[Note.GAP])
    steps = Spread(chains.steps[Steps.ID])
    if not messages:
        contiguity, statement = Contiguity.ABSENT, "there are no deltas"
    elif words[Id.GAPS]:
        contiguity = Contiguity.GAPS
        statement = _gaps_told(words[Id.GAPS], words[Id.IDS_MISSING], gaps, "depth message")
    elif assessor.rule.link is Link.UNPROVABLE:
        contiguity = Contiguity.UNKNOWABLE
        statement = "can't be known: a message does not name the one before it" + (
            f" (ids rise by {steps.quantile(0.5):,} at the median, which proves nothing)"
            if steps.total
            else ""
        )
    else:
        contiguity = Contiguity.PROVEN
        statement = f"proven contiguous: each of {messages:,} depth messages follows the one before"
    return _feed(chains, contiguity, statement, messages, gaps, is_trades=False)


def trade_report(assessor: DataAssessor) -> FeedReport:
    """What can be known of missing trades."""
    chains = assessor.chains
    words = chains.words.tolist()
    messages = int(assessor.clocks.words[Kind.TRADE, Clock.MESSAGES])
    gaps = _named(chains.named[Note.TRADE_GAP])
    follows, skips = words[Id.TRADE_FOLLOWS], words[Id.TRADE_GAPS]
    # Venues whose protocol we know count trades one by one; of others it is seen by most of their ids.
    counts_on = assessor.rule.link is not Link.UNPROVABLE or follows >= _MOSTLY * (follows + skips)
    if not messages:
        contiguity, statement = Contiguity.ABSENT, "there are no trades"
    elif not follows + skips or not counts_on:
        contiguity, statement = Contiguity.UNKNOWABLE, "can't be known: trade ids don't rise one by one"
    elif skips:
        contiguity = Contiguity.GAPS
        statement = _gaps_told(skips, words[Id.TRADE_IDS_MISSING], gaps, "trade")
    else:
        contiguity = Contiguity.PROVEN
        statement = f"proven complete: the ids of {messages:,} trades rise one by one"
    return _feed(chains, contiguity, statement, messages, gaps, is_trades=True)


def _feed(
    chains: Chains,
    contiguity: Contiguity,
    statement: str,
    messages: int,
    gaps: list[GapReport],
    *,
    is_trades: bool,
) -> FeedReport:
    words = chains.words.tolist()
    names = (
        (Id.TRADE_FOLLOWS, Id.TRADE_GAPS, Id.TRADE_IDS_MISSING, Id.TRADE_REPEATS)
        if is_trades
        else (Id.FOLLOWS, Id.GAPS, Id.IDS_MISSING, Id.DUPLICATES)
    )
    proven, skips, missing, duplicates = (words[name] for name in names)
    ids = Spread(chains.steps[Steps.TRADE_ID if is_trades else Steps.ID])
    times = Spread(chains.steps[Steps.TRADE_TIME_NS if is_trades else Steps.TIME_NS])
    is_gap = contiguity is Contiguity.GAPS
    return FeedReport(
        contiguity=contiguity,
        statement=statement,
        messages=messages,
        proven=proven,
        gaps=skips if is_gap else 0,
        ids_missing=missing if is_gap else 0,
        ids=proven + missing if is_trades else words[Id.IDS],
        duplicates=duplicates,
        resets=0 if is_trades else words[Id.RESETS],
        late=0 if is_trades else words[Id.LATE],
        gaps_named=gaps if is_gap else [],
        id_steps=ids.told(),
        id_bars=ids.drawn(),
        time_steps_ns=times.told(),
        time_bars=times.drawn(),
    )


def _gaps_told(count: int, missing: int, gaps: Sequence[GapReport], what: str) -> str:
    named = [
        f"after {gap.after_id} until {gap.before_id} at {time_text(gap.to_time)}" for gap in gaps[:_SHOWN]
    ]
    more = f" and {count - len(named):,} more" if count > len(named) else ""
    ids = f"{missing:,} id{'s' * (missing > 1)} {'are' if missing > 1 else 'is'} missing"
    return f"{count:,} gap{'s' * (count > 1)} between {what}s, {ids}: {'; '.join(named)}{more}"


def book_report(assessor: DataAssessor) -> BookReport:
    """What states the book, and how deep it is."""
    words, shapes = assessor.windows.words.tolist(), assessor.windows.shapes
    levels, held = assessor.levels, assessor.levels.words.tolist()
    looks = max(levels.looks, 1)
    bids, asks = (total / looks for total in levels.sums)
    return BookReport(
        stated=book_stated(assessor).value,
        snapshots=words[Window.SNAPSHOTS],
        sampled=words[Window.SAMPLED],
        apart_ns=Spread(shapes[Shape.APART_NS]).told(),
        bid_levels=Spread(shapes[Shape.BIDS]).told(),
        ask_levels=Spread(shapes[Shape.ASKS]).told(),
        one_sided=words[Window.ONE_SIDED],
        crossed=words[Window.CROSSED],
        locked=words[Window.LOCKED],
        repeated=words[Window.REPEATED],
        meets=words[Window.MEETS],
        changes=held[Level.CHANGES],
        deletes=held[Level.DELETES],
        unknown_deletes=held[Level.UNKNOWN_DELETES],
        unchanged=held[Level.SAME],
        levels_mean=(round(bids, 1), round(asks, 1)),
        levels_most=(levels.largest[0], levels.largest[1]),
    )


def book_stated(assessor: DataAssessor) -> BookStated:
    """How often the source states its book."""
    words = assessor.windows.words
    apart_ns = Spread(assessor.windows.shapes[Shape.APART_NS]).quantile(0.5)
    snapshots = int(words[Window.SNAPSHOTS])
    if words[Window.SAMPLED] or (snapshots >= _OFTEN and apart_ns is not None and apart_ns <= CADENCE_NS):
        return BookStated.SAMPLED
    return BookStated.ANCHORED if snapshots else BookStated.NEVER


def loss_report(assessor: DataAssessor) -> LossReport:
    """What lies between two looks at the book."""
    words, shapes = assessor.windows.words.tolist(), assessor.windows.shapes
    changes, trades = Spread(shapes[Shape.CHANGES]), Spread(shapes[Shape.TRADES])
    unseen = words[Window.OVERWRITTEN] + words[Window.BEYOND]
    return LossReport(
        looks="sampled snapshots" if words[Window.SAMPLED] else "a grid of 100 ms",
        windows=words[Window.WINDOWS],
        busy=words[Window.BUSY],
        changes=words[Window.CHANGES],
        trades=words[Window.TRADES],
        overwritten=words[Window.OVERWRITTEN],
        beyond=words[Window.BEYOND],
        unseen_share=unseen / words[Window.CHANGES] if words[Window.CHANGES] else None,
        changes_per_window=changes.told(),
        change_bars=changes.drawn(),
        trades_per_window=trades.told(),
        trade_bars=trades.drawn(),
    )


def rate_report(assessor: DataAssessor) -> RateReport:
    """Events by hour and over time."""
    timeline = assessor.timeline
    hours = [(hour * NS_PER_HOUR, *counts.tolist()) for hour, counts in sorted(timeline.hours.items())]
    return RateReport(
        hours=hours,
        width_ns=timeline.width_ns,
        begins=timeline.first * timeline.width_ns,
        trades=timeline.counts[:, Kind.TRADE].tolist(),
        snapshot_rows=timeline.counts[:, Kind.BOOK_SNAPSHOT].tolist(),
        delta_rows=timeline.counts[:, Kind.BOOK_DELTA].tolist(),
        least_lag_ns=timeline.lags(),
    )


def quiet_told(assessor: DataAssessor) -> dict[str, Any]:
    """Stretches in which nothing happened, as fields of the assessment."""
    words = assessor.chains.words
    return {
        "quiet": int(words[Id.QUIET]),
        "quiet_max_ns": int(words[Id.QUIET_MAX_NS]),
        "quiet_named": _named(assessor.chains.named[Note.QUIET]),
    }


def _named(stretches: Sequence[Stretch]) -> list[GapReport]:
    return [GapReport(**stretch._asdict()) for stretch in stretches]


def span(assessor: DataAssessor) -> tuple[int | None, int | None]:
    """Order times of the first and of the last event."""
    began, ended = (int(assessor.chains.words[at]) for at in (Id.BEGAN, Id.ENDED))
    return (began, ended) if began != NONE else (None, None)
