"""`rlx fidelity` as a user meets it: a screen, JSON, reports, verdicts for Prometheus, mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.door import Said, rlx
from tests.pipeline.captures import SPOT, capture

from rlx_datapipe.cli.reconstruct import fidelity_status
from rlx_datapipe.core.config import Settings
from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.pipeline.reconstruct import reconstruct

MARKET = replace(SPOT, duration_s=20, orders_per_s=300)
FEW = ("--metrics", "touch_rms,touch_exact,spread_l1,trade_size")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets of two markets, of both together, and of a few seconds."""
    folder: Path = tmp_path_factory.mktemp("cli-fidelity")
    btc = capture(folder / "btc.gz", MARKET)
    eth = capture(folder / "eth.gz", replace(MARKET, symbol="ETHUSDT", seed=5, typical_size="2"))
    short = capture(folder / "short.gz", replace(MARKET, duration_s=3))
    for name, sources in {"btc": [btc], "eth": [eth], "two": [btc, eth], "short": [short]}.items():
        reconstruct(sources, folder / name, Settings())
    return folder


@pytest.fixture(scope="module")
def own(place: Path) -> Said:
    """A dataset against its own capture, on a screen."""
    return rlx("fidelity", place / "btc", "--golden", place / "btc.gz", *FEW)


def test_the_verdict_comes_first_on_the_screen(own: Said) -> None:
    first, _, verdict, *_ = own.out.splitlines()
    assert own.status == 0
    assert first.startswith("BINANCE BTCUSDT  ")
    assert " against " in first
    assert verdict.split()[:5] == ["✓", "PASS", "4", "of", "4"]
    assert "score  1.000 of 1, over the 100 % of the weight" in own.out


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_nothing_on_the_screen_is_cut(columns: int, place: Path) -> None:
    arguments = ("--golden", place / "eth", "--symbols", "BTCUSDT=ETHUSDT", *FEW)
    said = rlx("fidelity", place / "btc", *arguments, env={"COLUMNS": str(columns)})
    assert said.status == 1, said.err
    assert "…" not in said.out
    assert "✗ FAIL" in said.out
    for name in FEW[1].split(","):
        assert name in said.out


def test_json_is_one_object_and_the_same_each_time(place: Path) -> None:
    said = [rlx("fidelity", place / "btc", "--golden", place / "btc", *FEW, "--json") for _ in range(2)]
    assert said[0].out == said[1].out
    told = said[0].json()
    assert (told["schema"], told["verdict"]) == ("rlx.fidelity/1", "PASS")
    (report,) = told["reports"]
    assert [one["name"] for one in report["metrics"]] == sorted(FEW[1].split(","))


def test_each_verdict_has_its_exit_status(own: Said, place: Path) -> None:
    other = rlx("fidelity", place / "btc", "--golden", place / "eth", "--symbols", "BTCUSDT=ETHUSDT", *FEW)
    short = rlx("fidelity", place / "short", "--golden", place / "btc", *FEW)
    assert (own.status, other.status, short.status) == (0, 1, 4)
    assert "? INCONCLUSIVE" in short.out
    assert "too little data" in short.out


def test_reports_and_verdicts_for_prometheus_are_written(place: Path, tmp_path: Path) -> None:
    arguments = ("--report", tmp_path / "pages", "--format", "json,md", "--prometheus", tmp_path / "rlx.prom")
    said = rlx("fidelity", place / "btc", "--golden", place / "btc", *FEW, *arguments)
    assert said.status == 0
    assert str(tmp_path / "pages" / "fidelity.md") in said.err
    assert json.loads((tmp_path / "pages" / "fidelity.json").read_text("utf-8"))["verdict"] == "PASS"
    lines = (tmp_path / "rlx.prom").read_text("utf-8").splitlines()
    assert 'rlx_fidelity_verdict{exchange="BINANCE",symbol="BTCUSDT",verdict="PASS"} 1.0' in lines
    assert 'rlx_fidelity_score_ratio{exchange="BINANCE",symbol="BTCUSDT"} 1.0' in lines


