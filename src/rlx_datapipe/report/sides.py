"""Plots that hold one sample against another, and a value against what it may be at most."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlx_datapipe.report.drawing import WIDTH, Canvas
from rlx_datapipe.report.figures import Format, even_ticks, log_ticks, share, short
from rlx_datapipe.report.palette import COLOURS

_TICKS = 5
_BAR_WIDTH, _BAR_HEIGHT = 210, 22


def two_histograms(
    label: str,
    edges: Sequence[float],
    first: Sequence[float],
    second: Sequence[float],
    told: Format = short,
    *,
    axis: str = "",
    is_log: bool = False,
) -> str:
    """Shares of two samples in the same cells: one as an area, the other as a line over them.

    Cells are equally wide, in the logarithm if ``is_log``.
    """
    canvas = Canvas(label)
    most = max([*first, *second], default=0.0) or 1.0
    canvas.up([(tick / most / 1.05, share(tick)) for tick in even_ticks(0, most, _TICKS)])
    canvas.area(_outline(first, most * 1.05), COLOURS[0], 0.4)
    canvas.line(_outline(second, most * 1.05), COLOURS[1])
    canvas.across(_axis(edges[0], edges[-1], told, is_log=is_log), axis)
    return canvas.svg()


def _outline(shares: Sequence[float], most: float) -> list[tuple[float, float]]:
    """The steps over equally wide cells."""
    step, steps = 1 / len(shares), [(0.0, 0.0)]
    for at, one in enumerate(shares):
        steps += [(at * step, one / most), ((at + 1) * step, one / most)]
    return [*steps, (1.0, 0.0)]


def two_quantiles(
    label: str,
    first: Sequence[float],
    second: Sequence[float],
    told: Format = short,
    *,
    axis: str = "",
    is_log: bool = False,
) -> str:
    """Quantiles of one sample against those of another (Q-Q); on the dashed line both are alike."""
    canvas = Canvas(label)
    low, high = min(*first, *second), max(*first, *second)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    ticks = _axis(low, high, told, is_log=is_log)
    canvas.up(ticks)
    canvas.rule((0, 0), (1, 1))
    points = [
        (_place(one, low, high, is_log=is_log), _place(other, low, high, is_log=is_log))
        for one, other in zip(first, second, strict=True)
    ]
    canvas.dots(points, COLOURS[0])
    canvas.across(ticks, axis)
    return canvas.svg()


def margin_bar(
    value: float | None,
    low: float | None,
    high: float | None,
    floor: float | None,
    margin: float | None,
    state: str,
) -> str:
    """A value with its interval against its margin, small, without letters; empty without a value or margin.

    The margin lies in the middle, whatever it is; x times the margin lies at x / (1 + x) of the width, so
    that nothing is cut off. The noise floor is the shaded band from the left. ``state`` is a colour's name.
    """
    if value is None or margin is None:
        return ""
    canvas = Canvas(
        f"{short(value)} of {short(margin)} at most",
        _BAR_WIDTH,
        _BAR_HEIGHT,
        left=4,
        right=4,
        bottom=2,
        top=2,
    )
    canvas.bar((0, 1), (0.42, 0.58), "c6", "", 0.16)
    if floor is not None:
        canvas.bar((0, _saturated(floor, margin)), (0.22, 0.78), "c6", "noise floor", 0.28)
    if low is not None and high is not None:
        canvas.bar((_saturated(low, margin), _saturated(high, margin)), (0.36, 0.64), state, "interval", 0.5)
    canvas.bar((0.4955, 0.5045), (0.02, 0.98), "note", "margin")
    canvas.dot(_saturated(value, margin), 0.5, state, f"{short(value)}, margin {short(margin)}", 4.2)
    return canvas.svg()


def margin_gauge(
    label: str,
    value: float,
    low: float | None,
    high: float | None,
    floor: float | None,
    margin: float | None,
    width: int = WIDTH,
) -> str:
    """A value with its interval, the noise floor as a band, and the margin as a line, on an even axis."""
    canvas = Canvas(label, width, 92, left=14, bottom=26, top=24)
    given = [one for one in (value, low, high, floor, margin) if one is not None and math.isfinite(one)]
    least = min(0.0, *given)
    most = max(given) * 1.12 if max(given) > 0 else 1.0
    span = most - least

    def at(number: float) -> float:
        """Share of the width."""
        return min(1.0, (number - least) / span)

    if floor is not None and math.isfinite(floor):
        canvas.bar((at(0), at(floor)), (0, 0.72), "c6", f"noise floor {short(floor)}", 0.22)
        if at(floor) > 0.22:
            canvas.text(canvas.x(at(floor)) - 5, canvas.y(0.1), "noise floor", "end")
    if low is not None and high is not None:
        canvas.bar((at(low), at(high)), (0.3, 0.48), COLOURS[1], f"{short(low)} to {short(high)}", 0.4)
    if margin is not None and math.isfinite(margin):
        canvas.line([(at(margin), 0), (at(margin), 0.95)], "note", 2)
        anchor = "end" if at(margin) > 0.75 else "start" if at(margin) < 0.25 else "middle"
        canvas.text(canvas.x(at(margin)), 14, f"margin {short(margin)}", anchor, "strong")
    canvas.dot(at(value), 0.39, COLOURS[1], short(value), 5.5)
    canvas.across([(at(tick), short(tick)) for tick in even_ticks(least, most, 6 if width == WIDTH else 10)])
    return canvas.svg()


def spark(values: Sequence[float | None], limit: float | None = None) -> str:
    """A line without letters from the first run to the last; ``limit`` is dashed, a gap stays a gap."""
    given = [value for value in values if value is not None]
    if not given:
        return ""
    low, high = min([*given, limit or 0.0]), max([*given, limit or 0.0])
    span = (high - low) or 1.0
    canvas = Canvas(
        f"from {short(given[0])} to {short(given[-1])}", _BAR_WIDTH, 30, left=5, right=5, bottom=4, top=4
    )
    if limit is not None:
        canvas.rule((0, (limit - low) / span), (1, (limit - low) / span))
    step = 1 / max(len(values) - 1, 1)
    stretch: list[tuple[float, float]] = []
    for at, value in enumerate([*values, None]):
        if value is not None:
            stretch.append((at * step, (value - low) / span))
        elif stretch:
            canvas.line(stretch, COLOURS[0])
            stretch = []
    last = max(at for at, value in enumerate(values) if value is not None)
    canvas.dot(last * step, ((values[last] or 0.0) - low) / span, COLOURS[0], short(given[-1]), 3)
    return canvas.svg()


def _saturated(value: float, margin: float) -> float:
    """Place of a value, 0 to 1: the margin in the middle, infinity at the end."""
    if value <= 0:
        return 0.0
    if margin <= 0 or not math.isfinite(value):
        return 1.0
    return 1.0 if math.isinf(value / margin) else value / margin / (1 + value / margin)


def _place(value: float, low: float, high: float, *, is_log: bool) -> float:
    if is_log:
        value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
    return (value - low) / (high - low)


def _axis(low: float, high: float, told: Format, *, is_log: bool) -> list[tuple[float, str]]:
    """Ticks of an axis with their labels."""
    ticks = log_ticks(low, high) if is_log else even_ticks(low, high, _TICKS)
    return [(_place(tick, low, high, is_log=is_log), told(tick)) for tick in ticks]


def share_bar(label: str, parts: Sequence[tuple[int, str]]) -> str:
    """Parts of a whole side by side, without letters: counts with the name of a colour."""
    canvas = Canvas(label, _BAR_WIDTH, _BAR_HEIGHT, left=4, right=4, bottom=6, top=6)
    whole, at = sum(count for count, _ in parts) or 1, 0
    for count, colour in parts:
        if count:
            canvas.bar((at / whole, (at + count) / whole - 0.008), (0, 1), colour, "")
            at += count
    return canvas.svg()


def trend(
    label: str,
    names: Sequence[str],
    values: Sequence[float | None],
    colours: Sequence[str],
    told: Format = short,
    *,
    full: float | None = None,
    width: int = WIDTH,
) -> str:
    """One value after the other, evenly spaced, from nothing to ``full`` or the greatest, each with a dot."""
    canvas = Canvas(label, width)
    most = full or max([value for value in values if value is not None], default=1.0) or 1.0
    canvas.up([(tick / most / 1.05, told(tick)) for tick in even_ticks(0, most, _TICKS)])
    step = 1 / max(len(values), 1)
    points = [
        ((at + 0.5) * step, value / most / 1.05) for at, value in enumerate(values) if value is not None
    ]
    if points:
        canvas.line(points, "c6")
    for at, (name, value, colour) in enumerate(zip(names, values, colours, strict=True)):
        if value is not None:
            canvas.dot((at + 0.5) * step, value / most / 1.05, colour, f"{name}: {told(value)}", 4)
    canvas.across([((at + 0.5) * step, name) for at, name in enumerate(names)])
    return canvas.svg()
