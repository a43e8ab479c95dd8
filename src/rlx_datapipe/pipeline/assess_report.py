"""The pages of an assessment: HTML, Markdown with its plots beside it, and JSON, in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rlx_datapipe.assessment.page import overview, to_page
from rlx_datapipe.assessment.result import Assessment
from rlx_datapipe.report.markdown import to_markdown
from rlx_datapipe.report.page import Page, to_html
from rlx_datapipe.store.files import unwritable
from rlx_datapipe.store.layout import slug

_MAIN = "assessment"


def write_pages(chains: Sequence[Assessment], folder: Path) -> Path:
    """Write the pages of all chains; the one to open first. What is there under their names is replaced.

    Raises
    ------
    OutputError
        When the folder can't be written.
    OptionError
        When a package for pages is not installed.
    """
    pages = {_MAIN: to_page(chains[0])} if len(chains) == 1 else {_MAIN: overview(chains)}
    if len(chains) > 1:
        pages |= {f"{slug(one.exchange)}-{slug(one.symbol)}": to_page(one) for one in chains}
    files: dict[str, str] = {}
    for name, page in pages.items():
        files |= _files(name, page)
    told = {"schema_version": 1, "chains": [one.told() for one in chains]}
    files[f"{_MAIN}.json"] = json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder / f"{_MAIN}.html"


def _files(name: str, page: Page) -> dict[str, str]:
    text, plots = to_markdown(page, f"{name}-plots")
    return {
        f"{name}.html": to_html(page),
        f"{name}.md": text,
        **{f"{name}-plots/{plot}": svg for plot, svg in plots.items()},
    }
