"""An assessment as a page: the answer first, then what it rests on, with plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rlx_datapipe.assessment.drawn import clock_figures, feed_figures, rate_figures, window_figures
from rlx_datapipe.assessment.result import Assessment, Contiguity, Cost, FeedReport, Grade
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.report.figures import count, duration, moment, share, short, size
from rlx_datapipe.report.page import (
    Block,
    Figures,
    Page,
    Remark,
    Remarks,
    Section,
    State,
    Table,
    Tile,
    Tiles,
    Words,
)

_STATES: dict[Grade, State] = {Grade.READY: "good", Grade.USABLE: "warn", Grade.UNFIT: "bad"}
_WEIGHTS: dict[Severity, State] = {Severity.GATE: "bad", Severity.WARN: "warn", Severity.NOTE: "note"}
_STATED = {"never": "never stated", "anchored": "stated now and then", "sampled": "sampled"}
_KINDS = ("trades", "snapshot rows", "book changes")
_HOURS_MAX = 48
_GAPS_MAX = 50
_QUIET_MAX = 10


def to_page(one: Assessment) -> Page:
    """The page of one chain."""
    sections = [
        Section("At a glance", [Tiles(list(_tiles(one)))], _span(one)),
        Section(
            "Findings", [Remarks(_remarks(one))] if one.findings else [Words("There is nothing to remark.")]
        ),
        Section(
            f"Strategy: {one.advice.strategy.value}",
            [Words(_sentence(reason)) for reason in one.advice.reasons],
        ),
        Section("What came when", [Figures(rate_figures(one.rate)), _hours(one)]),
        Section("Clocks", [_clocks(one), Figures(clock_figures(one))]),
        Section("Ids and gaps", [*_feeds(one), Figures(feed_figures(one))]),
        Section("Book", [*_book(one), Figures(window_figures(one))]),
    ]
    if one.cost:
        sections.append(Section("What a reconstruction needs", [*_cost(one.cost)]))
    sections.append(Section("Messages of the source", [*_messages(one)], is_folded=True))
    files = f"{count(one.files)} file{'s' * (one.files > 1)}"
    return Page(
        title=f"{one.exchange} {one.symbol}",
        kicker="Assessment",
        state=_STATES[one.grade],
        answer=one.verdict,
        sections=sections,
        foot=f"Format {one.format}, {files}, {size(one.bytes)}. All times are UTC. Quantiles are right to "
        "two in a thousand. Made by rlx assess.",
    )


def overview(chains: Sequence[Assessment]) -> Page:
    """The page of several chains: a line for each."""
    worst = max(chains, key=lambda one: list(Grade).index(one.grade))
    verdicts = [Remark(_STATES[one.grade], f"{one.exchange} {one.symbol}", one.verdict) for one in chains]
    head = ["symbol", "grade", "strategy", "events", "depth gaps", "trade gaps", "unseen by looks"]
    rows = [
        [
            f"{one.exchange} {one.symbol}",
            one.grade.value,
            one.advice.strategy.value,
            count(sum(one.rows.values())),
            _gaps(one.depth)[0],
            _gaps(one.trades)[0],
            share(one.loss.unseen_share),
        ]
        for one in chains
    ]
    good = sum(one.grade is Grade.READY for one in chains)
    return Page(
        title=f"{len(chains)} symbols",
        kicker="Assessment",
        state=_STATES[worst.grade],
        answer=f"{good} of {len(chains)} are ready as they stand.",
        sections=[
            Section("Verdicts", [Remarks(verdicts)]),
            Section("Figures", [Table(head, rows, right=(3, 4, 5, 6))]),
        ],
        foot="Each symbol has a page of its own beside this one. Made by rlx assess.",
    )


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _span(one: Assessment) -> str:
    if one.first_time is None or one.last_time is None:
        return "There is no event in it."
    lasted = duration(one.last_time - one.first_time)
    return f"{moment(one.first_time)} to {moment(one.last_time)} UTC: {lasted} of market time."


def _gaps(feed: FeedReport) -> tuple[str, State]:
    told: dict[Contiguity, tuple[str, State]] = {
        Contiguity.PROVEN: ("none", "good"),
        Contiguity.GAPS: (count(feed.gaps), "warn"),
        Contiguity.UNKNOWABLE: ("not known", ""),
        Contiguity.ABSENT: ("no feed", ""),
    }
    return told[feed.contiguity]


def _proof(feed: FeedReport) -> str:
    told = {
        Contiguity.PROVEN: f"proven by {count(feed.proven)} ids",
        Contiguity.GAPS: f"{count(feed.ids_missing)} ids are missing",
        Contiguity.UNKNOWABLE: "ids don't tell",
        Contiguity.ABSENT: "",
    }
    return told[feed.contiguity]


def _tiles(one: Assessment) -> Iterator[Tile]:
    yield Tile(
        "Book changes", count(one.rows["BOOK_DELTA"]), f"in {count(one.depth.messages)} depth messages"
    )
    yield Tile("Trades", count(one.rows["TRADE"]), _per_second(one, one.rows["TRADE"]))
    yield Tile("Snapshots", count(one.book.snapshots), f"the book is {_STATED[one.book.stated]}")
    for name, feed in (("Depth", one.depth), ("Trade", one.trades)):
        value, state = _gaps(feed)
        yield Tile(f"{name} gaps", value, _proof(feed), state)
    looks = "by the snapshots" if one.book.sampled else "by looks every 100 ms"
    yield Tile("Changes unseen", share(one.loss.unseen_share), looks)
    if clock := one.clocks.get("deltas") or one.clocks.get("trades"):
        yield Tile("Lag, median", duration(clock.lag_ns["p50"]), "receive time minus origin time")
    if one.cost:
        yield Tile("Memory needed", size(one.cost.memory_bytes), "peak, estimated")
        yield Tile("Processor time", duration(one.cost.processor_s * 1e9), "of all threads, estimated")


def _per_second(one: Assessment, events: int) -> str:
    if one.first_time is None or one.last_time is None or one.last_time <= one.first_time:
        return ""
    return f"{short(events / ((one.last_time - one.first_time) / 1e9))} a second"


def _remarks(one: Assessment) -> list[Remark]:
    return [
        Remark(_WEIGHTS[found.severity], found.rule.replace("_", " "), _sentence(found.message))
        for found in one.findings
    ]


def _hours(one: Assessment) -> Table:
    hours = one.rate.hours
    # Kinds that are not there are left out, and snapshots without a time of their own are in no hour.
    kinds = {at: name for at, name in enumerate(_KINDS, 1) if any(hour[at] for hour in hours)}
    rows = [[moment(hour[0])[:16], *(count(hour[at]) for at in kinds)] for hour in hours[:_HOURS_MAX]]
    more = f", the first {_HOURS_MAX} of {len(hours):,}" if len(hours) > _HOURS_MAX else ""
    return Table(["hour", *kinds.values()], rows, right=(1, 2, 3), caption=f"By hour{more}")


def _clocks(one: Assessment) -> Table:
    rows = [
        [
            name,
            count(clock.messages),
            count(clock.timeless),
            count(clock.origin_back),
            share(clock.ahead / clock.messages),
            *(duration(clock.lag_ns[at]) for at in ("p01", "p50", "p99")),
        ]
        for name, clock in one.clocks.items()
    ]
    head = ["", "messages", "without time", "out of order", "ahead of receipt", "lag, 1 %", "median", "99 %"]
    return Table(head, rows, right=range(1, 8))


def _feeds(one: Assessment) -> Iterator[Block]:
    for name, feed in (("Depth", one.depth), ("Trades", one.trades)):
        yield Words(f"{name}: {feed.statement}.")
    for name, feed in (("Depth", one.depth), ("Trades", one.trades)):
        if feed.gaps_named:
            yield _gap_table(name, feed)
    if one.quiet_named:
        rows = [
            [moment(quiet.from_time), moment(quiet.to_time), duration(quiet.to_time - quiet.from_time)]
            for quiet in one.quiet_named[:_QUIET_MAX]
        ]
        caption = f"Quiet stretches, {len(rows)} of {one.quiet:,}: no gaps"
        yield Table(["from", "to", "nothing for"], rows, right=(2,), caption=caption)


def _gap_table(name: str, feed: FeedReport) -> Table:
    rows = [
        [
            moment(gap.to_time),
            str(gap.after_id),
            str(gap.before_id),
            count(gap.missing),
            duration(gap.to_time - gap.from_time),
        ]
        for gap in feed.gaps_named[:_GAPS_MAX]
    ]
    caption = f"{name}: gaps, {len(rows)} of {feed.gaps:,}"
    head = ["seen at", "after id", "before id", "ids missing", "time between"]
    return Table(head, rows, right=(1, 2, 3, 4), caption=caption)


def _book(one: Assessment) -> Iterator[Block]:
    book, loss = one.book, one.loss
    held, most = book.levels_mean, book.levels_most
    unknown = book.unknown_deletes / book.deletes if book.deletes else None
    apart = f"{duration(book.apart_ns['p50'])} apart at the median" if book.snapshots > 1 else ""
    shown = f"{count(book.bid_levels['p50'])} + {count(book.ask_levels['p50'])}"
    odd = f"{count(book.crossed)}, {count(book.locked)}, {count(book.one_sided)}"
    rows = [
        ["snapshots", count(book.snapshots), apart],
        ["levels in a snapshot", shown, "bids + asks, median"],
        ["crossed, locked, one-sided", odd, "snapshots"],
        ["met by a delta", count(book.meets), "have the update id of the delta before: drift is exact there"],
    ]
    if one.depth.messages:
        rows += [
            [
                "levels held",
                f"{held[0]:,.0f} + {held[1]:,.0f}",
                f"mean; at most {count(most[0])} + {count(most[1])}",
            ],
            ["deletes of unknown levels", share(unknown), "normal, where a snapshot stops at some depth"],
            ["changes of nothing", count(book.unchanged), "set a level to the quantity that it has"],
        ]
    yield Table(["", "", ""], rows, right=(1,))
    if loss.unseen_share is not None:
        yield Words(
            f"Whoever looks at {loss.looks} alone never sees {share(loss.unseen_share)} of the "
            f"{count(loss.changes)} book changes: {count(loss.overwritten)} are followed by another change "
            f"of their level before the next look, {count(loss.beyond)} lie deeper than the looks reach."
        )


def _cost(cost: Cost) -> Iterator[Block]:
    rows = [
        ["peak memory", size(cost.memory_bytes), "estimated"],
        ["processor time", duration(cost.processor_s * 1e9), "estimated, all threads together"],
        *(
            [name.replace("_", " "), f"{value:.3g} s", "measured here"]
            for name, value in cost.measured.items()
        ),
    ]
    yield Table(["", "", ""], rows, right=(1,))
    for assumed in cost.assumed:
        yield Words(assumed)


def _messages(one: Assessment) -> Iterator[Block]:
    rows = [[name, count(messages)] for name, messages in one.messages.items()]
    yield Table(["messages", "count"], rows, right=(1,))
    if one.refused:
        refused = [[reason, count(times)] for reason, times in one.refused_reasons.items()]
        yield Table(["could not be read", "count"], refused, right=(1,))
