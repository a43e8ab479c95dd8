"""A page of sections and blocks, and the one offline HTML file that it becomes."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from html import escape
from typing import Any, Literal, TypeAlias

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.report.drawing import STYLE
from rlx_datapipe.report.palette import variables

State = Literal["good", "warn", "bad", "note", ""]
"""What a colour says; it never says it alone: a mark or a word stands beside it."""
_MARKUP = 60
"""Bytes of HTML around a text."""
MARKS: dict[str, str] = {"good": "✓", "warn": "!", "bad": "✗", "note": "·", "": ""}


@dataclass(frozen=True)
class Tile:
    """One figure that counts, large, with what it is and a word on it."""

    label: str
    value: str
    note: str = ""
    state: State = ""


@dataclass(frozen=True)
class Tiles:
    """Figures side by side."""

    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table; columns whose numbers are in ``right`` are aligned to the right. On a phone it scrolls."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """A plot with its title, a legend (name, colour of the palette), and what it means.

    ``wide`` is the same plot, drawn for the whole width of a large screen; the other is for phones then.
    """

    title: str
    svg: str
    legend: Sequence[tuple[str, str]] = ()
    meaning: str = ""
    wide: str = ""


@dataclass(frozen=True)
class Figures:
    """Plots side by side, where there is room."""

    figures: Sequence[Figure]


@dataclass(frozen=True)
class Remark:
    """One thing that was found, and how heavy it is; ``lists`` are points on it, each with a heading."""

    state: State
    title: str
    text: str
    lists: Sequence[tuple[str, Sequence[str]]] = ()


@dataclass(frozen=True)
class Remarks:
    """What was found, the heaviest first."""

    remarks: Sequence[Remark]


@dataclass(frozen=True)
class Facts:
    """Small figures with their names, as many beside each other as there is room for."""

    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Parts:
    """How many of each state, as one strip: count, name, state."""

    parts: Sequence[tuple[int, str, State]]


@dataclass(frozen=True)
class Line:
    """One thing in a list of many: its state in a word, its name, a small drawing, and figures.

    ``note`` stands under the name, ``anchor`` is where more is told of it, on this page or as an address.
    """

    state: State
    word: str
    name: str
    svg: str = ""
    cells: Sequence[str] = ()
    note: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Lines:
    """Many things, each with a drawing in one scale; ``head`` names the drawing and the cells."""

    head: Sequence[str]
    lines: Sequence[Line]
    legend: str = ""


@dataclass(frozen=True)
class Matrix:
    """What becomes of each name in each column: a state and a word in each cell."""

    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[State, str]]]]
    caption: str = ""


@dataclass(frozen=True)
class Fold:
    """A card that opens when it is asked for: a word on its state or none, a title, a note, and blocks."""

    state: State
    word: str
    title: str
    blocks: Sequence[Block]
    note: str = ""
    anchor: str = ""
    is_open: bool = False


Block: TypeAlias = "Tiles | Words | Table | Figures | Remarks | Facts | Parts | Lines | Matrix | Fold"


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it; a section that ``is_folded`` opens when it is asked for."""

    title: str
    blocks: Sequence[Block]
    lead: str = ""
    is_folded: bool = False


@dataclass(frozen=True)
class Page:
    """A whole page: title, the answer in one sentence with its state, and sections.

    ``kicker`` is a word over the title, ``word`` one before the answer, ``foot`` what stands at the end.
    """

    title: str
    state: State
    answer: str
    sections: Sequence[Section] = field(default_factory=tuple)
    kicker: str = ""
    foot: str = ""
    word: str = ""


def to_html(page: Page) -> str:
    """The page as one file that asks for nothing from outside. The same page gives the same bytes.

    Raises
    ------
    OptionError
        When Jinja2 is not installed.
    """
    template: Any = _environment().get_template("page.html.j2")
    style = variables() + STYLE + resource("page.css")
    html: str = template.render(page=page, style=style, marks=MARKS, kind=lambda block: type(block).__name__)
    return html


def page_bytes(block: Any) -> int:
    """About how many bytes of a page a block comes to; rather more than less."""
    if isinstance(block, str):
        return len(block) if block.startswith("<svg") else len(escape(block).encode()) + _MARKUP
    if is_dataclass(block) and not isinstance(block, type):
        return sum(page_bytes(getattr(block, one.name)) for one in fields(block)) + _MARKUP
    return sum(map(page_bytes, block)) if isinstance(block, list | tuple) else 0


def _environment() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise OptionError(
            "pages need a package that is not installed",
            found=error.name or "jinja2",
            remedy="Install it with: pip install 'rlx-datapipe[report]'",
        ) from error
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def resource(name: str) -> str:
    """A template of this package."""
    return importlib.resources.files("rlx_datapipe.report").joinpath("templates", name).read_text("utf-8")
