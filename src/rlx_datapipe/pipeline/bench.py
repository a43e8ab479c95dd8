"""The measured claims: each is one function that measures on seeded data and tells target and figure."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.book.layout import ASK, BID
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.bench_child import Job, start
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate

_FOREVER_S = 1_000_000_000
_CAPTURE_S_MAX = 60
_COPIES = 50


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One claim: what was measured beside what is aimed for.

    ``is_met`` is None where there is no target; ``detail`` says how it was measured and what lies behind it.
    """

    claim: str
    figure: float
    unit: str
    target: str = ""
    is_met: bool | None = None
    detail: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclass
class Bench:
    """What the claims measure on: seeded data, and the runs that several of them look at.

    ``rows_per_s`` times ``duration_s`` rows are in the archive; ``epoch_events`` is the epoch after which a
    run is killed in the measure of recovery.
    """

    folder: Path
    seed: int
    duration_s: int
    repeats: int
    rows_per_s: int = 4_000
    epoch_events: int = 1_000_000
    on_step: Callable[[str], None] = lambda _: None
    _runs: int = field(default=0, init=False)

    @cached_property
    def archive(self) -> Path:
        """An archive in the layout of Crypto Lake, with a book of 6,000 levels a side, on average."""
        self.on_step(f"making an archive of {self.rows_per_s * self.duration_s:,} rows")
        config = ArchiveConfig(
            seed=self.seed, rows=self.rows_per_s * self.duration_s, rows_per_s=self.rows_per_s
        )
        return write_archive(config, self.folder / "archive")

    @cached_property
    def capture(self) -> Path:
        """A capture of the simulated market."""
        seconds = min(self.duration_s, _CAPTURE_S_MAX)
        self.on_step(f"simulating {seconds} s of a market")
        path = self.folder / "capture.gz"
        write_capture(simulate(MarketConfig(seed=self.seed, duration_s=seconds)), path)
        return path

    @cached_property
    def archive_runs(self) -> list[dict[str, Any]]:
        """Whole runs over the archive with the default settings."""
        return self.runs(self.archive)

    def runs(self, source: Path) -> list[dict[str, Any]]:
        """Whole runs, each in a process of its own."""
        return [self.run(Job(source=str(source), out="", settings=Settings())) for _ in range(self.repeats)]

    def run(self, job: Job) -> dict[str, Any]:
        """One run, into a new folder unless the job names one."""
        self._runs += 1
        job.out = job.out or str(self.folder / f"run-{self._runs}")
        self.on_step(f"run {self._runs}: {Path(job.source).name}")
        return start(job)


def archive_rate(bench: Bench) -> Figure:
    """Events a second from archive files to committed tables, everything on."""
    rates = [run["events"] / run["wall_s"] for run in bench.archive_runs]
    rate = statistics.median(rates)
    return Figure(
        claim="reconstruct an archive",
        figure=rate,
        unit="events/s",
        target="5,000,000 or more",
        is_met=rate >= 5_000_000,
        detail={
            "events": bench.archive_runs[0]["events"],
            "runs": rates,
            "events_per_cpu_s": statistics.median(r["events"] / r["cpu_s"] for r in bench.archive_runs),
        },
    )


def capture_rate(bench: Bench) -> Figure:
    """Messages a second from a recording to committed tables."""
    runs = bench.runs(bench.capture)
    rate = statistics.median(run["messages"] / run["wall_s"] for run in runs)
    return Figure(
        claim="reconstruct a capture",
        figure=rate,
        unit="messages/s",
        target="500,000 or more",
        is_met=rate >= 500_000,
        detail={
            "messages": runs[0]["messages"],
            "events": runs[0]["events"],
            "messages_per_cpu_s": statistics.median(run["messages"] / run["cpu_s"] for run in runs),
        },
    )


def checkpoint_share(bench: Bench) -> Figure:
    """Share of a run that goes into packing, writing and syncing checkpoints."""
    shares = [100 * sum(run["save_wall_s"]) / run["wall_s"] for run in bench.archive_runs]
    cpu = [100 * sum(run["save_cpu_s"]) / run["cpu_s"] for run in bench.archive_runs]
    share = statistics.median(shares)
    return Figure(
        claim="checkpoints, share of the run",
        figure=share,
        unit="%",
        target="below 1",
        is_met=share < 1,
        detail={"checkpoints": len(bench.archive_runs[0]["save_wall_s"]), "cpu": statistics.median(cpu)},
    )


