"""`rlx bench day`: a fidelity report over 24 hours of a busy symbol: how long it takes, and what it holds."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rlx_datapipe.core.errors import EXIT_DONE, EXIT_INCONCLUSIVE, EXIT_VERDICT_FAILED, DatapipeError
from rlx_datapipe.pipeline.bench.figure import Figure, Measured
from rlx_datapipe.pipeline.bench.workbench import Workbench

ROWS = 30_000_000
"""Rows of ``book_delta_v2`` in a day."""
DAY_S = 86_400
_WALL_S, _PEAK_MB = 300, 2_000
_LIMIT_S = 1_800
_LOOK_S = 0.2
_RLX = "import sys; from rlx_datapipe.cli.main import main; sys.argv[0] = 'rlx'; main()"


def measure(bench: Workbench) -> Measured:
    """Measure `rlx fidelity` over a day: metrics of all tiers, verdicts and the report, from two datasets.

    Golden is another day of the same law, by another seed: all that a verdict takes is done, and nothing is
    equal. Memory is that which belongs to the processes alone (anonymous), all together, looked at five times
    a second: mapped files are not in it, for the system takes them back when it likes.

    Input: two archives, each of 30 million deltas spread over 24 hours, with a trade for each 25 of them and
    a snapshot a second; or fewer rows (--rows), over as many hours less.
    """
    rows = bench.rows(ROWS)
    per_s = ROWS // DAY_S
    shape = {"rows_per_s": per_s, "trades_per_s": max(1, per_s // 25), "books_per_s": 1}
    runs = []
    # Thirty million rows last some seconds longer than a day, and sides that overlap are compared there only.
    for day in (0, 2):
        archive = bench.archive(rows, seed=bench.options.seed + day, day=day, **shape)
        runs.append(bench.run(archive))
        bench.drop(archive)
    recon, golden = (Path(run["out"]) for run in runs)
    bench.on_step("report over the dataset")
    told = _report(recon, golden, bench.new_folder("report"))
    for run in runs:
        bench.clear(run)
    hours = rows / per_s / 3600
    return Measured(
        [
            Figure(
                claim=f"report, {hours:.3g} h",
                figure=told["wall_s"],
                unit="s",
                target=f"< {_WALL_S}",
                is_met=told["wall_s"] < _WALL_S,
                detail={"events": [run["events"] for run in runs], **told},
            ),
            Figure(
                claim="report, peak memory",
                figure=told["peak_anonymous_bytes"] / 1e6,
                unit="MB",
                target=f"< {_PEAK_MB:,}",
                is_met=told["peak_anonymous_bytes"] < _PEAK_MB * 1_000_000,
                detail={"processes": told["processes"]},
            ),
        ]
    )


def _report(dataset: Path, golden: Path, folder: Path) -> dict[str, Any]:
    """One report by a process of its own, watched to its end."""
    command = [sys.executable, "-c", _RLX, "fidelity", str(dataset), "--golden", str(golden)]
    command += ["--report", str(folder), "--format", "json", "--json"]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    peak, processes = 0, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None  # noqa: S101 (it was asked for)
        os.set_blocking(process.stdout.fileno(), False)
        said = bytearray()
        while process.poll() is None:
            said += process.stdout.read() or b""
            held = [_anonymous_bytes(pid) for pid in _family(process.pid)]
            peak, processes = max(peak, sum(held)), max(processes, len(held))
            if time.perf_counter() - wall > _LIMIT_S:
                process.kill()
                raise DatapipeError("the report took too long", found=f"over {_LIMIT_S} s")
            time.sleep(_LOOK_S)
        said += process.stdout.read() or b""
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode not in (EXIT_DONE, EXIT_VERDICT_FAILED, EXIT_INCONCLUSIVE) or not said:
        raise DatapipeError("the report failed", found=f"status {process.returncode}")
    reports = json.loads(said)["reports"]
    return {
        "wall_s": wall,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_anonymous_bytes": peak,
        "processes": processes,
        "verdict": reports[0]["verdict"],
        "metrics": len(reports[0]["metrics"]),
        "findings": [finding["message"] for finding in reports[0]["findings"]],
    }


def _family(pid: int) -> list[int]:
    """A process and all that it started, as far as they still live."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _anonymous_bytes(pid: int) -> int:
    """Memory of a process that lies in no file."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
