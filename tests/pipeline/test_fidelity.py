"""Fidelity of datasets: against their own capture, another market, another time; golden from captures."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

import msgspec
import pytest
from tests.pipeline.capture_folders import arrivals, write_folder
from tests.pipeline.captures import SPOT, capture, lines_of

import rlx_datapipe
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError, OptionError
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing
from rlx_datapipe.fidelity.generator import ReportGenerator
from rlx_datapipe.fidelity.reporter import FidelityReporter, worst
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.pipeline.fidelity import fidelity
from rlx_datapipe.pipeline.fidelity_golden import golden_dataset
from rlx_datapipe.pipeline.fidelity_order import fulfil
from rlx_datapipe.pipeline.fidelity_sides import chosen_length
from rlx_datapipe.pipeline.fidelity_told import Order, Part
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.simulation.faults import drop_depth

MARKET = replace(SPOT, duration_s=24, orders_per_s=300)
REPORTER = FidelityReporter(
    standard_registry(with_plugins=False), decision=DecisionSettings(permutations=199, rounds=199)
)
QUICK = ("touch_rms", "touch_exact", "spread_l1", "trade_size", "touch_depth")
SECOND = 1_000_000_000
BTC = Instrument(exchange="BINANCE", symbol="BTCUSDT")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with its dataset; another symbol's; one that lost messages; and one of another day."""
    folder: Path = tmp_path_factory.mktemp("fidelity")
    eth = replace(MARKET, symbol="ETHUSDT", seed=5)
    later = replace(MARKET, seed=6, start_ns=MARKET.start_ns + 86_400 * SECOND)
    capture(folder / "btc.gz", MARKET)
    capture(folder / "eth.gz", eth)
    capture(folder / "later.gz", later)
    capture(folder / "lossy.gz", MARKET, partial(drop_depth, k=50))
    for name in ("btc", "eth", "later", "lossy"):
        reconstruct(folder / f"{name}.gz", folder / name, Settings())
    return folder


def quick(dataset: Path, golden: Path, *names: str, **how: object) -> FidelityReport:
    (report,) = fidelity(dataset, golden, metrics=names or QUICK, reporter=REPORTER, **how)  # type: ignore[arg-type]
    return report


def test_a_dataset_against_its_own_capture_is_exact(place: Path) -> None:
    report = quick(place / "btc", place / "btc.gz")
    assert report.verdict is Standing.PASS
    assert report.score.overall == 1.0
    assert report.header.is_paired
    assert report.header.dataset.digest == report.header.golden.digest != ""
    rms, exact = (next(m for m in report.metrics if m.name == name) for name in ("touch_rms", "touch_exact"))
    assert (rms.value, exact.value) == (0.0, 1.0)


