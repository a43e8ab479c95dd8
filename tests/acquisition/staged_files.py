"""A small archive on its way through a staging folder, and what is wrong with where its files stand."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from rlx_datapipe.acquisition.staged import MANIFEST, ArchiveKey, Transfer, Zone, read_changes, read_standings
from rlx_datapipe.acquisition.staging import StagingManager
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.store.linked_lines import read_linked

BAD = Finding(rule="rows", severity=Severity.GATE, message="a price is negative")
KEYS = [
    ArchiveKey("trades", "BINANCE", "BTC-USDT", dt.date(2022, 10, 1), "1.snappy.parquet"),
    ArchiveKey("book_delta_v2", "BINANCE", "BTC-USDT", dt.date(2022, 10, 1), "a b/../c.snappy.parquet"),
    ArchiveKey("book", "BINANCE_FUTURES", "BTC-USDT-PERP", dt.date(2022, 10, 2), "x7.parquet"),
]
MENDED = KEYS[2]
"""Goes into quarantine first, is removed, and arrives anew."""


def content(key: ArchiveKey, etag: str) -> bytes:
    return f"{key} {etag}".encode() * 50


def transfer(key: ArchiveKey, etag: str) -> Transfer:
    held = content(key, etag)
    url = f"s3://qnt.data/market-data/cryptofeed/{key.name}"
    return Transfer(url, len(held), etag, hashlib.sha256(held).hexdigest(), len(held))


def download(manager: StagingManager, etag: str, *keys: ArchiveKey) -> None:
    for key in keys:
        with manager.partial(key).open("wb") as file:
            file.write(content(key, etag))
            file.flush()
            os.fsync(file.fileno())
    manager.arrived({key: transfer(key, etag) for key in keys})


def bring_home(root: Path, acknowledge: Callable[[], None] = lambda: None) -> None:
    """Bring every file to its last zone, from wherever it stands."""
    with StagingManager(root).open() as manager:
        if together := [key for key in KEYS if manager.standing(key) is None and not was_removed(root, key)]:
            download(manager, "first", *together)
            for _ in together:
                acknowledge()
        for key in KEYS:
            while (standing := manager.standing(key)) is None or standing.zone is not Zone.READY:
                if standing is None:
                    download(manager, "second", key)
                elif standing.zone is Zone.RAW:
                    manager.move(key, Zone.VALIDATING)
                elif standing.zone is Zone.QUARANTINE:
                    manager.remove(key)
                elif key == MENDED and standing.transfer.etag == "first":
                    manager.move(key, Zone.QUARANTINE, [BAD])
                else:
                    manager.move(key, Zone.READY)
                acknowledge()


def was_removed(root: Path, key: ArchiveKey) -> bool:
    changes = read_changes(root, read_linked(root / MANIFEST)[0])
    return any(change.kind == "removed" and change.key == key for change in changes)


CHANGES = 3 * len(KEYS) + 4
"""How many an undisturbed run makes."""


def changes_told(root: Path) -> int:
    path = root / MANIFEST
    return len(read_linked(path)[0]) if path.exists() else 0


def wrong(root: Path) -> str:
    """What is wrong with where the files stand; empty if each is in its one zone, to the byte."""
    standings = read_standings(root)
    there = {path for zone in Zone for path in (root / zone).rglob("*") if path.is_file()}
    for key, standing in standings.items():
        path = root / standing.zone / key.path
        if path not in there:
            return f"{key.table}: not in {standing.zone}"
        if path.read_bytes() != content(key, standing.transfer.etag):
            return f"{key.table}: other bytes"
        there.remove(path)
    partial = {(root / Zone.RAW / key.path).parent for key in KEYS if key not in standings}
    beyond = [path for path in there if path.parent not in partial or not path.name.endswith(".partial")]
    return f"too many: {beyond}" if beyond else ""
