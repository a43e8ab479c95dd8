"""What tier 1 measured of a chain: windows of sums in files beside its commits, one file an epoch at most."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.state import State
from rlx_datapipe.store.commits import read_commits
from rlx_datapipe.store.files import FileRecord, publish_bytes
from rlx_datapipe.store.layout import epoch_name, slug
from rlx_datapipe.store.state_bytes import SIZE_MAX, pack, unpack

FOLDER = "tier1"
"""Name of the folder below the dataset, and of the files among those of a commit."""
SUFFIX = ".windows"


def measured_path(exchange: str, symbol: str, epoch: int) -> Path:
    """Where the windows that were closed in an epoch lie below their dataset."""
    return Path(FOLDER) / slug(exchange) / slug(symbol) / f"{epoch_name(epoch)}{SUFFIX}"


def publish_measured(dataset: Path, exchange: str, symbol: str, epoch: int, windows: State) -> FileRecord:
    """Publish the windows that were closed in an epoch as a file; the same one may be there already."""
    content = pack({FOLDER: windows})
    path = measured_path(exchange, symbol, epoch)
    publish_bytes(dataset / path, content, adopt=True)
    return FileRecord(path.as_posix(), len(content), hashlib.sha256(content).hexdigest())


def read_measured(dataset: Path, exchange: str, symbol: str) -> Iterator[State]:
    """Windows of a chain in the order of time, those of one epoch after the other.

    Raises
    ------
    DatasetError
        When a file is gone, or is not the one that was committed.
    """
    for commit in read_commits(dataset, exchange, symbol):
        for record in commit.files.get(FOLDER, ()):
            path = dataset / record.path
            if Path(record.path) != measured_path(exchange, symbol, commit.epoch):
                raise DatasetError("is not where windows of an epoch lie", file=record.path)
            try:
                content = path.read_bytes() if path.stat().st_size <= SIZE_MAX else b""
            except OSError as error:
                raise DatasetError(f"can't be read ({error.strerror or error})", file=path) from error
            if hashlib.sha256(content).hexdigest() != record.sha256:
                raise DatasetError("is not the file that was committed", file=path, expected=record.sha256)
            try:
                yield unpack(content)[FOLDER]
            except (ValueError, KeyError) as error:
                raise DatasetError(f"holds no windows of this release ({error})", file=path) from error
