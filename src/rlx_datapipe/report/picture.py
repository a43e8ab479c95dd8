"""A heat map as a small PNG inside a plot: thousands of cells in a few kilobytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from rlx_datapipe.report.drawing import WIDTH, Canvas
from rlx_datapipe.report.figures import Format, short

_POSITIVE, _NEGATIVE = (0x45, 0x87, 0xE6), (0xE0, 0x7B, 0x2C)
"""Between the colours of the light and of the dark palette: one picture serves both."""
_SHADES = 48
_LETTER = 7


def heat_picture(
    label: str,
    rows: Sequence[str],
    columns: Sequence[tuple[float, str]],
    values: Sequence[Sequence[float | None]],
    told: Format = short,
    *,
    most: float | None = None,
    left: int = 54,
    width: int = WIDTH,
) -> str:
    """A value for each row and column as strength of a colour, one above 0, one below; the first row on top.

    Parameters
    ----------
    columns
        Labels below, each with its place as a share of the width.
    values
        One sequence per row; None leaves its cell empty.
    most
        The value of full strength; what lies beyond is told by it too. The greatest one when None.
    left
        Room for the names of rows.
    """
    given = [abs(value) for row in values for value in row if value is not None]
    full = most or max(given, default=0.0) or 1.0
    high = max(6, min(20, 520 // max(len(rows), 1)))
    canvas = Canvas(label, width, high * len(rows) + 66, left=left, bottom=26, top=30)
    canvas.picture(_png([[_shade(value, full) for value in row] for row in values]))
    every = max(1, -(-len(rows) * 13 // (high * len(rows))) if rows else 1)
    for down in range(0, len(rows), every):
        name = (
            rows[down] if len(rows[down]) <= left // _LETTER else f"{rows[down][: left // _LETTER - 1]}\u2026"
        )
        canvas.text(left - 6, canvas.y(1 - (down + 0.5) / len(rows)) + 4, name, "end")
    canvas.across(columns)
    _scale(
        canvas, told(-full) if any(v is not None and v < 0 for row in values for v in row) else "", told(full)
    )
    return canvas.svg()


def _scale(canvas: Canvas, least: str, most: str) -> None:
    """The key above: from the least over nothing to the most."""
    steps = range(-8 if least else 0, 9)
    wide, begin = 0.018, 0.5
    for at, step in enumerate(steps):
        place = begin + at * wide
        canvas.patch(place, wide, _hex(_POSITIVE if step >= 0 else _NEGATIVE), abs(step) / 8)
    canvas.text(canvas.x(begin) - 6, 16, least or "0", "end")
    canvas.text(canvas.x(begin + wide * len(steps)) + 6, 16, most)


def _shade(value: float | None, full: float) -> int:
    """Number of a colour: 0 nothing, then the shades above 0, then those below."""
    if value is None:
        return 0
    strength = round(min(1.0, abs(value) / full) * _SHADES)
    return 0 if strength == 0 else strength + (_SHADES if value < 0 else 0)


def _png(cells: Sequence[Sequence[int]]) -> bytes:
    """A palette picture; its data are stored, not compressed: no library's version shows in the bytes."""
    colours = (0, 0, 0) + _POSITIVE * _SHADES + _NEGATIVE * _SHADES
    alphas = [0, *(round(255 * at / _SHADES) for at in range(1, _SHADES + 1))]
    alphas += alphas[1:]
    raw = b"".join(b"\0" + bytes(row) for row in cells)
    head = struct.pack(">IIBBBBB", len(cells[0]) if cells else 1, max(len(cells), 1), 8, 3, 0, 0, 0)
    data = zlib.compress(raw or b"\0\0", 0)
    chunks = (
        (b"IHDR", head),
        (b"PLTE", bytes(colours)),
        (b"tRNS", bytes(alphas)),
        (b"IDAT", data),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + bytes(colour).hex()
