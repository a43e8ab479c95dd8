"""The store of a level-3 feed: what orders do to levels, against two dictionaries that do the same."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.book.harness import randomly

from rlx_datapipe.book.order_store import OrderStore
from rlx_datapipe.book.orders import ELSEWHERE, MAX_TOTAL, OK, SHORT, TOO_LARGE, UNEQUAL, UNKNOWN
from rlx_datapipe.book.plain_orders import PlainOrders

BID, ASK = 0, 1

_ids = st.one_of(st.integers(1, 12), st.just(2**62))
_sides = st.integers(0, 1)
_prices = st.integers(1, 6)
_sizes = st.one_of(st.integers(1, 9), st.just(MAX_TOTAL))
_stated = st.lists(st.tuples(_prices, _sizes), unique_by=lambda level: level[0], max_size=4)
_steps = st.one_of(
    st.tuples(st.just("rest"), _ids, _sides, _prices, _sizes),
    st.tuples(st.just("take"), _ids, _sides, _prices, st.integers(0, 9), st.booleans()),
    st.tuples(st.just("end"), _ids, _sides, _prices, st.integers(0, 9)),
    st.tuples(st.just("restate"), _sides, _prices, st.integers(0, 9), st.booleans()),
    st.tuples(st.just("restate_all"), _sides, _prices, _stated),
)
_room = st.tuples(st.just("reserve"), st.integers(0, 200), st.integers(0, 200))


def _do(store: OrderStore | PlainOrders, step: tuple[Any, ...]) -> object:
    """One step, and its answer."""
    kind, *facts = step
    if kind == "take":
        return store.take(*facts[:-1], is_all=facts[-1])
    if kind == "restate":
        return store.restate(*facts[:-1], forgets=facts[-1])
    if kind == "restate_all":
        side, reach, stated = facts
        stated = [level for level in stated if (level[0] >= reach if side == BID else level[0] <= reach)]
        if isinstance(store, OrderStore):
            stated = np.array(stated, dtype=np.int64).reshape(-1, 2)
        return store.compare(side, reach, stated), store.restate_all(side, reach, stated)
    return getattr(store, kind)(*facts)


def _held(store: OrderStore | PlainOrders) -> list[int]:
    return [
        store.best(BID),
        store.best(ASK),
        *(store.quantity(order) for order in (*range(1, 13), 2**62)),
        *(store.total(side, price) for side in (BID, ASK) for price in range(1, 7)),
    ]


@randomly
@given(st.lists(st.one_of(_steps, st.just(("checkpoint",)), _room), max_size=60))
def test_the_store_does_what_two_dictionaries_do(steps: list[tuple[Any, ...]]) -> None:
    store, plain = OrderStore(), PlainOrders()
    for step in steps:
        if step[0] == "checkpoint":
            store = OrderStore.from_arrays(*store.to_arrays())
        elif step[0] == "reserve":
            store.reserve(*step[1:])
        else:
            assert _do(store, step) == _do(plain, step)
        assert _held(store) == _held(plain)


@randomly
@given(st.lists(st.tuples(_steps, _room), max_size=40))
def test_a_checkpoint_does_not_tell_when_room_was_made(steps: list[tuple[Any, ...]]) -> None:
    once, often = OrderStore(), OrderStore()
    for step, room in steps:
        assert _do(once, step) == _do(often, step)
        often.reserve(*room[1:])
    for ours, theirs in zip(once.to_arrays(), often.to_arrays(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_order_of_a_level_that_is_stated_empty_is_not_known_any_more() -> None:
    store = OrderStore()
    store.rest(1, BID, 100, 5)
    store.restate(BID, 100, 0, forgets=True)
    store.rest(2, BID, 100, 3)
    assert store.end(1, BID, 100, 0) == UNKNOWN
    assert store.total(BID, 100) == 3


def test_what_a_message_tells_otherwise_than_the_store_is_told() -> None:
    store = OrderStore()
    assert store.rest(1, ASK, 100, 5) == OK
    assert store.take(1, ASK, 100, 2, is_all=False) == OK
    assert store.take(1, ASK, 100, 2, is_all=True) == UNEQUAL
    assert store.total(ASK, 100) == 1
    assert store.take(9, ASK, 100, 4, is_all=True) == UNKNOWN | SHORT
    store.rest(2, BID, 90, 5)
    assert store.end(2, BID, 91, 0) == ELSEWHERE
    assert store.total(BID, 90) == 0


def test_totals_never_wrap() -> None:
    store = OrderStore()
    store.rest(1, BID, 100, MAX_TOTAL)
    assert store.rest(2, BID, 100, MAX_TOTAL) == TOO_LARGE
    assert store.total(BID, 100) == MAX_TOTAL


@pytest.mark.parametrize(
    ("held", "levels"),
    [
        ([[1], [0], [5]], [[], []]),
        ([[1, 1], [4, 4], [5, 5]], [[], []]),
        ([[1], [4], [0]], [[], []]),
        ([[], [], []], [[4], [-1]]),
        ([[], [], []], [[4, 3], [1, 1]]),
        ([[], []], [[], []]),
    ],
)
def test_what_is_no_checkpoint_is_refused(held: list[list[int]], levels: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"store|range|rising"):
        OrderStore.from_arrays(np.array(held, dtype=np.int64), np.array(levels, dtype=np.int64))
