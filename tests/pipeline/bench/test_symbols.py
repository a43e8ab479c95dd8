"""`rlx bench symbols` runs one symbol and two, each by a worker of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.depth import deep
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.pipeline.bench import symbols
from rlx_datapipe.pipeline.bench.symbols import measure
from rlx_datapipe.pipeline.reconstruct import reconstruct


@deep
def test_the_speed_up_is_that_of_two_symbols_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []

    def note(archives: list[Path], out: Path, settings: Any, *, workers: int) -> dict[str, Any]:
        asked.append((len(archives), settings.threads, workers))
        summary: dict[str, Any] = reconstruct(archives, out, settings, workers=workers)
        assert [chain["events"] > 2_000 for chain in summary["chains"]] == [True] * len(archives)
        return summary

    monkeypatch.setattr(symbols, "reconstruct", note)
    measured = measure(small(tmp_path, rows=2_000))
    assert asked == [(1, 1, 1), (2, 1, 2), (1, 2, 1), (2, 2, 2)]
    alone, both = named(measured.figures).values()
    assert both.ratio == measured.told["speed_up"] == both.figure / alone.figure
    assert both.target == "≥ 1.8x one"
    assert len(list(tmp_path.iterdir())) == 2, "what was written is gone, the archives are there"
