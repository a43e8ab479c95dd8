"""The report of a fidelity run in the formats that are asked for, in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlx_datapipe.fidelity.generator import report_files
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.store.files import unwritable


def write_reports(reports: Sequence[FidelityReport], folder: Path, formats: Sequence[str]) -> Path:
    """Write the reports of all symbols; the file to open first. What is there under their names is replaced.

    Raises
    ------
    OutputError
        When the folder can't be written.
    OptionError
        When a package for pages is not installed.
    """
    files = report_files(reports, formats)
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder / next(iter(files), "")
