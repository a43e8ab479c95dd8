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


def test_the_cost_of_tier_1_is_what_runs_with_it_take_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def run(_: Workbench, source: Path, settings: Settings, **how: Any) -> dict[str, Any]:
        asked.append(settings.tier1)
        return {"cpu_s": 1.03 if settings.tier1 else 1.0, "events": 1_000_000, "out": str(tmp_path)}

    monkeypatch.setattr(Workbench, "run", run)
    monkeypatch.setattr(Workbench, "clear", lambda *_: None)
    bench = Workbench(tmp_path, Options(rows=4_000, repeats=2))
    figures = {figure.claim: figure for figure in tiers.measure(bench).figures}
    share = figures["tier 1, of the run"]
    assert share.figure == pytest.approx(3.0)
    assert share.is_met
    assert asked == [False, True, True, False], "who goes first changes with each pair"
    kernels = figures["tier 1, kernels"].figure
    assert share.detail["by_kernels"] == pytest.approx(100 * kernels * 1e-3)
    batches = [figure for claim, figure in figures.items() if claim.startswith("tier 2")]
    assert len(batches) == 4
    assert all(figure.figure > 0 and figure.detail["rows"] == 10_000 for figure in batches)


def test_a_day_tells_time_and_memory_of_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"wall_s": 301.0, "cpu_s": 90.0, "peak_anonymous_bytes": 5e8, "processes": 3}
    monkeypatch.setattr(day, "_report", lambda *_: told)
    monkeypatch.setattr(Workbench, "run", lambda *_: {"events": 7, "out": str(tmp_path / "run")})
    monkeypatch.setattr(Workbench, "clear", lambda *_: None)
    spread: dict[str, int] = {}

    def archive(_: Workbench, rows: int, **shape: int) -> Path:
        spread.update(shape, rows=rows)
        return tmp_path

    monkeypatch.setattr(Workbench, "archive", archive)
    monkeypatch.setattr(Workbench, "drop", lambda *_: None)
    time, memory = day.measure(Workbench(tmp_path, Options())).figures
    assert spread["rows"] / spread["rows_per_s"] == pytest.approx(day.DAY_S, rel=0.01)
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
