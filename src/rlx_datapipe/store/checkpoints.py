"""Checkpoints at rest: the states of all stages in one file that appears whole, told by its digest."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.state import State
from rlx_datapipe.store.files import FileRecord, publish_bytes
from rlx_datapipe.store.layout import epoch_files, slug

_VALUES = "values"
KEPT = 3
"""Checkpoints of the newest epochs that are kept, should one turn out to be damaged."""


def checkpoint_path(exchange: str, symbol: str, epoch: int) -> Path:
    """Where a checkpoint lies below its dataset."""
    return Path("checkpoints") / slug(exchange) / slug(symbol) / f"epoch-{epoch:010d}.npz"


def write_checkpoint(dataset: Path, path: Path, states: Mapping[str, State]) -> FileRecord:
    """Publish the states of all stages, by name; what was written."""
    arrays: dict[str, Any] = {
        f"{stage}/{name}": array for stage, state in states.items() for name, array in state.arrays.items()
    }
    values = msgspec.json.encode({stage: state.values for stage, state in states.items()})
    buffer = io.BytesIO()
    arrays[_VALUES] = np.frombuffer(values, dtype=np.uint8)
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    publish_bytes(dataset / path, content)
    return FileRecord(path.as_posix(), len(content), hashlib.sha256(content).hexdigest())


def collect_checkpoints(dataset: Path, exchange: str, symbol: str, needed_from: int) -> None:
    """Remove checkpoints of epochs before ``needed_from``; only behind the commit that frees them."""
    folder = (dataset / checkpoint_path(exchange, symbol, 0)).parent
    for epoch, path in epoch_files(folder, ".npz"):
        if epoch < needed_from:
            path.unlink()
            crash_point("checkpoint collected")


def read_checkpoint(dataset: Path, record: FileRecord) -> dict[str, State]:
    """The states of all stages, by name.

    Raises
    ------
    DatasetError
        When the file is gone or is not the one that was committed.
    """
    path = dataset / record.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"can't be read ({error.strerror or error})", file=path) from error
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise DatasetError("is not the checkpoint that was committed", file=path, expected=record.sha256)
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        states = {
            stage: State(values) for stage, values in msgspec.json.decode(held[_VALUES].tobytes()).items()
        }
        for name in held.files:
            if name != _VALUES:
                stage, _, rest = name.partition("/")
                states[stage].arrays[rest] = held[name]
    return states
