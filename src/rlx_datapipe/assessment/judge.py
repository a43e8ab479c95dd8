"""What the figures of an assessment mean: findings, the strategy, and a verdict in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rlx_datapipe.assessment.assessor import DataAssessor
from rlx_datapipe.assessment.result import Assessment, ClockReport, Contiguity, Cost, FeedReport, Grade
from rlx_datapipe.assessment.strategy import Facts, Recommendation, recommend
from rlx_datapipe.assessment.telling import (
    book_report,
    book_stated,
    clock_reports,
    depth_report,
    loss_report,
    quiet_told,
    rate_report,
    span,
    trade_report,
)
from rlx_datapipe.core.event import Kind
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.sequence import Link

UNTIMED_SHARE = 0.01
"""Share of messages without a usable origin time above which a source does not tell its order."""
_FEW = 200
_STEP_NS = 1_000_000_000
_HORIZON_NS = 10_000_000_000
_NOTE, _WARN, _GATE = Severity.NOTE, Severity.WARN, Severity.GATE


def assessed(
    assessor: DataAssessor, *, format: str, files: int, bytes: int, cost: Cost | None = None
) -> Assessment:
    """The assessment of a chain that was looked at to its end.

    Parameters
    ----------
    assessor
        What was counted; finished.
    format, files, bytes
        Of the source.
    cost
        What its reconstruction will need.
    """
    depth, clocks = depth_report(assessor), clock_reports(assessor)
    refused_times = assessor.refused.times.total()
    untimed = refused_times + sum(one.timeless for name, one in clocks.items() if name != "snapshots")
    messages = sum(one.messages for name, one in clocks.items() if name != "snapshots") + refused_times
    usable = messages > 0 and untimed <= UNTIMED_SHARE * messages
    facts = Facts(
        has_deltas="deltas" in clocks,
        has_trades="trades" in clocks,
        book=book_stated(assessor),
        origin_time_usable=usable,
        contiguity_provable=assessor.rule.link is not Link.UNPROVABLE,
        gap_share=depth.gap_share if depth.contiguity in (Contiguity.PROVEN, Contiguity.GAPS) else None,
    )
    first, last = span(assessor)
    told: dict[str, Any] = {
        "exchange": assessor.instrument.exchange,
        "symbol": assessor.instrument.symbol,
        "format": format,
        "files": files,
        "bytes": bytes,
        "first_time": first,
        "last_time": last,
        "messages": dict(sorted(assessor.messages.items())),
        "rows": {kind.name: int(assessor.clocks.words[kind, 0]) for kind in Kind},
        "quotes": assessor.quotes,
        "kept": assessor.kept,
        "refused": assessor.refused.total,
        "refused_reasons": dict(assessor.refused.reasons.most_common()),
        "refused_times": dict(assessor.refused.times.most_common()),
        "breaks": [one.sentence for one in assessor.refused.breaks],
        "capture_gaps": assessor.records["capture_gap"],
        "clocks": clocks,
        "depth": depth,
        "trades": trade_report(assessor),
        "book": book_report(assessor),
        "loss": loss_report(assessor),
        "rate": rate_report(assessor),
        **quiet_told(assessor),
        "cost": cost,
        "advice": recommend(facts),
    }
    draft = Assessment(**told, findings=[], grade=Grade.READY, verdict="")
    findings = sorted(
        [*_of_times(draft), *_of_feeds(draft), *_of_the_book(draft), *_of_the_source(draft)],
        key=lambda one: [_GATE, _WARN, _NOTE].index(one.severity),
    )
    grade = _grade(findings)
    return Assessment(**told, findings=findings, grade=grade, verdict=_verdict(draft, grade, findings))


def _find(rule: str, severity: Severity, message: str, **measures: Any) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, measures=measures)


def _of_times(one: Assessment) -> Iterator[Finding]:
    """Findings on the clocks."""
    for what, count in one.refused_times.items():
        severity = _GATE if count > UNTIMED_SHARE * (count + sum(one.rows.values())) else _WARN
        if what in ("s", "ms", "us", "ns"):
            told = f"{count:,} times are refused, but would be sound in {what}: their unit is mistaken"
            yield _find("time_unit", severity, told, unit=what, count=count)
        else:
            told = f"{count:,} times are {what}: their messages can't be placed"
            yield _find("time_unusable", severity, told, what=what, count=count)
    for name, clock in one.clocks.items():
        if name == "snapshots":
            continue
        if clock.timeless:
            told = f"{clock.timeless:,} of {clock.messages:,} {name} have no origin time"
            severity = _GATE if clock.timeless > UNTIMED_SHARE * clock.messages else _WARN
            yield _find("origin_time_missing", severity, told, count=clock.timeless)
        if clock.origin_back:
            far = clock.origin_back_max_ns > _HORIZON_NS
            told = (
                f"the origin time of {clock.origin_back:,} {name} lies before that of the last one, by up to "
                f"{_time(clock.origin_back_max_ns)}"
                + (": further than they can be put in order" if far else ": they will be put in order")
            )
            yield _find("out_of_order", _WARN if far else _NOTE, told, count=clock.origin_back)
        if clock.received_back:
            told = (
                f"the recorder's clock was set back: the receive time of {name} falls "
                f"{clock.received_back:,} times, by up to {_time(clock.received_back_max_ns)}"
            )
            severity = _WARN if clock.received_back_max_ns > _STEP_NS else _NOTE
            yield _find("recorder_clock_back", severity, told, count=clock.received_back)
    yield from _of_both_clocks(one)


def _of_both_clocks(one: Assessment) -> Iterator[Finding]:
    """Findings on the two clocks against each other, by the kind of message that there is most of."""
    timed = [(clock.messages, name, clock) for name, clock in one.clocks.items() if name != "snapshots"]
    if not timed:
        return
    _, name, clock = max(timed)
    low, middle, high = (clock.lag_ns[share] for share in ("p01", "p50", "p99"))
    if low is None or middle is None or high is None or middle >= 0:
        return
    if clock.messages >= _FEW and (by := _swapped(clock, low, middle, high)):
        told = f"origin and receive time of {name} look swapped: {by}"
        yield _find("clocks_swapped", _GATE, told, median_lag_ns=middle)
        return
    told = (
        f"the recorder's clock runs behind the venue's: {clock.ahead / clock.messages:.0%} of {name} were "
        f"received before they happened, {_time(-middle)} at the median. This is harmless"
    )
    yield _find("recorder_clock_behind", _NOTE, told, median_lag_ns=middle)


def _swapped(clock: ClockReport, low: int, middle: int, high: int) -> str:
    """Why the two columns look swapped; empty if they don't. A late clock alone is no reason."""
    timed = max(clock.messages - clock.timeless, 1)
    origin_coarse, received_coarse = clock.whole_ms / timed, clock.received_whole_ms / clock.messages
    if received_coarse > 0.99 and origin_coarse < 0.5:
        return "receive times are whole milliseconds, as a venue's are, and origin times are not"
    # A lag has a floor and a long upper tail: messages may come late, but not early.
    if not (origin_coarse > 0.99 and received_coarse < 0.5) and middle - low > 2 * (high - middle):
        return "the lag is negative, and its long tail lies on the wrong side"
    return ""


