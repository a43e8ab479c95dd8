"""`rlx assess` as a user meets it: a screen, one JSON object, pages, and the right exit status."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.cli.door import rlx, rlx_process
from tests.pipeline.captures import SPOT, capture
from tests.report.opened import opens_without_a_word

from rlx_datapipe.simulation.faults import drop_depth, remove_snapshots


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return capture(tmp_path_factory.mktemp("whole") / "btcusdt.gz")


def test_the_verdict_comes_first_on_the_screen(whole: Path) -> None:
    said = rlx("assess", whole)
    first, verdict, *_ = said.out.splitlines()
    assert said.status == 0
    assert first.startswith("BINANCE BTCUSDT")
    assert verdict.startswith("✓ Ready, reconstruct it with --strategy full: ")
    assert "proven contiguous" in said.out
    assert "This is harmless" in " ".join(said.out.split())


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_nothing_on_the_screen_is_cut(columns: int, whole: Path) -> None:
    said = rlx_process("assess", whole, env={"COLUMNS": str(columns)})
    assert said.status == 0
    assert "…" not in said.out


def test_json_is_one_object(whole: Path) -> None:
    told = rlx("assess", whole, "--json").json()
    (chain,) = told["chains"]
    assert told["schema_version"] == 1
    assert (chain["grade"], chain["depth"]["contiguity"]) == ("ready", "proven")
    assert chain["cost"]["memory_bytes"] > 10**8


def test_what_is_not_fit_ends_with_status_1(tmp_path: Path) -> None:
    unfit = capture(tmp_path / "unfit.gz", SPOT, remove_snapshots)
    assert rlx("assess", unfit, "--json").status == 1
    usable = capture(tmp_path / "usable.gz", SPOT, partial(drop_depth, k=50))
    said = rlx("assess", usable)
    assert said.status == 0
    assert "! Usable, reconstruct it with --strategy full; but 1 gap" in said.out


def test_a_report_is_written_the_same_each_time_but_for_times_measured(whole: Path, tmp_path: Path) -> None:
    said = rlx("assess", whole, "--report", tmp_path / "pages")
    assert said.status == 0
    assert str(tmp_path / "pages" / "assessment.html") in said.err
    written = {path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.*")}
    plots = {name for name in written if name.startswith("assessment-plots/")}
    assert written - plots == {"assessment.html", "assessment.md", "assessment.json"}
    assert len(plots) > 5
    text = (tmp_path / "pages" / "assessment.md").read_text("utf-8")
    assert all(f"({name})" in text for name in plots)
    told = json.loads((tmp_path / "pages" / "assessment.json").read_text("utf-8"))
    assert told["chains"][0]["grade"] == "ready"


def test_two_symbols_have_a_page_each_and_one_before_them(whole: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    other = capture(tmp_path / "eth.gz", replace(SPOT, symbol="ETHUSDT", seed=2))
    said = rlx("assess", whole, other, "--report", tmp_path / "pages", "--json")
    assert len(said.json()["chains"]) == 2
    pages = sorted(path.name for path in (tmp_path / "pages").glob("*.html"))
    assert pages == ["BINANCE-BTCUSDT.html", "BINANCE-ETHUSDT.html", "assessment.html"]


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    said = rlx("assess", tmp_path / "nowhere")
    assert said.status == 2
    assert "nowhere" in said.sentence()
    (tmp_path / "file").write_text("x", "utf-8")
    assert rlx("assess", tmp_path / "file").status == 2


def test_a_report_that_cannot_be_written_is_one_sentence(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    said = rlx("assess", whole, "--report", tmp_path / "file" / "below")
    assert said.status == 2
    assert said.out == ""


def test_its_page_opens_in_a_browser(browser: Any, whole: Path, tmp_path: Path) -> None:
    assert rlx("assess", whole, "--report", tmp_path / "pages").status == 0
    opens_without_a_word(browser, tmp_path / "pages" / "assessment.html")
