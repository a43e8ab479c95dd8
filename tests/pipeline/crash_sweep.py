"""A warm process that forks one child a run: kills it at a named point, resumes it, and tells what came out."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.crash import POINTS, arm, reached
from rlx_datapipe.ingestion.ingest import ingest
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.store.dataset import dataset_digest, open_dataset

SETTINGS = Settings(batch_rows=100, threads=1, epoch_events=500, keyframe_events=400)
RUNS_MAX = 12


def warm(capture: Path) -> None:
    """Load every kernel, without a file or a thread: a child must start no pool that a parent had."""
    [source] = find_sources([capture], SETTINGS)
    replayer = EventReplayer(source.instrument, source.rule, SETTINGS)
    for batch in ingest(source, SETTINGS):
        for _ in replayer.replay(batch.events):
            pass


def run(capture: Path, out: Path, kill: tuple[str, int] | None) -> tuple[bool, dict[str, Any]]:
    """One run in a child, killed or not: whether it came to its end, and what it told."""
    told = out.with_suffix(".json")
    told.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        if kill:
            arm(*kill)
        summary = reconstruct(capture, out, SETTINGS, resume=True)
        read_back = dataset_digest(open_dataset(out))
        outcome = {"digest": summary["digest"], "read_back": read_back, "rows": summary["chains"][0]["rows"]}
        told.write_text(json.dumps({**outcome, "reached": reached()}))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False, {}
    assert os.waitstatus_to_exitcode(status) == 0, f"a run failed: {out}"
    return True, json.loads(told.read_text())


def survive(capture: Path, out: Path, kills: list[tuple[str, int]]) -> dict[str, Any]:
    """Kill run after run as told, then let one end; its outcome and how many kills landed."""
    shutil.rmtree(out, ignore_errors=True)
    landed = 0
    for kill in [*kills, *[None] * RUNS_MAX]:
        ended, outcome = run(capture, out, kill)
        if ended:
            return {**outcome, "landed": landed}
        landed += 1
    raise AssertionError("never came to an end")


def main(capture: Path, work: Path, chains: int, seed: int) -> None:
    """Sweep every passing of every point, then chains of kills at random points; print the result."""
    warm(capture)
    golden = survive(capture, work / "golden", [])
    dice = random.Random(seed)
    plans = [[(point, k)] for point in POINTS for k in range(1, golden["reached"][point] + 1)]
    for _ in range(chains):
        length = dice.randint(2, 5)
        plans.append([(dice.choice(POINTS), dice.randint(1, 12)) for _ in range(length)])
    hit = dict.fromkeys(POINTS, 0)
    landed, wrong = 0, []
    for plan in plans:
        outcome = survive(capture, work / "run", plan)
        landed += outcome["landed"]
        if len(plan) == 1:
            hit[plan[0][0]] += outcome["landed"]
        if any(outcome[name] != golden[name] for name in ("digest", "read_back", "rows")):
            wrong.append(plan)
    # Orphans are removed in recovery only: kill there too, behind each kind of orphan.
    for first in (("file written", 3), ("file published", 5), ("checkpoint published", 1)):
        for k in (1, 2):
            outcome = survive(capture, work / "run", [first, ("orphan removed", k)])
            hit["orphan removed"] += max(0, outcome["landed"] - 1)
            landed += outcome["landed"]
            if outcome["read_back"] != golden["digest"]:
                wrong.append([first, ("orphan removed", k)])
    print(
        json.dumps(
            {"golden": golden, "scenarios": len(plans) + 6, "landed": landed, "hit": hit, "wrong": wrong}
        )
    )  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