def checkpoint_write(bench: Bench) -> Figure:
    """Time to write one checkpoint, in the thread of the sink while the replay goes on."""
    took = [1e3 * s for run in bench.archive_runs for s in run["save_wall_s"]]
    sizes = [size for run in bench.archive_runs for size in run["save_bytes"]]
    return Figure(
        claim="checkpoint, write and sync",
        figure=statistics.median(took) if took else 0.0,
        unit="ms",
        detail={"longest_ms": max(took, default=0.0), "bytes": max(sizes, default=0)},
    )


def checkpoint_pause(bench: Bench) -> Figure:
    """Longest time for which reading or replay stand still to copy their states, at a full-depth book."""
    settings = Settings()
    [source] = find_sources([bench.archive], settings)
    ingestion = DataIngestion(source, settings)
    replayer = EventReplayer(source.instrument, source.rule, settings)
    pauses: dict[str, list[float]] = {"replay": [], "ingestion": []}
    for _, batch in zip(range(_COPIES), ingestion, strict=False):
        for _ in replayer.replay(batch.events):
            pass
        for name, stage in (("replay", replayer), ("ingestion", ingestion)):
            begun = time.perf_counter()
            stage.state()
            pauses[name].append(1e3 * (time.perf_counter() - begun))
    longest = max(*pauses["replay"], *pauses["ingestion"])
    return Figure(
        claim="checkpoint, longest pause",
        figure=longest,
        unit="ms",
        target="below 100",
        is_met=longest < 100,
        detail={
            "levels": [replayer.engine.level_count(side) for side in (BID, ASK)],
            "book_bytes": replayer.engine.state.nbytes,
            "copies": len(pauses["replay"]),
            **{f"{name}_median_ms": statistics.median(took) for name, took in pauses.items()},
        },
    )


def recovery(bench: Bench) -> Figure:
    """Time from the start of a new process until it has passed the point at which the one before was killed.

    The kill comes just before the end of an epoch of a million events, so that all of them are done again;
    the time to the first batch behind the last commit is told beside it.
    """
    # The second epoch is the one that is lost, so that there is a checkpoint to begin from.
    epoch = min(bench.epoch_events, bench.rows_per_s * bench.duration_s * 9 // 20)
    settings = Settings(epoch_events=epoch, epoch_s=_FOREVER_S)
    out, lost_at = str(bench.folder / "killed"), int(1.98 * epoch)
    bench.run(Job(source=str(bench.archive), out=out, settings=settings, kill_at=lost_at))
    told = bench.run(Job(source=str(bench.archive), out=out, settings=settings, pass_at=lost_at))
    return Figure(
        claim="recovery from a kill",
        figure=told["passed_s"],
        unit="s",
        target="below 30",
        is_met=told["passed_s"] < 30,
        detail={
            "epoch_events": epoch,
            "killed_at_events": lost_at,
            "until": "the new process has passed the point of the kill",
            "goes_on_s": told["goes_on_s"],
            "cpu_s": told["cpu_s"],
        },
    )


def peak_memory(bench: Bench) -> Figure:
    """Most memory that a run over the archive held."""
    peak = max(run["peak_memory_bytes"] for run in bench.archive_runs) / 1e6
    return Figure(claim="peak memory", figure=peak, unit="MB", target="below 1,000", is_met=peak < 1_000)


CLAIMS: tuple[Callable[[Bench], Figure], ...] = (
    archive_rate,
    capture_rate,
    checkpoint_share,
    checkpoint_write,
    checkpoint_pause,
    recovery,
    peak_memory,
)
"""In the order in which they are told; a new claim is one more function."""


def bench(
    *,
    seed: int = 7,
    duration_s: int = 600,
    repeats: int = 3,
    on_step: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure all claims; for JSON: ``figures`` in order, and what they were measured on.

    Parameters
    ----------
    seed, duration_s
        Of the market that is made; a second of the archive has 4,000 rows, ten times those of a busy market.
    repeats
        Runs of which the median is told.
    """
    with tempfile.TemporaryDirectory(prefix="rlx-bench-") as folder:
        measured = Bench(Path(folder), seed, duration_s, repeats, on_step=on_step)
        figures = [claim(measured) for claim in CLAIMS]
    return {
        "writer": WRITER,
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "seed": seed,
        "duration_s": duration_s,
        "repeats": repeats,
        "figures": msgspec.to_builtins(figures),
    }
