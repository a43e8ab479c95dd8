"""`rlx bench strategies`: what is lost without deltas, by strategy, beside the same archive with them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings, Strategy
from rlx_datapipe.pipeline.bench.figure import Figure, Measured
from rlx_datapipe.pipeline.bench.strategy_errors import (
    STEP_NS,
    course_of,
    errors_of,
    moments_between,
    quoted_in,
    stated_in,
)
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.pipeline.export import export
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.store.manifest import read_manifest
from rlx_datapipe.validation.reading import read_records

CADENCES_MS = (100, 1_000)
_MESSAGES_PER_S = 200
_TABLES: dict[Strategy, tuple[str, ...]] = {
    "full": ("trades", "book", "book_delta_v2"),
    "snapshot": ("trades", "book"),
    "origin_time_sort": ("trades", "book"),
}


def measure(bench: Workbench) -> Measured:
    """Measure how right the book is between snapshots, by strategy, where an archive has no deltas.

    A recording is exported as an archive with 20-level snapshots at two cadences, then reconstructed with its
    deltas (``full``: what the others are held against) and without them. Books are compared every 10 ms, but
    where a snapshot has just come; ``origin_time_sort`` has no book, so its levels are those of the last
    snapshot. Where the recording has the venue's quotes with their times (futures), books are held against
    those too: they come at every change, ahead of the deltas. JSON has more: errors by level, counts of
    events, how trades fit the book, how right the book was when a snapshot came.

    Input: a simulated market with a depth update every 10 ms, of --messages messages, or your own recording
    of one symbol; its own depth updates should come faster than the snapshots.
    """
    recording = bench.options.source or _simulated(bench)
    compared = [_compare(bench, recording, every_ms) for every_ms in CADENCES_MS]
    figures = [figure for one in compared for figure in _figures(one)]
    wrong = [
        f"{one['unmet']} snapshots every {one['snapshots_every_ms']} ms are not what the book became"
        for one in compared
        if one["unmet"]
    ]
    return Measured(figures, {"cadences": compared}, wrong)


def _simulated(bench: Workbench) -> Path:
    count = bench.options.messages
    bench.on_step(f"simulating {count:,} messages of a market")
    path = bench.new_folder("recording") / "capture.zst"
    path.parent.mkdir()
    market = MarketConfig(
        seed=bench.options.seed,
        duration_s=10 + count // _MESSAGES_PER_S,
        orders_per_s=800,
        depth_interval_ms=10,
    )
    write_capture(islice(simulate(market), count), path)
    return path


def _compare(bench: Workbench, recording: Path, every_ms: int) -> dict[str, Any]:
    """All strategies on one archive, and what each came to."""
    archive = bench.new_folder("lake")
    bench.on_step(f"export of {recording.name}, snapshots every {every_ms:,} ms")
    export(recording, archive, settings=Settings(books_every_ms=every_ms))
    told, courses, unmet = {}, {}, 0
    for name, tables in _TABLES.items():
        out = bench.new_folder(name)
        bench.on_step(f"run by {name}")
        settings = Settings(strategy=name, books_every_ms=STEP_NS // 10**6)
        run = reconstruct([archive / table for table in tables], out, settings)
        [summary] = run["chains"]
        [chain] = read_manifest(out).chains
        told[name] = {**_counts(summary), **_fits(out)}
        courses[name] = course_of(out)
        unmet += summary["drift"]["samples"] if name == "snapshot" else 0
    stated = stated_in(archive, chain)
    truth, merged = courses["full"], courses["origin_time_sort"]
    # It has no book: what it knows of any level is what was stated last.
    courses["origin_time_sort"] = type(merged)(merged.times, merged.best, stated.sampled, stated.ladders)
    moments = moments_between([*courses.values(), stated], stated.sampled)
    quoted = bench.new_folder("quoted")
    bench.on_step(f"quotes of {recording.name}")
    reconstruct(recording, quoted, Settings(strategy="full"))
    quotes = quoted_in(quoted, chain.instrument)
    for name, course in courses.items():
        told[name] |= errors_of(course, truth, moments)
        if quotes is not None:
            told[name]["against_quotes"] = errors_of(
                course, quotes, moments_between([*courses.values(), stated, quotes], stated.sampled)
            )
    return {"snapshots_every_ms": every_ms, "snapshots": len(stated.times), "unmet": unmet, "runs": told}


def _counts(summary: dict[str, Any]) -> dict[str, Any]:
    by_type = summary["events_by_type"]
    return {
        "events": summary["events"],
        "trades": by_type["TRADE"],
        "deltas": by_type["BOOK_DELTA"],
        "inferred": summary["quality"].get("inferred", 0),
        "trades_off_book": summary["trades_off_book"],
    }


def _fits(dataset: Path) -> dict[str, float]:
    """How much of what came next fitted the inferred book: trades, and levels of snapshots."""
    [chain] = read_manifest(dataset).chains
    told = {}
    for kind, name in (("trade_mismatch", "trades_filled"), ("inferred", "levels_right_at_snapshots")):
        records = read_records(dataset, chain).of(kind)
        if compared := records.total("levels_compared"):
            told[name] = records.total("levels_matched") / compared
    return told


def _figures(compared: dict[str, Any]) -> list[Figure]:
    every_ms, runs = compared["snapshots_every_ms"], compared["runs"]
    figures = []
    for name in ("snapshot", "origin_time_sort"):
        for truth, run, plain in (
            ("full", runs[name], runs["origin_time_sort"]),
            ("quotes", *(runs[one].get("against_quotes") for one in (name, "origin_time_sort"))),
        ):
            if run is not None:
                figures += _against(
                    truth, f"{name}, every {every_ms:,} ms", run, plain, is_plain=run is plain
                )
    return figures


def _against(
    truth: str, claim: str, run: dict[str, Any], plain: dict[str, Any], *, is_plain: bool
) -> list[Figure]:
    figures = []
    for what, key, unit, scale in (
        ("prices right by", "side_prices_right", "% of time", 100.0),
        ("mid RMS error by", "mid_rms_error", "bp", 10_000.0),
    ):
        ratio = run[key] / plain[key] if not is_plain and plain[key] else None
        figures.append(
            Figure(
                claim=f"{claim}, {what} {truth}",
                figure=scale * run[key],
                unit=unit,
                ratio=ratio,
                ratio_to="last snapshot" if ratio is not None else "",
                detail=run,
            )
        )
    return figures
