"""The benchmarks by name: one row is all that a new one needs, and one object all that is told."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from rlx_datapipe.pipeline.bench import suite
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, Options
from rlx_datapipe.pipeline.bench.suite import BENCHMARKS, Benchmark, bench, measurer
from rlx_datapipe.pipeline.bench.workbench import Workbench

PROMISED = [
    "reconstruct",
    "book",
    "parse",
    "write",
    "checkpoint",
    "scale",
    "symbols",
    "capture_write",
    "import",
]


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> list[Workbench]:
    """Two benchmarks in place of the real ones, the second not quick; the workbenches that they got."""
    seen: list[Workbench] = []

    def measure(workbench: Workbench) -> Measured:
        """Measure nothing."""
        seen.append(workbench)
        return Measured([Figure(claim="a claim", figure=1.0, unit="s")], {"own": len(seen)})

    module = ModuleType("rlx_datapipe.pipeline.bench.of_this_test")
    module.measure = measure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    rows = {
        "swift": Benchmark("of_this_test", "swift", ("seed",)),
        "slow": Benchmark("of_this_test", "slow", ("seed",), quick=False),
    }
    monkeypatch.setattr(suite, "BENCHMARKS", rows)
    return seen


def test_every_promised_benchmark_is_there_in_its_order() -> None:
    assert [name for name in BENCHMARKS if name in PROMISED] == PROMISED


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_says_what_it_measures_and_on_what(name: str) -> None:
    told = measurer(name).__doc__ or ""
    assert told.startswith("Measure ")
    assert BENCHMARKS[name].told
    assert ("Input: " in told) == (name != "import")
    unknown = set(BENCHMARKS[name].takes) - set(Options.__dataclass_fields__)
    assert not unknown


def test_one_tells_its_own_keys_beside_the_figures(two: list[Workbench]) -> None:
    told = bench(["slow"])
    assert told["own"] == 1
    assert [figure["benchmark"] for figure in told["figures"]] == ["slow"]
    assert "benchmarks" not in told


def test_without_a_name_the_quick_ones_run(two: list[Workbench]) -> None:
    assert bench()["own"] == 1
    assert len(two) == 1


def test_several_share_a_workbench_that_is_gone_afterwards(two: list[Workbench], tmp_path: Path) -> None:
    told = bench(["swift", "slow"], Options(folder=tmp_path))
    assert told["benchmarks"] == {"swift": {"own": 1}, "slow": {"own": 2}}
    assert two[0] is two[1]
    assert two[0].folder.parent == tmp_path
    assert not two[0].folder.exists()


def test_what_it_was_measured_on_is_told(two: list[Workbench]) -> None:
    told = bench(["swift"], Options(seed=11, repeats=2))
    assert (told["seed"], told["repeats"]) == (11, 2)
    assert {"writer", "python", "machine", "cpus", "load"} <= set(told)
