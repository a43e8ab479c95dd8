"""Draw docs/images/book.svg: `rlx book` in the middle of `rlx demo`, as a terminal shows it."""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from rlx_datapipe.cli.book import book_table
from rlx_datapipe.core.period import time_text
from rlx_datapipe.pipeline.book import book_at
from rlx_datapipe.pipeline.demo import demo

TARGET = Path(__file__).parent.parent / "docs" / "images" / "book.svg"


def main() -> int:
    """Write the picture; 0."""
    with tempfile.TemporaryDirectory() as folder:
        result = demo(Path(folder) / "rlx-demo")
        event = result["reconstruction"]["events"] // 2
        state = book_at(result["dataset"], event=event, depth=12)
    console = Console(record=True, width=84, file=io.StringIO(), highlight=False)
    title = f"{state.exchange} {state.symbol}  {time_text(state.origin_time)}  event {state.event_id:,}"
    console.print(book_table(state, title))
    command = f"rlx book rlx-demo/dataset --event {state.event_id} --depth 12"
    drawing = console.export_svg(title=command, theme=SVG_EXPORT_THEME, unique_id="book")
    # The exported fonts would be fetched from a server: use what the reader has.
    drawing = re.sub(r"@font-face \{.*?\}\s*", "", drawing, flags=re.DOTALL)
    drawing = drawing.replace("Fira Code", "ui-monospace")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(drawing, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
