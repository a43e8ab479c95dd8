"""The matching book: price before time, one change per hit order, best quotes right, no side ever bare."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.simulation.orders import ASK, BID, OrderBook

Change = tuple[int, int, int, int]
STEPS = st.tuples(
    st.sampled_from(["submit", "take", "cancel"]), st.integers(0, 1), st.integers(1, 40), st.integers(1, 9)
)


def book_with(*orders: tuple[int, int, int]) -> tuple[OrderBook, list[Change], list[int]]:
    """A book of these orders, the changes told from now on, and the ids of the orders."""
    changes: list[Change] = []
    book = OrderBook(lambda *change: changes.append(change))
    ids = [book.submit(*order) or 0 for order in orders]
    changes.clear()
    return book, changes, ids


def test_the_oldest_order_of_the_best_price_is_hit_first() -> None:
    book, changes, ids = book_with((BID, 90, 1), (ASK, 101, 5), (ASK, 100, 2), (ASK, 100, 3), (ASK, 110, 1))
    assert book.take(ASK, 6, 105) == 0
    assert changes == [(ASK, 100, 3, 2), (ASK, 100, 0, 3), (ASK, 101, 4, 1)]
    assert [order_id in book for order_id in ids] == [True, True, False, False, True]
    assert book.best == [90, 101]


def test_a_crossing_order_is_matched_before_it_rests() -> None:
    book, changes, _ = book_with((BID, 90, 1), (ASK, 100, 2), (ASK, 110, 1))
    assert book.submit(BID, 105, 5) is not None
    assert changes == [(ASK, 100, 0, 2), (BID, 105, 3, 0)]
    assert book.best == [105, 110]


def test_the_last_level_of_a_side_stays() -> None:
    book, changes, ids = book_with((BID, 90, 1), (ASK, 100, 2))
    assert book.take(ASK, 5, 200) == 5
    assert not book.cancel(ids[0])
    assert book.submit(BID, 100, 1) is None
    assert changes == []


def test_a_ladder_is_ordered_from_the_best_level() -> None:
    book, _, _ = book_with((BID, 90, 1), (BID, 92, 2), (BID, 91, 3), (ASK, 100, 4), (ASK, 95, 5))
    assert book.ladder(BID, 2) == [(92, 2), (91, 3)]
    assert book.ladder(ASK, 9) == [(95, 5), (100, 4)]


@given(st.lists(STEPS, max_size=80))
def test_what_is_told_is_what_is_there(steps: list[tuple[str, int, int, int]]) -> None:
    told: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def listen(side: int, price: int, lots: int, filled: int) -> None:
        assert lots >= 0
        assert filled >= 0
        told[side][price] = lots
        if not lots:
            del told[side][price]
        if told[BID] and told[ASK]:
            assert book.best == [max(told[BID]), min(told[ASK])]
            assert book.best[BID] < book.best[ASK]

    book = OrderBook(listen)
    ids = [book.submit(BID, 20, 5), book.submit(ASK, 21, 5)]
    for deed, side, price, lots in steps:
        if deed == "submit":
            ids.append(book.submit(side, price, lots))
        elif deed == "take":
            book.take(side, lots, price)
        else:
            book.cancel(ids[price % len(ids)] or 0)
        assert book.sizes == told
