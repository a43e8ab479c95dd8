"""The kernels' own contract: statuses that change nothing, rows applied, best quotes after each row."""

import os

import numpy as np
import pytest
from hypothesis import given
from tests.book.harness import columns, ladder_stream, randomly, row_lists

from rlx_datapipe.book import kernels
from rlx_datapipe.book.bits import trailing_zeros
from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.layout import ASK, BID, GROW, MAX_QUANTITY, OK, REGRID, new_state
from rlx_datapipe.book.plain import PlainBook


def test_trailing_zeros_are_counted_in_every_word() -> None:
    for bit in range(64):
        word = np.array([1 << bit], dtype=np.uint64).view(np.int64)[0]
        assert trailing_zeros(word) == bit
        assert trailing_zeros(word | np.int64(-(2**63))) == bit


def test_a_full_deep_store_asks_to_grow_and_leaves_the_book_alone() -> None:
    state = new_state(1, 6, 2)
    for price in (1, 1_000, 2_000, 3_000):
        assert kernels.set_level(state, ASK, price, 1) == OK
    before = state.copy()
    assert kernels.set_level(state, ASK, 4_000, 1) == GROW
    assert np.array_equal(state, before)


def test_a_window_that_cannot_move_asks_to_grow_and_leaves_the_book_alone() -> None:
    state = new_state(1, 6, 2)
    for price in range(1_000, 1_030):
        assert kernels.set_level(state, ASK, price, 1) == OK
    before = state.copy()
    assert kernels.set_level(state, ASK, 1, 1) == GROW
    assert np.array_equal(state, before)


def test_a_price_off_the_tick_asks_to_regrid_and_leaves_the_book_alone() -> None:
    state = new_state(100, 6, 2)
    assert kernels.set_level(state, BID, 300, 1) == OK
    before = state.copy()
    assert kernels.set_level(state, BID, 350, 1) == REGRID
    assert kernels.set_level(state, BID, 350, 0) == OK
    assert kernels.quantity_at(state, BID, 350) == 0
    assert np.array_equal(state, before)


def test_rows_stop_at_the_first_that_needs_the_caller() -> None:
    state = new_state(10, 6, 2)
    rows = (np.array([BID, BID, ASK]), np.array([10, 15, 20]), np.array([1, 2, 3]))
    assert kernels.apply_rows(state, *rows, 0, 3) == (1, REGRID)
    assert kernels.best_price(state, BID) == 10
    assert kernels.apply_rows(state, *rows, 2, 3) == (3, OK)
    assert kernels.best_price(state, ASK) == 20


@pytest.mark.parametrize("seed", range(3))
def test_best_quotes_are_written_after_each_row(seed: int) -> None:
    rows = ladder_stream(1_000, seed)
    engine, plain = OrderBookEngine(window_log2=6, deep_log2=10), PlainBook()
    bid_prices, bid_quantities, ask_prices, ask_quantities = out = np.full((4, 1_000), -7)
    assert kernels.apply_rows_with_best(
        engine.state, *rows, 0, 1_000, bid_prices, bid_quantities, ask_prices, ask_quantities
    ) == (1_000, OK)
    for row in range(1_000):
        plain.set_level(*(int(column[row]) for column in rows))
        assert tuple(int(column[row]) for column in out) == plain.best()


@randomly
@given(rows=row_lists())
def test_sums_stay_at_the_largest_quantity_and_never_wrap(rows: list[tuple[int, int, int]]) -> None:
    engine, plain = OrderBookEngine(window_log2=6, deep_log2=2), PlainBook()
    engine.apply(*columns(rows))
    plain.apply(*columns(rows))
    for side in (BID, ASK):
        exact = plain.cumulative_depth(side, len(rows))
        assert kernels.cumulative_depth(engine.state, side, len(rows)) == min(exact, MAX_QUANTITY)


def test_entries_past_the_count_keep_what_they_held() -> None:
    engine = OrderBookEngine()
    engine.set_level(ASK, 7, 3)
    prices, quantities = np.full(4, -9), np.full(4, -9)
    assert kernels.top_levels(engine.state, ASK, 4, prices, quantities) == 1
    assert prices.tolist() == [7, -9, -9, -9]
    assert quantities.tolist() == [3, -9, -9, -9]


def test_asking_for_no_levels_or_fewer_gives_none() -> None:
    engine = OrderBookEngine()
    engine.set_level(ASK, 7, 3)
    out = np.full(4, -9)
    for n in (0, -1, -100):
        assert kernels.top_levels(engine.state, ASK, n, out, out) == 0
        assert kernels.cumulative_depth(engine.state, ASK, n) == 0
    assert out.tolist() == [-9] * 4


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
def test_sides_may_come_in_any_integer_type(kind: type[np.integer]) -> None:
    state = new_state(1, 6, 4)
    sides, prices, quantities = np.array([BID, ASK], dtype=kind), np.array([99, 101]), np.array([1, 2])
    assert kernels.apply_rows(state, sides, prices, quantities, 0, 2) == (2, OK)
    assert [kernels.best_price(state, side) for side in (BID, ASK)] == [99, 101]


def test_inside_the_run_with_a_switch_the_switch_is_on() -> None:
    compiled = hasattr(kernels.set_level, "signatures")
    assert compiled == (os.environ.get("NUMBA_DISABLE_JIT", "0") == "0")
