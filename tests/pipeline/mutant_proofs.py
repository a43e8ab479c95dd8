"""A warm process that plays the proofs on mutants of the program: by what each was noticed, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tests.pipeline.mutants import KILLED, WITHOUT_POWER, recovery_does_not_sync

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.pipeline.proofs.kills import golden_run, sweep
from rlx_datapipe.pipeline.proofs.power import film, film_after_kill, play
from rlx_datapipe.pipeline.proofs.scene import Scene, make_scene, warm
from rlx_datapipe.pipeline.proofs.worker import some

STATES = 25


def without_power(scene: Scene, golden: dict[str, Any], chain: Instrument, name: str) -> dict[str, Any]:
    """States of the mutant's disk after a power cut, and how many of them were wrong in which way."""
    mutate = WITHOUT_POWER[name]
    cuts = film(scene, mutate).cuts(1)
    results = list(play(scene, golden, chain, some(cuts, STATES, np.random.default_rng(1)), mutate))
    return {
        "states": len(results),
        "wrong": sum(bool(result["by"]) for result in results),
        "stuck": sum(result.get("stuck", 0) for result in results),
        "acknowledged_lost": sum(result["acknowledged_lost"] for result in results),
    }


def killed_then_without_power(scene: Scene, golden: dict[str, Any], chain: Instrument) -> dict[str, Any]:
    """A run is killed when an entry of ``books`` has its name, not synced; the next one loses its power."""
    first, wrong = film(scene), {}
    moment = [number for number, step in enumerate(first.steps) if step.name == "entry named"][8]
    for name, mutate in (("program", None), ("mutant", recovery_does_not_sync)):
        second = film_after_kill(scene, first, moment, mutate)
        cuts = [cut for cut in second.cuts(0) if cut.id.endswith(":dropped")][::2]
        results = list(play(scene, golden, chain, cuts, mutate))
        wrong[name] = [result["by"] for result in results if result["by"]]
    return wrong


def main() -> None:
    """Play all mutants in a folder."""
    scene = make_scene(Path(sys.argv[1]), seed=1)
    chain = warm(scene)
    golden = golden_run(scene)
    told = {
        "killed": {
            name: [result["by"] for result in sweep(scene, golden, plans, mutate) if result["by"]]
            for name, (mutate, plans) in KILLED.items()
        },
        "without_power": {name: without_power(scene, golden, chain, name) for name in WITHOUT_POWER},
        "after_kill": killed_then_without_power(scene, golden, chain),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
