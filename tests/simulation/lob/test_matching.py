"""The matching book against a plain one: price, then time; nothing is lost; the best prices are the best."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rlx_datapipe.simulation.lob.kernel import ladder
from rlx_datapipe.simulation.lob.layout import (
    EMPTY,
    HEADER,
    ID,
    NOBODY,
    ORDERS,
    RING,
    ROWS,
    Action,
    Column,
    empty_book,
)
from rlx_datapipe.simulation.lob.matching import submit, take, withdraw
from rlx_datapipe.simulation.lob.traders import expire_far

EXAMPLES = int(os.environ.get("RLX_LOB_EXAMPLES", "60"))
ANY_PRICE = 1 << 61
MID = 6_000_000


class PlainBook:
    """The twin: a list of [price, number, lots, hidden, shown] for each side, searched from end to end."""

    def __init__(self) -> None:
        self.sides: tuple[list[list[int]], list[list[int]]] = ([], [])
        self.fills: list[tuple[int, int]] = []

    def take(self, side: int, lots: int, limit: int) -> int:
        sign = 1 if side else -1
        while lots and self.sides[side]:
            # `min` gives the first of equals: the oldest, for whoever refills goes to the end.
            order = min(self.sides[side], key=lambda one: sign * one[0])
            if sign * order[0] > sign * limit:
                break
            filled = min(lots, order[2])
            lots, order[2] = lots - filled, order[2] - filled
            self.fills.append((order[1], filled))
            if not order[2]:
                self.sides[side].remove(order)
                if order[3]:
                    shown = min(order[3], order[4])
                    self.sides[side].append([order[0], order[1], shown, order[3] - shown, order[4]])
        return lots

    def submit(self, side: int, price: int, number: int, lots: int, hidden: int) -> None:
        left = self.take(1 - side, lots, price)
        if left:
            self.sides[side].append([price, number, left, hidden, lots])

    def ladder(self, side: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for price, _, lots, _, _ in self.sides[side]:
            found[price] = found.get(price, 0) + lots
        return dict(sorted(found.items(), reverse=side == 0))


class Book:
    """The kernels' book, with the calls of the twin."""

    def __init__(self) -> None:
        self.arrays = empty_book(64, 20_000)
        self.places: dict[int, tuple[int, int]] = {}

    def take(self, side: int, lots: int, limit: int) -> int:
        return int(take(*self.arrays, side, lots, limit, 0))

    def submit(self, side: int, price: int, number: int, lots: int, hidden: int) -> None:
        self.arrays.head[7] = number
        at = submit(*self.arrays, side, price if side else -price, lots, hidden, NOBODY, 0, 0)
        if at != NOBODY:
            self.places[number] = (side, int(at))

    def cancel(self, number: int) -> bool:
        side, at = self.places[number]
        if self.arrays.orders[at, ID] != number:
            return False
        withdraw(*self.arrays, side, at, int(Action.CANCEL))
        return True

    def told(self) -> Any:
        return self.arrays.rows[: self.arrays.head[ROWS]]

    def ladder(self, side: int) -> dict[int, int]:
        prices, lots = np.empty(200, np.int64), np.empty(200, np.int64)
        count = ladder(*self.arrays[:3], side, prices, lots)
        return dict(zip(prices[:count].tolist(), lots[:count].tolist(), strict=True))


# Prices far apart as well, for the ring is searched word by word.
PRICES = st.one_of(st.integers(-3, 3), st.sampled_from([-100_000, -4_097, -64, 64, 4_096, 100_000]))
LIMITS = st.tuples(st.just("limit"), st.integers(0, 1), PRICES, st.integers(1, 9), st.integers(0, 12))
TAKES = st.tuples(st.just("take"), st.integers(0, 1), st.just(0), st.integers(1, 30), st.just(0))
CANCELS = st.tuples(st.just("cancel"), st.just(0), st.just(0), st.integers(0, 60), st.just(0))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.one_of(LIMITS, LIMITS, TAKES, CANCELS), max_size=60))
def test_it_does_what_the_plain_book_does(commands: list[tuple[str, int, int, int, int]]) -> None:
    book, plain = Book(), PlainBook()
    for number, (what, side, price, lots, hidden) in enumerate(commands):
        if what == "limit":
            for one in (book, plain):
                one.submit(side, MID + price, number, lots, hidden)
        elif what == "take":
            limit = ANY_PRICE if side else -ANY_PRICE
            assert book.take(side, lots, ANY_PRICE) == plain.take(side, lots, limit)
        elif (number := lots) in book.places:
            there = [one for orders in plain.sides for one in orders if one[1] == number]
            assert book.cancel(number) == bool(there)
            for orders in plain.sides:
                orders[:] = [one for one in orders if one[1] != number]
        told = book.told()
        fills = told[told[:, Column.ACTION] == Action.FILL]
        assert [tuple(one) for one in fills[:, [Column.ORDER, Column.LOTS]].tolist()] == plain.fills
        for own in (0, 1):
            assert list(book.ladder(own).items()) == list(plain.ladder(own).items())
            assert book.arrays.head[ORDERS + own] == len(plain.sides[own])
        if len(told):
            bids, asks = plain.ladder(0), plain.ladder(1)
            best = [next(iter(side.items()), None) for side in (bids, asks)]
            row = told[-1].tolist()
            shown = [
                None if row[price] in (EMPTY, -EMPTY) else (row[price], row[price + 1])
                for price in (Column.BID, Column.ASK)
            ]
            assert shown == best


def test_a_shy_order_flees_and_is_never_filled() -> None:
    book = Book()
    submit(*book.arrays, 1, MID, 50, 0, 3, 1, 0)
    submit(*book.arrays, 1, MID, 7, 0, NOBODY, 0, 0)
    assert book.take(1, 5, ANY_PRICE) == 0
    told = book.told()[:, [Column.ACTION, Column.LOTS, Column.EPISODE]].tolist()
    assert told == [
        [Action.ADD, 50, 3],
        [Action.ADD, 7, NOBODY],
        [Action.CANCEL, 50, 3],
        [Action.FILL, 5, NOBODY],
    ]


def test_the_last_orders_can_be_kept() -> None:
    book = Book()
    for number in range(5):
        book.submit(0, MID - number, number, 10, 0)
    assert take(*book.arrays, 0, 1_000, ANY_PRICE, 2) == 1_000 - 30
    assert book.ladder(0) == {MID - 3: 10, MID - 4: 10}


def test_a_full_book_says_so_and_goes_on() -> None:
    book = Book()
    for number in range(70):
        book.submit(0, MID - number, number, 10, 0)
    assert book.arrays.head[ORDERS] == 64
    assert book.arrays.head[17] == 1


def test_orders_that_the_price_has_left_behind_expire() -> None:
    book = Book()
    for number, behind in enumerate((0, 10, RING // 2 - 1, RING // 2, RING // 2 + 5, RING - 1)):
        book.submit(1, MID + behind, number, 1, 0)
    expire_far(*book.arrays, 1)
    assert book.ladder(1) == {MID: 1, MID + 10: 1, MID + RING // 2 - 1: 1}
    gone = book.told()[book.told()[:, Column.ACTION] == Action.EXPIRE]
    assert gone[:, Column.PRICE].tolist() == [MID + RING // 2, MID + RING // 2 + 5, MID + RING - 1]


def test_the_header_has_a_place_for_each_number() -> None:
    assert len(empty_book(64, 8).head) == HEADER
