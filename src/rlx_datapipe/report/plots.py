"""Plots by what they show: a distribution, values over time, parts of a whole, two samples side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rlx_datapipe.report.drawing import HEIGHT, WIDTH, Canvas
from rlx_datapipe.report.figures import Format, even_ticks, short, time_ticks
from rlx_datapipe.report.palette import COLOURS

_TICKS = 5


@dataclass(frozen=True)
class Series:
    """Values with a name, None where there is none; ``low`` and ``high`` are a band around them."""

    name: str
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


def histogram(label: str, bars: Sequence[tuple[float, float, int]], told: Format, axis: str = "") -> str:
    """A distribution: each bar from its least value to the one behind its last, with a count.

    All bars are equally wide, whatever their values: with bins that grow, this is a logarithmic axis.
    """
    canvas = Canvas(label)
    most = max((count for *_, count in bars), default=0)
    _count_axis(canvas, most)
    step = 1 / max(len(bars), 1)
    for at, (low, high, count) in enumerate(bars):
        gap = step * 0.06
        where = f"{told(low)} to {told(high)}: {count:,}"
        canvas.bar((at * step + gap, (at + 1) * step - gap), (0, count / max(most, 1)), "c1", where)
    # Labels need room: as many edges as fit, evenly spread.
    every = max(1, math.ceil(len(bars) / _TICKS))
    shown = [at for at in range(0, len(bars), every) if at * step <= 0.9]
    texts = _distinct([bars[at][0] for at in shown], told)
    canvas.across([(at * step, text) for at, text in zip(shown, texts, strict=True)], axis)
    return canvas.svg()


def over_time(
    label: str,
    times: Sequence[int],
    series: Sequence[Series],
    told: Format = short,
    *,
    from_zero: bool = True,
    width: int = WIDTH,
    axis: str = "UTC",
    band: tuple[float, float] | None = None,
) -> str:
    """Lines over time (ns UTC), each broken where it has no value; ``band`` is a range of values behind."""
    canvas = Canvas(label, width)
    lines = [(x, y) for one in series for part in (one.values, one.low, one.high) for x, y in enumerate(part)]
    given = [value for _, value in lines if value is not None]
    low, high = _range([*given, *(band or ())], from_zero=from_zero)
    canvas.up(_labelled(even_ticks(low, high, _TICKS), low, high, told))
    if band:
        least, most = ((one - low) / (high - low) for one in band)
        canvas.area([(0, least), (1, least), (1, most), (0, most)], COLOURS[0])
    begin, end = (times[0], times[-1]) if times else (0, 1)
    span = max(end - begin, 1)

    def placed(values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
        """The points of each unbroken stretch."""
        stretches: list[list[tuple[float, float]]] = [[]]
        for time, value in zip(times, values, strict=False):
            if value is None:
                stretches.append([])
            else:
                stretches[-1].append(((time - begin) / span, (value - low) / (high - low)))
        return [stretch for stretch in stretches if stretch]

    for one, colour in zip(series, COLOURS, strict=False):
        for bottom, top in zip(placed(one.low), placed(one.high), strict=False):
            canvas.area([*bottom, *reversed(top)], colour)
        for stretch in placed(one.values):
            if from_zero and len(series) == 1 and len(stretch) > 1:
                canvas.area([(stretch[0][0], 0), *stretch, (stretch[-1][0], 0)], colour)
            # Golden under what is held against it: where both are equal, both are seen.
            canvas.line(stretch, colour, 3.2 if band and one is series[0] else 1.6)
    ticks = time_ticks(begin, end, 6 if width == WIDTH else 12)
    canvas.across([((at - begin) / span, text) for at, text in ticks], axis)
    return canvas.svg()


def columns(
    label: str, names: Sequence[str], series: Sequence[Series], axis: str = "", width: int = WIDTH
) -> str:
    """Parts of a whole, stacked, for each name."""
    canvas = Canvas(label, width)
    totals = [sum(one.values[at] or 0 for one in series) for at in range(len(names))]
    most = max(totals, default=0)
    _count_axis(canvas, most)
    step = 1 / max(len(names), 1)
    for at, name in enumerate(names):
        up = 0.0
        for one, colour in zip(series, COLOURS, strict=False):
            value = one.values[at] or 0
            top = up + value / max(most, 1)
            if value:
                gap = step * 0.08
                told = f"{name}, {one.name}: {value:,}"
                canvas.bar((at * step + gap, (at + 1) * step - gap), (up, top), colour, told)
            up = top
    every = max(1, math.ceil(len(names) * 70 / width))
    canvas.across([((at + 0.5) * step, names[at]) for at in range(0, len(names), every)], axis)
    return canvas.svg()


def bars(label: str, rows: Sequence[tuple[str, float]], told: Format = short, colour: str = "c1") -> str:
    """One bar for each name, from the left."""
    canvas = Canvas(label, height=28 * len(rows) + 16, left=130, bottom=8)
    most = max((value for _, value in rows), default=0) or 1
    step = 1 / max(len(rows), 1)
    for at, (name, value) in enumerate(rows):
        top = 1 - at * step
        canvas.bar(
            (0, 0.82 * value / most), (top - step * 0.85, top - step * 0.15), colour, f"{name}: {told(value)}"
        )
        canvas.text(122, canvas.y(top - step / 2) + 4, name, "end", "strong")
        canvas.text(canvas.x(0.82 * value / most) + 6, canvas.y(top - step / 2) + 4, told(value))
    return canvas.svg()


def heat_map(
    label: str,
    rows: Sequence[str],
    names: Sequence[str],
    values: Sequence[Sequence[float | None]],
    told: Format = short,
) -> str:
    """A value for each row and name, as strength of one colour; a cell without a value stays empty."""
    canvas = Canvas(label, height=max(HEIGHT // 2, 22 * len(rows) + 52), left=90)
    given = [abs(value) for row in values for value in row if value is not None]
    most = max(given, default=0) or 1
    wide, high = 1 / max(len(names), 1), 1 / max(len(rows), 1)
    for down, (row, cells) in enumerate(zip(rows, values, strict=True)):
        top = 1 - down * high
        canvas.text(84, canvas.y(top - high / 2) + 4, row, "end")
        for at, value in enumerate(cells):
            if value is None:
                continue
            colour = "c1" if value >= 0 else "c2"
            canvas.bar(
                (at * wide + wide * 0.03, (at + 1) * wide - wide * 0.03),
                (top - high * 0.95, top - high * 0.05),
                colour,
                f"{row}, {names[at]}: {told(value)}",
                0.06 + 0.94 * abs(value) / most,
            )
    every = max(1, math.ceil(len(names) / 8))
    canvas.across([((at + 0.5) * wide, names[at]) for at in range(0, len(names), every)])
    return canvas.svg()


def quantiles(
    label: str, points: Sequence[tuple[float, float]], told: Format = short, axis: str = "", band: float = 0.0
) -> str:
    """Quantiles of one sample against those of another (Q-Q); on the dashed line both are alike.

    ``band`` is drawn around the line: a difference as a share of the range that is no difference.
    """
    canvas = Canvas(label, WIDTH, WIDTH * 3 // 4)
    both = [value for point in points for value in point]
    low, high = _range(both, from_zero=False)
    if band:
        canvas.area([(0, 0), (0, band), (1 - band, 1), (1, 1), (1, 1 - band), (band, 0)], "c6", 0.15)
    ticks = _labelled(even_ticks(low, high, _TICKS), low, high, told)
    canvas.up(ticks)
    canvas.rule((0, 0), (1, 1))
    for one, other in points:
        where = ((one - low) / (high - low), (other - low) / (high - low))
        canvas.dot(*where, "c1", f"{told(one)} against {told(other)}")
    canvas.across(ticks, axis)
    return canvas.svg()


def legend(series: Sequence[Series | str]) -> list[tuple[str, str]]:
    """Names of series with their colours, for the caption of a plot."""
    names = [one.name if isinstance(one, Series) else one for one in series]
    return list(zip(names, COLOURS, strict=False))


def _labelled(ticks: Sequence[float], low: float, high: float, told: Format) -> list[tuple[float, str]]:
    """Ticks with labels that differ, as shares of the axis."""
    return [
        ((tick - low) / (high - low), text) for tick, text in zip(ticks, _distinct(ticks, told), strict=True)
    ]


def _distinct(values: Sequence[float], told: Format) -> list[str]:
    """Rising values as labels that differ: where they would not, as what is added to the first one."""
    texts = [told(value) for value in values]
    if len(set(texts)) < len(texts):
        texts = [texts[0], *(f"+{told(value - values[0])}" for value in values[1:])]
    return texts


def _count_axis(canvas: Canvas, most: float) -> None:
    ticks = [tick for tick in even_ticks(0, max(most, 1), _TICKS) if tick == int(tick)]
    canvas.up([(tick / max(most, 1), short(tick)) for tick in ticks])


def _range(given: Sequence[float], *, from_zero: bool) -> tuple[float, float]:
    """From the least to the largest value, with some air; from zero on if asked for."""
    low, high = min(given, default=0.0), max(given, default=1.0)
    if from_zero:
        low = min(low, 0.0)
    air = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return (low if from_zero and low == 0 else low - air), high + air