def test_several_symbols_have_a_report_each(place: Path, tmp_path: Path) -> None:
    arguments = ("--report", tmp_path / "pages", "--format", "html,json", *FEW)
    said = rlx("fidelity", place / "two", "--golden", place / "two", *arguments, "--json")
    assert [one["header"]["dataset"]["symbol"] for one in said.json()["reports"]] == ["BTCUSDT", "ETHUSDT"]
    written = {path.name for path in (tmp_path / "pages").iterdir()}
    assert {"BINANCE-BTCUSDT.html", "BINANCE-ETHUSDT.html", "BINANCE-BTCUSDT.json"} <= written
    only = rlx("fidelity", place / "two", "--golden", place / "two", "--symbols", "eth-usdt", *FEW, "--json")
    assert [one["header"]["dataset"]["symbol"] for one in only.json()["reports"]] == ["ETHUSDT"]


def test_the_catalogue_and_each_metric_of_it_are_told() -> None:
    names = list(standard_registry(with_plugins=False))
    listed = rlx("fidelity", "--list")
    assert listed.status == 0
    assert all(f"  {name}" in listed.out for name in names)
    assert {one["name"] for one in rlx("fidelity", "--list", "--json").json()["metrics"]} >= set(names)
    told = rlx("fidelity", "--explain", "spread_l1")
    assert [
        word for word in ("formula", "margin", "why", "reference", "weight") if word not in told.out
    ] == []
    assert (
        rlx("fidelity", "--explain", "spread_l1", "--json")
        .json()["threshold"]
        .startswith("sides of one time")
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "DATASET is missing"),
        (("btc",), "--golden is missing"),
        (("btc", "--golden", "eth"), "golden is of another market"),
        (("btc", "--golden", "nowhere"), "nowhere"),
        (("nowhere", "--golden", "btc"), "is not a dataset"),
        (("btc.gz", "--golden", "btc"), "is not a dataset"),
        (("btc", "--golden", "btc", "--metrics", "spread_l2"), "Did you mean spread_l"),
        (("btc", "--golden", "btc", "--symbols", "SOLUSDT"), "no symbol 'SOLUSDT' here"),
        (("btc", "--golden", "btc", "--symbols", "BTCUSDT=SOLUSDT"), "no symbol 'SOLUSDT' here"),
        (("--explain", "spred_l1"), "Did you mean spread_l1"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], sentence: str, place: Path) -> None:
    given = [place / one if (place / one).exists() or one == "nowhere" else one for one in arguments]
    said = rlx("fidelity", *given)
    assert said.status == 2
    assert sentence in said.sentence()


@pytest.mark.parametrize(
    ("option", "value"), [("--format", "docx"), ("--window", "soon"), ("--seed", "-1"), ("--window", "0")]
)
def test_an_option_that_means_nothing_is_refused(option: str, value: str, place: Path) -> None:
    said = rlx("fidelity", place / "btc", "--golden", place / "btc", option, value)
    assert said.status == 2
    assert value in said.err
    assert "Traceback" not in said.err


def test_without_the_extra_there_is_one_sentence(place: Path, tmp_path: Path) -> None:
    (tmp_path / "arch.py").write_text("raise ModuleNotFoundError('arch')")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from rlx_datapipe.cli.main import main\n"
        f"main(['fidelity', {str(place / 'btc')!r}, '--golden', {str(place / 'btc')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("Run: pip install 'rlx-datapipe[fidelity]'")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([("batch-000001", "FAIL"), ("whole", "PASS")], 0),
        ([("whole", "PASS"), ("whole", "FAIL")], 1),
        ([("whole", "PASS"), ("whole", "INCONCLUSIVE")], 4),
        ([("whole", "")], 4),
    ],
)
def test_a_reconstruction_with_golden_ends_as_the_verdict_on_the_whole(
    told: list[tuple[str, str]], status: int
) -> None:
    assert fidelity_status([{"name": name, "verdict": verdict} for name, verdict in told]) == status
