"""`rlx bench scale`: time and memory of a run as its input grows tenfold, and tenfold again."""

from __future__ import annotations

import math
from typing import Any

from rlx_datapipe.pipeline.bench.figure import Figure, Measured
from rlx_datapipe.pipeline.bench.workbench import Workbench

_STEEP = 1.05
"""Exponent up to which time counts as linear: 12 % more a row when the input is ten times as long."""
_PEAK_BYTES = 1_000_000_000


def measure(bench: Workbench) -> Measured:
    """Measure runs over archives of rising length: time a row, peak memory, and whether time is linear.

    Time is taken for n to the power of the exponent that is told, fitted between the shortest and the longest
    input; the ratios are those to the shortest one.

    Input: archives as in ``reconstruct`` (--sizes, in rows); 100 million rows take some 4 GB of disk.
    """
    runs: list[tuple[int, dict[str, Any]]] = []
    for rows in sorted(bench.options.sizes):
        source = bench.archive(rows)
        run = bench.run(source)
        bench.clear(run)
        if rows != bench.options.sizes[0]:
            # The short one may be wanted again; nobody has the disk for many of the long ones.
            bench.drop(source)
        runs.append((rows, run))
    (least, short), (most, long) = runs[0], runs[-1]
    exponent, exponent_cpu = (
        math.log(long[clock] / short[clock], most / least) if most > least else 1.0
        for clock in ("wall_s", "cpu_s")
    )
    peak_bytes = max(run["peak_rss_bytes"] for _, run in runs)
    figures = [_figure(rows, run, short) for rows, run in runs]
    figures += [
        Figure(
            claim="scale, exponent",
            figure=exponent,
            unit="",
            target=f"≤ {_STEEP}",
            is_met=exponent <= _STEEP if most > least else None,
            detail={"exponent_of_processor_time": exponent_cpu},
        ),
        Figure(
            claim="scale, peak memory",
            figure=long["peak_rss_bytes"] / 1e6,
            unit="MB",
            target="< 1,000",
            is_met=peak_bytes < _PEAK_BYTES,
            ratio=long["peak_rss_bytes"] / short["peak_rss_bytes"],
            ratio_to="shortest",
        ),
    ]
    sizes = [
        {
            "rows": rows,
            "seconds": run["wall_s"],
            "cpu_seconds": run["cpu_s"],
            "ns_per_row": 1e9 * run["wall_s"] / rows,
            "events": run["events"],
            "peak_rss_bytes": run["peak_rss_bytes"],
        }
        for rows, run in runs
    ]
    return Measured(figures, {"sizes": sizes, "exponent": exponent, "exponent_cpu": exponent_cpu})


def _figure(rows: int, run: dict[str, Any], short: dict[str, Any]) -> Figure:
    each = run["wall_s"] / run["events"]
    return Figure(
        claim=f"scale, {rows / 1e6:g} M rows",
        figure=1e9 * each,
        unit="ns/event",
        ratio=each * short["events"] / short["wall_s"],
        ratio_to="shortest",
        detail={"seconds": run["wall_s"], "events": run["events"], "peak_rss_bytes": run["peak_rss_bytes"]},
    )