def _of_feeds(one: Assessment) -> Iterator[Finding]:
    """Findings on ids."""
    for name, feed in (("depth", one.depth), ("trades", one.trades)):
        if feed.contiguity is Contiguity.GAPS:
            told = feed.statement
            yield _find(f"{name}_gaps", _WARN, told, gaps=feed.gaps, ids_missing=feed.ids_missing)
        if feed.duplicates:
            told = f"{feed.duplicates:,} of the {name} messages came twice, or behind a later one"
            yield _find(f"{name}_duplicates", _NOTE, told, count=feed.duplicates)
    if one.depth.resets:
        told = f"the ids of the depth feed began anew {one.depth.resets:,} times"
        yield _find("depth_resets", _WARN, told, count=one.depth.resets)
    if one.depth.late:
        told = f"{one.depth.late:,} depth messages came too late to be put in their place"
        yield _find("depth_late", _WARN, told, count=one.depth.late)


def _of_the_book(one: Assessment) -> Iterator[Finding]:
    """Findings on snapshots and levels."""
    book = one.book
    if book.crossed:
        share = book.crossed / book.snapshots
        told = f"{book.crossed:,} of {book.snapshots:,} snapshots are crossed ({share:.2%})"
        yield _find("snapshots_crossed", _WARN, told, count=book.crossed)
    for name, count in (("locked", book.locked), ("one-sided", book.one_sided)):
        if count:
            told = f"{count:,} of {book.snapshots:,} snapshots are {name}"
            yield _find(f"snapshots_{name.replace('-', '_')}", _NOTE, told, count=count)
    if one.depth.messages and not book.snapshots:
        yield _find("no_snapshot", _GATE, "nothing states the book that the deltas change")
    if book.unknown_deletes:
        share = book.unknown_deletes / book.deletes
        told = (
            f"{share:.0%} of the deletes are of levels that were not known: normal, where a snapshot stops "
            "at some depth"
        )
        yield _find("unknown_deletes", _NOTE, told, count=book.unknown_deletes, share=share)


