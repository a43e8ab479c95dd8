"""Ways to break exactly-once on purpose: each must be noticed by the proofs, or the proofs show nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlx_datapipe.pipeline import chain, recovery
from rlx_datapipe.pipeline.proofs.kills import Mutate, Plan
from rlx_datapipe.pipeline.recovery import Standing
from rlx_datapipe.sink import quarantine
from rlx_datapipe.sink.datasink import DataSink
from rlx_datapipe.sink.quarantine import Quarantine
from rlx_datapipe.store import files, log, orphans, repair
from rlx_datapipe.store.checkpoints import KEPT, CheckpointManager, PipelineStateProvider
from rlx_datapipe.store.commits import read_commits
from rlx_datapipe.store.tables import ChainTable


def random_names() -> None:
    """A file is named after the process too: the same epoch, redone, gets another name."""
    name = ChainTable._name

    def _name(self: ChainTable, day: int, epoch: int) -> str:
        return name(self, day, epoch).replace("epoch-", f"epoch-{os.getpid():09d}-")

    ChainTable._name = _name  # type: ignore[method-assign]


def orphans_kept() -> None:
    """Nothing is cleared before a run goes on."""
    recovery.remove_orphans = lambda *_: 0  # type: ignore[attr-defined]


def offsets_apart() -> None:
    """The sink goes on behind the newest commit, the stages before it behind the one before."""
    recover = recovery.recover

    def apart(dataset: Path, source: Any, pins: Any, provider: PipelineStateProvider) -> Standing:
        standing = recover(dataset, source, pins, provider)
        if standing.states and standing.commit is not None and standing.commit.epoch > 0:
            commits = read_commits(dataset, source.instrument.exchange, source.instrument.symbol)
            before_it = commits[standing.commit.epoch - 1]
            before = provider.load(before_it.epoch, before_it.checkpoint)
            standing.states.update(ingestion=before["ingestion"], replay=before["replay"])
        return standing

    chain.recover = apart  # type: ignore[attr-defined]


def epoch_check_ignored() -> None:
    """A table takes an epoch that it has already."""
    commit = ChainTable.commit

    def again(self: ChainTable, added: Any, epoch: int, told: str) -> None:
        self.committed = -1
        commit(self, added, epoch, told)

    ChainTable.commit = again  # type: ignore[method-assign]


def commit_before_data() -> None:
    """An epoch enters the logs while its files still have no name."""
    commit = ChainTable.commit

    def early(self: ChainTable, added: Any, epoch: int, told: str) -> None:
        paths = [self._folder / file.path for file in added]
        for path in paths:
            path.rename(path.with_suffix(".unnamed"))
        commit(self, added, epoch, told)
        for path in paths:
            path.with_suffix(".unnamed").rename(path)

    ChainTable.commit = early  # type: ignore[method-assign]


def quarantine_not_cut() -> None:
    """What was set aside after the last commit stays, and comes once more."""
    restore = Quarantine.restore

    def keep(self: Quarantine, state: Any) -> None:
        files, self._files = self._files, list  # type: ignore[method-assign]
        restore(self, state)
        self._files = files  # type: ignore[method-assign]

    Quarantine.restore = keep  # type: ignore[method-assign]


def digest_forgotten() -> None:
    """The running digest goes on without the rows of its last, open leaf."""
    restore = DataSink.restore

    def forget(self: DataSink, state: Any, commit: Any) -> None:
        restore(self, state, commit)
        for name, (leaves, whole) in state.values["digests"].items():
            self._digests[name].resume(leaves, whole)

    DataSink.restore = forget  # type: ignore[method-assign]


def collected_too_early() -> None:
    """Older checkpoints go as soon as there is a new one, whose epoch is not committed yet."""
    publish = CheckpointManager._publish

    def early(self: CheckpointManager, epoch: int, content: bytes) -> Any:
        record = publish(self, epoch, content)
        self.collect(epoch + KEPT - 1)
        return record

    CheckpointManager._publish = early  # type: ignore[method-assign]


def short_write_unchecked() -> None:
    """What one call of write() did not take is forgotten, as at a limit of the size of files."""

    def once(self: Path, data: Any) -> int:
        handle = os.open(self, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            return os.write(handle, bytes(data)[:2_900])
        finally:
            os.close(handle)

    Path.write_bytes = once  # type: ignore[method-assign]


def _synced_only(wanted: Callable[[Path], bool]) -> None:
    sync = files.sync

    def some(path: Path) -> None:
        if wanted(path):
            sync(path)

    for module in (files, log, orphans, repair, quarantine):
        module.sync = some  # type: ignore[attr-defined]


def files_not_synced() -> None:
    """Names are synced, contents are not."""
    _synced_only(lambda path: path.is_dir())


def folders_not_synced() -> None:
    """Contents are synced, names are not."""
    _synced_only(lambda path: path.is_file())


def log_not_synced() -> None:
    """As delta-rs leaves its log."""
    _synced_only(lambda path: log.LOG not in path.parts)


def recovery_does_not_sync() -> None:
    """What a killed process wrote but did not sync is built upon as it is."""
    repair.sync = lambda path: None  # type: ignore[attr-defined]


KILLED: dict[str, tuple[Mutate, list[Plan]]] = {
    "random names": (random_names, [[("table committed", k)] for k in (1, 6, 9)]),
    "orphans kept": (orphans_kept, [[("file published", 4)], [("checkpoint published", 2)]]),
    "offsets apart": (offsets_apart, [[("epoch committed", k)] for k in (2, 3)]),
    "epoch check ignored": (epoch_check_ignored, [[("table committed", k)] for k in (3, 8)]),
    "commit before data": (commit_before_data, [[("table committed", k)] for k in (5, 10)]),
    "quarantine not cut": (quarantine_not_cut, [[("file published", k)] for k in range(5, 25, 4)]),
    "digest forgotten": (digest_forgotten, [[("epoch committed", 2)]]),
    "collected too early": (collected_too_early, [[("checkpoint published", 2)], [("entry written", 13)]]),
    "short write unchecked": (short_write_unchecked, [[("epoch committed", 2)]]),
}
"""Each with the kills by which it must be noticed."""
WITHOUT_POWER: dict[str, Mutate] = {
    "files not synced": files_not_synced,
    "folders not synced": folders_not_synced,
    "log not synced": log_not_synced,
}
"""To be noticed when the power is cut; kills leave what was written."""
