"""Pages in a real browser: no complaint, no request, nothing wider than a phone, links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fidelity.results import T0, result
from tests.report.opened import opens_without_a_word
from tests.report.pages import page

from rlx_datapipe.fidelity.comparison import comparison_page
from rlx_datapipe.fidelity.generator import ReportGenerator
from rlx_datapipe.fidelity.history import Run, history_page
from rlx_datapipe.report.page import Page, to_html


def everything() -> str:
    """A page with every kind of block."""
    return to_html(page())


def fidelity() -> str:
    """The page of a fidelity result with all its plots."""
    return ReportGenerator(result(20)).html()


def side_by_side() -> str:
    """The page of several results, of more than a phone is wide."""
    several = [result(6, symbol=f"MARKET-{at}", has_plots=False) for at in range(8)]
    return to_html(comparison_page(several))


def history() -> str:
    """The page of a history of runs."""
    runs = [result(6, begins_ns=T0 + at * 86_400 * 10**9, has_plots=False) for at in range(9)]
    return to_html(history_page([Run(str(at), run) for at, run in enumerate(runs)]))


@pytest.mark.parametrize("made", [everything, fidelity, side_by_side, history])
def test_a_page_opens_without_a_word(browser: Any, tmp_path: Path, made: Callable[[], str]) -> None:
    path = tmp_path / "page.html"
    path.write_text(made(), "utf-8")
    opens_without_a_word(browser, path)


@pytest.mark.parametrize(
    "fault",
    [
        '<img src="http://127.0.0.1:9/a.png">',
        "<script>console.error('no')</script>",
        '<div style="width:500px">wide</div>',
        "<style>body{background:white!important}</style>",
    ],
    ids=["asks for something", "complains", "is too wide", "is light in the dark"],
)
def test_a_page_with_a_fault_is_caught(browser: Any, tmp_path: Path, fault: str) -> None:
    html = re.sub("<meta http-equiv[^>]*>", "", to_html(Page("One", "good", "Fine.")))
    path = tmp_path / "page.html"
    path.write_text(html.replace("</main>", f"{fault}</main>"), "utf-8")
    with pytest.raises(AssertionError):
        opens_without_a_word(browser, path)


def test_a_folded_card_opens_when_its_line_is_followed_without_any_script(
    browser: Any, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(fidelity(), "utf-8")
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(path.as_uri())
    card = tab.locator("details", has=tab.locator("#m-19"))
    assert card.get_attribute("open") is None
    tab.click('a[href="#m-19"]')
    assert card.get_attribute("open") is not None
    context.close()


def test_nothing_in_a_plot_lies_over_its_edge(browser: Any, tmp_path: Path) -> None:
    """Words of a plot that begin or end outside of it would be cut."""
    path = tmp_path / "page.html"
    path.write_text(fidelity(), "utf-8")
    for width in (1280, 390):
        tab = browser.new_page(viewport={"width": width, "height": 844})
        tab.goto(path.as_uri())
        tab.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        cut = tab.evaluate(
            """() => [...document.querySelectorAll('svg.plot text')].filter(text => {
                const inner = text.getBoundingClientRect()
                const outer = text.ownerSVGElement.getBoundingClientRect()
                return outer.width > 0 && (inner.left < outer.left - 1 || inner.right > outer.right + 1)
            }).map(text => text.textContent)"""
        )
        assert cut == []
        tab.close()
