"""The report of a fidelity run in the formats that are asked for, in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.generator import page_files, report_files
from rlx_datapipe.fidelity.history import history_page, read_history
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.store.files import unwritable

HISTORY = "history"


def write_reports(reports: Sequence[FidelityReport], folder: Path, formats: Sequence[str]) -> Path:
    """Write the reports of all symbols; the file to open first. What is there under their names is replaced.

    Raises
    ------
    OutputError
        When the folder can't be written.
    OptionError
        When a package for pages is not installed.
    """
    return _written(report_files(reports, formats), folder)


def write_history(results: Path, folder: Path, formats: Sequence[str]) -> Path:
    """Write the page of all results below a folder, run by run; the file to open first.

    Raises
    ------
    SourceError
        When there is no result below the folder.
    OutputError, OptionError
        As `write_reports`.
    """
    runs, problems = read_history(results)
    files = page_files(history_page(runs, problems), HISTORY, formats)
    if not files:
        raise OptionError(
            "a history has no such format", found=", ".join(formats), expected="html, md or pdf"
        )
    return _written(files, folder)


def _written(files: dict[str, bytes], folder: Path) -> Path:
    """Write files by their names below a folder; the first of them."""
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder / next(iter(files), "")
