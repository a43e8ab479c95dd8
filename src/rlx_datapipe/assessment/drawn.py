"""The plots of an assessment: rates, clocks, steps of ids, windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlx_datapipe.assessment.result import Assessment, Bars, Contiguity, RateReport
from rlx_datapipe.report.drawing import WIDE, WIDTH
from rlx_datapipe.report.figures import Format, duration, short
from rlx_datapipe.report.page import Figure
from rlx_datapipe.report.plots import Series, columns, histogram, legend, over_time

_NS_PER_HOUR, _NS_PER_DAY = 3_600_000_000_000, 86_400_000_000_000


def rate_figures(rate: RateReport) -> list[Figure]:
    """Events a second over time, and by hour of the day where there is more than a few hours."""
    width_s = rate.width_ns / 1e9
    changes = (
        ("book changes", rate.delta_rows) if any(rate.delta_rows) else ("snapshot rows", rate.snapshot_rows)
    )
    series = [
        Series(name, [rows / width_s for rows in counts])
        for name, counts in (changes, ("trades", rate.trades))
    ]
    figures = []
    if len(rate.trades) > 1:
        figures.append(
            _wide(
                "Events a second",
                lambda width: over_time("Events a second over time", _times(rate), series, width=width),
                legend(series),
                f"Rows of each kind, in stretches of {duration(rate.width_ns)}.",
            )
        )
    if len({hour // _NS_PER_HOUR % 24 for hour, *_ in rate.hours}) > 3:
        figures.append(_by_hour(rate))
    return figures


def _by_hour(rate: RateReport) -> Figure:
    days = len({hour // _NS_PER_DAY for hour, *_ in rate.hours})
    sums = [[0, 0] for _ in range(24)]
    for hour, trades, _, deltas in rate.hours:
        of_day = hour // _NS_PER_HOUR % 24
        sums[of_day][0] += deltas
        sums[of_day][1] += trades
    kinds = ("book changes", "trades")
    series = [Series(name, [round(row[at] / days) for row in sums]) for at, name in enumerate(kinds)]
    names = [f"{hour:02d}" for hour in range(24)]
    return _wide(
        "By hour of the day",
        lambda width: columns("Events by hour of the day", names, series, "hour of the day, UTC", width),
        legend(series),
        f"Rows an hour, the mean over {days} day{'s' * (days > 1)}.",
    )


def clock_figures(one: Assessment) -> list[Figure]:
    """The distribution of lags, and their floor over time."""
    figures = [
        Figure(
            f"Lag of {name}",
            histogram(
                f"Distribution of the lag of {name}",
                clock.lag_bars,
                duration,
                "receive time minus origin time",
            ),
            meaning="Below nought the recorder's clock is behind the venue's; the shape is that of the way. "
            "The outermost bars hold all that lies beyond.",
        )
        for name, clock in one.clocks.items()
        if name != "snapshots" and len(clock.lag_bars) > 1
    ]
    floor = Series("least lag", one.rate.least_lag_ns)
    if sum(lag is not None for lag in floor.values) > 1:
        figures.append(
            _wide(
                "Least lag",
                lambda width: over_time(
                    "Least lag over time", _times(one.rate), [floor], duration, from_zero=False, width=width
                ),
                meaning="The floor of the lag: where it moves, the two clocks move against each other.",
            )
        )
    return figures


def feed_figures(one: Assessment) -> list[Figure]:
    """Steps of ids and of time from message to message."""
    figures = []
    for name, feed in (("depth", one.depth), ("trades", one.trades)):
        if feed.contiguity is Contiguity.ABSENT:
            continue
        figures += _spread(
            f"Ids from message to message, {name}", feed.id_bars, short, "id minus the id before"
        )
        figures += _spread(f"Time from message to message, {name}", feed.time_bars, duration, "origin time")
    return figures


def window_figures(one: Assessment) -> list[Figure]:
    """What lies between two looks."""
    loss, axis = one.loss, "from one look to the next"
    return [
        *_spread("Book changes between two looks", loss.change_bars, short, f"changes {axis}"),
        *_spread("Trades between two looks", loss.trade_bars, short, f"trades {axis}"),
    ]


def _spread(title: str, bars: Bars, told: Format, axis: str) -> list[Figure]:
    """A distribution; nothing where all values are one."""
    return [Figure(title, histogram(title, bars, told, axis))] if len(bars) > 1 else []


def _wide(
    title: str, drawn: Callable[[int], str], legend: Sequence[tuple[str, str]] = (), meaning: str = ""
) -> Figure:
    return Figure(title, drawn(WIDTH), legend, meaning, drawn(WIDE))


def _times(rate: RateReport) -> list[int]:
    return [rate.begins + at * rate.width_ns for at in range(len(rate.trades))]
