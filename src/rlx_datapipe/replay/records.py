"""Quality records from the kernel's notes and counters, in words."""

from __future__ import annotations

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.core.sequence import Link, SequenceRule
from rlx_datapipe.replay.control import Note, Word

_NOTES = {
    Note.GAP: (
        "gap",
        Severity.WARN,
        "update ids expected from {a}, found {b}: no valid book until a snapshot",
    ),
    Note.RESET: (
        "reset",
        Severity.WARN,
        "update ids fell back from {a} to {b}: no valid book until a snapshot",
    ),
    Note.CROSSED: ("crossed", Severity.WARN, "best bid above best ask"),
    Note.LOCKED: ("locked", Severity.NOTE, "best bid equal to best ask"),
    Note.SILENCE: ("silence", Severity.NOTE, "no event of any kind in this stretch"),
}

_COUNTED = (
    (Word.DUPLICATES, "duplicate", Severity.NOTE, "update groups that had come before; dropped"),
    (Word.DUPLICATE_TRADES, "duplicate", Severity.NOTE, "trades that had come before; dropped"),
    (Word.LATE, "late", Severity.WARN, "events that came too late to be put in their place"),
    (Word.NOT_MARKET, "not_market", Severity.NOTE, "trades that are no market trades (insurance fund, ADL)"),
    (Word.STALE_CHECKS, "stale_check", Severity.NOTE, "sampled snapshots older than the book; not compared"),
    (Word.CHECKS, "check", Severity.NOTE, "sampled snapshots equal to the book, level by level"),
)

_BY_CONSTRUCTION = {
    Word.CHECKS: ("snapshot_met", "snapshots that inferred changes bring the book to, equal level by level"),
    Word.STALE_CHECKS: ("stale_check", "snapshots that came too late for their place; not used"),
}
"""What is said of snapshots instead where changes are inferred from them: that they agree proves nothing."""


def note_records(notes: Int64Array) -> list[Quality]:
    """Quality records of the kernel's notes, int64 (n, NOTE_WORDS), in order."""
    records = []
    for kind, from_event, to_event, from_time, to_time, a, b in notes.tolist():
        name, severity, words = _NOTES[Note(kind)]
        measures = {"expected_id": a, "found_id": b} if kind in (Note.GAP, Note.RESET) else {}
        if NONE not in (from_time, to_time):
            measures["duration_ns"] = to_time - from_time
        records.append(
            Quality(
                kind=name,
                severity=severity,
                detail=words.format(a=a, b=b),
                from_event_id=from_event,
                to_event_id=to_event,
                from_time=from_time,
                to_time=to_time,
                measures=measures,
            )
        )
    return records


def counted_records(control: Int64Array, first_event: int, last_event: int) -> list[Quality]:
    """One record for each counter that is not 0, over the events of an epoch."""
    told = _BY_CONSTRUCTION if control[Word.LINK] == Link.INFERRED else {}
    records = [
        Quality(
            kind=told[word][0] if word in told else kind,
            severity=severity,
            detail=told[word][1] if word in told else words,
            from_event_id=first_event,
            to_event_id=last_event,
            measures={"count": int(control[word])},
        )
        for word, kind, severity, words in _COUNTED
        if control[word]
    ]
    matched, off = int(control[Word.TRADES_MATCHED]), int(control[Word.OFF_BOOK])
    if off:
        records.append(
            Quality(
                kind="trade_off_book",
                severity=Severity.NOTE,
                detail="trades at a price where the book, as last published, had no level",
                from_event_id=first_event,
                to_event_id=last_event,
                measures={"count": off, "levels_compared": matched + off, "levels_matched": matched},
            )
        )
    return records


def skew_record(count: int, least_lag_ns: int, first_event: int, last_event: int) -> Quality:
    """The record of events that were received before they happened, by the two clocks."""
    return Quality(
        kind="clock_skew",
        severity=Severity.NOTE,
        detail="received before they happened: the recorder's clock is behind the exchange's",
        from_event_id=first_event,
        to_event_id=last_event,
        measures={"count": count, "duration_ns": least_lag_ns},
    )


def unprovable_record(rule: SequenceRule) -> Quality:
    """That of a source by whose ids nothing can be proven."""
    return Quality(
        kind="sequence_unprovable",
        severity=Severity.NOTE,
        detail="update ids name no predecessor here: a missing delta can't be seen, only its effect, "
        f"wherever a sampled snapshot is compared ({rule.source})",
    )
