"""A page as a PDF, set by Typst with its own letters: the same page gives the same bytes everywhere."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime
from typing import Any

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.report.drawing import printed
from rlx_datapipe.report.page import MARKS, Page, resource
from rlx_datapipe.report.palette import LIGHT

_MADE = datetime(2000, 1, 1, tzinfo=UTC)
"""Creation time told in every file: it is no part of what a report says."""


def to_pdf(page: Page) -> bytes:
    """The page as a PDF on A4, in the colours for light. Folded sections are open.

    Raises
    ------
    OptionError
        When Typst is not installed.
    """
    try:
        import typst
    except ImportError as error:
        raise OptionError(
            "a PDF needs a package that is not installed",
            found=error.name or "typst",
            remedy="Install it with: pip install 'rlx-datapipe[report]'",
        ) from error
    told = {"page": _plain(page), "marks": MARKS, "colours": LIGHT}
    pdf: bytes = typst.compile(
        resource("page.typ").encode(),
        sys_inputs={"told": json.dumps(told)},
        ignore_system_fonts=True,
        timestamp=_MADE,
    )
    return pdf


def sheets(pdf: bytes) -> int:
    """How many pages a PDF of `to_pdf` has."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def _plain(value: Any) -> Any:
    """Blocks as plain values, each with its kind; drawings in the colours of paper."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        for name in {"svg", "wide"} & fields.keys():
            fields[name] = printed(fields[name]) if fields[name] else ""
        return fields | {"kind": type(value).__name__}
    if isinstance(value, str) or not isinstance(value, list | tuple):
        return value
    return [_plain(one) for one in value]
