"""`rlx bench reconstruct`: whole runs with everything on, beside the floor of the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.ingestion.archives import LAKE
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, middle
from rlx_datapipe.pipeline.bench.floor import measure_floor
from rlx_datapipe.pipeline.bench.profile import profile
from rlx_datapipe.pipeline.bench.workbench import Workbench

ROWS = 2_000_000
_EVENTS_PER_S, _MESSAGES_PER_S = 5_000_000, 500_000
_FLOOR_SHARE = 0.75
_PEAK_BYTES = 1_000_000_000


def measure(bench: Workbench) -> Measured:
    """Measure `rlx reconstruct`: events and messages a second, from files to committed tables.

    Every feature is on: checkpoints, commits, syncs, digests. Each run is a process of its own whose kernels
    are compiled; the clock runs from the look at the source to the last commit. After each run the floor is
    measured on its files: the same columns read by pyarrow and the same rows written with the same writer
    settings, on as many threads as the run keeps busy, with nothing in between (`measure_floor` says it in
    full). The ratio is the speed of the run by that of the floor.

    Input: an archive in the layout of Crypto Lake (a second of market has 2,260 rows in 305 messages, 100
    trades and 10 snapshots; 2,000 levels a side, 70 % of the rows within 20 ticks of the touch, 23 %
    deletions), and a zstd capture of the simulated Binance market; or your own files (--source).
    """
    source = bench.options.source
    sources = [source] if source is not None else [bench.archive(bench.rows(ROWS)), bench.capture]
    told: dict[str, Any] = {}
    figures: list[Figure] = []
    for path in sources:
        kind, one = _measure(bench, path)
        told = {**one, **told, kind: one}
        figures += _figures(kind, one)
    return Measured(figures, told)


def _measure(bench: Workbench, path: Path) -> tuple[str, dict[str, Any]]:
    """Runs over one source; whether it is an archive or a capture, and what they came to."""
    settings = Settings()
    source = only_source(path, settings)
    runs, floors = [], []
    for _ in range(bench.options.repeats):
        run = bench.run(path, settings)
        bench.on_step("floor of the same files")
        floors.append(measure_floor(source, Path(run["out"]), settings, bench.new_folder("floor")))
        runs.append(run)
        bench.clear(run)
    pairs = list(zip(runs, floors, strict=True))
    walls = sorted(run["wall_s"] for run in runs)
    typical = next(run for run in runs if run["wall_s"] == walls[len(walls) // 2])
    kind = "archive" if source.format == LAKE else "capture"
    return kind, {
        "events": typical["events"],
        "messages": typical["messages"],
        "events_per_second": middle(run["events"] / run["wall_s"] for run in runs),
        "messages_per_second": middle(run["messages"] / run["wall_s"] for run in runs),
        "events_per_cpu_second": middle(run["events"] / run["cpu_s"] for run in runs),
        "ratio_to_floor": middle(floor.wall_s / run["wall_s"] for run, floor in pairs),
        "ratio_to_floor_cpu": middle(floor.cpu_s / run["cpu_s"] for run, floor in pairs),
        "peak_rss_bytes": max(run["peak_rss_bytes"] for run in runs),
        "stages": typical["stages"],
        "profile": profile(runs, floors, "events" if kind == "archive" else "messages"),
        "wall_seconds": walls,
        "floor": {
            "threads": floors[0].threads,
            "wall_seconds": sorted(floor.wall_s for floor in floors),
            "cpu_seconds": middle(floor.cpu_s for floor in floors),
            "sync_seconds": middle(floor.sync_s for floor in floors),
            "written_bytes": floors[0].written_bytes,
        },
    }


def _figures(kind: str, told: dict[str, Any]) -> list[Figure]:
    ratio, peak_bytes = told["ratio_to_floor"], told["peak_rss_bytes"]
    if kind == "archive":
        unit, target, figure = "events/s", _EVENTS_PER_S, told["events_per_second"]
    else:
        unit, target, figure = "messages/s", _MESSAGES_PER_S, told["messages_per_second"]
    speed = Figure(
        claim=f"reconstruct, {kind}",
        figure=figure,
        unit=unit,
        target=f"≥ {target:,}",
        is_met=figure >= target,
        ratio=ratio,
        ratio_to="floor",
        detail=told,
    )
    share = Figure(
        claim="reconstruct, of floor",
        figure=100 * ratio,
        unit="%",
        target=f"≥ {100 * _FLOOR_SHARE:.0f}",
        is_met=ratio >= _FLOOR_SHARE,
        detail=told["floor"],
    )
    peak = Figure(
        claim=f"peak memory, {kind}",
        figure=peak_bytes / 1e6,
        unit="MB",
        target="< 1,000",
        is_met=peak_bytes < _PEAK_BYTES,
    )
    # Of a capture nobody has set a share: most of its work is the parser's, which no floor has.
    return [speed, share, peak] if kind == "archive" else [speed, peak]
