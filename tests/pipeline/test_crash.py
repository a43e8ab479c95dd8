"""Killed and without power at every moment, it ends the same; broken on purpose, it is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.depth import deep
from tests.pipeline.mutants import KILLED, WITHOUT_POWER

from rlx_datapipe.core.crash import POINTS, crash_point
from rlx_datapipe.core.errors import DatapipeError, OptionError
from rlx_datapipe.pipeline.proofs.disk import HOWS
from rlx_datapipe.pipeline.selftest import selftest

ROOT = Path(__file__).parents[2]
PROOFS = Path(__file__).with_name("mutant_proofs.py")


@pytest.fixture(scope="module", autouse=True)
def _path() -> Iterator[None]:
    """Processes of the self-test find the package where this one does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
        yield


@deep
def test_killed_anywhere_it_ends_the_same() -> None:
    told = selftest(1, sizes=(12, 60, 3))
    assert told["failures"] == []
    assert told["verdict"] == "pass"
    assert told["points"].keys() == set(POINTS)
    assert all(told["points"].values()), told["points"]
    assert told["lost"] == told["doubled"] == told["differing"] == 0
    assert told["acknowledged_lost"] == told["stuck"] == 0
    assert told["kills"] > 150
    assert told["chains"] > 12
    assert told["power_states"] >= 60 + 3 * 6


def test_killed_once_at_each_point_and_without_power_it_ends_the_same() -> None:
    """The kinds of scenarios that `rlx selftest` plays some hundreds of."""
    points = [point.replace(" ", "-") for point in POINTS if point != "orphan removed"]
    kills = *(f"kill:{point}#1" for point in points), "kill:file-published#3+orphan-removed#1"
    cuts = tuple(f"power:{at}:{how}" for at in (5, 20, 35, 50) for how in HOWS)
    told = selftest(1, only=(*kills, *cuts))
    assert told["failures"] == []
    assert all(told["points"].values()), told["points"]
    assert told["kills"] >= len(POINTS)
    assert told["power_states"] >= 12


@deep
def test_every_mutant_is_noticed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROOFS, tmp_path], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert {name for name, by in told["killed"].items() if by} == set(KILLED)
    without = told["without_power"]
    assert {name for name, counts in without.items() if counts["wrong"]} == set(WITHOUT_POWER), without
    for name in ("folders not synced", "log not synced"):
        assert without[name]["acknowledged_lost"], without
    assert told["after_kill"]["program"] == []
    assert told["after_kill"]["mutant"]


def test_a_scenario_is_played_again_by_its_name() -> None:
    told = selftest(1, only=("kill:table-committed#3+entry-named#2", "power:40:torn"))
    assert (told["scenarios"], told["power_states"], told["chains"], told["verdict"]) == (2, 1, 1, "pass")
    for name in ("kill", "kill:somewhere#1", "power:torn"):
        with pytest.raises(OptionError, match="no such scenario"):
            selftest(1, only=(name,))
    with pytest.raises(DatapipeError, match="no moment 99999 in this run"):
        selftest(1, only=("power:99999:torn",))


def test_a_point_that_no_proof_knows_is_none() -> None:
    with pytest.raises(KeyError):
        crash_point("somewhere")
