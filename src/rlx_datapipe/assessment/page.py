"""An assessment as a page: the answer first, then what it rests on, with plots."""

from __future__ import annotations

from collections.abc import Sequence

from rlx_datapipe.assessment.result import Assessment, Contiguity, FeedReport, Grade, RateReport
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.report.figures import count, duration, moment, share, short, size
from rlx_datapipe.report.page import (
    Block,
    Figure,
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
from rlx_datapipe.report.plots import Series, columns, histogram, legend, over_time

_STATES: dict[str, State] = {"ready": "good", "usable": "warn", "unfit": "bad"}
_WEIGHTS: dict[Severity, State] = {Severity.GATE: "bad", Severity.WARN: "warn", Severity.NOTE: "note"}
_WHOLE: dict[Contiguity, tuple[str, State]] = {
    Contiguity.PROVEN: ("none", "good"),
    Contiguity.GAPS: ("", "warn"),
    Contiguity.UNKNOWABLE: ("can't be known", "note"),
    Contiguity.ABSENT: ("no such feed", "note"),
}
_HOURS_MAX = 48
_GAPS_MAX = 50


def to_page(one: Assessment) -> Page:
    """The page of one chain."""
    return Page(
        title=f"{one.exchange} {one.symbol}",
        kicker="Assessment",
        state=_STATES[one.grade.value],
        answer=one.verdict,
        sections=[
            Section("At a glance", [Tiles(_tiles(one))], lead=_span(one)),
            Section("Strategy", [Words(f"{reason[0].upper()}{reason[1:]}.") for reason in one.advice.reasons],
                    lead=f"Recommended: {one.advice.strategy.value}."),
            *([Section("Findings", [Remarks(_remarks(one))])] if one.findings else []),
            _rates(one),
            _clocks(one),
            _feeds(one),
            _book(one),
            *([_cost(one)] if one.cost else []),
            _source(one),
        ],
        foot=f"Format {one.format}, {count(one.files)} file{'s' * (one.files > 1)}, {size(one.bytes)}. "
        "All times are UTC. Quantiles are right to three per cent.",
    )  # fmt: skip


def overview(chains: Sequence[Assessment]) -> Page:
    """The page of several chains: a line for each."""
    worst = max(chains, key=lambda one: list(Grade).index(one.grade))
    head = ["", "symbol", "events", "depth gaps", "lost between looks", "strategy", "verdict"]
    rows = [
        [
            one.grade.value,
            f"{one.exchange} {one.symbol}",
            count(sum(one.rows.values())),
            _gaps(one.depth)[0],
            share(one.loss.unseen_share),
            one.advice.strategy.value,
            one.verdict,
        ]
        for one in chains
    ]
    good = sum(one.grade is Grade.READY for one in chains)
    return Page(
        title=f"{len(chains)} symbols",
        kicker="Assessment",
        state=_STATES[worst.grade.value],
        answer=f"{good} of {len(chains)} are ready as they stand.",
        sections=[Section("All of them", [Table(head, rows, right=(2,))])],
    )


def _span(one: Assessment) -> str:
    if one.first_time is None or one.last_time is None:
        return "There is no event in it."
    return (
        f"{moment(one.first_time)} to {moment(one.last_time)} UTC, "
        f"{duration(one.last_time - one.first_time)} of market time."
    )


def _gaps(feed: FeedReport) -> tuple[str, State]:
    told, state = _WHOLE[feed.contiguity]
    return (told or count(feed.gaps)), state


def _tiles(one: Assessment) -> list[Tile]:
    depth, depth_state = _gaps(one.depth)
    trades, trades_state = _gaps(one.trades)
    clocks = one.clocks.get("deltas") or one.clocks.get("trades")
    tiles = [
        Tile("Book changes", count(one.rows["BOOK_DELTA"]), f"in {count(one.depth.messages)} depth messages"),
        Tile("Trades", count(one.rows["TRADE"]), _per_second(one, one.rows["TRADE"])),
        Tile("Snapshots", count(one.book.snapshots), f"the book is {_stated(one)}"),
        Tile("Depth gaps", depth, f"{count(one.depth.proven)} messages proven to follow", depth_state),
        Tile("Trade gaps", trades, f"{count(one.trades.proven)} ids proven to follow", trades_state),
        Tile(
            "Unseen by snapshots",
            share(one.loss.unseen_share),
            f"of book changes, between {'snapshots' if one.book.sampled else 'looks every 100 ms'}",
        ),
    ]
    if clocks:
        tiles.append(Tile("Lag, median", duration(clocks.lag_ns["p50"]), "receive time minus origin time"))
    if one.cost:
        tiles.append(Tile("Memory needed", size(one.cost.memory_bytes), "estimated peak"))
        tiles.append(Tile("Processor time", duration(one.cost.processor_s * 1e9), "estimated, all threads"))
    return tiles


def _stated(one: Assessment) -> str:
    return {"never": "never stated", "anchored": "stated now and then", "sampled": "sampled"}[one.book.stated]


def _per_second(one: Assessment, events: int) -> str:
    if one.first_time is None or one.last_time is None or one.last_time <= one.first_time:
        return ""
    return f"{short(events / ((one.last_time - one.first_time) / 1e9))} a second"


def _remarks(one: Assessment) -> list[Remark]:
    return [
        Remark(_WEIGHTS[f.severity], f.rule.replace("_", " "), f"{f.message[0].upper()}{f.message[1:]}.")
        for f in one.findings
    ]


def _rates(one: Assessment) -> Section:
    rate = one.rate
    times = [rate.begins + at * rate.width_ns for at in range(len(rate.trades))]
    width_s = rate.width_ns / 1e9
    series = [
        Series("book changes", [rows / width_s for rows in rate.delta_rows]),
        Series("trades", [rows / width_s for rows in rate.trades]),
    ]
    if not any(rate.delta_rows):
        series[0] = Series("snapshot rows", [rows / width_s for rows in rate.snapshot_rows])
    plot = over_time("Events a second over time", times, series)
    figures = [
        Figure(
            "Events a second",
            plot,
            legend(series),
            f"Rows of each kind, in stretches of {duration(rate.width_ns)}.",
            is_wide=True,
        )
    ]
    if len(rate.hours) > 1:
        figures.append(_by_hour(rate))
    blocks: list[Block] = [Figures(figures), _hours(rate)]
    return Section("What came when", blocks)


def _by_hour(rate: RateReport) -> Figure:
    """Events by hour of the day, on average over the days."""
    days = max(len({hour // 86_400_000_000_000 for hour, *_ in rate.hours}), 1)
    sums = [[0, 0] for _ in range(24)]
    for hour, trades, _, deltas in rate.hours:
        of_day = hour // 3_600_000_000_000 % 24
        sums[of_day][0] += deltas
        sums[of_day][1] += trades
    series = [
        Series(name, [round(row[at] / days) for row in sums])
        for at, name in enumerate(("book changes", "trades"))
    ]
    names = [f"{hour:02d}" for hour in range(24)]
    plot = columns("Events by hour of the day", names, series, "hour of the day, UTC")
    return Figure(
        "By hour of the day", plot, legend(series), "Rows an hour, the mean over all days.", is_wide=True
    )


def _hours(rate: RateReport) -> Table:
    rows = [
        [moment(hour)[:16], count(trades), count(snapshots), count(deltas)]
        for hour, trades, snapshots, deltas in rate.hours[:_HOURS_MAX]
    ]
    more = f", the first {_HOURS_MAX} of {len(rate.hours):,}" if len(rate.hours) > _HOURS_MAX else ""
    head = ["hour", "trades", "snapshot rows", "book changes"]
    return Table(head, rows, right=(1, 2, 3), caption=f"By hour{more}")


def _clocks(one: Assessment) -> Section:
    head = [
        "messages",
        "count",
        "without time",
        "out of order",
        "ahead of receipt",
        "lag p01",
        "median",
        "p99",
    ]
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
    figures = [
        Figure(
            f"Lag of {name}",
            histogram(
                f"Distribution of the lag of {name}",
                clock.lag_bars,
                duration,
                "receive time minus origin time",
            ),
            meaning="Below nought the recorder's clock is behind the venue's; the shape is the network's.",
        )
        for name, clock in one.clocks.items()
        if name != "snapshots" and clock.lag_bars
    ]
    if any(lag is not None for lag in one.rate.least_lag_ns):
        times = [one.rate.begins + at * one.rate.width_ns for at in range(len(one.rate.least_lag_ns))]
        plot = over_time(
            "Least lag over time",
            times,
            [Series("least lag", one.rate.least_lag_ns)],
            duration,
            from_zero=False,
        )
        meaning = "The floor of the lag: where it moves, the clocks move against each other."
        figures.append(Figure("Least lag", plot, meaning=meaning, is_wide=len(figures) % 2 == 0))
    return Section("Clocks", [Table(head, rows, right=range(1, 8)), Figures(figures)])


def _feeds(one: Assessment) -> Section:
    blocks: list[Block] = []
    figures = []
    for name, feed in (("depth", one.depth), ("trades", one.trades)):
        if feed.contiguity is Contiguity.ABSENT:
            continue
        blocks.append(Words(f"{name.capitalize()}: {feed.statement}."))
        if feed.id_bars:
            plot = histogram(f"Steps of ids, {name}", feed.id_bars, short, "id minus the id before")
            figures.append(Figure(f"Ids from message to message, {name}", plot))
        if feed.time_bars:
            plot = histogram(
                f"Time between messages, {name}",
                feed.time_bars,
                duration,
                "origin time, from message to message",
            )
            figures.append(Figure(f"Time from message to message, {name}", plot))
        if feed.gaps_named:
            blocks.append(_gap_table(name, feed))
    if one.quiet_named:
        rows = [
            [moment(q.from_time), moment(q.to_time), duration(q.to_time - q.from_time)]
            for q in one.quiet_named[:10]
        ]
        blocks.append(
            Table(["from", "to", "nothing for"], rows, right=(2,), caption="Quiet stretches (no gaps)")
        )
    return Section("Ids and gaps", [*blocks, Figures(figures)])


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
    more = f", the first {len(rows)} of {feed.gaps:,}" if feed.gaps > len(rows) else ""
    return Table(
        ["at", "after id", "before id", "ids missing", "time"],
        rows,
        right=(1, 2, 3, 4),
        caption=f"Gaps, {name}{more}",
    )


def _book(one: Assessment) -> Section:
    book, loss = one.book, one.loss
    rows = [
        ["snapshots", count(book.snapshots), f"{duration(book.apart_ns['p50'])} apart at the median"],
        ["levels in a snapshot", f"{count(book.bid_levels['p50'])} + {count(book.ask_levels['p50'])}", "bids and asks, median"],
        ["levels held", f"{book.levels_mean[0]:,.0f} + {book.levels_mean[1]:,.0f}",
         f"mean; at most {count(book.levels_most[0])} + {count(book.levels_most[1])}"],
        ["crossed, locked, one-sided", f"{count(book.crossed)}, {count(book.locked)}, {count(book.one_sided)}", "snapshots"],
        ["met by a delta", count(book.meets), "snapshots with the update id of the last delta: exact drift"],
        ["deletes of unknown levels", share(book.unknown_deletes / book.deletes if book.deletes else None), "normal, where a snapshot stops at some depth"],
    ]  # fmt: skip
    figures = []
    if loss.change_bars:
        plot = histogram(
            "Book changes in a window", loss.change_bars, short, "changes from one look to the next"
        )
        figures.append(Figure("Book changes between two looks", plot))
    if loss.trade_bars:
        plot = histogram("Trades in a window", loss.trade_bars, short, "trades from one look to the next")
        figures.append(Figure("Trades between two looks", plot))
    words = []
    if loss.unseen_share is not None:
        words.append(
            Words(
                f"Who only looks at {loss.looks} never sees {share(loss.unseen_share)} of the {count(loss.changes)} "
                f"book changes: {count(loss.overwritten)} are followed by another change of their level before the "
                f"next look, {count(loss.beyond)} lie deeper than the looks reach."
            )
        )
    return Section("Book", [Table(["", "", ""], rows, right=(1,)), *words, Figures(figures)])


def _cost(one: Assessment) -> Section:
    cost = one.cost
    assert cost is not None  # noqa: S101
    rows = [
        ["peak memory", size(cost.memory_bytes), "estimated"],
        ["processor time", duration(cost.processor_s * 1e9), "estimated, all threads together"],
        *(
            [name.replace("_", " "), f"{value:.3g} s", "measured in this pass"]
            for name, value in cost.measured.items()
        ),
    ]
    return Section(
        "What a reconstruction needs",
        [Table(["", "", ""], rows, right=(1,)), *(Words(text) for text in cost.assumed)],
    )


def _source(one: Assessment) -> Section:
    rows = [[name, count(messages)] for name, messages in one.messages.items()]
    blocks: list[Block] = [Table(["messages", "count"], rows, right=(1,))]
    if one.refused:
        refused = [[reason, count(times)] for reason, times in one.refused_reasons.items()]
        blocks.append(Table(["could not be read", "count"], refused, right=(1,)))
    return Section("Source", blocks, is_folded=True)
