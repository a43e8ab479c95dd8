"""The promises of the order book engine, one by one."""

import numpy as np
import pytest
from tests.book.harness import as_lists, book_of

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.layout import ASK, BID, MAX_PRICE, MAX_QUANTITY
from rlx_datapipe.book.quotes import Best


def small(tick: int = 1) -> OrderBookEngine:
    return OrderBookEngine(tick=tick, window_log2=6, deep_log2=2)


def test_a_new_book_is_empty() -> None:
    book = OrderBookEngine()
    assert book.best() == Best(-1, 0, -1, 0)
    assert as_lists(book.levels()) == [[], [], [], []]
    assert book.level_count(BID) == book.level_count(ASK) == 0
    assert book.cumulative_depth(BID, 5) == book.volume_to_price(ASK, 5) == 0


def test_the_best_bid_is_the_highest_and_the_best_ask_the_lowest() -> None:
    book = book_of({99: 1, 97: 2, 98: 3}, {102: 4, 101: 5})
    assert book.best() == Best(99, 1, 101, 5)
    assert as_lists(book.levels()) == [[99, 98, 97], [1, 3, 2], [101, 102], [5, 4]]


def test_a_quantity_is_absolute_and_zero_removes_the_level() -> None:
    book = book_of({99: 1}, {})
    book.set_level(BID, 99, 7)
    assert book.quantity_at(BID, 99) == 7
    book.set_level(BID, 99, 0)
    assert book.best() == Best(-1, 0, -1, 0)


def test_removing_an_unknown_level_changes_nothing() -> None:
    book = book_of({99: 1, 10: 2}, {101: 5}, small())
    before = book.to_array()
    for price in (98, 10**6, 1, 50):
        book.set_level(BID, price, 0)
        book.set_level(ASK, price, 0)
    assert np.array_equal(book.state, before)


def test_removing_an_unknown_level_off_the_tick_leaves_the_tick_alone() -> None:
    book = book_of({100: 1}, {}, small(tick=100))
    book.set_level(BID, 150, 0)
    assert book.tick == 100


def test_the_two_sides_may_hold_the_same_price() -> None:
    book = book_of({100: 1}, {100: 2})
    assert book.quantity_at(BID, 100) == 1
    assert book.quantity_at(ASK, 100) == 2


def test_locked_and_crossed_books_are_kept_as_they_are() -> None:
    locked, crossed, apart = (book_of({bid: 1}, {100: 1}) for bid in (100, 101, 99))
    assert (locked.is_locked(), locked.is_crossed()) == (True, False)
    assert (crossed.is_locked(), crossed.is_crossed()) == (False, True)
    assert (apart.is_locked(), apart.is_crossed()) == (False, False)
    assert crossed.best() == Best(101, 1, 100, 1)


def test_a_one_sided_book_is_neither_locked_nor_crossed() -> None:
    for book in (book_of({100: 1}, {}), book_of({}, {100: 1})):
        assert not book.is_locked()
        assert not book.is_crossed()


def test_the_best_comes_from_the_deep_store_when_the_window_runs_empty() -> None:
    book = book_of({}, {100: 1, 10_000: 2, 1_000_000: 3}, small())
    for price in (100, 10_000):
        book.set_level(ASK, price, 0)
    assert book.best() == Best(-1, 0, 1_000_000, 3)


def test_a_far_better_level_moves_the_window_and_loses_none() -> None:
    book = book_of({}, {10**9 + i: i + 1 for i in range(60)}, small())
    book.set_level(ASK, 5, 9)
    assert book.best() == Best(-1, 0, 5, 9)
    book.set_level(ASK, 5, 0)
    assert book.levels().ask_prices.tolist() == [10**9 + i for i in range(60)]
    assert book.levels().ask_quantities.tolist() == list(range(1, 61))


def test_thousands_of_deep_levels_are_kept_in_order() -> None:
    prices = np.random.default_rng(1).permutation(5_000) * 977 + 1
    book = small()
    book.apply(np.zeros(5_000, dtype=np.int64), prices, prices)
    assert book.levels().bid_prices.tolist() == sorted(prices.tolist(), reverse=True)
    assert book.level_count(BID) == 5_000


def test_top_gives_fewer_levels_where_the_side_has_fewer() -> None:
    assert as_lists(book_of({9: 1, 8: 1, 7: 1}, {11: 2}).top(2)) == [[9, 8], [1, 1], [11], [2]]
    assert as_lists(book_of({9: 1}, {}).top(-3)) == [[], [], [], []]


def test_top_reaches_past_the_window() -> None:
    book = book_of({}, {1: 1, 2: 2, 500: 3, 400: 4, 90_000: 5}, small())
    assert book.top(4).ask_prices.tolist() == [1, 2, 400, 500]
    assert book.top(4).ask_quantities.tolist() == [1, 2, 4, 3]


def test_a_snapshot_replaces_everything() -> None:
    book = book_of({99: 1, 5: 1}, {101: 1, 10**9: 1}, small())
    book.load_snapshot([98], [2], [103, 104], [3, 0])
    assert as_lists(book.levels()) == [[98], [2], [103], [3]]


def test_the_last_of_two_snapshot_rows_at_one_price_counts() -> None:
    book = OrderBookEngine()
    book.load_snapshot([98, 98, 97, 97], [2, 5, 1, 0], [], [])
    assert as_lists(book.levels()) == [[98], [5], [], []]


