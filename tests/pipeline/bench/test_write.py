"""`rlx bench write` measures the events table as Parquet alone and through the sink, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.pipeline.bench.write import measure
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate


def test_both_ways_write_the_same_rows(tmp_path: Path) -> None:
    bench = small(tmp_path)
    measured = measure(bench)
    figures = named(measured.figures)
    assert list(figures) == ["write, Parquet", "write, sink"]
    parquet, sink = figures.values()
    assert parquet.detail["rows"] == sink.detail["rows"] >= bench.options.rows
    assert 0 < parquet.detail["bytes_per_row"] < sink.detail["bytes_per_row"], "the sink writes all tables"
    assert {figure.ratio_to for figure in figures.values()} == {"plain copy"}
    assert {"rows_per_second", "bytes_per_row", "sink_rows_per_second"} == set(measured.told)
    assert [path.name for path in tmp_path.iterdir()] == ["archive-1"]


def test_a_users_own_recording_is_written(tmp_path: Path) -> None:
    path = tmp_path / "own.zst"
    write_capture(simulate(MarketConfig(duration_s=4, levels=100)), path)
    figures = named(measure(small(tmp_path, source=path)).figures)
    assert figures["write, Parquet"].detail["rows"] > 1_000
