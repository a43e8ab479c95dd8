"""Which strategy suits a source: a small rule over a few facts, with its reasons."""

from __future__ import annotations

from enum import StrEnum

import msgspec

GAP_SHARE_MAX = 0.1
"""Missing share of the depth updates above which a sampled book tells more than a rebuilt one."""


class Strategy(StrEnum):
    """How a source becomes an event stream with a book."""

    FULL = "full"
    """Every delta is applied; snapshots anchor the book, show drift, and mend it after a gap."""
    SNAPSHOT = "snapshot"
    """Snapshots are the clock: what trades don't explain between two of them is inferred."""
    ORIGIN_TIME_SORT = "origin_time_sort"
    """A plain merge of what is there, by origin time; no book is promised."""


class BookStated(StrEnum):
    """How often the source states its book as a whole."""

    NEVER = "never"
    ANCHORED = "anchored"
    """Now and then: a snapshot at the start or after reconnects, or a feed that begins with an empty book."""
    SAMPLED = "sampled"
    """At a cadence, as the rows of ``book`` of an archive."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the rule looks at.

    Attributes
    ----------
    has_deltas, has_trades
        Whether the source holds any.
    book
        How often it states the book as a whole.
    origin_time_usable
        Whether the venue's time stands on all but a few rows; None if nobody looked.
    contiguity_provable
        Whether ids prove that no depth message is missing (not so for vendors that keep the last id alone).
    gap_share
        Share of the depth updates that is missing, in [0, 1]; None if it isn't known or can't be.
    """

    has_deltas: bool
    has_trades: bool
    book: BookStated
    origin_time_usable: bool | None = None
    contiguity_provable: bool = False
    gap_share: float | None = None


class Recommendation(msgspec.Struct, frozen=True):
    """A strategy and why, in sentences; what it can't know comes last."""

    strategy: Strategy
    reasons: tuple[str, ...]


def recommend(facts: Facts) -> Recommendation:
    """The strategy that gets most out of a source.

    Deltas and a stated book: ``full``, unless so much is missing that sampled books tell more. A stated book
    alone: ``snapshot``. Neither: ``origin_time_sort``.
    """
    strategy, reasons = _chosen(facts)
    return Recommendation(strategy, (*reasons, *_limits(facts, strategy)))


def _chosen(facts: Facts) -> tuple[Strategy, list[str]]:
    missing = facts.gap_share or 0.0
    if facts.has_deltas and facts.book is BookStated.NEVER:
        return Strategy.ORIGIN_TIME_SORT, [
            "there are deltas, but nothing states the book that they change: no level can be known"
        ]
    if facts.has_deltas and facts.book is BookStated.SAMPLED and missing > GAP_SHARE_MAX:
        return Strategy.SNAPSHOT, [
            f"{missing:.0%} of the depth updates are missing: after each gap a rebuilt book would wait for "
            "the next row of the sampled book, so that one is the better clock"
        ]
    if facts.has_deltas:
        often = "at a cadence" if facts.book is BookStated.SAMPLED else "to start from"
        return Strategy.FULL, [f"every change of the book is there, and the book is stated {often}"]
    if facts.book is not BookStated.NEVER:
        return Strategy.SNAPSHOT, ["there are no deltas: the book is known at its snapshots alone"]
    return Strategy.ORIGIN_TIME_SORT, [
        "there are trades alone: nothing states a book" if facts.has_trades else "nothing states a book"
    ]


def _limits(facts: Facts, strategy: Strategy) -> list[str]:
    """What can't be known, whatever is done."""
    told = []
    if facts.has_deltas and not facts.contiguity_provable:
        told.append("the ids don't name their predecessors, so a missing depth message can't be seen by them")
    if strategy is Strategy.FULL and (facts.gap_share or 0.0) > 0.0:
        told.append(
            f"{facts.gap_share:.2%} of the depth updates are missing: after a gap the book is unknown "
            "until the next snapshot"
        )
    if strategy is Strategy.SNAPSHOT and facts.has_trades:
        told.append("trades take liquidity between two snapshots; the rest of the change there is inferred")
    if strategy is Strategy.SNAPSHOT and not facts.has_trades:
        told.append("there are no trades, so all of the change between two snapshots is inferred")
    if facts.origin_time_usable is False:
        told.append("many rows have no usable origin time: they will be set aside")
    return told
