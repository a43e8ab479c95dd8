"""Pages: whole, offline, the same bytes each time, and safe whatever they are told."""

from __future__ import annotations

import builtins
import re
from typing import Any

import pytest
from tests.report.pages import every_plot, page

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.report.drawing import alone
from rlx_datapipe.report.markdown import to_markdown
from rlx_datapipe.report.page import to_html
from rlx_datapipe.report.palette import COLOURS, DARK, LIGHT, contrast


def test_the_same_page_gives_the_same_bytes() -> None:
    assert to_html(page()) == to_html(page())
    assert to_markdown(page(), "plots") == to_markdown(page(), "plots")


def test_a_page_is_one_file_that_asks_for_nothing() -> None:
    html = to_html(page())
    assert "<script" not in html
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", html)
    assert "@import" not in html
    assert "url(" not in html
    assert re.findall(r"https?://[^\"' <]+", html) == ["http://www.w3.org/2000/svg"] * html.count("<svg ")


def test_words_from_outside_are_words() -> None:
    html = to_html(page())
    assert "&lt;script&gt;" in html
    text, _ = to_markdown(page(), "plots")
    assert not re.search(r"(?<!\\)<script", text)
    assert r"\<script\>" in text


@pytest.mark.parametrize("name", every_plot())
def test_a_plot_is_sound_xml_alone_too(name: str) -> None:
    from xml.etree import ElementTree as Tree

    svg = every_plot()[name]
    assert Tree.fromstring(svg).attrib["aria-label"]  # noqa: S314
    assert Tree.fromstring(alone(svg)).tag.endswith("svg")  # noqa: S314
    assert "nan" not in svg.lower()
    assert not re.search(r'(?:width|height)="-', svg)


def test_every_plot_of_a_page_has_its_file_in_markdown() -> None:
    text, plots = to_markdown(page(), "plots")
    assert re.findall(r"\]\(plots/([^)]+)\)", text) == list(plots)
    assert len(plots) == len(every_plot())


def test_a_markdown_table_keeps_its_columns() -> None:
    text, _ = to_markdown(page(), "plots")
    rows = [line for line in text.splitlines() if line.startswith("| a long column")]
    assert len(re.split(r"(?<!\\)\|", rows[0])) == 11
    cells = next(line for line in text.splitlines() if line.startswith(r"| \<script"))
    assert len(re.split(r"(?<!\\)\|", cells)) == 11


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_marks_have_enough_contrast(palette: dict[str, str]) -> None:
    for surface in ("page", "card"):
        for name in ("ink", "soft", "good", "warn", "bad", "note"):
            assert contrast(palette[name], palette[surface]) >= 4.5, (name, surface)
        for name in COLOURS:
            assert contrast(palette[name], palette[surface]) >= 3, (name, surface)


def test_without_jinja_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "jinja2":
            raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionError, match=r"pip install 'rlx-datapipe\[report\]'"):
        to_html(page())
