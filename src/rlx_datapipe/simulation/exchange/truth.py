"""The ground truth of faults: each that happened, as one JSON line, and how many of each."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import IO, Any

from rlx_datapipe.core.errors import UnwritableError

_IDS = re.compile(rb'"(U|u|pu|t|a)":(\d+)')
_HEAD_BYTES = 400


class Truth:
    """Takes down faults as they happen; where there is no file, it only counts them."""

    def __init__(self, path: Path | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._file: IO[str] | None = None
        if path is not None:
            try:
                self._file = path.open("w", encoding="utf-8")
            except OSError as error:
                raise UnwritableError(f"can't be written ({error.strerror or error})", file=path) from error

    def tell(self, fault: str, **facts: Any) -> None:
        """One fault has happened."""
        self.counts[fault] += 1
        if self._file is not None:
            self._file.write(json.dumps({"fault": fault, **facts}, separators=(",", ":")) + "\n")
            self._file.flush()

    def close(self) -> None:
        """No more will happen."""
        if self._file is not None:
            self._file.close()
            self._file = None


def ids_of(data: bytes) -> dict[str, int]:
    """The ids at the head of a message by their names on the wire: ``U``, ``u``, ``pu``, ``t``, ``a``."""
    ids: dict[str, int] = {}
    for name, digits in _IDS.findall(data[:_HEAD_BYTES]):
        ids.setdefault(name.decode(), int(digits))
    return ids
