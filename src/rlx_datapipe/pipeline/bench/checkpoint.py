"""`rlx bench checkpoint`: what checkpoints cost a run, for how long they hold it up, what they save it."""

from __future__ import annotations

import time

from rlx_datapipe.book.layout import ASK, BID
from rlx_datapipe.core.config import Settings
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, middle
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.replay.replayer import EventReplayer

ROWS = 2_000_000
_LEVELS = 8_000
"""Of which some 6,000 a side stay: three times as many as in the other benchmarks."""
_EPOCH_EVENTS = 1_000_000
_COPIES = 50
_FOREVER_S = 1_000_000_000


def measure(bench: Workbench) -> Measured:
    """Measure checkpoints at a full-depth book: share of the run, time, longest pause, recovery from a kill.

    The share is for how long commits stand still for a checkpoint: until its packing is through, which a
    thread of its own begins before data files are closed, and then for writing and syncing it; ``cpu`` has
    the work of both threads. The pause is for how long reading or replay stand still to copy their states;
    recovery is told from the start of a new process until it has passed the point where the one before was
    killed, just before the end of an epoch.

    Input: the archive of ``reconstruct``, with 6,000 levels a side.
    """
    runs = []
    for _ in range(bench.options.repeats):
        runs.append(bench.run(bench.archive(bench.rows(ROWS), levels=_LEVELS)))
        bench.clear(runs[-1])
    shares = [100 * sum(run["save_wall_s"]) / run["wall_s"] for run in runs]
    took_ms = [1e3 * took for run in runs for took in run["save_wall_s"]]
    share = Figure(
        claim="checkpoint, share",
        figure=middle(shares),
        unit="%",
        target="< 1",
        # A run too short for a checkpoint has shown nothing.
        is_met=middle(shares) < 1 if took_ms else None,
        detail={
            "checkpoints": len(runs[0]["save_wall_s"]),
            "cpu": middle(100 * sum(run["save_cpu_s"]) / run["cpu_s"] for run in runs),
        },
    )
    write = Figure(
        claim="checkpoint, write",
        figure=middle(took_ms),
        unit="ms",
        detail={
            "longest_ms": max(took_ms, default=0.0),
            "bytes": max((size for run in runs for size in run["save_bytes"]), default=0),
        },
    )
    return Measured([share, write, _pause(bench), _recovery(bench)])


def _pause(bench: Workbench) -> Figure:
    """Longest time for which reading or replay stand still to copy their states."""
    settings = Settings()
    source = only_source(bench.archive(bench.rows(ROWS), levels=_LEVELS), settings)
    ingestion = DataIngestion(source, settings)
    replayer = EventReplayer(source.instrument, source.rule, settings)
    pauses_ms: dict[str, list[float]] = {"replay": [], "ingestion": []}
    for _, batch in zip(range(_COPIES), ingestion, strict=False):
        for _ in replayer.replay(batch.events):
            pass
        for name, stage in (("replay", replayer), ("ingestion", ingestion)):
            begun = time.perf_counter()
            stage.state()
            pauses_ms[name].append(1e3 * (time.perf_counter() - begun))
    longest = max(*pauses_ms["replay"], *pauses_ms["ingestion"])
    state = replayer.engine.state
    begun = time.perf_counter()
    state.copy()
    copy_ms = 1e3 * (time.perf_counter() - begun)
    return Figure(
        claim="checkpoint, pause",
        figure=longest,
        unit="ms",
        target="< 100",
        is_met=longest < 100,
        ratio=middle(pauses_ms["replay"]) / copy_ms,
        ratio_to="plain copy",
        detail={
            "levels": [replayer.engine.level_count(side) for side in (BID, ASK)],
            "book_bytes": state.nbytes,
            "copies": len(pauses_ms["replay"]),
            **{f"{name}_median_ms": middle(took) for name, took in pauses_ms.items()},
        },
    )


def _recovery(bench: Workbench) -> Figure:
    """Time until a new process has done again what the one before lost, an epoch of at most a million."""
    rows = bench.rows(ROWS)
    # The second epoch is the one that is lost, so that there is a checkpoint to begin from.
    epoch = min(_EPOCH_EVENTS, rows * 9 // 20)
    settings = Settings(epoch_events=epoch, epoch_s=_FOREVER_S)
    source, lost_at = bench.archive(rows, levels=_LEVELS), int(1.98 * epoch)
    killed = bench.run(source, settings, kill_at=lost_at)
    told = bench.run(source, settings, pass_at=lost_at, out=killed["out"])
    bench.clear(told)
    return Figure(
        claim="checkpoint, recovery",
        figure=told["passed_s"],
        unit="s",
        target="< 30",
        is_met=told["passed_s"] < 30,
        detail={
            "epoch_events": epoch,
            "killed_at_events": lost_at,
            "until": "the new process has passed the point of the kill",
            "goes_on_s": told["goes_on_s"],
            "cpu_s": told["cpu_s"],
        },
    )
