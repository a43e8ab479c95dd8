"""Checkpoints: the states of all stages after an epoch, kept on disk or in memory, behind one interface."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.state import State
from rlx_datapipe.store.files import FileRecord, publish_bytes
from rlx_datapipe.store.layout import epoch_files, epoch_name, slug
from rlx_datapipe.store.state_bytes import SIZE_MAX, pack, unpack

KEPT = 3
"""Checkpoints of the newest epochs that are kept, should one turn out to be damaged."""
SUFFIX = ".state"


def checkpoint_path(exchange: str, symbol: str, epoch: int) -> Path:
    """Where a checkpoint lies below its dataset."""
    return Path("checkpoints") / slug(exchange) / slug(symbol) / f"{epoch_name(epoch)}{SUFFIX}"


class PipelineStateProvider(Protocol):
    """Keeps the states of all stages of one chain after each epoch, so that a run can go on behind it.

    The states are those that the stages handed over: copies, which nobody changes. So a provider may take its
    time while the stages go on.
    """

    def prepare(self, epoch: int, states: Mapping[str, State]) -> Callable[[], FileRecord | None]:
        """Begin to make the states after an epoch ready, while its data files are being closed.

        What is returned keeps them; it gives the file to name in the commit, None if there is none.
        """

    def load(self, epoch: int, record: FileRecord | None) -> dict[str, State]:
        """The states after an epoch, by stage; ``record`` is what its commit names.

        Raises
        ------
        DatasetError
            When they are gone, or are not those that were committed.
        """

    def drop(self, epoch: int) -> None:
        """Forget the states after an epoch, which could not be loaded: they will be saved again."""

    def collect(self, epoch: int | None) -> None:
        """Forget what the commit of ``epoch`` has made needless; all of it if None, for a complete chain.

        Only to be called behind that commit.
        """


class CheckpointManager:
    """States in files of the dataset, each published whole and told by its digest; they survive the process.

    Parameters
    ----------
    dataset
        Folder of the dataset.
    exchange, symbol
        The chain.
    """

    def __init__(self, dataset: Path, exchange: str, symbol: str) -> None:
        self._dataset, self._chain = dataset, (exchange, symbol)

    def prepare(self, epoch: int, states: Mapping[str, State]) -> Callable[[], FileRecord]:
        """Pack the states in a thread; what is returned waits for that, then publishes them as a new file."""
        with_one_thread = ThreadPoolExecutor(1, "rlx-pack")
        packed = with_one_thread.submit(self.packed, states)
        with_one_thread.shutdown(wait=False)
        return lambda: self._publish(epoch, packed.result())

    def packed(self, states: Mapping[str, State]) -> bytes:
        """The states as the bytes of a file; called in a thread of its own."""
        return pack(states)

    def _publish(self, epoch: int, content: bytes) -> FileRecord:
        path = checkpoint_path(*self._chain, epoch)
        publish_bytes(self._dataset / path, content)
        crash_point("checkpoint published")
        return FileRecord(path.as_posix(), len(content), hashlib.sha256(content).hexdigest())

    def load(self, epoch: int, record: FileRecord | None) -> dict[str, State]:
        """The states of a file; its size and digest are checked before anything in it is believed."""
        path = self._dataset / checkpoint_path(*self._chain, epoch)
        if record is None:
            raise DatasetError("has no checkpoint: the run kept its states in memory", file=self._dataset)
        if record.path != checkpoint_path(*self._chain, epoch).as_posix():
            raise DatasetError("is not where a checkpoint lies", file=record.path, expected=path)
        try:
            size = path.stat().st_size
            if size != record.size_bytes or size > SIZE_MAX:
                raise DatasetError(f"has {size} bytes", file=path, expected=record.size_bytes)
            content = path.read_bytes()
        except OSError as error:
            raise DatasetError(f"can't be read ({error.strerror or error})", file=path) from error
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise DatasetError("is not the checkpoint that was committed", file=path, expected=record.sha256)
        try:
            return unpack(content)
        except ValueError as error:
            raise DatasetError(f"is no checkpoint of this release ({error})", file=path) from error

    def drop(self, epoch: int) -> None:
        """Remove a file; no error if it is gone."""
        (self._dataset / checkpoint_path(*self._chain, epoch)).unlink(missing_ok=True)

    def collect(self, epoch: int | None) -> None:
        """Remove all but the newest `KEPT` files; all files if None."""
        folder = (self._dataset / checkpoint_path(*self._chain, 0)).parent
        for held, path in epoch_files(folder, SUFFIX):
            if epoch is None or held <= epoch - KEPT:
                path.unlink()
                crash_point("checkpoint collected")


class MemoryStates:
    """States in the memory of this process: for runs that stop and go on within it, at no cost.

    Its commits name no checkpoint. Another process can't go on behind them and says so.
    """

    def __init__(self) -> None:
        self._held: dict[int, dict[str, State]] = {}

    def prepare(self, epoch: int, states: Mapping[str, State]) -> Callable[[], None]:
        """Hold the states, once what is returned is called."""
        return lambda: self._held.update({epoch: dict(states)})

    def load(self, epoch: int, record: FileRecord | None) -> dict[str, State]:
        """The states held; ``record`` is not asked."""
        del record
        if epoch not in self._held:
            raise DatasetError(f"no states after epoch {epoch} are held in this process")
        return dict(self._held[epoch])

    def drop(self, epoch: int) -> None:
        """Let go of one epoch."""
        self._held.pop(epoch, None)

    def collect(self, epoch: int | None) -> None:
        """Let go of all but the newest `KEPT`; of all if None."""
        self._held = {e: s for e, s in self._held.items() if epoch is not None and e > epoch - KEPT}
