"""The schema of a result as its page in the docs tells it: every object with every field, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlx_datapipe.core.finding import Finding
from rlx_datapipe.fidelity import plot_data, result
from rlx_datapipe.fidelity.decision import DecisionSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fidelity-report.md"
OBJECTS = {
    "the whole": result.FidelityReport,
    "`header`": result.Header,
    "`header.golden`, `header.dataset`": result.Side,
    "`replayed` of a side": result.Replayed,
    "`header.settings`": DecisionSettings,
    "`score`": result.Score,
    "one of `metrics`": result.MetricReport,
    "`p` of a metric": result.PValues,
    "`plots` of a metric": plot_data.Plots,
    "`histogram`": plot_data.Histogram,
    "`quantiles`": plot_data.Quantiles,
    "`over_time`": plot_data.OverTime,
    "`heat_map`": plot_data.HeatMap,
    "one of `strengths`": result.Strength,
    "one of `problems`": result.Problem,
    "one of `findings`": Finding,
}


@pytest.mark.parametrize("name", OBJECTS)
def test_the_docs_name_every_field(name: str) -> None:
    fields = ", ".join(f"`{field}`" for field in OBJECTS[name].__struct_fields__)
    assert f"| {name} | {fields} |" in PAGE.read_text("utf-8").splitlines()


def test_the_docs_name_the_schema() -> None:
    assert f"`{result.SCHEMA}`" in PAGE.read_text("utf-8")
