"""A plot as SVG text: the axes and marks that all kinds of plot share; the same input, the same bytes."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from rlx_datapipe.report.palette import LIGHT, variables

WIDTH, HEIGHT = 460, 240
WIDE = 980
"""A plot for the whole width of a large screen."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 12, 40
_LETTER = 8
"""Room that a letter of a label takes, on a phone too, where they are larger."""

STYLE = (
    ".plot{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,'Segoe UI',sans-serif}"
    ".plot text{fill:var(--soft)}.plot .strong{fill:var(--ink)}.plot .grid{stroke:var(--grid);stroke-width:1}"
    ".plot .axis{stroke:var(--line);stroke-width:1}.plot .rule{stroke:var(--soft);stroke-dasharray:4 3}"
    + "".join(
        f".plot .f-{name}{{fill:var(--{name})}}.plot .s-{name}{{stroke:var(--{name});fill:none}}"
        for name in ("c1", "c2", "c3", "c4", "c5", "c6", "good", "warn", "bad", "note")
    )
)
"""What colours and letters plots have, in a page or alone."""


@dataclass
class Canvas:
    """Collects the marks of one plot; places are given in shares of the drawing area, 0 to 1, y upwards.

    Parameters
    ----------
    label
        What the plot shows, for those who don't see it.
    width, height
        In units of the drawing, about pixels.
    left, right, bottom, top
        Room around the drawing area, for labels.
    """

    label: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    bottom: int = _BOTTOM
    right: int = _RIGHT
    top: int = _TOP
    _marks: list[str] = field(default_factory=list)

    def x(self, share: float) -> float:
        """Where a share of the width lies."""
        return self.left + share * (self.width - self.left - self.right)

    def y(self, share: float) -> float:
        """Where a share of the height lies; 0 is the bottom."""
        return self.height - self.bottom - share * (self.height - self.bottom - self.top)

    def bar(
        self, at: tuple[float, float], up: tuple[float, float], colour: str, told: str, dim: float = 1.0
    ) -> None:
        """A rectangle between shares of the width and of the height; ``told`` is shown over it."""
        (left, right), (low, high) = map(self.x, at), map(self.y, up)
        faint = "" if dim >= 1 else f' fill-opacity="{_n(dim, 2)}"'
        self._marks.append(
            f'<rect class="f-{colour}" x="{_n(left)}" y="{_n(high)}" width="{_n(max(right - left, 0.4))}" '
            f'height="{_n(max(low - high, 0))}"{faint}>{_title(told)}</rect>'
        )

    def line(self, points: Sequence[tuple[float, float]], colour: str, thick: float = 1.6) -> None:
        """A line through points."""
        if len(points) == 1:
            self.dot(*points[0], colour, "", 1.8)
            return
        path = "L".join(f"{_n(self.x(x))} {_n(self.y(y))}" for x, y in points)
        self._marks.append(
            f'<path class="s-{colour}" d="M{path}" stroke-width="{_n(thick)}" stroke-linejoin="round"/>'
        )

    def area(self, points: Sequence[tuple[float, float]], colour: str, dim: float = 0.18) -> None:
        """A filled shape through points."""
        path = "L".join(f"{_n(self.x(x))} {_n(self.y(y))}" for x, y in points)
        self._marks.append(f'<path class="f-{colour}" d="M{path}Z" fill-opacity="{_n(dim, 2)}"/>')

    def dot(self, x: float, y: float, colour: str, told: str, radius: float = 2.4) -> None:
        """A point."""
        self._marks.append(
            f'<circle class="f-{colour}" cx="{_n(self.x(x))}" cy="{_n(self.y(y))}" r="{_n(radius)}">'
            f"{_title(told)}</circle>"
        )

    def dots(self, points: Sequence[tuple[float, float]], colour: str, thick: float = 5.0) -> None:
        """Many points as one mark."""
        path = "".join(f"M{_n(self.x(x))} {_n(self.y(y))}h0" for x, y in points)
        self._marks.append(
            f'<path class="s-{colour}" d="{path}" stroke-width="{_n(thick)}" stroke-linecap="round"/>'
        )

    def picture(self, png: bytes) -> None:
        """A picture over the whole drawing area, its cells with sharp edges."""
        place = (self.x(0), self.y(1), self.x(1) - self.x(0), self.y(0) - self.y(1))
        x, y, width, height = map(_n, place)
        self._marks.append(
            f'<image x="{x}" y="{y}" width="{width}" height="{height}" preserveAspectRatio="none" '
            f'style="image-rendering:pixelated" href="data:image/png;base64,{b64encode(png).decode()}"/>'
        )

    def patch(self, x: float, wide: float, colour: str, dim: float) -> None:
        """A small patch of a key above the drawing area."""
        place = (self.x(x), self.x(x + wide) - self.x(x))
        at, width = map(_n, place)
        self._marks.append(
            f'<rect x="{at}" y="6" width="{width}" height="11" fill="{colour}" fill-opacity="{_n(dim, 2)}"/>'
        )

    def rule(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A dashed line of reference."""
        self._stroke("rule", self.x(start[0]), self.y(start[1]), self.x(end[0]), self.y(end[1]))

    def across(self, ticks: Sequence[tuple[float, str]], label: str = "") -> None:
        """The axis at the bottom: rising shares of the width, labelled where there is room."""
        bottom, taken = self.y(0), -1e9
        self._stroke("axis", self.x(0), bottom, self.x(1), bottom)
        for share, text in ticks:
            at, wide = self.x(share), len(text) * _LETTER
            self._stroke("axis", at, bottom, at, bottom + 4)
            anchor = "start" if share < 0.04 else "end" if share > 0.96 else "middle"
            begin = at - wide * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
            if begin > taken:
                self.text(at, bottom + 17, text, anchor)
                taken = begin + wide + _LETTER
        if label:
            self.text(self.x(0.5), bottom + 33, label, "middle")

    def up(self, ticks: Sequence[tuple[float, str]]) -> None:
        """The axis on the left: shares of the height with their labels, and lines across."""
        for share, text in ticks:
            self._stroke("grid", self.x(0), self.y(share), self.x(1), self.y(share))
            self.text(self.left - 6, self.y(share) + 4, text, "end")

    def text(self, x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> None:
        """Words at a place of the drawing itself."""
        name = f' class="{kind}"' if kind else ""
        self._marks.append(
            f'<text{name} x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def svg(self) -> str:
        """The plot, to stand in a page that has `STYLE` and the palette."""
        head = (
            f'<svg class="plot" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'xmlns="http://www.w3.org/2000/svg" aria-label={quoteattr(self.label)}>'
        )
        return head + "".join(self._marks) + "</svg>"

    def _stroke(self, kind: str, *ends: float) -> None:
        x1, y1, x2, y2 = map(_n, ends)
        self._marks.append(f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>')


def alone(svg: str) -> str:
    """A plot as a file of its own, with colours for light and dark, on a card."""
    head, rest = svg.split(">", 1)
    card = '<rect width="100%" height="100%" rx="8" style="fill:var(--card)"/>'
    return f"{head}><style>{variables()}{STYLE}</style>{card}{rest}\n"


def printed(svg: str) -> str:
    """A plot for paper: the colours for light, written out for readers of SVG that know no variables."""
    head, rest = svg.split(">", 1)
    style = re.sub(r"var\(--(\w+)\)", lambda found: LIGHT[found[1]], STYLE)
    return f"{head}><style>{style}</style>{rest}"


def _title(told: str) -> str:
    return f"<title>{escape(told)}</title>" if told else ""


def _n(value: float, digits: int = 1) -> str:
    """A number in few digits, the same everywhere."""
    text = f"{value:.{digits}f}"
    return "0" if not text.strip("-0.") else text.removesuffix(".0")
