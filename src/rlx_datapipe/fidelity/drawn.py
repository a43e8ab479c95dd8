"""The plots of a fidelity report: each metric's own, and one of all of them over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rlx_datapipe.fidelity.plot_data import (
    HEAT_MAX,
    HeatMap,
    Histogram,
    Numbers,
    OverTime,
    Quantiles,
    thinned,
)
from rlx_datapipe.fidelity.result import Header, MetricReport
from rlx_datapipe.fidelity.telling import STATES
from rlx_datapipe.report.drawing import WIDE, WIDTH
from rlx_datapipe.report.figures import time_ticks
from rlx_datapipe.report.page import Figure
from rlx_datapipe.report.picture import heat_picture
from rlx_datapipe.report.plots import Series, legend, over_time
from rlx_datapipe.report.sides import margin_bar, margin_gauge, two_histograms, two_quantiles

SIDES = ("golden", "dataset")
_DEVIATIONS = 2.0
_FULL = 4.0
_ROWS_MAX = 40
_APART = 2
_BAND = "The band is golden's mean and two deviations of its windows."
_POINTS = 160, 300
"""Points of a line on a narrow screen and on a wide one."""


def bar(metric: MetricReport) -> str:
    """The metric in one line of the table of verdicts."""
    state = STATES[metric.verdict]
    return margin_bar(metric.tested, metric.low, metric.high, metric.floor, metric.margin, state or "note")


def gauge(metric: MetricReport) -> list[Figure]:
    """The value in its interval, with floor and margin."""
    if metric.tested is None or metric.margin is None:
        return []

    def drawn(width: int) -> str:
        assert metric.tested is not None  # noqa: S101 (asked above)
        numbers = metric.low, metric.high, metric.floor, metric.margin
        return margin_gauge(f"{metric.name} against its margin", metric.tested, *numbers, width)

    name = "Value" if metric.tested == metric.value else "Mean difference"
    what = f"{name}{f' in {metric.unit}' if metric.unit else ''}, its interval, and what it may be at most"
    return [Figure(what, drawn(WIDTH), wide=drawn(WIDE))]


def metric_figures(metric: MetricReport, header: Header) -> list[Figure]:
    """All there is to draw of a metric."""
    plots = metric.plots
    is_log = plots.histogram is not None and plots.histogram.is_log
    figures = []
    if plots.histogram is not None:
        figures.append(_histogram(plots.histogram))
    if plots.quantiles is not None:
        figures.append(_quantiles(plots.quantiles, is_log=is_log))
    if plots.over_time is not None:
        figures.append(_over_time(plots.over_time, header.window_ns))
    if plots.heat_map is not None:
        figures.append(_heat_map(plots.heat_map))
    return figures


def _histogram(one: Histogram) -> Figure:
    svg = two_histograms(
        "Distribution of both sides", one.edges, one.golden, one.recon, axis=one.axis, is_log=one.is_log
    )
    return Figure("Distribution", svg, legend(SIDES), "The outer cells also hold what lies beyond the axis.")


def _quantiles(one: Quantiles, *, is_log: bool) -> Figure:
    is_log = is_log and min(*one.golden, *one.recon) > 0
    svg = two_quantiles(
        "Quantiles of both sides", one.golden, one.recon, axis="golden; upwards: dataset", is_log=is_log
    )
    return Figure("Quantiles against quantiles", svg, meaning="On the dashed line both sides are alike.")


def _over_time(one: OverTime, window_ns: int) -> Figure:
    """Both sides on one clock, or each from its own beginning where they lie far apart."""
    times, golden, recon = _together(one, window_ns)
    known = [value for value in one.golden if value is not None]
    band = _band(known)
    is_clock = times[0] > 10**15

    def drawn(width: int, step: int) -> str:
        at = times[::step]
        both = [Series(SIDES[0], thinned(golden, step)), Series(SIDES[1], thinned(recon, step))]
        axis = "UTC" if is_clock else ""
        label = "Both sides over time"
        return over_time(label, at, both, from_zero=False, axis=axis, width=width, band=band)

    where = "" if is_clock else " Both begin at the left: they are of different days."
    return Figure(
        "Over time",
        drawn(WIDTH, math.ceil(len(times) / _POINTS[0])),
        legend(SIDES),
        f"{one.told[:1].upper()}{one.told[1:]}. {_BAND}{where}",
        drawn(WIDE, math.ceil(len(times) / _POINTS[1])),
    )


def _together(one: OverTime, window_ns: int) -> tuple[list[int], Numbers, Numbers]:
    """Times of both sides, and the numbers of each at them."""
    begins = [times[0] if times else 0 for times in (one.golden_times, one.recon_times)]
    spans = [times[-1] - times[0] if times else 0 for times in (one.golden_times, one.recon_times)]
    is_apart = abs(begins[0] - begins[1]) > _APART * (max(spans) + window_ns)
    sides = []
    for times, begin in ((one.golden_times, begins[0]), (one.recon_times, begins[1])):
        # Windows lie on a grid, so that windows of both sides meet at one place of it.
        sides.append([round((at - begin) / window_ns) * window_ns for at in times] if is_apart else times)
    every = sorted({*sides[0], *sides[1]})
    golden, recon = (
        dict(zip(times, values, strict=True))
        for times, values in zip(sides, (one.golden, one.recon), strict=True)
    )
    return every or [0], [golden.get(at) for at in every], [recon.get(at) for at in every]


def _band(known: Sequence[float]) -> tuple[float, float] | None:
    if len(known) < 2:
        return None
    mean, deviation = float(np.mean(known)), float(np.std(known, ddof=1))
    return mean - _DEVIATIONS * deviation, mean + _DEVIATIONS * deviation


def _heat_map(one: HeatMap) -> Figure:
    step = max(1, math.ceil(len(one.columns) / 8))
    ticks = [((at + 0.5) / len(one.columns), one.columns[at]) for at in range(0, len(one.columns), step)]
    svg = heat_picture(one.told, one.rows, ticks, one.values, left=_room(one.rows))
    return Figure("Table", svg, meaning=f"{one.told[:1].upper()}{one.told[1:]}.")


def while_replayed(header: Header) -> list[Figure]:
    """What tier 1 saw of both sides by window; nothing where it did not look, or at one window only."""
    seen = [side.replayed for side in (header.golden, header.dataset)]
    if seen[1] is None or len(seen[1].times) < 2:
        return []
    figures = []
    for name, told, meaning in _REPLAYED:
        golden, ours = ([] if one is None else getattr(one, name) for one in seen)
        times = [[] if one is None else one.times for one in seen]
        one = OverTime(told=meaning, golden_times=times[0], golden=golden, recon_times=times[1], recon=ours)
        drawn = _over_time(one, seen[1].window_ns)
        figures.append(replace(drawn, title=told, meaning=f"{meaning}. {_BAND}", wide=""))
    return figures


_REPLAYED = (
    (
        "messages_per_s",
        "Messages a second",
        "Trades and groups of deltas: what the recording lacks is a hole",
    ),
    ("spread_ticks", "Best spread, ticks", "Mean by the time for which it stood"),
    ("touch_depth", "Quantity at the best prices", "Both sides of the book together, mean by time"),
)


def where_and_when(metrics: Sequence[MetricReport], header: Header, most: int = _ROWS_MAX) -> list[Figure]:
    """All metrics over the windows of the dataset: how far each window lies from what golden does."""
    rows = [(one, _departures(one, is_paired=header.is_paired)) for one in metrics]
    shown = [(one, values) for one, values in rows if values][:most]
    if not shown:
        return []
    cells = [_few(values) for _, values in shown]
    if not any(value for row in cells for value in row):  # equal throughout: there is nothing to see
        return []
    plot = max(
        (one.plots.over_time for one, _ in shown if one.plots.over_time), key=lambda p: len(p.recon_times)
    )
    begin, end = plot.recon_times[0], plot.recon_times[-1] + header.window_ns
    names = [one.name for one, _ in shown]

    def drawn(width: int, labels: int) -> str:
        ticks = [((at - begin) / (end - begin), text) for at, text in time_ticks(begin, end, labels)]
        return heat_picture(
            "Departure of each metric in each window",
            names,
            ticks,
            cells,
            lambda v: f"{abs(v):.0f} sd {'below' if v < 0 else 'above'}",
            most=_FULL,
            left=min(_room(names), 150 if width == WIDTH else 190),
            width=width,
        )

    beside = "golden at the same time" if header.is_paired else "the mean of golden"
    meaning = (
        "Each row is a metric, each column a stretch of the dataset. A cell says by how many deviations of "
        f"golden's own windows the dataset lies from {beside}: a column that stands out is a bad stretch, a "
        "row that does is a metric that is off throughout."
    )
    return [Figure("Departure from golden", drawn(WIDTH, 4), (), meaning, drawn(WIDE, 10))]


def _departures(metric: MetricReport, *, is_paired: bool) -> Numbers:
    """Of each window of the dataset, in deviations of the golden windows; empty where that says nothing."""
    plot = metric.plots.over_time
    known = [value for value in plot.golden if value is not None] if plot else []
    if plot is None or len(known) < 2 or not plot.recon_times:
        return []
    mean, deviation = float(np.mean(known)), float(np.std(known, ddof=1))
    beside = plot.golden if is_paired and len(plot.golden) == len(plot.recon) else [mean] * len(plot.recon)
    if not deviation > 0:
        deviation = abs(mean) * 0.01 or 1.0
    return [
        None if value is None or other is None else (value - other) / deviation
        for value, other in zip(plot.recon, beside, strict=True)
    ]


def _few(values: Numbers) -> Numbers:
    """At most so many: of neighbours the farthest departure, so that none is averaged away."""
    step = math.ceil(len(values) / HEAT_MAX)
    parts = (values[at : at + step] for at in range(0, len(values), step))
    return [max((v for v in part if v is not None), key=abs, default=None) for part in parts]


def _room(names: Sequence[str]) -> int:
    """Room for names on the left."""
    return 16 + max((len(name) for name in names), default=0) * 7
