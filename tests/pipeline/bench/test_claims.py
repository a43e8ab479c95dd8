"""Every claim comes to a verdict, and the page tells all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.depth import deep

from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.pipeline.bench import claims, claims_memory, claims_numbers, claims_runs
from rlx_datapipe.pipeline.bench.ablation import CONFIRMED, OPEN, REFUTED
from rlx_datapipe.pipeline.bench.claims import CLAIMS, measure
from rlx_datapipe.pipeline.bench.figure import Options
from rlx_datapipe.pipeline.bench.workbench import Workbench

SMALL = {
    claims_runs: {"_ROWS": 4_000, "_FEW_ROWS": 2_000, "_SOURCED_ROWS": 2_000, "_SYMBOL_ROWS": 2_000},
    claims_memory: {"_ROWS": 4_000},
    claims_numbers: {"_NUMBERS": 2_000, "_UPDATES": 2_000},
}
ASKED = (
    "batches of 1,000",
    "against Decimal",
    "against decimal128",
    "against sorted arrays",
    "against a hash",
    "on disk",
    "in memory",
    "memory-mapped",
    "garbage collection",
    "pooled",
    "copy-on-write",
    "views",
    "process per symbol",
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    for module, sizes in SMALL.items():
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(claims, "PAIRS_MIN", 2)
    return Workbench(tmp_path, Options(repeats=1, report=tmp_path / "claims.md"))


@deep
def test_each_claim_has_a_verdict_and_a_line_on_the_page(bench: Workbench) -> None:
    measured = measure(bench)
    told = measured.told["claims"]
    assert len(told) >= len(CLAIMS)
    assert all(one["verdict"] in (CONFIRMED, REFUTED, OPEN) for one in told)
    assert all(one["low"] <= one["ratio"] <= one["high"] for one in told)
    assert all(any(name in one["name"] for one in told) for name in ASKED)
    assert bench.options.report is not None
    page = bench.options.report.read_text()
    for one in told:
        assert f"| {one['claim']} | {one['ratio']:.2f} | {one['low']:.2f} to {one['high']:.2f} |" in page
    assert [figure.claim for figure in measured.figures] == [one["name"] for one in told]


def test_ways_that_give_different_answers_are_not_compared(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_numbers, "_sorted_book", lambda *_: 0)
    with pytest.raises(DatapipeError, match="two books give different answers"):
        claims_numbers.books(bench)
