"""Verdicts on real recordings: against itself, its own snapshots alone, another market, its own other half.

The first two on seven seconds by default; all of it on minutes with RLX_TEST_DEEP=1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from tests.depth import DEEP, deep

from rlx_datapipe.core.config import Settings, Strategy
from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing, Verdict
from rlx_datapipe.fidelity.engine import run_metrics
from rlx_datapipe.fidelity.market import Comparison, MarketSide
from rlx_datapipe.fidelity.overall import overall
from rlx_datapipe.fidelity.plugin import Goal
from rlx_datapipe.fidelity.reading import read_side, read_whole
from rlx_datapipe.fidelity.rebuilt import rebuilt
from rlx_datapipe.fidelity.scales import in_one_scale
from rlx_datapipe.fidelity.verdicts import verdicts
from rlx_datapipe.pipeline.export import export
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.store.dataset import open_dataset

REGISTRY = standard_registry(with_plugins=False)
WINDOW_NS = (5 if DEEP else 1) * 10**9
TABLES: dict[Strategy, tuple[str, ...]] = {
    "full": ("trades", "book", "book_delta_v2"),
    "snapshot": ("trades", "book"),
}


@dataclass(frozen=True)
class Found:
    """The verdict on the whole, on each metric, and the value of each that has one."""

    whole: Verdict
    told: dict[str, Verdict]
    values: dict[str, float]

    def named(self, standing: Standing) -> set[str]:
        return {name for name, one in self.told.items() if one.standing is standing}


def judged(golden: MarketSide, recon: MarketSide, *, is_paired: bool) -> Found:
    data = Comparison(*in_one_scale(golden, recon), is_paired=is_paired)
    measured = run_metrics(REGISTRY, data)
    assert measured.findings == []
    rule = DecisionSettings(permutations=299, rounds=299)
    told = verdicts(measured, REGISTRY, data, np.random.default_rng(1), rule)
    plugins = {name: REGISTRY.get(name) for name in REGISTRY}
    values = {name: one.value for name, one in measured.results.items() if one.value is not None}
    return Found(overall(told, plugins, is_paired=is_paired), told, values)


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
def recording(recordings: Path) -> Path:
    """USD-M futures, whose deltas come as they happen."""
    return recordings / "binance_usdm" / ("btcusdt_20240808.gz" if DEEP else "btcusdt_20220811.dat")


def side(sources: list[Path], out: Path, settings: Settings | None = None) -> MarketSide:
    if not out.exists():
        reconstruct(sources, out, settings or Settings())
    return read_side(open_dataset(out), out.name, window_ns=WINDOW_NS)


def spot(recordings: Path, where: Path, symbol: str) -> MarketSide:
    """Ten minutes across midnight."""
    files = [recordings / "binance_spot" / f"{symbol}_2024080{day}.gz" for day in (8, 9)]
    return side(files, where / symbol)


def test_a_capture_against_its_own_reconstruction_passes_with_zero_error(
    recording: Path, where: Path
) -> None:
    golden = side([recording], where / "golden")
    found = judged(golden, side([recording], where / "again"), is_paired=True)
    assert {"touch_exact", "touch_rms", "spread_l1", "depth_profile", "trade_size"} <= found.values.keys()
    for name, value in found.values.items():
        assert value == (1.0 if REGISTRY.get(name).goal is Goal.MAXIMISE else 0.0), name
    assert found.named(Standing.PASS) == found.values.keys()
    if DEEP:
        assert found.whole.standing is Standing.PASS


def test_the_book_of_a_recording_is_rebuilt_from_its_deltas(recording: Path, where: Path) -> None:
    side([recording], where / "golden")
    opened = open_dataset(where / "golden")
    whole, _ = read_whole(opened.path, opened.manifest.chains[0].instrument)
    again = rebuilt(whole)
    assert np.array_equal(again.best, whole.best)
    assert np.array_equal(again.samples, whole.samples)


def test_snapshots_alone_fail_against_all_deltas_where_they_must(recording: Path, where: Path) -> None:
    archive = where / "archive"
    export(recording, archive, settings=Settings(books_every_ms=1_000))
    full, snapshot = (
        side([archive / table for table in tables], where / name, Settings(strategy=name))
        for name, tables in TABLES.items()
    )
    found = judged(full, snapshot, is_paired=True)
    assert found.values["trade_size"] == 0.0, "the trades are the same"
    assert found.values["touch_exact"] < 0.999
    if DEEP:
        assert found.whole.standing is Standing.FAIL
        assert found.named(Standing.FAIL) >= {"touch_exact", "touch_rms", "quote_gaps", "touch_depth"}
        assert not found.named(Standing.FAIL) & {"trade_size", "trade_gaps", "trade_size_atoms"}


@deep
def test_another_market_fails(recordings: Path, where: Path) -> None:
    found = judged(spot(recordings, where, "btcusdt"), spot(recordings, where, "ethusdt"), is_paired=False)
    assert found.whole.standing is Standing.FAIL
    assert found.named(Standing.FAIL) >= {"spread_l5", "spread_l10", "depth_profile", "trade_size"}
    assert found.told["spread_l20"].standing is not Standing.PASS


@deep
@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_halves_of_one_recording_are_not_vouched_for(recordings: Path, where: Path, symbol: str) -> None:
    """Five minutes before and after midnight: too little to pass; what differs is said of them only."""
    whole = spot(recordings, where, symbol)
    half = len(whole.windows) // 2
    first, second = replace(whole, windows=whole.windows[:half]), replace(whole, windows=whole.windows[half:])
    found = judged(first, second, is_paired=False)
    assert found.whole.standing is not Standing.PASS
    assert len(found.named(Standing.FAIL)) <= 2
    assert len(found.named(Standing.INCONCLUSIVE)) >= 30
    for name in found.named(Standing.FAIL) - {"kyle_lambda"}:
        assert "of these hours only" in found.told[name].scope
