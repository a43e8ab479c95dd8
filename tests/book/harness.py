"""What the book's tests share: random books small enough that windows move and stores grow all the time."""

import os

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.layout import ASK, BID
from rlx_datapipe.book.plain import PlainBook
from rlx_datapipe.book.quotes import Levels

# Without compilation, or with bounds checks, the same promises are tried on fewer examples.
EXAMPLES = int(os.environ.get("RLX_BOOK_EXAMPLES", "300"))
randomly = settings(max_examples=EXAMPLES, deadline=None)

sides = st.sampled_from([BID, ASK])
quantities = st.one_of(st.just(0), st.integers(1, 5), st.integers(1, 2**63 - 1))


def price_ranges() -> st.SearchStrategy[st.SearchStrategy[int]]:
    """Dense, sparse, coarse, and absurdly wide ranges of prices."""
    return st.sampled_from(
        [
            st.integers(1, 60),
            st.integers(1, 700),
            st.integers(1, 300).map(lambda ticks: ticks * 25),
            st.integers(1, 40).map(lambda ticks: ticks * 1_000_003),
            st.integers(1, 2**62),
            st.one_of(st.integers(1, 200), st.integers(10**12, 10**12 + 200)),
        ]
    )


@st.composite
def row_lists(draw: st.DrawFn, max_size: int = 120) -> list[tuple[int, int, int]]:
    """Deltas (side, price, quantity), some of one side only, drawn from one range of prices."""
    one_side = draw(st.sampled_from([sides, sides, st.just(BID), st.just(ASK)]))
    return draw(st.lists(st.tuples(one_side, draw(price_ranges()), quantities), max_size=max_size))


@st.composite
def small_engines(draw: st.DrawFn) -> OrderBookEngine:
    """Engines whose window and deep store are as small as they can be."""
    return OrderBookEngine(
        tick=draw(st.sampled_from([1, 1, 5, 1000])),
        window_log2=draw(st.sampled_from([6, 6, 7])),
        deep_log2=draw(st.sampled_from([2, 2, 4])),
    )


def columns(rows: list[tuple[int, int, int]]) -> tuple[list[int], list[int], list[int]]:
    """Rows as three columns."""
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def as_lists(levels: Levels) -> list[list[int]]:
    """Levels as plain lists, which compare with ==."""
    return [column.tolist() for column in levels]


def book_of(
    bids: dict[int, int], asks: dict[int, int], engine: OrderBookEngine | None = None
) -> OrderBookEngine:
    """Engine holding those levels."""
    engine = engine or OrderBookEngine()
    engine.load_snapshot(list(bids), list(bids.values()), list(asks), list(asks.values()))
    return engine


def assert_same(engine: OrderBookEngine, plain: PlainBook, price: int = 100) -> None:
    """Every answer of the engine is the plain book's."""
    assert engine.best() == plain.best()
    assert engine.is_crossed() == plain.is_crossed()
    assert engine.is_locked() == plain.is_locked()
    assert as_lists(engine.levels()) == as_lists(plain.levels())
    for n in (0, 1, 3, 20, 200):
        assert as_lists(engine.top(n)) == as_lists(plain.top(n))
    for side in (BID, ASK):
        assert engine.level_count(side) == plain.level_count(side)
        assert engine.quantity_at(side, price) == plain.quantity_at(side, price)
        assert engine.volume_to_price(side, price) == plain.volume_to_price(side, price)
        for n in (0, 1, 5, 1000):
            assert engine.cumulative_depth(side, n) == plain.cumulative_depth(side, n)


def ladder_stream(
    rows: int, seed: int, levels: int = 400, drift: float = 0.2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deltas around a wandering mid, mostly near the touch, about a quarter of them removals."""
    random = np.random.default_rng(seed)
    mid = 5_000 + np.cumsum(random.choice([-1, 0, 1], rows, p=[drift / 2, 1 - drift, drift / 2]))
    distance = np.where(
        random.random(rows) < 0.7, random.integers(1, 21, rows), random.integers(1, levels, rows)
    )
    side = random.integers(0, 2, rows)
    quantity = random.integers(1, 10**9, rows) * (random.random(rows) > 0.25)
    return side, np.where(side == BID, mid - distance, mid + distance), quantity
