"""Wholeness: what could not be read and what the golden does not judge is told, and weighs."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from rlx_datapipe.core.errors import DatasetError, SourceError
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.faults import insert_garbage
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.validation.result import RuleResult, ValidationReport

MARKET = MarketConfig(duration_s=4, levels=150, snapshot_levels=100, orders_per_s=500)


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return list(simulate(MARKET))


def rule(report: ValidationReport, name: str) -> RuleResult:
    return next(rule for rule in report.rules if rule.name == name)


def made(lines: list[bytes], folder: Path, garbage: int = 0) -> tuple[Path, Path]:
    stream = iter(lines)
    for k in range(garbage):
        stream = insert_garbage(stream, 200 + 2 * k)
    capture = folder / "capture.gz"
    write_capture(stream, capture)
    reconstruct(capture, folder / "set")
    return folder / "set", capture


def test_a_clean_capture_is_read_whole_and_judged_whole(lines: list[bytes], tmp_path: Path) -> None:
    dataset, capture = made(lines, tmp_path)
    report = validate(dataset, golden=capture)
    assert rule(report, "everything_read").verdict == "pass"
    assert rule(report, "coverage").verdict == "pass"
    assert rule(validate(dataset), "coverage").verdict == "skipped"


def test_a_line_that_could_not_be_read_is_a_warning(lines: list[bytes], tmp_path: Path) -> None:
    dataset, capture = made(lines, tmp_path, garbage=1)
    report = validate(dataset, golden=capture)
    assert (report.verdict, rule(report, "everything_read").measures["unread"]) == ("pass", 1)
    [finding] = [f for f in report.findings if f.rule == "everything_read"]
    assert finding.severity is Severity.WARN
    assert "capture.gz, first at row" in finding.message


def test_more_than_one_in_a_hundred_fails_the_dataset(lines: list[bytes], tmp_path: Path) -> None:
    dataset, _ = made(lines, tmp_path, garbage=len(lines) // 80)
    report = validate(dataset)
    assert (report.verdict, rule(report, "everything_read").verdict) == ("fail", "fail")


@pytest.mark.parametrize("part", ["first half", "longer"])
def test_a_golden_of_another_span_is_told(part: str, lines: list[bytes], tmp_path: Path) -> None:
    half = list(itertools.islice(lines, len(lines) // 2))
    kept, golden_lines = (lines, half) if part == "first half" else (half, lines)
    dataset, _ = made(kept, tmp_path)
    golden = tmp_path / "golden.gz"
    write_capture(golden_lines, golden)
    coverage = rule(validate(dataset, golden=golden), "coverage")
    assert coverage.verdict == "warn"
    judged, groups = coverage.measures["groups_judged"], coverage.measures["groups"]
    held, theirs = coverage.measures["golden_groups_in_span"], coverage.measures["golden_groups"]
    assert (judged < groups, held < theirs) == ((True, False) if part == "first half" else (False, True))


def test_an_unfinished_dataset_is_not_judged(lines: list[bytes], tmp_path: Path) -> None:
    dataset, _ = made(lines, tmp_path)
    head = dataset / "rlx.json"
    head.write_text(head.read_text().replace('"BINANCE/BTCUSDT"', '"BINANCE/BTCUSDT",\n"BINANCE/ETHUSDT"'))
    assert open_dataset(dataset).manifest.unfinished == ["BINANCE/ETHUSDT"]
    with pytest.raises(DatasetError, match=r"is unfinished.*BINANCE/ETHUSDT"):
        validate(dataset)
    assert validate(dataset, "BTCUSDT").verdict == "pass"


def test_a_format_that_the_content_contradicts_is_refused(lines: list[bytes], tmp_path: Path) -> None:
    capture = tmp_path / "capture.gz"
    write_capture(lines, capture)
    with pytest.raises(SourceError, match="found binance-spot; expected binance-usdm"):
        reconstruct(capture, tmp_path / "set", format="binance-usdm")


def test_an_order_that_is_none_is_refused(lines: list[bytes], tmp_path: Path) -> None:
    """A typo that fell back to event order would be look-ahead in a backtest."""
    dataset, _ = made(lines, tmp_path)
    with pytest.raises(DatasetError, match=r"no order 'recieved'.*event, received"):
        open_dataset(dataset).table("events", order="recieved")  # type: ignore[arg-type]
