"""Draw docs/images/market.svg: a minute of the market of docs/market.toml, with its planted episodes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.episode_kinds import KINDS
from rlx_datapipe.simulation.lob.hawkes import Float64Array
from rlx_datapipe.simulation.lob.layout import Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import load_parameters

DOCS = Path(__file__).parent.parent / "docs"
TARGET = DOCS / "images" / "market.svg"
WIDTH, LEFT, RIGHT = 920, 70, 10
PRICE_TOP, PRICE_BOTTOM, RATE_TOP, RATE_BOTTOM = 40, 270, 300, 400
HEIGHT = 440
STEP_NS = 100_000_000
_COLOURS = {
    "spoofing": "#f4c7c3",
    "layering": "#fde3b0",
    "quote_stuffing": "#cfe3c4",
    "momentum_ignition": "#c9d7f0",
    "iceberg": "#ddd0ea",
}


def drawing(rows: Int64Array, market: LobMarket) -> str:
    """Best prices above, order events below, both each 100 ms; episodes shaded."""
    start_ns, end_ns = market.parameters.start_ns, market.parameters.end_ns
    edges = np.arange(start_ns + STEP_NS, end_ns + 1, STEP_NS)
    at = np.searchsorted(rows[:, Column.TIME], edges) - 1
    bids, asks = (rows[at, column] / 100.0 for column in (Column.BID, Column.ASK))
    live = rows[len(market.opening) :, Column.TIME]
    counts = np.histogram(live, bins=np.concatenate([[start_ns], edges]))[0]
    low, high = float(bids.min()), float(asks.max())

    def x(time_ns: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (time_ns - start_ns) / (end_ns - start_ns)

    def line(values: Float64Array, colour: str) -> str:
        scale = (PRICE_BOTTOM - PRICE_TOP) / (high - low)
        points = " ".join(
            f"{x(time_ns):.1f},{PRICE_BOTTOM - (value - low) * scale:.1f}"
            for time_ns, value in zip(edges.tolist(), values.tolist(), strict=True)
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1"/>'

    parts = [_shade(market, x)]
    parts += [line(asks, "#c0392b"), line(bids, "#2471a3")]
    tallest = float(counts.max())
    for time_ns, count in zip(edges.tolist(), counts.tolist(), strict=True):
        height = (RATE_BOTTOM - RATE_TOP) * count / tallest
        parts.append(
            f'<rect x="{x(time_ns - STEP_NS):.1f}" y="{RATE_BOTTOM - height:.1f}" width="1.3" '
            f'height="{height:.1f}" fill="#555555"/>'
        )
    for y, text in (
        (PRICE_TOP + 4, f"{high:,.0f}"),
        (PRICE_BOTTOM, f"{low:,.0f}"),
        (RATE_TOP + 4, f"{tallest * 10:,.0f}/s"),
        (RATE_BOTTOM, "0/s"),
    ):
        parts.append(_text(LEFT - 6, y, text, "end"))
    for second in range(0, market.parameters.duration_s + 1, 10):
        parts.append(_text(x(start_ns + second * 1e9), RATE_BOTTOM + 18, f"{second} s", "middle"))
    parts.append(_text(LEFT, 14, "best ask (red) and best bid (blue); below, order events a second", "start"))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">\n'
        f'<rect x="0" y="0" width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _shade(market: LobMarket, x: Callable[[float], float]) -> str:
    parts = []
    for planted in market.planted:
        name = next(name for name, kind in KINDS.items() if isinstance(planted.episode, kind))
        begin, end = x(planted.start_ns), x(min(planted.end_ns, market.parameters.end_ns))
        parts.append(
            f'<rect x="{begin:.1f}" y="{PRICE_TOP - 8}" width="{end - begin:.1f}" '
            f'height="{RATE_BOTTOM - PRICE_TOP + 8}" fill="{_COLOURS[name]}"/>'
        )
        parts.append(_text((begin + end) / 2, PRICE_TOP - 12, name.replace("_", " "), "middle"))
    return "\n".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#333333">{text}</text>'


def main() -> int:
    """Write the picture; 0."""
    market = LobMarket(load_parameters(DOCS / "market.toml"))
    rows = np.concatenate([market.opening, *market.advance(market.parameters.end_ns)])
    TARGET.write_text(drawing(rows, market), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
