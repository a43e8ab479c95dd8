"""Bytes and stretches of time in words, as plans and screens tell them."""

from __future__ import annotations


def size_text(count: float) -> str:
    """Bytes in the unit that leaves one to three digits before the point."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}" if count < 100 * size else f"{count / size:,.0f} {unit}"
    return f"{count:,.0f} B"


def time_text(seconds: float) -> str:
    """A stretch of time in its largest unit, roughly."""
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s" if seconds >= 1 else "under a second"
