"""How far the book of one run is from that of another, over the moments between two snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.store.chain_rows import chain_batches
from rlx_datapipe.store.manifest import ChainManifest, read_manifest
from rlx_datapipe.validation.reading import decimals_of, read_stretches, scaled
from rlx_datapipe.venues.crypto_lake import LEVEL_NAMES, LEVELS

STEP_NS = 10_000_000
"""Moments are so far apart; samples of ``books`` must be no further."""
TOLD_LEVELS = (1, 5, 10, 20)
_QUOTE = ("bid_price", "bid_quantity", "ask_price", "ask_quantity")
_LADDER = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")


@dataclass(frozen=True)
class Course:
    """The book in the course of time, in scaled integers, NONE and 0 where there is no level.

    ``best`` is int64 (4, n) after the events of ``times``, ``ladders`` int64 (k, 4, LEVELS) at ``sampled``.
    """

    times: Int64Array
    best: Int64Array
    sampled: Int64Array
    ladders: Int64Array


def course_of(dataset: Path) -> Course:
    """The book of a dataset of one chain."""
    [chain] = read_manifest(dataset).chains
    times, best = [], []
    for stretch in read_stretches(dataset, chain):
        times.append(stretch.origin_time)
        best.append(stretch.best)
    sampled = [np.zeros(0, dtype=np.int64)]
    ladders = [np.zeros((0, 4, LEVELS), dtype=np.int64)]
    for rows in chain_batches(dataset, "books", chain, ["origin_time", *_LADDER]):
        sampled.append(rows["origin_time"].to_numpy())
        ladders.append(np.stack([_padded(rows[name], name, chain) for name in _LADDER], axis=1))
    return Course(
        np.maximum.accumulate(np.concatenate(times)),
        np.concatenate(best, axis=1),
        np.maximum.accumulate(np.concatenate(sampled)),
        np.concatenate(ladders),
    )


def _padded(column: pa.ChunkedArray, name: str, chain: ChainManifest) -> Int64Array:
    """Lists of decimals as int64 (k, LEVELS), 0 behind the last."""
    lists = column.combine_chunks()
    sizes = np.diff(lists.offsets.to_numpy())
    values = scaled(lists.flatten(), decimals_of(name, chain.instrument))[0]
    grid = np.zeros((len(sizes), LEVELS), dtype=np.int64)
    grid[np.arange(LEVELS) < sizes[:, None]] = values
    return grid


def stated_in(archive: Path, chain: ChainManifest) -> Course:
    """The snapshots of a derived archive, each held until the next."""
    tables = [pq.read_table(path) for path in sorted((archive / "book").rglob("*.parquet"))]
    rows = pa.concat_tables(tables).sort_by("timestamp")
    cells = np.stack([rows[name].to_numpy() for name in LEVEL_NAMES])
    places = np.where(np.arange(len(LEVEL_NAMES)) % 2, *_scales(chain))[:, None]
    values = np.rint(np.nan_to_num(cells) * 10.0**places).astype(np.int64)
    # Columns are side by side, price and size in turn.
    ladders = values.reshape(2, LEVELS, 2, -1).transpose(3, 0, 2, 1).reshape(-1, 4, LEVELS)
    times = rows["timestamp"].to_numpy()
    return Course(times, np.where(ladders[:, :, 0] > 0, ladders[:, :, 0], NONE).T, times, ladders)


def quoted_in(dataset: Path, instrument: Instrument) -> Course | None:
    """The venue's own quotes in a dataset of one chain, scaled by another's; None if they have no times."""
    [chain] = read_manifest(dataset).chains
    times = [np.zeros(0, dtype=np.int64)]
    best = [np.zeros((4, 0), dtype=np.int64)]
    for batch in chain_batches(dataset, "quotes", chain, ["origin_time", *_QUOTE]):
        rows = batch.filter(batch["origin_time"].is_valid())
        times.append(rows["origin_time"].to_numpy())
        best.append(np.stack([scaled(rows[name], decimals_of(name, instrument))[0] for name in _QUOTE]))
    if not sum(map(len, times)):
        return None
    order = np.argsort(found := np.concatenate(times), kind="stable")
    nothing = np.zeros(0, dtype=np.int64)
    return Course(
        found[order], np.concatenate(best, axis=1)[:, order], nothing, np.zeros((0, 4, LEVELS), np.int64)
    )


def _scales(chain: ChainManifest) -> tuple[int, int]:
    return chain.instrument.quantity_decimals, chain.instrument.price_decimals


def moments_between(courses: list[Course], snapshots: Int64Array) -> Int64Array:
    """Ends of the steps in which no snapshot came, from where all courses have begun to where one ends.

    Snapshots themselves are no test: there every strategy is right.
    """
    first = max(int(course.times[0]) for course in courses) // STEP_NS + 1
    last = min(int(course.times[-1]) for course in courses) // STEP_NS
    steps = np.setdiff1d(np.arange(first, last, dtype=np.int64), snapshots // STEP_NS)
    return (steps + 1) * STEP_NS


def errors_of(course: Course, truth: Course, moments: Int64Array) -> dict[str, Any]:
    """What is wrong with a course at these moments, by name.

    ``best_prices_right`` and ``best_right`` are shares of time in which both best prices, and their
    quantities too, are the true ones, ``side_prices_right`` is that of each price for itself.
    ``best_unknown`` is the share of time in which a side has no level left (trades have taken all that was
    visible); ``best_price_rms_error`` is relative, over the prices of both sides that are there,
    ``mid_rms_error`` over their means. By level, where both tell more than the best: the share of time in
    which price and quantity of that level are right (of both sides), and ``depth_error``, the mean absolute
    error of the quantity down to it over the mean of the true one.
    """
    ours, true = (one.best[:, _last(one.times, moments)] for one in (course, truth))
    known = (ours[::2] != NONE) & (true[::2] != NONE)
    relative = ((ours[::2] - true[::2]) / true[::2])[known]
    mid, true_mid = (one[::2].mean(axis=0)[known.all(axis=0)] for one in (ours, true))
    return {
        "moments": len(moments),
        "best_prices_right": float((ours[::2] == true[::2]).all(axis=0).mean()),
        "side_prices_right": float((ours[::2] == true[::2]).mean()),
        "best_right": float((ours == true).all(axis=0).mean()),
        "best_unknown": float((ours[::2] == NONE).any(axis=0).mean()),
        "best_price_rms_error": float(np.sqrt((relative**2).mean())),
        "mid_rms_error": float(np.sqrt(((mid / true_mid - 1) ** 2).mean())),
        "levels": _levels(course, truth, moments) if len(course.sampled) and len(truth.sampled) else {},
    }


def _levels(course: Course, truth: Course, moments: Int64Array) -> dict[str, dict[str, float]]:
    ours, true = (one.ladders[_last(one.sampled, moments)] for one in (course, truth))
    told = {}
    for level in TOLD_LEVELS:
        at = level - 1
        equal = (ours[:, :, at] == true[:, :, at]).reshape(-1, 2, 2).all(axis=2)
        depth, true_depth = (one[:, 1::2, :level].sum(axis=2) for one in (ours, true))
        told[str(level)] = {
            "right": float(equal.mean()),
            "depth_error": float(np.abs(depth - true_depth).mean() / true_depth.mean()),
        }
    return told


def _last(times: Int64Array, moments: Int64Array) -> npt.NDArray[np.intp]:
    """Index of the last time before each moment; all of them come later than the first."""
    return np.searchsorted(times, moments, side="left") - 1
