"""Pages of fidelity results: bounded whatever they are told, the same bytes each time, safe, and whole."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.depth import thinned
from tests.fidelity.results import T0, result, side

from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.comparison import comparison_page
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing
from rlx_datapipe.fidelity.generator import SHEETS_MAX, ReportGenerator, page_files, report_files
from rlx_datapipe.fidelity.history import history_page, read_history
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.reporter import FidelityReporter, Named
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.fidelity.synthetic import synthetic_side
from rlx_datapipe.report.page import to_html
from rlx_datapipe.report.pdf import sheets

NASTY = '<script>alert(\'1\')</script> & "x" | `y` **z** #eval("1") \\ \u2028 \n [a](b) $1$'
SIZE_MAX = 5_000_000
DAY_NS = 86_400 * 10**9


@cache
def page_of_ten() -> str:
    return ReportGenerator(result()).html()


@pytest.mark.parametrize(
    ("metrics", "words"),
    [(200, "words"), (200, "many words " * 60), (400, '"' * 5_000), (1_000, "words")],
    ids=["200 metrics with all plots", "long texts", "texts that grow", "1000 metrics"],
)
def test_a_page_stays_small_whatever_it_is_told(metrics: int, words: str) -> None:
    assert len(ReportGenerator(result(metrics, words)).html().encode()) < SIZE_MAX


@pytest.mark.parametrize("words", thinned(['"' * 5_000, "words"], 2), ids=["texts that grow", "words"])
def test_pages_of_many_results_stay_small(words: str, tmp_path: Path) -> None:
    one = result(120, words, symbol=words, has_plots=False)
    page = comparison_page([one] * 500, ["x" * 200 + ".html"] * 500)
    assert len(to_html(page).encode()) < SIZE_MAX
    for run in range(130):
        (tmp_path / f"{run:03}.json").write_bytes(one.to_json())
    assert len(to_html(history_page(*read_history(tmp_path))).encode()) < SIZE_MAX


def test_two_hundred_metrics_have_their_plots_as_far_as_there_is_room_and_the_rest_says_so() -> None:
    html = ReportGenerator(result(200)).html()
    drawn, left_out = html.count(">Distribution<"), html.count("plots are left out to keep this page small")
    assert drawn + left_out == 200
    assert drawn >= 100
    failed = [f">metric_{at}<" for at in range(200) if at % 5 == 1]
    assert all(name in html for name in failed)


def test_the_same_result_gives_the_same_bytes() -> None:
    assert ReportGenerator(result()).files() == ReportGenerator(result()).files()


def test_a_report_has_the_files_that_are_asked_for_the_one_to_open_first_in_front() -> None:
    files = ReportGenerator(result(3)).files()
    assert next(iter(files)) == "fidelity.html"
    plots = {name for name in files if name.startswith("fidelity-plots/")}
    assert files.keys() - plots == {"fidelity.html", "fidelity.md", "fidelity.json", "fidelity.pdf"}
    shown = re.findall(r"\]\(([^)]+\.svg)\)", files["fidelity.md"].decode())
    assert set(shown) == plots
    assert ReportGenerator(result(3)).files(["json"]).keys() == {"fidelity.json"}
    assert ReportGenerator(result(3)).files(["pdf"]).keys() == {"fidelity.pdf"}


def test_a_measured_market_becomes_a_page_with_what_there_is_to_draw() -> None:
    names = ["spread_l1", "trade_fano", "depth_correlation", "garch_persistence", "touch_rms"]
    golden, recon = synthetic_side(1, windows=12), synthetic_side(2, windows=12, name="recon")
    told = FidelityReporter(
        standard_registry(with_plugins=False), decision=DecisionSettings(permutations=99, rounds=99)
    ).report(
        Comparison(golden, recon), names, dataset=Named("ours"), golden=Named("theirs"), window_ns=60 * 10**9
    )
    html = ReportGenerator(told).html()
    assert "ours held against theirs, as two samples, of other times or markets, in windows of 60 s." in html
    assert [html.count(f"<strong>{title}<") for title in ("Distribution", "Over time", "Table")] == [1, 3, 1]


def test_sides_of_two_markets_are_named() -> None:
    one = result(1)
    other = msgspec.structs.replace(one.header, golden=side("ETH-USDT"))
    html = ReportGenerator(msgspec.structs.replace(one, header=other)).html()
    assert "BINANCE BTC-USDT in words held against BINANCE ETH-USDT in data/ours" in html


def test_the_verdict_the_score_and_the_table_come_first() -> None:
    html = page_of_ten()
    places = [html.index(part) for part in ("<strong>FAIL</strong>", "0.710", "What needs a look")]
    places += [html.index(f"<h2>{title}</h2>") for title in ("Verdicts", "Categories", "Family 0")]
    assert places == sorted(places)


def test_a_line_of_the_table_leads_to_the_card_of_its_metric() -> None:
    html = page_of_ten()
    led = re.findall(r'href="#(m-\d+)"', html)
    assert len(led) == 10
    assert sorted(led) == sorted(re.findall(r'id="(m-\d+)"', html))


def test_a_page_tells_value_interval_floor_margin_and_that_the_classical_p_is_not_valid() -> None:
    html = page_of_ten()
    for name in ("Value", "Interval", "Noise floor", "Margin", "Ratio to the floor", "p, max-T adjusted"):
        assert f"<dt>{name}</dt>" in html
    assert "<dt>Classical K-S p, not valid under dependence</dt>" in html


@pytest.mark.parametrize("kind", ["one", "several", "history"])
def test_words_from_outside_are_words(kind: str, tmp_path: Path) -> None:
    nasty = result(5, NASTY, symbol=NASTY)
    if kind == "one":
        files = ReportGenerator(nasty).files(["html", "md"])
    elif kind == "several":
        files = page_files(
            comparison_page([nasty, result(5, NASTY, symbol="B")], ["a.html", "b.html"]), "f", ["html", "md"]
        )
    else:
        (tmp_path / "run.json").write_bytes(nasty.to_json())
        files = page_files(history_page(*read_history(tmp_path)), "f", ["html", "md"])
    html, text = (content.decode() for name, content in files.items() if "plots/" not in name)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.search(r"(?<!\\)<script", text)
    assert all("<script" not in svg.decode() for name, svg in files.items() if name.endswith(".svg"))


def test_a_name_that_is_a_path_stays_in_the_folder() -> None:
    several = [result(1, symbol="../../etc/passwd"), result(1, symbol=NASTY)]
    names = report_files(several, ["html", "json"])
    assert len(names) == 5
    assert all(re.fullmatch(r"[\w.-]+\.(html|json)", name) for name in names)


@pytest.mark.parametrize(
    "told", [result(10), result(200, "many words " * 60), result(40, NASTY)], ids=["ten", "full", "nasty"]
)
def test_the_summary_on_paper_has_two_sheets_at_most_and_the_same_bytes(told: FidelityReport) -> None:
    pdf = ReportGenerator(told).pdf()
    assert 1 <= sheets(pdf) <= SHEETS_MAX
    assert b"D:20000101000000Z" in pdf
    assert ReportGenerator(told).pdf() == pdf


def test_without_typst_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "typst":
            raise ModuleNotFoundError("No module named 'typst'", name="typst")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionError, match=r"pip install 'rlx-datapipe\[report\]'"):
        ReportGenerator(result(1)).pdf()


def test_several_results_have_a_page_that_leads_to_each() -> None:
    files = report_files(
        [result(6, symbol="A"), result(4, symbol="B", verdict=Standing.PASS)], ["html", "json"]
    )
    assert next(iter(files)) == "fidelity.html"
    html = files["fidelity.html"].decode()
    assert {"BINANCE-A.html", "BINANCE-B.html"} == set(re.findall(r'href="([^"#]+\.html)"', html))
    assert "1 of 2 pass" in html
    # A metric that only one of them has leaves the other's cell empty.
    assert re.search(r'metric_5</th><td class="is-good">.*?</td><td></td>', html)


def test_two_results_of_one_market_are_not_put_over_each_other() -> None:
    with pytest.raises(OptionError, match="one market"):
        report_files([result(1), result(1)], ["json"])
    with pytest.raises(OptionError, match="nothing to compare"):
        comparison_page([])


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder of results, one for each verdict given, of days that follow each other."""

    def made(*verdicts: Standing) -> Path:
        for day, verdict in enumerate(verdicts):
            one = result(5, begins_ns=T0 + day * DAY_NS, verdict=verdict)
            metrics = [msgspec.structs.replace(metric, verdict=verdict) for metric in one.metrics]
            path = tmp_path / f"{9 - day}" / "fidelity.json"
            path.parent.mkdir()
            path.write_bytes(msgspec.structs.replace(one, metrics=metrics).to_json())
        return tmp_path

    return made


