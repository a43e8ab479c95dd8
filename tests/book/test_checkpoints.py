"""A checkpoint is a copy of the state, and a book made from it goes on as if nothing had happened."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.book.harness import as_lists, book_of, columns, ladder_stream, randomly, row_lists, small_engines

from rlx_datapipe.book import layout
from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.layout import HEADER_WORDS, IntArray


@randomly
@given(engine=small_engines(), rows=row_lists(), cut=st.integers(0, 120))
def test_a_book_read_back_at_any_moment_ends_in_the_same_bytes(
    engine: OrderBookEngine, rows: list[tuple[int, int, int]], cut: int
) -> None:
    engine.apply(*columns(rows[:cut]))
    second = OrderBookEngine.from_array(engine.to_array())
    engine.apply(*columns(rows[cut:]))
    second.apply(*columns(rows[cut:]))
    assert second.state.tobytes() == engine.state.tobytes()


def test_reading_a_book_does_not_change_its_bytes() -> None:
    book = OrderBookEngine(window_log2=6, deep_log2=2)
    book.apply(*ladder_stream(2_000, seed=3))
    before = book.to_array()
    book.best(), book.top(200), book.levels()
    for side in (layout.BID, layout.ASK):
        book.cumulative_depth(side, 300), book.volume_to_price(side, 5_000), book.quantity_at(side, 5_001)
    assert np.array_equal(book.state, before)


def test_a_checkpoint_is_a_copy() -> None:
    book = book_of({99: 1}, {101: 2})
    checkpoint = book.to_array()
    second = OrderBookEngine.from_array(checkpoint)
    book.clear()
    checkpoint[:] = 0
    assert as_lists(second.levels()) == [[99], [1], [101], [2]]


@cache
def whole() -> IntArray:
    return book_of({99: 1, 5: 3}, {101: 2, 10**6: 7}, OrderBookEngine(1, 6, 2)).to_array()


def damaged(word: int, value: int) -> IntArray:
    array = whole().copy()
    array[word] = value
    return array


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros(100), "int64"),
        (np.zeros((40, 40), dtype=np.int64), "dimension"),
        (np.zeros(3, dtype=np.int64), "at least 16 words"),
        (np.zeros(100, dtype=np.int64), "not a book checkpoint"),
        (damaged(layout.AT_VERSION, 2), "version 2"),
        (damaged(layout.AT_LENGTH, 9), "header says 9"),
        (damaged(0, layout.MAGIC)[:-1], "header says"),
        (damaged(layout.AT_TICK, 0), "damaged header"),
        (damaged(layout.AT_DEEP_LOG2, 40), "damaged header"),
        (damaged(layout.AT_HEAP, 3), "damaged header"),
        (damaged(HEADER_WORDS + layout.BEST, -98), "on the bid side the best level"),
        (damaged(HEADER_WORDS + layout.WINDOW_LEVELS, 5), "on the bid side the number of levels"),
        (damaged(HEADER_WORDS + layout.DEEP_SLOTS, 3), "on the bid side the number of deep slots"),
        (damaged(-1, 12), "on the ask side something follows the heap"),
    ],
)
def test_an_array_that_is_not_a_whole_checkpoint_is_refused(array: IntArray, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        OrderBookEngine.from_array(array)


@randomly
@given(word=st.integers(0, 187), value=st.integers(-(2**63), 2**63 - 1))
def test_no_single_damaged_word_can_pass_and_change_what_is_there(word: int, value: int) -> None:
    array = damaged(word, value)
    try:
        book = OrderBookEngine.from_array(array)
    except ValueError:
        return
    # What may pass is another quantity at a level, or a word that nothing reads.
    kept = OrderBookEngine.from_array(whole()).levels()
    assert book.levels().bid_prices.tolist() == kept.bid_prices.tolist()
    assert book.levels().ask_prices.tolist() == kept.ask_prices.tolist()
