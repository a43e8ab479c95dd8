"""The log of a Delta Lake table: read forward, and grown by entries that are whole before they are named."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.store.files import make_folder, sync, unwritable

COMMIT_KEY = "rlx"
LOG = "_delta_log"
READER_VERSION = 1
_RACES_MAX = 10_000
_NAME = re.compile(r"([0-9]{20})\.json")


class AddedFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One data file as an entry adds it; ``path`` is below the table, ``stats`` JSON."""

    path: str
    partition_values: dict[str, str]
    size: int
    modification_time: int
    data_change: bool = True
    stats: str | None = None


class Transaction(msgspec.Struct, frozen=True, rename="camel"):
    """Whose entry it is: the chain as EXCHANGE/SYMBOL, and its epoch."""

    app_id: str
    version: int


class _Protocol(msgspec.Struct, rename="camel"):
    min_reader_version: int
    reader_features: list[str] | None = None


class _Line(msgspec.Struct, rename="camel"):
    """One line of an entry: an object with one action."""

    add: AddedFile | None = None
    txn: Transaction | None = None
    commit_info: dict[str, Any] | None = None
    protocol: _Protocol | None = None
    remove: msgspec.Raw = msgspec.Raw()


class Entry(NamedTuple):
    """One version of a log; ``told`` is our part of it."""

    transaction: Transaction | None
    told: str | None
    added: tuple[AddedFile, ...]


class TableLog:
    """The log of one table, read once and then only forward; several processes may add to it at once.

    delta-rs can write a log too, but does not sync it, reads all of it for every entry (a second at 3,000
    entries) and does not tell which version became ours: so entries are written here, and readers of Delta
    Lake see no difference.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / LOG
        self.entries: list[Entry] = []
        self._epochs: dict[str, int] = {}
        newest = max(versions(folder), default=-1)
        self.read()
        if newest > self.version:
            raise log_damaged(folder, f"version {self.version + 1} is missing before version {newest}")

    @property
    def version(self) -> int:
        """The newest version; -1 if there is no table."""
        return len(self.entries) - 1

    def last_epoch(self, chain: str) -> int:
        """The last epoch of a chain (EXCHANGE/SYMBOL) that is in the log; -1 if there is none."""
        return self._epochs.get(chain, -1)

    def read(self) -> None:
        """Take in what was added since.

        Raises
        ------
        DatasetError
            When an entry is damaged, or was made by a program that this one does not understand.
        """
        while (content := self._content(len(self.entries))) is not None:
            entry = decoded(content, self._folder.parent)
            self.entries.append(entry)
            if entry.transaction is not None:
                self._epochs[entry.transaction.app_id] = entry.transaction.version

    def _content(self, version: int) -> bytes | None:
        try:
            return (self._folder / entry_name(version)).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise log_damaged(self._folder.parent, error.strerror or str(error)) from error

    def append(self, actions: Sequence[dict[str, Any]], transaction: Transaction | None = None) -> None:
        """Add an entry that is whole and on the disk when this returns, behind those of other processes.

        Raises
        ------
        OutputError
            When the epoch of the transaction is there already, or the system refuses to write.
        """
        # No two processes may share it; what a crash leaves of them is removed by `repair_logs`.
        temporary = self._folder / f".{os.getpid()}.partial"
        try:
            make_folder(self._folder)
            # Never write into it: a crash may have left it as a second name of an entry.
            temporary.unlink(missing_ok=True)
            temporary.write_bytes(b"".join(msgspec.json.encode(action) + b"\n" for action in actions))
            sync(temporary)
            crash_point("entry written")
            self._link(temporary, transaction)
            temporary.unlink()
            crash_point("entry named")
            # This syncs the names of all entries before, too, whoever wrote them: none is acknowledged
            # while one before it can still be lost.
            sync(self._folder)
        except OSError as error:
            raise unwritable(self._folder.parent, error) from error
        self.read()

    def _link(self, temporary: Path, transaction: Transaction | None) -> None:
        """Give the entry the next free version, unless it is not needed any more."""
        for _ in range(_RACES_MAX):
            self.read()
            if transaction is None and self.version >= 0:
                return
            if transaction is not None and self.last_epoch(transaction.app_id) >= transaction.version:
                raise OutputError(
                    "another process has written this epoch",
                    file=self._folder.parent,
                    chain=transaction.app_id,
                    epoch=transaction.version,
                    remedy="Stop one of the two",
                )
            try:
                os.link(temporary, self._folder / entry_name(self.version + 1))
            except FileExistsError:
                continue
            return
        raise OutputError("its log never came to rest", file=self._folder.parent, remedy="Try again")


def commit_actions(
    table: str, added: Sequence[AddedFile], transaction: Transaction, told: str
) -> list[dict[str, Any]]:
    """The actions of one epoch; no clock is asked, so that an epoch that is redone has the same entry."""
    info = {
        "operation": "WRITE",
        "operationParameters": {"mode": "Append", "table": table},
        "engineInfo": WRITER,
        COMMIT_KEY: told,
    }
    return [{"commitInfo": info}, {"txn": transaction}, *({"add": file} for file in added)]


def versions(folder: Path) -> list[int]:
    """Versions in the log of a table's folder, rising, holes and all."""
    names = (_NAME.fullmatch(path.name) for path in (folder / LOG).glob("*.json"))
    return sorted(int(match[1]) for match in names if match)


def entry_name(version: int) -> str:
    """File name of a version."""
    return f"{version:020d}.json"


_DECODER = msgspec.json.Decoder(_Line)


def decoded(content: bytes, folder: Path) -> Entry:
    """An entry of the log of a table's folder.

    Raises
    ------
    DatasetError
        When it is damaged, or holds what this program never writes.
    """
    try:
        lines = _DECODER.decode_lines(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise log_damaged(folder, str(error)) from error
    if not lines:
        raise log_damaged(folder, "an entry is empty")
    transaction, told, added = None, None, []
    for line in lines:
        newer = line.protocol is not None and line.protocol.min_reader_version > READER_VERSION
        if newer or bytes(line.remove):
            raise DatasetError(
                f"table {folder.name!r} was changed by another program",
                file=folder.parent,
                remedy="Restore it or reconstruct again",
            )
        transaction = line.txn or transaction
        told = (line.commit_info or {}).get(COMMIT_KEY, told)
        if line.add is not None:
            added.append(line.add)
    return Entry(transaction, told, tuple(added))


def log_damaged(folder: Path, why: str) -> DatasetError:
    """The error for a log of a table's folder that can't be read."""
    return DatasetError(
        f"the log of table {folder.name!r} can't be read ({why})",
        file=folder.parent,
        remedy="Restore it or reconstruct again",
    )


def canonical(text: str) -> str:
    """JSON with its keys in order."""
    return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
