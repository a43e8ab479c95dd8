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

    @classmethod
    def none(cls) -> Groups:
        """No groups."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing.view(np.uint64))

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


def grouped(ids: Int64Array, digests: Digests, counts: Int64Array | None = None) -> Groups:
    """Rows (or parts of groups, with their counts) gathered by id."""
    if len(ids) == 0:
        return Groups(ids, np.zeros(0, dtype=np.int64), digests)
    counts = np.ones(len(ids), dtype=np.int64) if counts is None else counts
    order = np.argsort(ids, kind="stable")
    ids, digests, counts = ids[order], digests[order], counts[order]
    starts = np.flatnonzero(np.concatenate(([True], np.diff(ids) != 0)))
    return Groups(ids[starts], np.add.reduceat(counts, starts), np.add.reduceat(digests, starts))


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
