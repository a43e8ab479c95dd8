"""What is told of a capture is what was recorded into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.pipeline.capture_folders import Recording, arrivals, in_parts
from tests.pipeline.captures import SPOT, lines_of

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.cli.main import main
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.pipeline.capture_report import report_capture
from rlx_datapipe.store.frames import RecordKind


@pytest.fixture(scope="module")
def given() -> list[Arrival]:
    every = [one._replace(monotonic_ns=one.wall_ns) for one in arrivals(lines_of(SPOT), "BTCUSDT")]
    lost = b'{"stream":"btcusdt@trade","from_id":7,"to_id":9,"reason":"reconnect"}'
    at = every[500]
    every.insert(500, Arrival(RecordKind.GAP, 0, "!gap", lost, at.wall_ns, at.monotonic_ns))
    return every


def test_counts_rates_gaps_and_latency_are_those_of_the_records(given: list[Arrival], tmp_path: Path) -> None:
    recording = Recording(tmp_path / "capture", ("BTCUSDT",))
    for part in in_parts(given, 20):
        recording.write(part)
    assert report_capture(tmp_path / "capture")["state"] == "being written"
    recording.close()
    report = report_capture(tmp_path / "capture")
    assert report["state"] == "finished"
    assert (report["segments"], len(report["timeline"])) == (20, 20)
    assert (report["from_ns"], report["to_ns"]) == (given[0].wall_ns, given[-1].wall_ns)
    assert report["records"] == {"message": len(given) - 5, "snapshot": 4, "gap": 1}
    trades = next(one for one in report["streams"] if one["stream"] == "btcusdt@trade")
    count = sum(one.stream == "btcusdt@trade" for one in given)
    assert (trades["messages"], trades["gaps"], trades["missing"]) == (count, 1, 3)
    assert trades["messages_per_s"] == pytest.approx(count / report["seconds"], rel=0.01)
    assert trades["latency_ms"]["p50"] == pytest.approx(-1_270, abs=30)  # the simulated recorder's clock
    assert report["gaps"] == [
        {"stream": "btcusdt@trade", "from_id": 7, "to_id": 9, "reason": "reconnect"},
    ]
    assert sum(report["regimes"]["BTCUSDT"].values()) == 20
    assert report["regimes"]["BTCUSDT"]["unknown"] == 12


@pytest.mark.parametrize("columns", [80, 120])
def test_it_is_shown_on_a_screen(
    columns: int, given: list[Arrival], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(tmp_path / "capture", ("BTCUSDT",))
    for part in in_parts(given, 15):
        recording.write(part)
    recording.close()
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = CliRunner().invoke(main, ["capture", "inspect", str(tmp_path / "capture")])
    assert shown.exit_code == 0, shown.output
    assert "btcusdt@trade: ids 7 to 9, reconnect" in shown.output
    assert "messages a second, at most" in shown.output
    assert max(map(len, shown.output.splitlines())) <= columns


def test_an_empty_capture_and_none_at_all_are_told_apart(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "capture", ("BTCUSDT",))
    assert report_capture(tmp_path / "capture")["segments"] == 0
    recording.close()
    with pytest.raises(DatasetError, match="is no capture"):
        report_capture(tmp_path)
