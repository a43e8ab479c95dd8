"""What limits measured runs is told by their stages, their floor and their cores."""

from __future__ import annotations

from typing import Any

import pytest

from rlx_datapipe.pipeline.bench import profile as module
from rlx_datapipe.pipeline.bench.floor import Floor
from rlx_datapipe.pipeline.bench.profile import REST, profile


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: 2)


def told(wall_s: float, **stages: tuple[float, float]) -> dict[str, Any]:
    """A run of 1,000 events, and 10 % of its processor time in no stage; stages as wall and CPU seconds."""
    run = {"wall_s": wall_s, "cpu_s": sum(cpu_s for _, cpu_s in stages.values()) / 0.9, "events": 1_000}
    return {**run, "stages": {name: {"wall_s": wall, "cpu_s": cpu} for name, (wall, cpu) in stages.items()}}


FLOOR = Floor(2, wall_s=0.1, cpu_s=0.2, read_cpu_s=0.05, write_cpu_s=0.14, proof_cpu_s=0.01)


def of(*runs: dict[str, Any]) -> dict[str, Any]:
    return profile(runs, [FLOOR] * len(runs), "events")


def test_times_are_medians_by_the_event_and_add_up() -> None:
    runs = [told(1.0, replay=(0.5, 0.3), write=(0.7, 0.6)) for _ in range(2)]
    seen = of(*runs, told(9.0, replay=(5.0, 3.0), write=(7.0, 6.0)))
    stages = seen["stages"]
    assert stages["replay"] == pytest.approx({"cpu_ns": 3e5, "cpu_share": 0.3, "wall_share": 0.5})
    assert stages[REST]["cpu_ns"] == pytest.approx(1e5)
    assert sum(stage["cpu_ns"] for stage in stages.values()) == pytest.approx(seen["cpu_ns"])
    assert sum(stage["cpu_share"] for stage in stages.values()) == pytest.approx(1.0)
    assert seen["floor_cpu_ns"] == pytest.approx(2e5)
    assert seen["least"] == pytest.approx({"read": 5e4, "write": 1.4e5, "proof": 1e4})
    assert seen["limit"].endswith("reading, writing and digests alone take 20%")


@pytest.mark.parametrize(
    ("run", "cause"),
    [
        (told(1.0, replay=(0.9, 0.8), write=(1.0, 0.9)), "processor time: all cores are busy"),
        (told(1.0, replay=(0.3, 0.2), write=(0.95, 0.6)), "one stage: write is at work 95% of the time"),
        (told(1.0, replay=(0.3, 0.2), write=(0.6, 0.5)), "waiting: for the disk, each other"),
    ],
)
def test_the_limit_is_told_in_a_sentence(run: dict[str, Any], cause: str) -> None:
    assert of(run)["limit"].startswith(cause)
    assert "most of the work is write, " in of(run)["limit"]
