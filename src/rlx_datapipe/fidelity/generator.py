"""ReportGenerator: a fidelity result as one HTML file, Markdown with plots beside it, JSON, and a PDF."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from rlx_datapipe.fidelity.page import to_page
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.fidelity.summary import summary_page
from rlx_datapipe.report.markdown import to_markdown
from rlx_datapipe.report.page import Page, to_html
from rlx_datapipe.report.pdf import to_pdf
from rlx_datapipe.store.files import unwritable

NAME = "fidelity"


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MARKDOWN = "md"
    JSON = "json"
    PDF = "pdf"


class ReportGenerator:
    """The pages of one fidelity result; the same result gives the same bytes.

    Parameters
    ----------
    report
        The result.
    """

    def __init__(self, report: FidelityReport) -> None:
        self.report = report

    def html(self) -> str:
        """One file that asks for nothing from outside, below 5 MB whatever the result holds."""
        return to_html(to_page(self.report))

    def markdown(self, name: str = NAME) -> tuple[str, dict[str, str]]:
        """Markdown, and its plots by name: they belong into the folder ``NAME-plots`` beside it."""
        return to_markdown(to_page(self.report), f"{name}-plots")

    def json(self) -> bytes:
        """The result itself, schema ``rlx.fidelity/1``."""
        return self.report.to_json()

    def pdf(self) -> bytes:
        """The executive summary, one or two pages."""
        return to_pdf(summary_page(self.report))

    def write(self, folder: Path, formats: Iterable[Format] = tuple(Format), name: str = NAME) -> Path:
        """Write the report into a folder; the file to open first. What is there under its names is replaced.

        Raises
        ------
        OutputError
            When the folder can't be written.
        OptionError
            When a package for pages is not installed.
        """
        wanted = list(dict.fromkeys(formats))
        files: dict[str, bytes] = {}
        if Format.HTML in wanted:
            files[f"{name}.html"] = self.html().encode()
        if Format.MARKDOWN in wanted:
            text, plots = self.markdown(name)
            files[f"{name}.md"] = text.encode()
            files |= {f"{name}-plots/{plot}": svg.encode() for plot, svg in plots.items()}
        if Format.PDF in wanted:
            files[f"{name}.pdf"] = self.pdf()
        if Format.JSON in wanted:
            files[f"{name}.json"] = self.json()
        write_files(folder, files)
        return folder / next(iter(files))


def write_page(page: Page, folder: Path, name: str) -> Path:
    """A page as HTML and Markdown; the HTML file."""
    text, plots = to_markdown(page, f"{name}-plots")
    files = {f"{name}.html": to_html(page).encode(), f"{name}.md": text.encode()}
    write_files(folder, files | {f"{name}-plots/{plot}": svg.encode() for plot, svg in plots.items()})
    return folder / f"{name}.html"


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Files below a folder, by their names.

    Raises
    ------
    OutputError
        When they can't be written.
    """
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise unwritable(folder, error) from error