def test_a_cleared_book_is_as_good_as_new() -> None:
    book = book_of({i: i for i in range(1, 400)}, {10**9: 1}, small())
    fresh = OrderBookEngine(tick=1, window_log2=6, deep_log2=book.deep_log2)
    book.clear()
    assert np.array_equal(book.state, fresh.state)


def test_depth_is_summed_from_the_best() -> None:
    book = book_of({99: 1, 98: 2, 10: 4}, {101: 8, 102: 16, 900: 32}, small())
    assert [book.cumulative_depth(BID, n) for n in range(5)] == [0, 1, 3, 7, 7]
    assert [book.cumulative_depth(ASK, n) for n in range(5)] == [0, 8, 24, 56, 56]
    assert book.cumulative_depth(ASK, -1) == 0


def test_volume_to_a_price_includes_that_price() -> None:
    book = book_of({100: 1, 90: 2, 10: 4}, {110: 8, 120: 16, 9_000: 32}, small(tick=10))
    assert [book.volume_to_price(BID, price) for price in (101, 100, 91, 90, 11, 10, 1)] == [
        0,
        1,
        1,
        3,
        3,
        7,
        7,
    ]
    assert [book.volume_to_price(ASK, price) for price in (109, 110, 119, 120, 9_000)] == [0, 8, 8, 24, 56]


def test_sums_beyond_int64_are_exact() -> None:
    asks = {10: MAX_QUANTITY, 11: MAX_QUANTITY, 10**6: MAX_QUANTITY}
    book = book_of({}, asks, small())
    assert book.cumulative_depth(ASK, 1) == MAX_QUANTITY
    assert book.cumulative_depth(ASK, 3) == 3 * MAX_QUANTITY
    assert book.volume_to_price(ASK, 11) == 2 * MAX_QUANTITY
    assert book.volume_to_price(ASK, MAX_PRICE) == 3 * MAX_QUANTITY


def test_the_largest_price_and_the_smallest_live_in_one_book() -> None:
    book = book_of({1: 1, MAX_PRICE: 2}, {1: 3, MAX_PRICE: 4}, small())
    assert as_lists(book.levels()) == [[MAX_PRICE, 1], [2, 1], [1, MAX_PRICE], [3, 4]]


def test_a_price_between_two_ticks_makes_the_tick_finer_and_changes_no_answer() -> None:
    book = book_of({100: 1, 300: 2}, {400: 3}, small(tick=100))
    book.set_level(BID, 350, 9)
    assert book.tick == 50
    assert as_lists(book.levels()) == [[350, 300, 100], [9, 2, 1], [400], [3]]


def test_growing_changes_no_answer() -> None:
    book = book_of({5: 1, 10**6: 2}, {7: 3, 10**7: 4}, small())
    before = as_lists(book.levels())
    book.grow()
    assert as_lists(book.levels()) == before


@pytest.mark.parametrize(
    ("side", "price", "quantity", "told"),
    [
        (2, 100, 1, "side must be"),
        (-1, 100, 1, "side must be"),
        (BID, 0, 1, "price must be"),
        (ASK, -5, 1, "price must be"),
        (ASK, MAX_PRICE + 1, 1, "price must be"),
        (BID, 100, -1, "quantity must be"),
        (BID, 100, MAX_QUANTITY + 1, "quantity must be"),
    ],
)
def test_input_that_no_book_can_hold_is_refused(side: int, price: int, quantity: int, told: str) -> None:
    book = book_of({99: 1}, {})
    before = book.to_array()
    with pytest.raises(ValueError, match=told):
        book.set_level(side, price, quantity)
    if -(2**63) <= price < 2**63 and quantity < 2**63:
        with pytest.raises(ValueError, match=f"row 1: {told}"):
            book.apply([BID, side], [100, price], [1, quantity])
    assert np.array_equal(book.state, before)


def test_columns_that_are_not_integers_of_one_length_are_refused() -> None:
    book = OrderBookEngine()
    with pytest.raises(ValueError, match="one length"):
        book.apply([BID], [1, 2], [1])
    with pytest.raises(ValueError, match="prices must be integers, found float64"):
        book.apply([BID], [1.5], [1])
    with pytest.raises(ValueError, match="one-dimensional"):
        book.apply([BID], [[1]], [1])
    with pytest.raises(ValueError, match="must fit int64"):
        book.apply([BID], np.array([2**63], dtype=np.uint64), [1])


def test_questions_about_unknown_sides_or_impossible_prices_are_refused() -> None:
    book = OrderBookEngine()
    with pytest.raises(ValueError, match="side must be"):
        book.level_count(2)
    with pytest.raises(ValueError, match="price must be"):
        book.quantity_at(BID, 0)
    with pytest.raises(ValueError, match="price must be"):
        book.regrid(0)


def test_columns_may_be_narrow_read_only_or_strided() -> None:
    sides, prices = np.array([BID, ASK], dtype=np.int8), np.arange(100, 104)[::2]
    quantities = np.array([5, 6])
    quantities.flags.writeable = False
    book = OrderBookEngine()
    book.apply(sides, prices, quantities)
    assert book.best() == Best(100, 5, 102, 6)


@pytest.mark.parametrize("sizes", [(0, 16, 10), (1, 5, 10), (1, 23, 10), (1, 16, 1), (1, 16, 31)])
def test_sizes_out_of_range_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must be between"):
        OrderBookEngine(*sizes)
