"""The report of a fidelity run in the formats that are asked for, in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.store.files import unwritable
from rlx_datapipe.store.layout import slug

MAIN = "fidelity"


def write_reports(reports: Sequence[FidelityReport], folder: Path, formats: Sequence[str]) -> Path:
    """Write the reports of all symbols; the file to open first. What is there under their names is replaced.

    Raises
    ------
    OutputError
        When the folder can't be written.
    OptionError
        When a package for pages is not installed.
    """
    files: dict[str, bytes] = {}
    for report in reports:
        if "json" in formats:
            files[f"{report_name(report, reports)}.json"] = report.to_json()
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder / next(iter(files), "")


def report_name(report: FidelityReport, reports: Sequence[FidelityReport]) -> str:
    """Name of a report's files: of one alone that of all, of several exchange and symbol."""
    side = report.header.dataset
    return MAIN if len(reports) == 1 else f"{slug(side.exchange)}-{slug(side.symbol)}"
