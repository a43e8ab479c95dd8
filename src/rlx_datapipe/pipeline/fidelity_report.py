"""The reports of a fidelity run in the formats that are asked for, in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlx_datapipe.fidelity.generator import NAME, Format, ReportGenerator
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.store.layout import slug


def write_reports(reports: Sequence[FidelityReport], folder: Path, formats: Sequence[str]) -> Path:
    """Write the reports of all symbols; the file to open first. What is there under their names is replaced.

    Raises
    ------
    OutputError
        When the folder can't be written.
    OptionError
        When a package for pages is not installed.
    """
    wanted = [Format(one) for one in formats]
    written = [ReportGenerator(one).write(folder, wanted, report_name(one, reports)) for one in reports]
    return written[0]


def report_name(report: FidelityReport, reports: Sequence[FidelityReport]) -> str:
    """Name of a report's files: of one alone that of all, of several exchange and symbol."""
    side = report.header.dataset
    return NAME if len(reports) == 1 else f"{slug(side.exchange)}-{slug(side.symbol)}"
