"""What made no events, kept whole with its reason: one JSON object a line, one file per source file."""

from __future__ import annotations

import base64
import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.core.state import State, Value
from rlx_datapipe.store.files import make_folder, sync, unwritable
from rlx_datapipe.store.layout import QUARANTINE, readable, set_aside_file


class Quarantine:
    """Keeps messages of one chain in files and counts them by reason.

    ``folder`` is `QUARANTINE` for what could not be read, `UNKNOWN` for well-formed messages of unknown type.
    """

    def __init__(self, dataset: Path, exchange: str, symbol: str, folder: str = QUARANTINE) -> None:
        self._where = (dataset, folder, exchange, symbol)
        self.counts: Counter[tuple[str, str]] = Counter()
        self._first_rows: dict[tuple[str, str], int] = {}

    def add(self, rejects: list[Reject]) -> None:
        """Keep rejects of one batch; those of a file are written in the order of its rows."""
        for reject in sorted(rejects, key=lambda reject: (reject.file, reject.row)):
            key = (reject.file, reject.reason)
            self.counts[key] += 1
            self._first_rows.setdefault(key, reject.row)
            path = set_aside_file(*self._where, reject.file)
            try:
                make_folder(path.parent)
                with path.open("ab") as file:
                    file.write(_line(reject))
            except OSError as error:
                raise unwritable(path, error) from error

    def state(self) -> State:
        """Counts, and how long each file is; so much of it is on the disk then."""
        self.make_durable()
        sizes = {path.relative_to(self._folder()).as_posix(): path.stat().st_size for path in self._files()}
        counts: list[Value] = [
            [file, reason, count, self._first_rows[file, reason]]
            for (file, reason), count in self.counts.items()
        ]
        return State({"counts": counts, "sizes": dict(sizes)})

    def make_durable(self) -> None:
        """Put what was set aside so far on the disk, with the names of its files."""
        for path in self._files():
            sync(path)
        if self._folder().is_dir():
            sync(self._folder())

    def restore(self, state: State) -> None:
        """Cut the files back to what they were: what came later is told again.

        Raises
        ------
        DatasetError
            When a file is gone or shorter than it was.
        """
        values: dict[str, Any] = state.values
        for file, reason, count, row in values["counts"]:
            self.counts[file, reason], self._first_rows[file, reason] = count, row
        sizes = values["sizes"]
        for name, size in sizes.items():
            path = self._folder() / name
            if not path.is_file() or path.stat().st_size < size:
                raise DatasetError(
                    "is not as long as was committed", file=path, remedy="Reconstruct it in a new folder"
                )
        for path in self._files():
            size = sizes.get(path.relative_to(self._folder()).as_posix(), 0)
            if size:
                os.truncate(path, size)
            else:
                path.unlink()

    def _folder(self) -> Path:
        return set_aside_file(*self._where, "any").parent

    def _files(self) -> list[Path]:
        return sorted(self._folder().glob("*.jsonl"))

    def records(self) -> list[Quality]:
        """One quality record for each file and reason."""
        return [
            Quality(
                kind="quarantine",
                severity=Severity.WARN,
                detail=f"{readable(file)}, first at row {self._first_rows[file, reason]}: {reason}",
                measures={"count": count},
            )
            for (file, reason), count in sorted(self.counts.items())
        ]


def _line(reject: Reject) -> bytes:
    told = {
        "file": reject.file,
        "row": reject.row,
        "reason": reject.reason,
        "field": reject.field,
        "found": reject.found,
    }
    try:
        told["raw"] = reject.raw.decode("utf-8")
    except UnicodeDecodeError:
        told["raw_base64"] = base64.b64encode(reject.raw).decode()
    try:
        return msgspec.json.encode(told) + b"\n"
    except UnicodeEncodeError:
        plain = {
            name: str(value).encode("ascii", "backslashreplace").decode() for name, value in told.items()
        }
        return msgspec.json.encode(plain) + b"\n"
