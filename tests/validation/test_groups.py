"""Digested groups tell the same as multisets of tuples, and kernels the same digests as arrays."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.validation.condense import digest_runs
from rlx_datapipe.validation.groups import Digests, Groups, compare, grouped
from rlx_datapipe.validation.ledger import Ledger

Row = tuple[int, int, int]
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 2), st.integers(-1, 2)), max_size=12)


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


def _groups(rows: list[Row]) -> Groups:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return grouped(columns[0], row_digests(columns[0], *columns))


def _runs(rows: list[Row]) -> Int64Array:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T.copy()
    runs = np.zeros((3, len(rows)), dtype=np.int64)
    one, two, three = columns
    count = digest_runs(np.ones(len(rows), dtype=np.bool_), one, one, two, three, runs)
    return runs[:, :count]


@given(ROWS, ROWS)
def test_compared_as_multisets(golden: list[Row], found: list[Row]) -> None:
    theirs, ours = Counter(golden), Counter(found)
    golden_ids, found_ids = {row[0] for row in golden}, {row[0] for row in found}
    changed = {
        one
        for one in golden_ids & found_ids
        if {row: n for row, n in theirs.items() if row[0] == one}
        != {row: n for row, n in ours.items() if row[0] == one}
    }
    difference = compare(_groups(golden), _groups(found))
    assert difference.shared == len(golden_ids & found_ids)
    assert set(difference.missing.tolist()) == golden_ids - found_ids
    assert set(difference.extra.tolist()) == found_ids - golden_ids
    assert set(difference.changed.tolist()) == changed


@given(ROWS, ROWS, st.lists(st.integers(0, 12), max_size=4), st.booleans(), st.integers(0, 4))
def test_a_ledger_in_parts_finds_what_a_comparison_of_all_finds(
    golden: list[Row], found: list[Row], cuts: list[int], whole: bool, stop: int
) -> None:
    theirs = _groups(golden)
    ledger = Ledger(theirs)
    edges = [0, *sorted(cuts), len(found)]
    for number, (start, end) in enumerate(pairwise(edges)):
        if number == stop:
            resumed = Ledger(theirs)
            resumed.restore(ledger.state())
            ledger = resumed
        ledger.add(_runs(found[start:end]))
    difference, smaller = ledger.difference(whole=whole)
    ours = _groups(found)
    assert smaller == min(len(theirs.ids), len(ours.ids))
    if not whole and smaller:
        low, high = max(theirs.ids[0], ours.ids[0]), min(theirs.ids[-1], ours.ids[-1])
        theirs, ours = theirs.within(low, high), ours.within(low, high)
    if whole or smaller:
        expected = compare(theirs, ours)
        assert difference.shared == expected.shared
        for name in ("missing", "extra", "changed"):
            assert getattr(difference, name).tolist() == getattr(expected, name).tolist()


def test_neighbouring_values_have_other_digests() -> None:
    values = np.arange(100_000, dtype=np.int64)
    assert len(np.unique(row_digests(values, values % 2))) == len(values)
    assert (row_digests(values, values + 1) != row_digests(values + 1, values)).all()
