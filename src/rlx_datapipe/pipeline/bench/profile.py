"""What limits measured runs: processor time of each stage beside the floor's, and how busy the cores were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlx_datapipe.pipeline.bench.figure import cores, middle
from rlx_datapipe.pipeline.bench.floor import Floor

REST = "rest"
"""What no stage is told of: finding and hashing the input, tables and logs at the start, the summary."""
_LEAST = ("read", "write", "proof")
_BUSY, _LED = 0.85, 0.85


def profile(runs: Sequence[dict[str, Any]], floors: Sequence[Floor], count: str) -> dict[str, Any]:
    """Where the time of runs went; medians.

    Parameters
    ----------
    runs
        As a measured run tells them: ``wall_s``, ``cpu_s`` and ``stages`` of each.
    floors
        Of the same files.
    count
        What times are divided by: ``events`` or ``messages``.

    Returns
    -------
    ``stages``: of each stage and the rest ``cpu_ns`` for one of ``count``, ``cpu_share`` of the run's
    processor time and ``wall_share``, how much of the run it was at work; ``cpu_ns`` of the whole run and
    ``floor_cpu_ns``; ``least``, the same of what no run can leave out: ``read`` and ``write``, which are the
    floor, and ``proof``, the digests of all that is read and written; ``busy_cores`` of ``cores``; and
    ``limit``, all that in a sentence.
    """
    names = list(runs[0]["stages"])
    stages = {}
    for name in names:
        stages[name] = {
            "cpu_ns": middle(_ns(run["stages"][name]["cpu_s"], run[count]) for run in runs),
            "cpu_share": middle(run["stages"][name]["cpu_s"] / run["cpu_s"] for run in runs),
            "wall_share": middle(run["stages"][name]["wall_s"] / run["wall_s"] for run in runs),
        }
    rests = [run["cpu_s"] - sum(run["stages"][name]["cpu_s"] for name in names) for run in runs]
    stages[REST] = {
        "cpu_ns": middle(_ns(rest, run[count]) for rest, run in zip(rests, runs, strict=True)),
        "cpu_share": middle(rest / run["cpu_s"] for rest, run in zip(rests, runs, strict=True)),
        "wall_share": 0.0,
    }
    told = {
        "stages": stages,
        "cpu_ns": middle(_ns(run["cpu_s"], run[count]) for run in runs),
        "floor_cpu_ns": middle(_ns(one.cpu_s, run[count]) for one, run in zip(floors, runs, strict=True)),
        "least": {
            part: middle(
                _ns(getattr(one, f"{part}_cpu_s"), run[count]) for one, run in zip(floors, runs, strict=True)
            )
            for part in _LEAST
        },
        "busy_cores": middle(run["cpu_s"] / run["wall_s"] for run in runs),
        "cores": cores(),
    }
    return {**told, "limit": _limit(told)}


def _ns(seconds: float, count: int) -> float:
    return seconds / max(1, count) * 1e9


def _limit(told: dict[str, Any]) -> str:
    """What would have to become faster for the run to do so."""
    stages = told["stages"]
    dearest = max(stages, key=lambda name: stages[name]["cpu_ns"])
    leading = max(stages, key=lambda name: stages[name]["wall_share"])
    if told["busy_cores"] >= _BUSY * told["cores"]:
        cause = "processor time: all cores are busy"
    elif stages[leading]["wall_share"] >= _LED:
        cause = (
            f"one stage: {leading} is at work {stages[leading]['wall_share']:.0%} of the time, others wait"
        )
    else:
        cause = "waiting: for the disk, each other, the start, or cores that other programs have"
    return (
        f"{cause} ({told['busy_cores']:.1f} of {told['cores']} busy); most of the work is {dearest}, "
        f"{stages[dearest]['cpu_share']:.0%}; reading, writing and digests alone take "
        f"{sum(told['least'].values()) / max(told['cpu_ns'], 1.0):.0%}"
    )
