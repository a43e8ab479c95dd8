"""A warm process that forks one child a run: kills it at a point, resumes it, tells what came out."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from tests.pipeline.mutants import MUTANTS, Kill

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.crash import POINTS, arm, reached
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.ingestion.ingest import ingest
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.store.commits import read_commits, verify_files
from rlx_datapipe.store.dataset import dataset_digest, open_dataset

SETTINGS = Settings(batch_rows=100, threads=1, epoch_events=500, keyframe_events=400, horizon_ms=200)
RUNS_MAX = 12
RECOVERY = [
    [first, ("orphan removed", k)]
    for first in (("file written", 3), ("file published", 5), ("checkpoint published", 1))
    for k in (1, 2)
]
"""Orphans are removed in recovery only: kill there too, behind each kind of orphan."""
COMPARED = ("digest", "read_back", "rows", "content", "versions", "strays", "damaged", "partial")


class RunFailedError(Exception):
    """A run that nobody killed did not come to its end."""


def warm(capture: Path) -> None:
    """Load every kernel, without a file or a thread: a child must start no pool that a parent had."""
    [source] = find_sources([capture], SETTINGS)
    replayer = EventReplayer(source.instrument, source.rule, SETTINGS)
    for batch in ingest(source, SETTINGS):
        for _ in replayer.replay(batch.events):
            pass


def outcome_of(summary: dict[str, Any], out: Path) -> dict[str, Any]:
    """All that must be the same however often a run was killed."""
    chain = summary["chains"][0]
    held = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    kept = [held[name] for name in sorted(held) if name.endswith((".parquet", ".jsonl"))]
    tables = {name: DeltaTable(str(out / name)) for name in TABLES}
    known = {f"{name}/{path}" for name, delta in tables.items() for path in _added(delta)}
    return {
        "digest": summary["digest"],
        "read_back": dataset_digest(open_dataset(out)),
        "rows": chain["rows"],
        "content": [hashlib.sha256(path.read_bytes()).hexdigest() for path in kept],
        "versions": {name: delta.version() for name, delta in tables.items()},
        "strays": sorted(name for name in held if name.endswith(".parquet") and name not in known),
        "damaged": verify_files(out, read_commits(out, chain["exchange"], chain["symbol"])),
        "partial": sorted(name for name in held if name.endswith((".partial", ".state"))),
        "reached": reached(),
    }


def _added(delta: DeltaTable) -> list[str]:
    import pyarrow as pa

    return [str(path) for path in pa.table(delta.get_add_actions()).column("path").to_pylist()]


def run(
    capture: Path, out: Path, kill: Kill | None, mutate: Callable[[], None] | None = None
) -> dict[str, Any] | None:
    """One run in a child, killed or not: what it told, None if it was killed."""
    told = out.with_suffix(".json")
    told.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if mutate:
                mutate()
            if kill:
                arm(*kill)
            summary = reconstruct(capture, out, SETTINGS, resume=True)
            told.write_text(json.dumps(outcome_of(summary, out)))
            status = 0
        except BaseException:
            told.write_text(traceback.format_exc())
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        return None
    if os.waitstatus_to_exitcode(ended) != 0:
        raise RunFailedError(told.read_text().strip().splitlines()[-1])
    outcome: dict[str, Any] = json.loads(told.read_text())
    return outcome


def survive(
    capture: Path, out: Path, kills: list[Kill], mutate: Callable[[], None] | None = None
) -> dict[str, Any]:
    """Kill run after run as told, then let one end; its outcome, and at which points the kills landed."""
    shutil.rmtree(out, ignore_errors=True)
    landed: list[str] = []
    for kill in [*kills, *[None] * RUNS_MAX]:
        outcome = run(capture, out, kill, mutate)
        if outcome is None:
            assert kill is not None, "a run died by itself"
            landed.append(kill[0])
        elif kill is None or not kills or kill == kills[-1]:
            return {**outcome, "landed": landed}
    raise AssertionError("never came to an end")


def differs(outcome: dict[str, Any], golden: dict[str, Any]) -> list[str]:
    """By what an outcome differs from that of the uninterrupted run."""
    return [name for name in COMPARED if outcome[name] != golden[name]]


def sweep(capture: Path, work: Path, chains: int, seed: int) -> dict[str, Any]:
    """Every passing of every point, kills in recovery, then chains of kills at random points."""
    golden = survive(capture, work / "golden", [])
    dice = random.Random(seed)
    plans: list[list[Kill]] = [[(point, k + 1)] for point in POINTS for k in range(golden["reached"][point])]
    plans += RECOVERY
    for _ in range(chains):
        plans.append([(dice.choice(POINTS), dice.randint(1, 12)) for _ in range(dice.randint(2, 5))])
    hit = dict.fromkeys(POINTS, 0)
    wrong: list[dict[str, Any]] = []
    for plan in plans:
        try:
            outcome = survive(capture, work / "run", plan)
        except RunFailedError as error:
            wrong.append({"plan": plan, "by": str(error)})
            continue
        for point in outcome["landed"]:
            hit[point] += 1
        if by := differs(outcome, golden):
            wrong.append({"plan": plan, "by": by})
    return {
        "golden": golden,
        "scenarios": len(plans),
        "landed": sum(hit.values()),
        "hit": hit,
        "wrong": wrong,
    }


def mutants(capture: Path, work: Path, names: list[str]) -> dict[str, Any]:
    """By what each mutant was noticed, plan after plan; empty for one that lives."""
    golden = survive(capture, work / "golden", [])
    noticed: dict[str, list[str]] = {}
    for name in names:
        mutate, plans = MUTANTS[name]
        noticed[name] = []
        for plan in plans:
            try:
                by = differs(survive(capture, work / "mutant", plan, mutate), golden)
            except RunFailedError as error:
                by = [str(error)]
            noticed[name] += [f"{plan}: {', '.join(by)}"] if by else []
    return {"noticed": noticed}


def main() -> None:
    """Sweep, or break the code on purpose with ``--mutant``; one JSON object on stdout."""
    options = argparse.ArgumentParser()
    options.add_argument("capture", type=Path)
    options.add_argument("work", type=Path)
    options.add_argument("--chains", type=int, default=15)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--mutant", action="append", choices=sorted(MUTANTS))
    given = options.parse_args()
    warm(given.capture)
    if given.mutant:
        told = mutants(given.capture, given.work, given.mutant)
    else:
        told = sweep(given.capture, given.work, given.chains, given.seed)
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
