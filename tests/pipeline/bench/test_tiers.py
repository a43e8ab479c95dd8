"""`rlx bench tiers` and `rlx bench day` tell what they measured, of runs that are told here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_datapipe.core.config import Settings
from rlx_datapipe.pipeline.bench import day, tiers
from rlx_datapipe.pipeline.bench.figure import Options
from rlx_datapipe.pipeline.bench.workbench import Workbench


def test_the_cost_of_tier_1_is_told_by_pairs_of_runs_and_by_its_own_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def run(_: Workbench, source: Path, settings: Settings, **how: Any) -> dict[str, Any]:
        asked.append(settings.tier1)
        with_tier1 = {"cpu_s": 1.03 + 0.02 * len(asked), "stages": {"tier1": {"cpu_s": 0.025}}}
        told = with_tier1 if settings.tier1 else {"cpu_s": 1.0, "stages": {}}
        return {**told, "events": 1_000_000, "out": str(tmp_path)}

    monkeypatch.setattr(Workbench, "run", run)
    monkeypatch.setattr(Workbench, "clear", lambda *_: None)
    bench = Workbench(tmp_path, Options(rows=4_000, repeats=2))
    figures = {figure.claim: figure for figure in tiers.measure(bench).figures}
    assert asked == [False, True, True, False], "who goes first changes with each pair"
    beside = figures["tier 1, a run with it beside one without"]
    assert beside.detail["values"] == pytest.approx([7.0, 9.0])
    assert (beside.figure, beside.detail["least"], beside.detail["most"]) == pytest.approx((8.0, 7.0, 9.0))
    assert not beside.is_met
    share = figures["tier 1, by its own clock in the run"]
    assert share.figure == pytest.approx(2.5)
    assert share.is_met
    assert figures["tier 1, by its own clock"].figure == pytest.approx(25.0), "ns an event"
    assert figures["tier 1, kernels alone"].figure > 0
    batches = [figure for claim, figure in figures.items() if claim.startswith("tier 2")]
    assert len(batches) == 4
    assert all(figure.figure > 0 and figure.detail["rows"] == 10_000 for figure in batches)


def test_a_day_tells_time_and_memory_of_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"wall_s": 301.0, "cpu_s": 90.0, "peak_anonymous_bytes": 5e8, "processes": 3}
    monkeypatch.setattr(day, "_report", lambda *_: told)
    monkeypatch.setattr(Workbench, "run", lambda *_: {"events": 7, "out": str(tmp_path / "run")})
    monkeypatch.setattr(Workbench, "clear", lambda *_: None)
    asked: list[dict[str, int]] = []

    def archive(_: Workbench, rows: int, **shape: int) -> Path:
        asked.append({**shape, "rows": rows})
        return tmp_path

    monkeypatch.setattr(Workbench, "archive", archive)
    monkeypatch.setattr(Workbench, "drop", lambda *_: None)
    time, memory = day.measure(Workbench(tmp_path, Options())).figures
    assert [(one["seed"], one["day"]) for one in asked] == [(7, 0), (9, 2)], (
        "another draw, and none of the same time"
    )
    for one in asked:
        assert one["rows"] / one["rows_per_s"] == pytest.approx(day.DAY_S, rel=0.01)
    assert (time.claim, time.figure, time.is_met) == ("report, 24 h", 301.0, False)
    assert (memory.figure, memory.is_met) == (500.0, True)


def test_memory_is_that_of_a_process_and_of_all_that_it_started() -> None:
    hold = "import sys; held = bytearray(50_000_000); print(flush=True); sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        held = [day._anonymous_bytes(pid) for pid in day._family(process.pid)]
        process.communicate()
    assert len(held) == 2
    assert 50_000_000 < max(held) < 200_000_000
    assert np.array(held).min() < 50_000_000
    assert day._family(process.pid) == []
