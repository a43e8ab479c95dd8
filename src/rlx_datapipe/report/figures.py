"""Numbers as people read them: counts, shares, lengths of time, sizes, moments, and the ticks of an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

Format = Callable[[float], str]

_NS: Final = (("d", 86_400 * 10**9), ("h", 3_600 * 10**9), ("min", 60 * 10**9))
_SMALL: Final = (("s", 10**9), ("ms", 10**6), ("µs", 10**3), ("ns", 1))
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_DAY_S: Final = 86_400
_DASH: Final = "\u2013"
_MINUS: Final = "\u2212"


def count(value: float | None) -> str:
    """A whole number with thin groups; a dash for None."""
    return _DASH if value is None else f"{round(value):,}"


def short(value: float | None) -> str:
    """A number in a few characters: 1.5k, 20M, 0.03; a dash for None."""
    if value is None:
        return _DASH
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def share(value: float | None) -> str:
    """A share in per cent; what is not nought never looks like it, nor what is not all like all."""
    if value is None or math.isnan(value):
        return _DASH
    if 0 < value < 0.0001:
        return "< 0.01 %"
    if 0.9999 < value < 1:
        return "> 99.99 %"
    return f"{100 * value:.3g} %" if value < 0.1 else f"{100 * value:.1f} %".replace(".0 %", " %")


def p_value(value: float | None) -> str:
    """A p-value: as much of it as means something; a dash for None."""
    if value is None:
        return _DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def duration(ns: float | None) -> str:
    """A length of time given in ns, in the unit that suits it; it may be negative."""
    if ns is None:
        return _DASH
    sign, size = (_MINUS if ns < 0 else ""), abs(ns)
    for unit, whole in _NS:
        if size >= 2 * whole:
            return f"{sign}{size / whole:.3g} {unit}"
    for unit, whole in _SMALL:
        if size >= whole:
            return f"{sign}{size / whole:.3g} {unit}"
    return "0"


def size(size_bytes: float | None) -> str:
    """A size in decimal units."""
    if size_bytes is None:
        return _DASH
    for unit, whole in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= whole:
            return f"{size_bytes / whole:.3g} {unit}"
    return f"{size_bytes:.0f} B"


def moment(ns: int | None) -> str:
    """A moment in UTC to the second."""
    if ns is None:
        return _DASH
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def even_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most so many, in steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [at * step for at in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers above 0 from ``low`` to ``high``, for a logarithmic axis: powers of ten, or finer."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [10.0**at for at in range(first, last + 1) if low <= 10.0**at <= high]
    if len(powers) >= 3:
        return powers[:: math.ceil(len(powers) / most)]
    finer = [factor * 10.0**at for at in range(first, last + 1) for factor in (1, 2, 5)]
    return [tick for tick in finer if low <= tick <= high]


def time_ticks(low_ns: int, high_ns: int, most: int = 6) -> list[tuple[int, str]]:
    """Round moments of UTC between two, ns, each with its label."""
    span_s = max((high_ns - low_ns) / 10**9, 1)
    fitting = (step for step in _STEPS_S if span_s / step <= most)
    step_s = next(fitting, _DAY_S * math.ceil(span_s / _DAY_S / most))
    step_ns = step_s * 10**9
    shape = "%d %b" if step_s >= _DAY_S else "%H:%M" if step_s >= 60 else "%H:%M:%S"
    first = -(-low_ns // step_ns)
    return [
        (at * step_ns, datetime.fromtimestamp(at * step_s, UTC).strftime(shape))
        for at in range(first, high_ns // step_ns + 1)
    ]
