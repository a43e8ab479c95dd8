"""A small archive in the layout of Crypto Lake, exported from a simulated market, and ways to stage it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from rlx_datapipe.acquisition.staged import ArchiveKey, Transfer
from rlx_datapipe.acquisition.staging import StagingManager
from rlx_datapipe.core.config import Settings
from rlx_datapipe.pipeline.export import export
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.venues.crypto_lake import parse_path

MARKET = MarketConfig(
    seed=3, duration_s=2, levels=60, snapshot_levels=40, snapshot_every_s=1, orders_per_s=400
)
SETTINGS = Settings(threads=1)


def small_archive(folder: Path) -> Path:
    """The three tables of one day of one market: some thousand rows."""
    write_capture(simulate(MARKET), folder / "capture.gz")
    export(folder / "capture.gz", folder / "archive", settings=SETTINGS)
    (folder / "capture.gz").unlink()
    return folder / "archive"


def files_of(archive: Path) -> dict[str, Path]:
    """The files of a small archive by table."""
    return {parse_path(path).table: path for path in sorted(archive.rglob("*.parquet"))}


def key_of(path: Path) -> ArchiveKey:
    told = parse_path(path)
    assert told.date is not None
    return ArchiveKey(told.table, told.exchange, told.symbol, told.date, path.name)


def stage(root: Path, files: Iterable[Path]) -> list[ArchiveKey]:
    """Let files arrive in a staging folder, as a download would."""
    keys = []
    with StagingManager(root).open() as manager:
        for path in files:
            key, held = key_of(path), path.read_bytes()
            partial = manager.partial(key)
            shutil.copyfile(path, partial)
            handle = os.open(partial, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
            digest = hashlib.sha256(held).hexdigest()
            manager.arrived({key: Transfer(str(path), len(held), "", digest, len(held))})
            keys.append(key)
    return keys
