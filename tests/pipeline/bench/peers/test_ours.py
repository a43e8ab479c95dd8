"""Our book tells after rows, after messages and at the end what a book of dicts tells."""

from __future__ import annotations

import numpy as np
import pytest

from rlx_datapipe.pipeline.bench.peers.ours import OurBook
from rlx_datapipe.pipeline.bench.peers.stream import Asked, Stream, stream
from rlx_datapipe.simulation.updates import Updates, UpdatesConfig


def _growing() -> Stream:
    """Two levels at first, then thousands far from the touch: the deep store has to grow on the way."""
    rows = 6_000
    sides = np.arange(rows) % 2
    offsets = 100_000 + 50 * np.arange(rows)
    prices = np.where(sides == 0, 6_000_000 - offsets, 6_000_000 + offsets)
    opening = Updates(*(np.array(column) for column in ([0, 0], [0, 1], [5_999_999, 6_000_001], [5, 6])))
    messages = 1 + np.arange(rows) // 3
    ends = np.flatnonzero(np.append(np.diff(messages) != 0, True))
    return Stream(opening, Updates(messages, sides, prices, np.arange(1, rows + 1)), ends)


STREAMS = {"usual": stream(UpdatesConfig(seed=3, rows=3_000, levels=100)), "growing": _growing()}


def _plain(given: Stream) -> tuple[list[tuple[int, ...]], list[tuple[int, int, int]]]:
    """Best after each row and the whole book at the end, from two dicts."""
    both: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for side, price, quantity in zip(*(column.tolist() for column in given.opening[1:]), strict=True):
        both[side][price] = quantity
    bids, asks = both
    after: list[tuple[int, ...]] = []
    for side, price, quantity in zip(*(column.tolist() for column in given.rows[1:]), strict=True):
        both[side][price] = quantity
        if not quantity:
            del both[side][price]
        bid, ask = max(bids), min(asks)
        after.append((bid, bids[bid], ask, asks[ask]))
    end = [(side, price, both[side][price]) for side in (0, 1) for price in sorted(both[side])]
    return after, end


@pytest.mark.parametrize("name", STREAMS)
def test_all_three_questions_are_answered(name: str) -> None:
    given = STREAMS[name]
    after, end = _plain(given)
    answers = {}
    for asked in Asked:
        book = OurBook(given, asked)
        book.run()
        answers[asked] = [tuple(one) for one in book.answer().T.tolist()]
    assert answers[Asked.ROW] == after
    assert answers[Asked.MESSAGE] == [after[at] for at in given.ends]
    assert answers[Asked.END] == end