def test_a_history_is_in_the_order_of_periods_and_tells_what_changed(folder: Callable[..., Path]) -> None:
    runs, problems = read_history(folder(Standing.PASS, Standing.PASS, Standing.FAIL))
    assert [run.name for run in runs] == ["9/fidelity", "8/fidelity", "7/fidelity"]
    assert problems == []
    html = to_html(history_page(runs))
    assert "0 of 1 market pass" in html
    assert html.count("PASS \u2192 FAIL") == 5
    assert html.count("1 of 3") == 5
    assert to_html(history_page(runs)) == html


def test_a_history_of_one_run_is_a_page_too(folder: Callable[..., Path]) -> None:
    html = to_html(history_page(*read_history(folder(Standing.PASS))))
    assert "1 of 1 market pass" in html


def test_what_is_no_result_is_told_and_a_folder_without_any_is_refused(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "other.json").write_text('{"schema_version": 1}', "utf-8")
    (tmp_path / "torn.json").write_text('{"schema": "rlx.fi', "utf-8")
    with pytest.raises(SourceError, match="no fidelity results"):
        read_history(tmp_path)
    runs, problems = read_history(folder(Standing.PASS))
    assert len(runs) == 1
    assert [Path(told.split(":")[0]).name for told in problems] == ["other.json", "torn.json"]
    assert "torn.json" in to_html(history_page(runs, problems))
