"""Books of plain Python are each other's twins."""

from __future__ import annotations

import numpy as np
import pytest

from rlx_datapipe.pipeline.bench.peers.plain import DictBook, SortedBook
from rlx_datapipe.pipeline.bench.peers.stream import Asked, Stream, checksum, stream
from rlx_datapipe.simulation.updates import Updates, UpdatesConfig

BOOKS = pytest.mark.parametrize("book", [DictBook, SortedBook])


def test_dicts_and_sorted_dicts_tell_the_same() -> None:
    given = stream(UpdatesConfig(seed=3, rows=3_000, levels=100))
    sums = []
    for book in (DictBook(given, Asked.MESSAGE), SortedBook(given, Asked.MESSAGE)):
        book.run()
        assert book.answer().shape == (4, len(given.ends))
        sums.append(checksum(book.answer()))
    assert sums[0] == sums[1]


@BOOKS
def test_an_empty_side_has_no_price(book: type[DictBook]) -> None:
    opening = Updates(*(np.array(column) for column in ([0, 0], [0, 1], [10, 20], [1, 2])))
    # The bid is removed, then a level that is not there, then the ask; then a bid comes.
    rows = Updates(
        *(np.array(column) for column in ([1, 2, 3, 4], [0, 0, 1, 0], [10, 9, 20, 11], [0, 0, 0, 7]))
    )
    one = book(Stream(opening, rows, np.arange(4)), Asked.MESSAGE)
    one.run()
    assert one.answer().T.tolist() == [[-1, 0, 20, 2], [-1, 0, 20, 2], [-1, 0, -1, 0], [11, 7, -1, 0]]


@BOOKS
@pytest.mark.parametrize("asked", [Asked.ROW, Asked.END])
def test_what_a_book_cannot_tell_it_refuses(book: type[DictBook], asked: Asked) -> None:
    with pytest.raises(ValueError, match=f"asked for the {asked.value}"):
        book(stream(UpdatesConfig(rows=100, levels=10)), asked)
