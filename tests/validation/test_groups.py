"""Digested groups tell the same as multisets of tuples."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.validation.groups import Gatherer, Groups, compare, row_digests

Row = tuple[int, int, int]
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 2), st.integers(-1, 2)), max_size=12)


def _groups(rows: list[Row], cut: int) -> Groups:
    gatherer = Gatherer()
    for part in (rows[:cut], rows[cut:]):
        columns = np.array(part, dtype=np.int64).reshape(-1, 3).T
        gatherer.add(columns[0], row_digests(*columns))
    return gatherer.groups()


@given(ROWS, ROWS, st.integers(0, 12))
def test_compared_as_multisets(golden: list[Row], found: list[Row], cut: int) -> None:
    theirs, ours = Counter(golden), Counter(found)
    golden_ids, found_ids = {row[0] for row in golden}, {row[0] for row in found}
    changed = {
        one
        for one in golden_ids & found_ids
        if {row: n for row, n in theirs.items() if row[0] == one}
        != {row: n for row, n in ours.items() if row[0] == one}
    }
    difference = compare(_groups(golden, cut), _groups(found, 0))
    assert difference.shared == len(golden_ids & found_ids)
    assert set(difference.missing.tolist()) == golden_ids - found_ids
    assert set(difference.extra.tolist()) == found_ids - golden_ids
    assert set(difference.changed.tolist()) == changed


def test_neighbouring_values_have_other_digests() -> None:
    values = np.arange(100_000, dtype=np.int64)
    assert len(np.unique(row_digests(values, values % 2))) == len(values)
    assert (row_digests(values, values + 1) != row_digests(values + 1, values)).all()
