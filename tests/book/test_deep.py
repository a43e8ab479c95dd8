"""The deep store against a dictionary, and the places where it meets the window."""

import numpy as np
import pytest

from rlx_datapipe.book import deep, kernels
from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.integrity import check_integrity
from rlx_datapipe.book.layout import ASK, DEEP_LEVELS, GROW, HEADER_WORDS, OK, new_state


@pytest.mark.parametrize("seed", range(4))
def test_a_nearly_full_store_finds_every_level_after_any_removal(seed: int) -> None:
    random = np.random.default_rng(seed)
    state, levels = new_state(1, 6, 4), dict[int, int]()
    for _ in range(1_500):
        key = int(random.integers(1, 40)) * 7_919
        if levels and random.random() < 0.3:
            smallest = min(levels)
            while (quantity := deep.deep_pop(state, HEADER_WORDS)) == 0:
                pass  # a level removed before
            assert quantity == levels.pop(smallest)
        else:
            quantity = int(random.integers(0, 3))
            if deep.deep_set(state, HEADER_WORDS, key, quantity) == OK:
                levels[key] = quantity
                levels = {key: quantity for key, quantity in levels.items() if quantity}
            else:
                assert len(levels) >= 6
        for known in range(7_919, 40 * 7_919, 7_919):
            assert deep.deep_quantity(state, HEADER_WORDS, known) == levels.get(known, 0)
        assert deep.deep_sorted_keys(state, HEADER_WORDS).tolist() == sorted(levels)


def test_the_last_tick_of_a_window_that_moved_belongs_to_the_window() -> None:
    book = OrderBookEngine(window_log2=6, deep_log2=4)
    book.load_snapshot([], [], [1, *range(1_000, 1_009)], [1] * 10)
    book.apply([ASK] * 4, [1_046, 1_047, 1_048, 1_049], [1, 2, 3, 4])
    book.set_level(ASK, 1, 0)
    check_integrity(book.state)
    assert [book.quantity_at(ASK, price) for price in range(1_045, 1_050)] == [0, 1, 2, 3, 4]


def test_the_window_follows_the_best_before_it_runs_empty() -> None:
    book = OrderBookEngine(window_log2=6, deep_log2=8)
    prices = np.arange(1, 101)
    book.load_snapshot([], [], prices, prices)
    block = kernels.block_of(book.state, ASK)
    deep_before = int(book.state[block + DEEP_LEVELS])
    book.apply(np.full(35, ASK), prices[:35], np.zeros(35, dtype=np.int64))
    assert 0 < int(book.state[block + DEEP_LEVELS]) < deep_before
    check_integrity(book.state)


def test_the_nearest_deep_levels_are_given_for_every_number_asked() -> None:
    book = OrderBookEngine(window_log2=6, deep_log2=9)
    book.set_level(ASK, 1, 1)
    far = np.random.default_rng(5).permutation(120) + 500
    book.apply(np.full(120, ASK), far, far)
    book.apply(np.full(40, ASK), far[::3], np.zeros(40, dtype=np.int64))
    expected = [1, *sorted(set(far.tolist()) - set(far[::3].tolist()))]
    for n in range(90):
        assert book.top(n).ask_prices.tolist() == expected[:n]


def test_a_store_without_room_says_so_before_anything_changes() -> None:
    state = new_state(1, 6, 2)
    for key in (5, 6, 7):
        assert deep.deep_set(state, HEADER_WORDS, key, key) == OK
    before = state.copy()
    assert deep.deep_set(state, HEADER_WORDS, 8, 8) == GROW
    assert np.array_equal(state, before)
