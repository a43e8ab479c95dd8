"""Draw docs/images/book.svg: `rlx book` in the middle of `rlx demo`, as a terminal shows it."""

from __future__ import annotations

import html
import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from rlx_datapipe.cli.book import show_book
from rlx_datapipe.pipeline.book import book_at
from rlx_datapipe.pipeline.demo import demo

TARGET = Path(__file__).parent.parent / "docs" / "images" / "book.svg"
WIDTH, DEPTH = 80, 12
_CELL = 12.2
"""Width of a character in the units of the drawing."""


def drawing(dataset: Path, event: int) -> str:
    """What `rlx book` prints of a dataset, as a picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    show_book(book_at(dataset, event=event, depth=DEPTH), console)
    command = f"rlx book rlx-demo/dataset --event {event} --depth {DEPTH}"
    drawn = console.export_svg(title=command, theme=SVG_EXPORT_THEME, unique_id="book")
    # The exported fonts would be fetched from a server: use what the reader has.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    return drawn.replace("Fira Code", "ui-monospace")


def lines(drawn: str) -> list[str]:
    """Lines of text in a drawing, the title with the command first."""
    title = re.findall(r'<text class="book-title"[^>]*>(.*?)</text>', drawn)
    found: dict[int, str] = {}
    for place, row, text in re.findall(r'<text [^>]*x="([\d.]+)"[^>]*book-line-(\d+)\)">([^<]*)', drawn):
        # Stretches of spaces alone are not drawn: each text tells its place.
        before = found.get(int(row), "").ljust(round(float(place) / _CELL))
        found[int(row)] = before + html.unescape(text)
    texts = [*map(html.unescape, title), *(found[row] for row in sorted(found))]
    return [text.replace("\xa0", " ").rstrip() for text in texts]


def main() -> int:
    """Write the picture; 0."""
    with tempfile.TemporaryDirectory() as folder:
        result = demo(Path(folder) / "rlx-demo")
        drawn = drawing(Path(result["dataset"]), result["reconstruction"]["events"] // 2)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(drawn, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
