"""A process that reconstructs archives with a mutated file in them and tells what came of it, in JSON lines.

It is bounded in memory: what a file does to it, it does to it alone.
"""

from __future__ import annotations

import json
import math
import resource
import shutil
import sys
import traceback
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.core.program import without_guests
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.store.chain_rows import chain_batches
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.venues.crypto_lake import DELTAS, TRADES, Layout, match_table

Row = tuple[Any, ...]
_MEMORY = 3 << 30


def dataset_rows(out: Path) -> Counter[Row]:
    """Every event of a dataset, without its place and what the book was."""
    [chain] = open_dataset(out).manifest.chains
    names = ("event_type", "origin_time", "received_time", "update_id", "trade_id", "side")
    told: Counter[Row] = Counter()
    for batch in chain_batches(out, "events", chain):
        columns = [batch[name].to_pylist() for name in names]
        numbers = [map(_shown, batch[name].to_pylist()) for name in ("price", "quantity")]
        told.update(zip(*columns, *numbers, strict=True))
    return told


def plain_rows(path: Path) -> Counter[Row]:
    """What a plain reader finds in one file: each row, or each level of a book, told as an event."""
    rows = pq.ParquetFile(path).read()
    layout = match_table(rows.schema)
    if not isinstance(layout, Layout):
        return Counter()
    columns = {name: rows[own].to_pylist() for name, own in layout.columns.items()}
    told: Counter[Row] = Counter()
    for at in range(rows.num_rows):
        row = {name: values[at] for name, values in columns.items()}
        told.update(_events(layout.table, row))
    return told


def _events(table: str, row: dict[str, Any]) -> list[Row]:
    times = row["timestamp"], row["receipt_timestamp"]
    if table == TRADES:
        return [
            ("TRADE", *times, None, row["id"], row["side"], _number(row["price"]), _number(row["amount"]))
        ]
    if table == DELTAS:
        side = row["side_is_bid"]
        side = side if isinstance(side, str) else ("bid" if side else "ask")
        event = ("BOOK_DELTA", *times, row["sequence_number"], None, side)
        return [(*event, _number(row["price"]), _number(row["size"]))]
    return [
        ("BOOK_SNAPSHOT", *times, row["sequence_number"], None, side, *numbers)
        for side in ("bid", "ask")
        for level in range(20)
        for numbers in [(_number(row[f"{side}_{level}_price"]), _number(row[f"{side}_{level}_size"]))]
        if not {None, "0"} & set(numbers)
    ]


def _number(value: float | None) -> str | None:
    """A double as it is shown; None for what is no number."""
    return None if value is None or not math.isfinite(value) else _shown(value)


def _shown(value: float | Decimal) -> str:
    """Fourteen digits: beyond those a double may be taken for the decimal beside it."""
    return f"{float(value):.14g}"


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Reconstruct one archive and compare what came of it with its files, and with the original."""
    archive, out, original = Path(job["archive"]), Path(job["out"]), job["original"]
    shutil.rmtree(out, ignore_errors=True)
    try:
        summary = reconstruct(archive, out, Settings(threads=1))
    except DatapipeError as error:
        told = str(error)
        return {"refused": told, "lines": told.count("\n")}
    events = dataset_rows(out)
    # A book that is read beside its deltas makes no event where it is as expected.
    in_files: Counter[Row] = Counter()
    for path in archive.rglob("*.parquet"):
        try:
            in_files.update(_plain(path))
        except (pa.ArrowException, OSError):
            return {"refused": "", "invented": [f"events of {path.name}, which can't be read"]}
    invented = [str(row) for row in (events - in_files)]
    lost = Counter(row for row in (in_files - events).elements() if row[0] != "BOOK_SNAPSHOT")
    before = _read(original)
    [chain] = summary["chains"]
    return {
        "refused": "",
        "invented": invented[:5],
        # What is left out is told by message: of a trade or of an update, whatever rows it has.
        "lost": len({(row[0], row[3], row[4]) for row in lost}),
        "lost_example": [str(row) for row in lost][:3],
        "told": chain["quarantined"] + chain["duplicates"],
        "quarantined": chain["quarantined"],
        "late": chain["late"],
        "other_rows": sum((events - before).values()) + sum((before - events).values()),
    }


_PLAIN: dict[tuple[Path, int, int], Counter[Row]] = {}


def _plain(path: Path) -> Counter[Row]:
    """As `plain_rows`, read once for each content."""
    held = path.stat()
    key = path, held.st_size, held.st_mtime_ns
    if key not in _PLAIN:
        for other in [other for other in _PLAIN if other[0] == path]:
            del _PLAIN[other]
        _PLAIN[key] = plain_rows(path)
    return _PLAIN[key]


_ORIGINALS: dict[str, Counter[Row]] = {}


def _read(original: str) -> Counter[Row]:
    if original not in _ORIGINALS:
        out = Path(original).parent / "original"
        if not out.exists():
            reconstruct(Path(original), out, Settings(threads=1))
        _ORIGINALS[original] = dataset_rows(out)
    return _ORIGINALS[original]


def main() -> None:
    without_guests()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + _MEMORY, held + _MEMORY))
    for line in sys.stdin:
        try:
            told = work(json.loads(line))
        except Exception:
            told = {"crashed": traceback.format_exc()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
