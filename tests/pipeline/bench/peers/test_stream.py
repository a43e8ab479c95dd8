"""What the books are given and asked; no two different answers pass for equal."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rlx_datapipe.pipeline.bench.peers.stream import (
    LOT,
    TICK,
    checksum,
    difference,
    in_units,
    stream,
    whole_book,
)
from rlx_datapipe.simulation.updates import UpdatesConfig

SMALL = UpdatesConfig(seed=3, rows=3_000, levels=100)


def test_the_same_seed_gives_the_same_stream() -> None:
    one, other = stream(SMALL), stream(SMALL)
    assert all(np.array_equal(a, b) for a, b in zip(one.rows, other.rows, strict=True))
    assert len(one) == 3_000


def test_messages_end_where_their_number_changes() -> None:
    given = stream(SMALL)
    spans = list(given.spans())
    assert spans[0][0] == 0
    assert spans[-1][1] == len(given)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    numbers = [set(given.rows.messages[begin:end].tolist()) for begin, end in spans]
    assert all(len(one) == 1 for one in numbers)
    assert len(set.union(*numbers)) == len(spans) == len(given.ends)


def test_a_part_is_whole_messages_from_the_beginning() -> None:
    given = stream(SMALL)
    part = given.first(1_000)
    assert 900 < len(part) <= 1_000
    assert np.array_equal(part.rows.prices, given.rows.prices[: len(part)])
    assert given.rows.messages[len(part)] != part.rows.messages[-1], "its last message is whole"
    assert len(given.first(1).ends) == 1, "one message at least"
    assert given.first(3_000) is given


def test_prices_and_quantities_come_back_from_floating_point() -> None:
    given = stream(SMALL)
    assert np.array_equal(in_units(given.rows.prices * TICK, TICK), given.rows.prices)
    assert np.array_equal(in_units(given.rows.quantities * LOT, LOT), given.rows.quantities)


def test_a_whole_book_is_sorted_by_side_and_price() -> None:
    bids = np.array([7, 9, 8]), np.array([70, 90, 80])
    asks = np.array([12, 11]), np.array([120, 110])
    assert whole_book(bids, asks).tolist() == [[0, 0, 0, 1, 1], [7, 8, 9, 11, 12], [70, 80, 90, 110, 120]]


ANSWER = np.arange(40, dtype=np.int64).reshape(4, 10)


def test_equal_answers_have_no_difference() -> None:
    assert difference(ANSWER, ANSWER.copy()) == ""
    assert difference(ANSWER, np.asfortranarray(ANSWER)) == "", "however they lie in memory"


@pytest.mark.parametrize(
    ("row", "column", "sentence"),
    [
        (0, 0, "1 of 10 answers; the first is number 0: [1, 10, 20, 30], ours [0, 10, 20, 30]"),
        (3, 9, "1 of 10 answers; the first is number 9: [9, 19, 29, 40], ours [9, 19, 29, 39]"),
    ],
)
def test_one_unit_more_is_a_difference(row: int, column: int, sentence: str) -> None:
    theirs = ANSWER.copy()
    theirs[row, column] += 1
    assert checksum(theirs) != checksum(ANSWER)
    assert difference(ANSWER, theirs) == sentence


def test_an_answer_too_few_and_another_shape_are_differences() -> None:
    assert difference(ANSWER, ANSWER[:, :-1]) == "9 answers, ours 10"
    assert checksum(ANSWER.reshape(2, 20)) != checksum(ANSWER)
