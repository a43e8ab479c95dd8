"""The engine gives the plain book's answers, whatever the stream and whatever its sizes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.book.harness import (
    EXAMPLES,
    as_lists,
    assert_same,
    columns,
    ladder_stream,
    price_ranges,
    quantities,
    randomly,
    row_lists,
    sides,
    small_engines,
)

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.integrity import check_integrity
from rlx_datapipe.book.layout import ASK, BID, check_state
from rlx_datapipe.book.plain import PlainBook


@randomly
@given(engine=small_engines(), rows=row_lists())
def test_every_answer_is_the_plain_books_after_every_row(
    engine: OrderBookEngine, rows: list[tuple[int, int, int]]
) -> None:
    plain = PlainBook()
    for row in rows:
        engine.set_level(*row)
        plain.set_level(*row)
        assert engine.best() == plain.best()
        check_integrity(engine.state)
    assert_same(engine, plain)


@randomly
@given(rows=row_lists(), sizes=st.tuples(small_engines(), small_engines()))
def test_answers_do_not_depend_on_tick_window_or_deep_size(
    rows: list[tuple[int, int, int]], sizes: tuple[OrderBookEngine, OrderBookEngine]
) -> None:
    for engine in sizes:
        engine.apply(*columns(rows))
    assert as_lists(sizes[0].levels()) == as_lists(sizes[1].levels())
    assert sizes[0].best() == sizes[1].best()


class EngineBesidePlain(RuleBasedStateMachine):
    """Any mixture of deltas, snapshots, growth, regridding, checkpoints and clearing."""

    @initialize(engine=small_engines(), prices=price_ranges())
    def start(self, engine: OrderBookEngine, prices: st.SearchStrategy[int]) -> None:
        self.engine, self.plain, self.prices = engine, PlainBook(), prices

    @rule(data=st.data(), side=sides, quantity=quantities)
    def set_a_level(self, data: st.DataObject, side: int, quantity: int) -> None:
        price = data.draw(self.prices)
        self.engine.set_level(side, price, quantity)
        self.plain.set_level(side, price, quantity)

    @rule(side=sides)
    def remove_the_best(self, side: int) -> None:
        best = self.plain.best()
        price = best.bid_price if side == BID else best.ask_price
        if price > 0:
            self.engine.set_level(side, price, 0)
            self.plain.set_level(side, price, 0)

    @rule(data=st.data())
    def apply_a_batch(self, data: st.DataObject) -> None:
        rows = data.draw(st.lists(st.tuples(sides, self.prices, quantities), max_size=30))
        self.engine.apply(*columns(rows))
        self.plain.apply(*columns(rows))

    @rule(data=st.data())
    def load_a_snapshot(self, data: st.DataObject) -> None:
        side = st.lists(st.tuples(self.prices, quantities), max_size=20)
        parts = [
            [level[part] for level in rows] for rows in data.draw(st.tuples(side, side)) for part in (0, 1)
        ]
        self.engine.load_snapshot(*parts)
        self.plain.load_snapshot(*parts)

    @rule()
    def go_through_a_checkpoint(self) -> None:
        self.engine = OrderBookEngine.from_array(self.engine.to_array())

    @rule()
    def grow(self) -> None:
        if self.engine.deep_log2 < 8:
            self.engine.grow()

    @rule(data=st.data())
    def regrid(self, data: st.DataObject) -> None:
        self.engine.regrid(data.draw(self.prices))

    @rule()
    def clear(self) -> None:
        self.engine.clear()
        self.plain.clear()

    @invariant()
    def answers_agree(self) -> None:
        if not hasattr(self, "engine"):
            return
        check_state(self.engine.state)
        check_integrity(self.engine.state)
        assert_same(self.engine, self.plain, price=max(1, self.plain.best().ask_price))


EngineBesidePlain.TestCase.settings = settings(
    max_examples=max(3, EXAMPLES // 4), stateful_step_count=30, deadline=None
)
TestAnyMixtureOfCalls = EngineBesidePlain.TestCase


def test_a_long_stream_through_tiny_windows_ends_as_in_the_plain_book() -> None:
    rows = ladder_stream(200 * EXAMPLES, seed=7)
    engine, plain = OrderBookEngine(window_log2=6, deep_log2=2), PlainBook()
    engine.apply(*rows)
    plain.apply(*rows)
    assert_same(engine, plain, price=5_000)
    check_integrity(engine.state)


def test_a_deep_store_that_is_filled_and_emptied_again_and_again_does_not_grow() -> None:
    engine = OrderBookEngine(window_log2=6, deep_log2=6)
    engine.set_level(ASK, 1, 1)
    far = 1_000 + 7 * np.arange(20)
    for turn in range(200):
        engine.apply(np.full(20, ASK), far + turn * 10_000, far)
        engine.apply(np.full(20, ASK), far + turn * 10_000, np.zeros(20, dtype=np.int64))
    assert engine.deep_log2 == 6
    assert engine.level_count(ASK) == 1