def _of_the_source(one: Assessment) -> Iterator[Finding]:
    """Findings on what could not be read, and on quiet stretches."""
    read = sum(one.rows.values())
    for sentence in one.breaks:
        yield _find("breaks_off", _WARN, sentence)
    refused = one.refused - sum(one.refused_times.values()) - len(one.breaks)
    if refused > 0:
        reason = next(iter(one.refused_reasons))
        told = f"{refused:,} messages or rows could not be read, most often: {reason}"
        yield _find("refused", _GATE if refused > read else _WARN, told, count=refused)
    if one.capture_gaps:
        told = f"the recorder itself says {one.capture_gaps:,} times that it lacks messages"
        yield _find("capture_gaps", _WARN, told, count=one.capture_gaps)
    if one.quiet:
        whole = ", and no id is missing across it" if one.depth.contiguity is Contiguity.PROVEN else ""
        told = (
            f"{one.quiet:,} quiet stretch{'es' * (one.quiet > 1)}, the longest of {_time(one.quiet_max_ns)}: "
            f"nothing happened{whole}. This is no gap"
        )
        yield _find("quiet", _NOTE, told, count=one.quiet, longest_ns=one.quiet_max_ns)
    if not read:
        yield _find("nothing", _GATE, "there is not one event in it")


def _grade(findings: list[Finding]) -> Grade:
    heaviest = {finding.severity for finding in findings}
    if _GATE in heaviest:
        return Grade.UNFIT
    return Grade.USABLE if _WARN in heaviest else Grade.READY


def _verdict(one: Assessment, grade: Grade, findings: list[Finding]) -> str:
    """One sentence for people."""
    how = f"reconstruct it with --strategy {one.advice.strategy.value}"
    heavy = [finding for finding in findings if finding.severity is not _NOTE]
    if grade is Grade.UNFIT:
        return f"Not fit as it stands: {heavy[0].message}."
    if grade is Grade.USABLE:
        rest = f", and {len(heavy) - 1} more findings" if len(heavy) > 2 else ", and one more finding"
        return f"Usable, {how}; but {heavy[0].message}{rest if len(heavy) > 1 else ''}."
    return f"Ready, {how}: {_wholeness(one.depth, one.trades, one.advice)}."


def _wholeness(depth: FeedReport, trades: FeedReport, advice: Recommendation) -> str:
    if depth.contiguity is Contiguity.PROVEN:
        both = trades.contiguity is Contiguity.PROVEN
        return "no message of the depth feed" + (" and no trade" if both else "") + " is missing"
    if depth.contiguity is Contiguity.UNKNOWABLE:
        return "nothing is known to be missing, though by its ids that can't be proven"
    return advice.reasons[0]


def _time(ns: int) -> str:
    """A length of time with its unit, to three digits."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1_000 * size else f"{ns / size:,.0f} {unit}"
    return f"{ns} ns"
