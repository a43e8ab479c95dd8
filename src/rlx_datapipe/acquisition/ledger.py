"""The ledger: what was read from which store in a month, and how fast; for quotas and estimates."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.store.files import make_folder, unwritable

_RUNS = 5
"""Latest runs by which a rate is told."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: bytes read of a store; with ``seconds``, it closes a run that read ``run_bytes`` in all."""

    store: str
    read_bytes: int
    run_bytes: int = 0
    seconds: float = 0.0


class Ledger:
    """An append-only file for each month (UTC); each line is whole or ignored, so that a kill costs one line.

    Several processes may write to it. It counts what was received, whatever came of it, for so does who bills
    it; what others read on the same account it can't know.

    Parameters
    ----------
    folder
        Of the ledger; made when there is something to write.
    store
        The store and bucket that is read.
    """

    def __init__(self, folder: Path, store: str) -> None:
        self._folder, self.store = folder, store
        self._lock = threading.Lock()

    def add(self, read_bytes: int, *, run_bytes: int = 0, seconds: float = 0.0) -> None:
        """Enter what was read; the store's own time counts, so this is dated by now.

        Raises
        ------
        UnwritableError
            When the system refuses: nothing should be read that can't be counted.
        """
        if not read_bytes and not run_bytes:
            return
        line = msgspec.json.encode(Entry(self.store, read_bytes, run_bytes, seconds)) + b"\n"
        path = self._file(_now())
        with self._lock:
            try:
                make_folder(self._folder)
                with path.open("ab", buffering=0) as file:
                    file.write(line)
            except OSError as error:
                raise unwritable(path, error) from error

    def used_bytes(self, month: dt.datetime | None = None) -> int:
        """What was read of this store in a month, by default in this one.

        Raises
        ------
        SourceError
            When the ledger is there and can't be read.
        """
        return sum(entry.read_bytes for entry in self._entries(month or _now()))

    def bytes_per_s(self) -> float:
        """Rate of the latest runs, this month's or else the last one's; 0 if there were none."""
        now = _now()
        for month in (now, now.replace(day=1) - dt.timedelta(days=1)):
            runs = [entry for entry in self._entries(month) if entry.seconds > 0][-_RUNS:]
            if runs:
                return sum(run.run_bytes for run in runs) / sum(run.seconds for run in runs)
        return 0.0

    def _file(self, month: dt.datetime) -> Path:
        return self._folder / f"read-{month:%Y-%m}.jsonl"

    def _entries(self, month: dt.datetime) -> list[Entry]:
        path = self._file(month)
        try:
            lines = path.read_bytes().splitlines() if path.exists() else []
        except OSError as error:
            raise SourceError(f"can't be read ({error.strerror or error})", file=path) from error
        entries = []
        for line in lines:
            try:
                entries.append(msgspec.json.decode(line, type=Entry))
            except msgspec.MsgspecError:
                continue
        return [entry for entry in entries if entry.store == self.store]


def open_ledger(settings: AcquisitionSettings, environment: Mapping[str, str], store: str) -> Ledger:
    """The ledger where the settings put it, by default in the user's folder for state (XDG)."""
    if settings.ledger:
        return Ledger(Path(settings.ledger).expanduser(), store)
    state = environment.get("XDG_STATE_HOME") or os.path.join(Path.home(), ".local", "state")  # noqa: PTH118
    return Ledger(Path(state, "rlx-datapipe"), store)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
