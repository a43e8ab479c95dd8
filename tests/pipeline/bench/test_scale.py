"""`rlx bench scale` tells time and memory of each size, and whether time is linear."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.pipeline.bench import scale
from rlx_datapipe.pipeline.bench.workbench import Workbench


def test_sizes_are_told_one_by_one(tmp_path: Path) -> None:
    measured = scale.measure(small(tmp_path, sizes=(2_000, 20_000)))
    figures = named(measured.figures)
    assert list(figures) == [
        "scale, 0.002 M rows",
        "scale, 0.02 M rows",
        "scale, exponent",
        "scale, peak memory",
    ]
    assert [size["rows"] for size in measured.told["sizes"]] == [2_000, 20_000]
    assert measured.told["sizes"][1]["events"] > 20_000
    assert [path.name for path in tmp_path.iterdir()] == ["archive-1"], "of the archives the shortest is left"


@pytest.mark.parametrize(("power", "is_met"), [(1.0, True), (1.2, False)])
def test_the_exponent_is_that_of_time_by_rows(
    power: float, is_met: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_: Workbench, source: Path) -> dict[str, object]:
        rows = int(source.name)
        took_s = 1e-6 * rows**power
        return {
            "wall_s": took_s,
            "cpu_s": took_s,
            "events": rows,
            "peak_rss_bytes": 10**8,
            "out": str(source),
        }

    def archive(bench: Workbench, rows: int) -> Path:
        path = bench.folder / str(rows)
        path.mkdir(exist_ok=True)
        return path

    monkeypatch.setattr(Workbench, "run", run)
    monkeypatch.setattr(Workbench, "archive", archive)
    monkeypatch.setattr(Workbench, "clear", staticmethod(lambda _: None))
    measured = scale.measure(small(tmp_path, sizes=(10_000, 1_000_000)))
    figure = named(measured.figures)["scale, exponent"]
    assert math.isclose(figure.figure, power)
    assert figure.is_met == is_met
