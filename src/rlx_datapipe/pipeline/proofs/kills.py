"""Kill a run by SIGKILL at every passing of every named point, in recovery too, and in chains."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlx_datapipe.core.crash import POINTS, arm, reached
from rlx_datapipe.pipeline.proofs.outcome import counted, differs, keep_rows, outcome_of
from rlx_datapipe.pipeline.proofs.scene import RunFailedError, Scene, in_child

Kill = tuple[str, int]
Plan = list[Kill]
Mutate = Callable[[], None]
GOLDEN = "golden.npz"
RUNS_MAX = 12
RECOVERY: list[Plan] = [
    [first, ("orphan removed", k)]
    for first in (("file written", 3), ("file published", 5), ("checkpoint published", 1))
    for k in (1, 2)
]
"""Orphans are removed in recovery only: kill there too, behind each kind of orphan."""


def golden_run(scene: Scene) -> dict[str, Any]:
    """The outcome of a run that nobody kills; its rows are kept for others to be held against."""

    def work() -> dict[str, Any]:
        summary = scene.reconstruct(scene.work / "golden")
        keep_rows(scene.work / "golden", scene.work / GOLDEN)
        return {**outcome_of(summary, scene.work / "golden"), "reached": reached()}

    shutil.rmtree(scene.work / "golden", ignore_errors=True)
    outcome = in_child(work, scene.work / "golden.json")
    assert outcome is not None, "the golden run was killed"  # noqa: S101
    return outcome


def finish(scene: Scene, out: Path, kill: Kill | None, mutate: Mutate | None = None) -> dict[str, Any] | None:
    """One run to its end in a child; its outcome, None if it was killed as told."""

    def work() -> dict[str, Any]:
        if mutate:
            mutate()
        if kill:
            arm(*kill)
        summary = scene.reconstruct(out)
        return {**outcome_of(summary, out), **counted(out, scene.work / GOLDEN)}

    return in_child(work, out.with_suffix(".json"))


def survive(scene: Scene, plan: Plan, mutate: Mutate | None = None) -> dict[str, Any]:
    """Kill run after run as planned, then let one end; its outcome, and at which points kills ``landed``."""
    out = scene.work / "run"
    shutil.rmtree(out, ignore_errors=True)
    landed: list[str] = []
    for kill in [*plan, *[None] * RUNS_MAX]:
        outcome = finish(scene, out, kill, mutate)
        if outcome is None:
            if kill is None:
                raise RunFailedError("a run died by itself")
            landed.append(kill[0])
        elif kill is None or kill == plan[-1]:
            return {**outcome, "landed": landed}
    raise RunFailedError("never came to an end")


def plans(reached_in_golden: dict[str, int], chains: int, seed: int) -> list[Plan]:
    """Each passing of each point, kills in recovery, and some chains of two to five kills."""
    dice = np.random.default_rng([seed, 1])
    every: list[Plan] = [[(point, k + 1)] for point in POINTS for k in range(reached_in_golden[point])]
    return (
        every
        + RECOVERY
        + [
            [
                (POINTS[dice.integers(len(POINTS))], int(dice.integers(1, 13)))
                for _ in range(dice.integers(2, 6))
            ]
            for _ in range(chains)
        ]
    )


def sweep(
    scene: Scene, golden: dict[str, Any], chosen: list[Plan], mutate: Mutate | None = None
) -> Iterator[dict[str, Any]]:
    """One result for each plan: its ``id``, ``landed`` kills by point, and ``by`` what it differs."""
    for plan in chosen:
        told: dict[str, Any] = {"id": named(plan), "kind": "chain" if len(plan) > 1 else "kill"}
        try:
            outcome = survive(scene, plan, mutate)
        except RunFailedError as error:
            yield {**told, "landed": {}, "by": [str(error)], "stuck": 1}
            continue
        counts = {name: outcome[name] for name in ("lost", "doubled", "differing")}
        yield {**told, **counts, "landed": dict(Counter(outcome["landed"])), "by": differs(outcome, golden)}


def named(plan: Plan) -> str:
    """A plan as one word, as `--only` takes it."""
    return "kill:" + "+".join(f"{point.replace(' ', '-')}#{passing}" for point, passing in plan)


def planned(name: str) -> Plan:
    """The plan of a name."""
    kills = (kill.rpartition("#") for kill in name.removeprefix("kill:").split("+"))
    return [(point.replace("-", " "), int(passing)) for point, _, passing in kills]
