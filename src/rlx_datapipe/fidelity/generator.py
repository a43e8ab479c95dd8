"""ReportGenerator: a fidelity result as one HTML file, Markdown with plots beside it, JSON, and a PDF."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.comparison import comparison_page
from rlx_datapipe.fidelity.page import to_page
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.fidelity.summary import summary_page
from rlx_datapipe.report.markdown import to_markdown
from rlx_datapipe.report.page import Page, to_html
from rlx_datapipe.report.pdf import sheets, to_pdf
from rlx_datapipe.store.layout import slug

NAME = "fidelity"
SHEETS_MAX = 2
_SHEETS = ((40, 20), (32, 20), (28, 12), (24, 0), (12, 0))
"""Lines of the table of verdicts, and rows over time, from plenty to little."""
FORMATS = ("html", "md", "json", "pdf")


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

    def pdf(self) -> bytes:
        """The executive summary on two sheets of A4 at most: of what would not fit there is less."""
        for lines, rows in _SHEETS:
            pdf = to_pdf(summary_page(self.report, lines, rows))
            if sheets(pdf) <= SHEETS_MAX:
                break
        return pdf

    def json(self) -> bytes:
        """The result itself, schema ``rlx.fidelity/1``."""
        return self.report.to_json()

    def files(self, formats: Iterable[str] = FORMATS, name: str = NAME) -> dict[str, bytes]:
        """All files of the report by their names below one folder, the one to open first in front."""
        wanted = set(formats)
        files = page_files(to_page(self.report), name, wanted - {"pdf"})
        if "pdf" in wanted:
            files[f"{name}.pdf"] = self.pdf()
        if "json" in wanted:
            files[f"{name}.json"] = self.json()
        return files


def report_files(reports: Sequence[FidelityReport], formats: Iterable[str] = FORMATS) -> dict[str, bytes]:
    """All files of some reports by their names below one folder, the one to open first in front.

    One report has the name ``fidelity``. Several are named by exchange and symbol, and ``fidelity`` is the
    page that holds them side by side.

    Raises
    ------
    OptionError
        For no report, two of one market, or when a package for pages is not installed.
    """
    wanted = list(formats)
    if len(reports) == 1:
        return ReportGenerator(reports[0]).files(wanted)
    sides = [one.header.dataset for one in reports]
    names = [f"{slug(side.exchange)}-{slug(side.symbol)}" for side in sides]
    if len(set(names)) < len(names):
        raise OptionError("reports of one market can't be in one folder", found=sorted(names))
    links = [f"{name}.html" for name in names] if "html" in wanted else []
    files = page_files(comparison_page(reports, links), NAME, wanted)
    for name, one in zip(names, reports, strict=True):
        files |= ReportGenerator(one).files(wanted, name)
    return files


def page_files(page: Page, name: str, formats: Iterable[str] = FORMATS) -> dict[str, bytes]:
    """A page as HTML, Markdown with its plots in a folder beside it, and PDF, whichever is asked for."""
    wanted = set(formats)
    files: dict[str, bytes] = {}
    if "html" in wanted:
        files[f"{name}.html"] = to_html(page).encode()
    if "md" in wanted:
        text, plots = to_markdown(page, f"{name}-plots")
        files[f"{name}.md"] = text.encode()
        files |= {f"{name}-plots/{plot}": svg.encode() for plot, svg in plots.items()}
    if "pdf" in wanted:
        files[f"{name}.pdf"] = to_pdf(page)
    return files
