"""What a crash left behind: files of epochs that no log knows, and files that never got their name."""

from __future__ import annotations

import re
from pathlib import Path

from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.store.checkpoints import SUFFIX, checkpoint_path
from rlx_datapipe.store.files import sync
from rlx_datapipe.store.layout import EPOCH, epoch_files, partition_folder, table_folder
from rlx_datapipe.store.measured import SUFFIX as MEASURED
from rlx_datapipe.store.measured import measured_path
from rlx_datapipe.store.tables import last_epoch


def remove_orphans(dataset: Path, exchange: str, symbol: str) -> int:
    """Remove a chain's files of epochs that are not committed; how many there were.

    Only files that bear our own names are touched. What another table committed before ``events`` did is no
    orphan: the epoch is redone, and its files are taken over.
    """
    removed = 0
    for table in TABLES:
        committed = last_epoch(dataset, table, exchange, symbol)
        chain = Path(partition_folder(exchange, symbol, "")).parent
        for folder in sorted((table_folder(dataset, table) / chain).glob("date=*")):
            removed += _clean(folder, ".parquet", committed)
    committed = last_epoch(dataset, "events", exchange, symbol)
    removed += _clean((dataset / measured_path(exchange, symbol, 0)).parent, MEASURED, committed)
    return removed + _clean((dataset / checkpoint_path(exchange, symbol, 0)).parent, SUFFIX, committed)


def _clean(folder: Path, suffix: str, committed: int) -> int:
    partial = re.compile(rf"\.{EPOCH}(\.spill)?{re.escape(suffix)}\.partial")
    leftovers = [path for path in folder.glob(".epoch-*") if partial.fullmatch(path.name)]
    leftovers += [path for epoch, path in epoch_files(folder, suffix) if epoch > committed]
    for path in sorted(leftovers):
        path.unlink()
        crash_point("orphan removed")
    if leftovers:
        sync(folder)
    return len(leftovers)
