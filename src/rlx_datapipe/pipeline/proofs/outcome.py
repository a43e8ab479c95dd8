"""What a run came to, and by what it differs from an undisturbed one: counted, not inferred."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.store.commits import Commit, read_commits, verify_files
from rlx_datapipe.store.dataset import dataset_digest, open_dataset
from rlx_datapipe.store.layout import table_folder
from rlx_datapipe.store.log import TableLog
from rlx_datapipe.store.tables import data_files, read_file

Rows = dict[str, Int64Array]
"""Per table a 64-bit hash of each row, in order; and the ids of events and trades."""
IDS = ("event_id", "trade_id")


def rows_of(dataset: Path) -> Rows:
    """All rows that readers of a dataset see, finished or not."""
    found: Rows = {}
    for table in TABLES:
        held = data_files(dataset, table) if TableLog(table_folder(dataset, table)).version >= 0 else []
        parts = [pl.DataFrame(read_file(table, file.path)) for file in held]
        rows = pl.concat(parts) if parts else None
        found[table] = _hashes(rows)
        if table == "events":
            for name in IDS:
                found[name] = np.array(rows[name].drop_nulls() if rows is not None else [], dtype=np.int64)
    return found


def _hashes(rows: pl.DataFrame | None) -> Int64Array:
    if rows is None:
        return np.zeros(0, dtype=np.int64)
    return rows.hash_rows(1).to_numpy().view(np.int64)


def keep_rows(dataset: Path, file: Path) -> None:
    """Keep what `rows_of` a dataset tells, for others to be held against."""
    arrays: dict[str, Any] = {**rows_of(dataset)}
    np.savez(file, **arrays)


def excess(held: Int64Array, expected: Int64Array) -> int:
    """How many members one multiset holds more than another, each counted as often as it comes."""
    values, counts = np.unique(held, return_counts=True)
    others, others_counts = np.unique(expected, return_counts=True)
    at = np.searchsorted(others, values)
    inside = at < len(others)
    match = np.zeros(len(values), dtype=np.int64)
    same = inside.copy()
    same[inside] = others[at[inside]] == values[inside]
    match[same] = others_counts[at[same]]
    return int(np.maximum(counts - match, 0).sum())


def outcome_of(summary: dict[str, Any], dataset: Path) -> dict[str, Any]:
    """All of a finished dataset that must be the same however often its making was cut off."""
    chain = summary["chains"][0]
    commits = read_commits(dataset, chain["exchange"], chain["symbol"])
    return {
        "digest": summary["digest"],
        "read_back": dataset_digest(open_dataset(dataset)),
        "rows": chain["rows"],
        "damaged": verify_files(dataset, commits),
        "files": {
            path.relative_to(dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(dataset.rglob("*"))
            if path.is_file() and path.name != ".lock"
        },
    }


def counted(dataset: Path, golden: Path) -> dict[str, int]:
    """Ids that the golden run had and this one has not, those that it has too often, rows that differ."""
    rows = rows_of(dataset)
    with np.load(golden, allow_pickle=False) as expected:
        return {
            "lost": sum(excess(expected[name], rows[name]) for name in IDS),
            "doubled": sum(excess(rows[name], expected[name]) for name in IDS),
            "differing": sum(
                max(excess(rows[table], expected[table]), excess(expected[table], rows[table]))
                for table in TABLES
            ),
        }


def differs(outcome: dict[str, Any], golden: dict[str, Any]) -> list[str]:
    """By what an outcome differs from the golden one, a few words each."""
    by = [name for name in ("digest", "read_back", "rows", "damaged") if outcome[name] != golden[name]]
    by += [f"{outcome[name]:,} {name}" for name in ("lost", "doubled", "differing") if outcome[name]]
    ours, theirs = outcome["files"], golden["files"]
    wrong = sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))
    return by + ([f"{len(wrong)} files, first {wrong[0]}"] if wrong else [])


def before_resuming(dataset: Path, chain: Instrument, acknowledged: int, golden: Path) -> list[str]:
    """What is wrong with an unfinished dataset as a crash left it, for those who read it before it goes on.

    All commits that were acknowledged must be there, and each row must be the golden one in its place.
    """
    try:
        commits = read_commits(dataset, chain.exchange, chain.symbol) if dataset.is_dir() else []
        wrong = _wrong_rows(dataset, commits, golden) if commits else []
    except DatapipeError as error:
        return [f"{acknowledged} acknowledged commits can't be read: {error}"] if acknowledged else []
    lost = acknowledged - len(commits)
    return wrong + ([f"{lost} acknowledged commits lost"] if lost > 0 else [])


def _wrong_rows(dataset: Path, commits: list[Commit], golden: Path) -> list[str]:
    rows, wrong = rows_of(dataset), []
    with np.load(golden, allow_pickle=False) as expected:
        for table in TABLES:
            held, count = rows[table], commits[-1].rows[table]
            if len(held) != count or not np.array_equal(held, expected[table][:count]):
                wrong.append(f"{table}: wrong rows before resuming")
    return wrong
