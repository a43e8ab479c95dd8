"""A page as Markdown, with its plots as files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rlx_datapipe.report.drawing import alone
from rlx_datapipe.report.page import (
    MARKS,
    Block,
    Facts,
    Figures,
    Fold,
    Lines,
    Matrix,
    Page,
    Parts,
    Remark,
    Remarks,
    Section,
    Table,
    Tiles,
    Words,
)

_MARKUP = re.compile(r"[\\`*_\[\]<>|#]")
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


def to_markdown(page: Page, folder: str) -> tuple[str, dict[str, str]]:
    """The page, and its plots by name: SVG files that belong into a folder of that name beside it."""
    plots: dict[str, str] = {}
    parts = [
        f"# {plain(page.title)}",
        f"**{MARKS[page.state]} {plain(f'{page.word} {page.answer}'.strip())}**",
    ]
    if page.kicker:
        parts.insert(0, f"_{plain(page.kicker)}_")
    for section in page.sections:
        parts += _section(section, folder, plots)
    if page.foot:
        parts += ["---", plain(page.foot)]
    return "\n\n".join(parts) + "\n", plots


def _section(section: Section, folder: str, plots: dict[str, str]) -> Iterator[str]:
    yield f"## {plain(section.title)}"
    if section.lead:
        yield plain(section.lead)
    for block in section.blocks:
        yield from _block(block, folder, plots)


def _block(block: Block, folder: str, plots: dict[str, str]) -> Iterator[str]:
    match block:
        case Words():
            yield plain(block.text)
        case Tiles():
            rows = [
                (tile.label, f"{MARKS[tile.state]} {tile.value}".strip(), tile.note) for tile in block.tiles
            ]
            yield _table(("", "", ""), rows, (1,))
        case Table():
            if block.caption:
                yield f"**{plain(block.caption)}**"
            yield _table(block.head, block.rows, block.right)
        case Remarks():
            yield "\n".join(line for one in block.remarks for line in _remark(one))
        case Facts():
            yield _table(("", ""), block.facts, (1,))
        case Parts():
            yield ", ".join(f"**{count}** {plain(name)}" for count, name, _ in block.parts if count)
        case Lines():
            lines = [
                (f"{MARKS[one.state]} {one.word}", one.name, *one.cells, one.note) for one in block.lines
            ]
            yield _table(("", "", *block.head[1:], ""), lines, range(2, 1 + len(block.head)))
        case Matrix():
            if block.caption:
                yield f"**{plain(block.caption)}**"
            cells = [
                (name, *(f"{MARKS[state]} {word}".strip() for state, word in row)) for name, row in block.rows
            ]
            yield _table(block.head, cells, ())
        case Fold():
            yield f"### {MARKS[block.state]} {plain(': '.join(filter(None, (block.title, block.word))))}"
            if block.note:
                yield plain(block.note)
            for one in block.blocks:
                yield from _block(one, folder, plots)
        case Figures():
            for figure in block.figures:
                name = (
                    f"{len(plots) + 1:02d}-{re.sub('[^a-z0-9]+', '-', figure.title.lower()).strip('-')}.svg"
                )
                plots[name] = alone(figure.wide or figure.svg)
                yield f"![{plain(figure.title)}]({folder}/{name})"
                yield f"**{plain(figure.title)}.** {plain(figure.meaning)}".strip()


def _remark(one: Remark) -> Iterator[str]:
    """A point of a list, and under it points on it."""
    yield f"- {MARKS[one.state]} **{plain(one.title)}**: {plain(one.text)}"
    for heading, points in one.lists:
        if points:
            yield f"  - {plain(heading)}:"
            yield from (f"    - {plain(point)}" for point in points)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    ruled = ["---:" if at in right else "---" for at in range(len(head))]
    lines = [[plain(cell) for cell in head], ruled, *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """Text from anywhere as plain text: it can't break out of its cell or line, nor become markup."""
    return _MARKUP.sub(r"\\\g<0>", _BREAKS.sub(" ", text))
