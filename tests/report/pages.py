"""One page that has every kind of block, for the tests of the report."""

from __future__ import annotations

import math

from rlx_datapipe.report.figures import duration, share
from rlx_datapipe.report.page import (
    Figure,
    Figures,
    Page,
    Remark,
    Remarks,
    Section,
    Table,
    Tile,
    Tiles,
    Words,
)
from rlx_datapipe.report.plots import Series, bars, columns, heat_map, histogram, legend, over_time, quantiles

NASTY = "<script>alert('1')</script> & \"x\" | `y` **z**"
"""Text from outside that would like to be markup."""
T0 = 1_723_161_600_000_000_000


def every_plot() -> dict[str, str]:
    """Each kind of plot, by name."""
    spread = [(10**at, 10 ** (at + 1), int(900 * math.exp(-((at - 4) ** 2) / 3))) for at in range(9)]
    times = [T0 + at * 60 * 10**9 for at in range(60)]
    waves = [math.sin(at / 6) + 2 for at in range(60)]
    with_gap = [value if at not in range(20, 26) else None for at, value in enumerate(waves)]
    band = Series("a", with_gap, [v and v - 0.3 for v in with_gap], [v and v + 0.4 for v in with_gap])
    both = [band, Series("b", [value / 2 for value in waves])]
    hours = [f"{hour:02d}" for hour in range(24)]
    parts = [Series("trades", [hour * 10 for hour in range(24)]), Series("changes", [40] * 24)]
    cells = [[math.sin(row + at / 3) for at in range(12)] for row in range(5)]
    cells[2][3] = None  # type: ignore[call-overload]
    return {
        "histogram": histogram("a distribution", spread, duration, "lag"),
        "over time": over_time("two series", times, both),
        "one series": over_time("one series", times, [Series("one", waves)]),
        "columns": columns("by hour", hours, parts, "hour"),
        "bars": bars("shares", [("spot BTC", 0.8), ("a longer name", 0.35), (NASTY[:12], 0.01)], share),
        "heat map": heat_map(
            "a matrix", [f"metric {row}" for row in range(5)], [str(at) for at in range(12)], cells
        ),
        "q-q": quantiles(
            "two samples", [(at / 10, at / 10 + math.sin(at) / 9) for at in range(40)], band=0.05
        ),
    }


def page() -> Page:
    """A page with everything."""
    plots = every_plot()
    figures = [
        Figure(name, svg, legend(["a", "b"]), "What it means.", svg if name == "over time" else "")
        for name, svg in plots.items()
    ]
    return Page(
        title=f"Everything {NASTY}",
        kicker="Test",
        state="warn",
        answer="Usable, but two messages are missing.",
        sections=[
            Section(
                "Figures",
                [
                    Tiles(
                        [Tile("events", "12,345,678", "in an hour"), Tile("gaps", "2", "told below", "warn")]
                    ),
                    Words(NASTY),
                ],
                lead="First what counts.",
            ),
            Section("Plots", [Figures(figures)]),
            Section(
                "Remarks", [Remarks([Remark("bad", "gap", NASTY), Remark("good", "book", "All of it.")])]
            ),
            Section(
                "Table",
                [
                    Table(
                        [f"a long column {at}" for at in range(9)],
                        [[NASTY] * 9, ["1"] * 9],
                        right=(3,),
                        caption="t",
                    )
                ],
                is_folded=True,
            ),
        ],
        foot="The end.",
    )