def test_a_folder_of_a_capture_is_golden_too_and_nothing_is_left_of_it(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    folder = write_folder(tmp_path / "capture", arrivals(lines_of(MARKET), "BTCUSDT"), ("BTCUSDT",))
    report = quick(place / "btc", folder)
    assert report.verdict is Standing.PASS
    assert report.to_json() == quick(place / "btc", folder).to_json()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_golden_that_takes_more_disk_than_it_may_is_refused_and_removed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        pytest.raises(OptionError, match="more room as a dataset than it may"),
        golden_dataset([place / "btc.gz"], Settings(), [BTC], disk_mb=0),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_golden_that_is_kept_is_reconstructed_once_as_long_as_it_is_the_same(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden, keep, made = tmp_path / "golden.gz", tmp_path / "keep", []
    keep.mkdir()
    shutil.copy(place / "btc.gz", golden)
    events: list[Progress] = []

    def opened() -> str:
        events.clear()
        with golden_dataset([golden], Settings(), [BTC], keep=keep, on_progress=events.append) as dataset:
            return f"{dataset.path}"

    made.append(opened())
    assert events
    made.append(opened())
    assert made[0] == made[1]
    assert not events, "nothing was read anew"
    shutil.copy(place / "later.gz", golden)
    made.append(opened())
    assert made[2] != made[1]
    assert events
    assert len(list(keep.iterdir())) == 1, "the one before is gone"


def test_tier_1_of_both_sides_is_in_the_report(place: Path) -> None:
    report = quick(place / "btc", place / "btc.gz")
    golden, ours = report.header.golden.replayed, report.header.dataset.replayed
    assert ours is not None
    assert golden == ours
    assert ours.alerts == 0
    assert len(ours.times) == len(ours.messages_per_s) == len(ours.spread_ticks) >= 1
    assert 10 < max(one or 0 for one in ours.messages_per_s) < 100, "deltas every 100 ms, and trades"
    assert all(time % ours.window_ns == 0 for time in ours.times)
    without = replace_settings(place, tier1=False)
    assert quick(without, place / "btc").header.dataset.replayed is None


def replace_settings(place: Path, **settings: bool) -> Path:
    """A dataset of the same capture by other settings."""
    out = place / f"btc-{'-'.join(settings)}"
    reconstruct(place / "btc.gz", out, Settings(**settings))  # type: ignore[arg-type]
    return out


def test_alerts_of_the_replay_are_told_first(place: Path) -> None:
    report = quick(place / "btc", place / "btc")
    side = report.header.dataset
    assert side.replayed is not None
    loud = msgspec.structs.replace(side.replayed, alerts=3, told=["no message for 40 s"])
    header = msgspec.structs.replace(report.header, dataset=msgspec.structs.replace(side, replayed=loud))
    html = ReportGenerator(msgspec.structs.replace(report, header=header)).html()
    assert "While it was replayed" in html
    assert "Dataset: alerts while it was replayed" in html
    assert "3 alerts. No message for 40 s." in html


def test_quantities_are_told_in_whole_units(place: Path) -> None:
    (depth,) = quick(place / "btc", place / "btc", "touch_depth").metrics
    assert depth.golden is not None
    assert 0.01 < depth.golden < 1_000
    assert depth.plots.histogram is not None
    assert depth.plots.histogram.axis == "quantity"


def test_lost_messages_show_in_the_best_prices(place: Path) -> None:
    report = quick(place / "lossy", place / "btc")
    assert report.header.is_paired
    assert report.header.golden.windows < quick(place / "btc", place / "btc").header.golden.windows, "masked"


def test_another_time_is_compared_as_two_draws(place: Path) -> None:
    report = quick(place / "later", place / "btc")
    assert not report.header.is_paired
    by_name = {one.name: one for one in report.metrics}
    assert by_name["touch_rms"].verdict is Standing.INCONCLUSIVE
    assert by_name["spread_l1"].p.adjusted is not None
    complained = {name for problem in report.problems for name in problem.metrics}
    assert not complained & {"touch_rms", "touch_exact"}, "nobody can mend what can't be asked"


def test_another_symbol_is_refused_unless_it_is_asked_for(place: Path) -> None:
    for golden in (place / "eth", place / "eth.gz"):
        with pytest.raises(OptionError, match="golden is of another market") as refused:
            quick(place / "btc", golden)
        assert "--symbols BTCUSDT=ETHUSDT" in str(refused.value)
    report = quick(place / "btc", place / "eth", symbols=["BTCUSDT=ETHUSDT"])
    assert not report.header.is_paired
    assert (report.header.dataset.symbol, report.header.golden.symbol) == ("BTCUSDT", "ETHUSDT")


def test_too_little_data_is_inconclusive_with_the_reason(place: Path, tmp_path: Path) -> None:
    capture(tmp_path / "short.gz", replace(MARKET, duration_s=4))
    reconstruct(tmp_path / "short.gz", tmp_path / "short", Settings())
    report = quick(tmp_path / "short", place / "later")
    assert report.verdict is Standing.INCONCLUSIVE
    assert "too little data" in report.reason
    assert worst([report]) is Standing.INCONCLUSIVE


def test_windows_are_as_long_as_there_is_data_for() -> None:
    assert chosen_length(24 * 3600 * SECOND) == 300 * SECOND
    assert chosen_length(650 * SECOND) == 30 * SECOND
    assert chosen_length(20 * SECOND) == SECOND
    assert chosen_length(0) == SECOND


def test_the_package_gives_it_as_a_function_whether_its_folder_is_loaded_or_not(place: Path) -> None:
    import_module("rlx_datapipe.fidelity.engine")
    (report,) = rlx_datapipe.fidelity(place / "btc", place / "btc", metrics=["spread_l1"], reporter=REPORTER)
    assert report.verdict is Standing.PASS
    assert import_module("rlx_datapipe.fidelity").__name__ == "rlx_datapipe.fidelity"


def test_a_metric_that_is_not_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="Did you mean trade_size"):
        fidelity(tmp_path / "nowhere", tmp_path / "nowhere", metrics=["trade_sise"])


def test_a_dataset_that_is_none_or_holds_nothing_is_refused(place: Path, tmp_path: Path) -> None:
    for dataset, golden in ((tmp_path, place / "btc"), (place / "btc", tmp_path / "nowhere")):
        with pytest.raises(DatapipeError) as refused:
            fidelity(dataset, golden)
        assert str(tmp_path) in str(refused.value)


def test_a_reconstruction_reports_on_what_it_wrote(place: Path, tmp_path: Path) -> None:
    notices: list[str] = []
    told = reconstruct(
        place / "btc.gz", tmp_path / "out", Settings(), golden=place / "btc", on_notice=notices.append
    )
    (one,) = told["fidelity"]
    assert (one["name"], one["symbol"]) == ("whole", "BTCUSDT")
    assert any("fidelity of whole: BINANCE BTCUSDT" in notice for notice in notices)
    folder = tmp_path / "out" / "fidelity"
    written = json.loads((folder / "BINANCE+BTCUSDT" / "whole" / "fidelity.json").read_text("utf-8"))
    assert written["verdict"] == one["verdict"]
    assert (
        'rlx_fidelity_verdict{exchange="BINANCE",symbol="BTCUSDT"' in (folder / "fidelity.prom").read_text()
    )


def test_a_golden_that_cannot_be_read_is_refused_before_anything_is_written(
    place: Path, tmp_path: Path
) -> None:
    with pytest.raises(DatapipeError, match="nowhere"):
        reconstruct(place / "btc.gz", tmp_path / "out", Settings(), golden=tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


def test_an_order_against_another_market_is_refused(place: Path, tmp_path: Path) -> None:
    order = Order(
        dataset=place / "btc", golden=place / "eth", parts=(Part(BTC),), folder=tmp_path, name="whole"
    )
    with pytest.raises(OptionError, match="golden is of another market"):
        fulfil(order)
