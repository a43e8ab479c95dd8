"""`rlx bench checkpoint` measures at a full-depth book, and kills a run for its measure of recovery."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.pipeline.bench.checkpoint import measure


def test_cost_pause_and_recovery_are_told(tmp_path: Path) -> None:
    figures = named(measure(small(tmp_path)).figures)
    assert list(figures) == [
        "checkpoint, share",
        "checkpoint, write",
        "checkpoint, pause",
        "checkpoint, recovery",
    ]
    pause, recovery = list(figures.values())[2:]
    assert min(pause.detail["levels"]) >= 5_000, "measured at a full-depth book"
    assert pause.ratio_to == "plain copy"
    assert recovery.detail["killed_at_events"] > recovery.detail["epoch_events"], "the second epoch is lost"
    assert recovery.detail["goes_on_s"] <= recovery.figure
