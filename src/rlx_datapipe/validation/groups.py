"""Multisets of rows by id, as counts and order-independent digests, and what differs between two of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import Int64Array

Digests = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Groups:
    """Rows by id: ids, sorted and each once, how many rows it has, and the sum of their digests."""

    ids: Int64Array
    counts: Int64Array
    digests: Digests

    def within(self, low: int, high: int) -> Groups:
        """Only the ids from ``low`` to ``high``."""
        here = slice(*np.searchsorted(self.ids, [low, high + 1]).tolist())
        return Groups(self.ids[here], self.counts[here], self.digests[here])


@dataclass(frozen=True)
class Difference:
    """Two multisets compared: ids in both, ids in one only, and ids of both whose rows differ."""

    shared: int
    missing: Int64Array
    extra: Int64Array
    changed: Int64Array


def row_digests(*columns: Int64Array) -> Digests:
    """A 64-bit digest of each row, over its columns in order."""
    state = np.full(len(columns[0]), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in columns:
        state = _mix(state ^ _mix(column.astype(np.uint64)))
    return state


def _mix(words: Digests) -> Digests:
    """The finaliser of splitmix64: every bit of the input moves about half the bits of the output."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def grouped(ids: Int64Array, digests: Digests, counts: Int64Array | None = None) -> Groups:
    """Rows (or parts of groups, with their counts) gathered by id."""
    if len(ids) == 0:
        return Groups(ids, np.zeros(0, dtype=np.int64), digests)
    counts = np.ones(len(ids), dtype=np.int64) if counts is None else counts
    order = np.argsort(ids, kind="stable")
    ids, digests, counts = ids[order], digests[order], counts[order]
    starts = np.flatnonzero(np.concatenate(([True], np.diff(ids) != 0)))
    return Groups(ids[starts], np.add.reduceat(counts, starts), np.add.reduceat(digests, starts))


class Gatherer:
    """Gathers groups that come in parts, in any order."""

    def __init__(self) -> None:
        self._parts: list[Groups] = []

    def add(self, ids: Int64Array, digests: Digests) -> None:
        """Take the next rows."""
        if len(ids):
            self._parts.append(grouped(ids, digests))

    def groups(self) -> Groups:
        """All rows so far."""
        none = np.zeros(0, dtype=np.int64)
        parts = [Groups(none, none, none.view(np.uint64)), *self._parts]
        return grouped(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.digests for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )


def compare(golden: Groups, found: Groups) -> Difference:
    """What differs between the golden rows and those found."""
    _, theirs, ours = np.intersect1d(golden.ids, found.ids, assume_unique=True, return_indices=True)
    same = (golden.counts[theirs] == found.counts[ours]) & (golden.digests[theirs] == found.digests[ours])
    return Difference(
        shared=len(ours),
        missing=np.setdiff1d(golden.ids, found.ids, assume_unique=True),
        extra=np.setdiff1d(found.ids, golden.ids, assume_unique=True),
        changed=found.ids[ours[~same]],
    )
