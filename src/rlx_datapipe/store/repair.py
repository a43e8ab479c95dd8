"""What a power cut left of the logs of a dataset, made fit to go on with; nothing acknowledged is removed."""

from __future__ import annotations

from pathlib import Path

from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.store.checkpoints import SUFFIX, checkpoint_path
from rlx_datapipe.store.files import sync, unwritable
from rlx_datapipe.store.layout import epoch_files, slug, table_folder
from rlx_datapipe.store.log import LOG, Entry, decoded, entry_name, log_damaged, versions


def repair_logs(dataset: Path) -> list[str]:
    """Make the logs of a dataset fit to go on with; one sentence for each entry that was taken out.

    To be called once, under the lock of the dataset, before anything is read from it. What a killed process
    wrote but could not sync is synced first: what is built upon must not go away any more. Entries whose
    predecessor is gone are removed. None of them was acknowledged, for that takes the sync of all before; if
    something else says that one was, the log is damaged by other means and nothing is touched.

    Raises
    ------
    DatasetError
        When an entry is missing that was acknowledged.
    OutputError
        When the system refuses to write.
    """
    dataset = dataset.resolve()
    folders = [table_folder(dataset, table) for table in TABLES]
    behind = [(folder, version) for folder in folders for version in _behind_a_hole(folder)]
    entries = {key: decoded((key[0] / LOG / entry_name(key[1])).read_bytes(), key[0]) for key in behind}
    for (folder, version), entry in entries.items():
        _refuse_acknowledged(dataset, folder, version, entry)
    told = []
    try:
        # The last first: a crash in between leaves a hole with fewer entries behind it.
        for folder, version in reversed(behind):
            (folder / LOG / entry_name(version)).unlink()
            told.append(
                f"table {folder.name!r}: removed version {version} of its log; a crash had lost one before it"
            )
        for folder in (dataset, dataset / "chains", *(folder / LOG for folder in folders)):
            for leftover in sorted(folder.glob(".*.partial")):
                leftover.unlink()
        for folder in (dataset.parent, dataset, dataset / "chains", *folders, *(f / LOG for f in folders)):
            if folder.is_dir():
                sync(folder)
    except OSError as error:
        raise unwritable(dataset, error) from error
    return told


def _behind_a_hole(folder: Path) -> list[int]:
    return [version for place, version in enumerate(versions(folder)) if version != place]


def _refuse_acknowledged(dataset: Path, folder: Path, version: int, entry: Entry) -> None:
    """Refuse if anything was written that is written only once this entry was acknowledged."""
    mine = entry.transaction
    if mine is None:
        return
    exchange, _, symbol = mine.app_id.partition("/")
    finished = dataset / "chains" / f"{slug(exchange)}+{slug(symbol)}.json"
    checkpoints = (dataset / checkpoint_path(exchange, symbol, 0)).parent
    proofs = [finished] if finished.exists() else []
    proofs += [path for epoch, path in epoch_files(checkpoints, SUFFIX) if epoch > mine.version]
    proofs += _entries_from(dataset, folder.name, mine.app_id, mine.version)
    if proofs:
        after = proofs[0].relative_to(dataset)
        raise log_damaged(folder, f"an entry before version {version} is gone, though {after} came after it")


def _entries_from(dataset: Path, table: str, chain: str, epoch: int) -> list[Path]:
    """Entries of tables that come after this one in a commit, or of any table of a later epoch."""
    found = []
    for other in TABLES:
        first = epoch if TABLES.index(other) > TABLES.index(table) else epoch + 1
        for version in versions(table_folder(dataset, other)):
            path = table_folder(dataset, other) / LOG / entry_name(version)
            entry = decoded(path.read_bytes(), path.parent.parent)
            if entry.transaction and entry.transaction.app_id == chain and entry.transaction.version >= first:
                found.append(path)
    return found
