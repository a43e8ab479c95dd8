"""Seeded updates have the shape that their config promises, and never cross the book."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.simulation import updates as module
from rlx_datapipe.simulation.updates import MID_TICKS, Updates, UpdatesConfig, updates


def columns(config: UpdatesConfig) -> Updates:
    """All rows but those of the opening message."""
    parts = list(updates(config))[1:]
    return Updates(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def test_the_opening_sets_every_level_of_both_sides() -> None:
    opening = next(updates(UpdatesConfig(rows=10, levels=300)))
    assert np.bincount(opening.sides).tolist() == [300, 300]
    bids, asks = opening.prices[:300], opening.prices[300:]
    assert bids[0] == MID_TICKS - 1
    assert asks[0] == MID_TICKS + 1
    assert (np.diff(bids) < 0).all()
    assert (np.diff(asks) > 0).all()
    assert (opening.quantities > 0).all()


def test_messages_distances_and_deletions_are_those_of_a_market() -> None:
    rows = columns(UpdatesConfig(rows=200_000))
    assert len(rows.prices) == 200_000
    messages = rows.messages
    assert (np.diff(messages) >= 0).all()
    assert 200_000 / messages[-1] == pytest.approx(7.4, rel=0.03)
    assert np.mean(rows.quantities == 0) == pytest.approx(0.23, abs=0.05)
    assert 0.4 < np.mean(rows.sides) < 0.6


def test_seven_in_ten_rows_lie_near_a_touch_that_wanders_and_no_row_crosses() -> None:
    config = UpdatesConfig(rows=20_000, levels=500)
    engine, near, touches = OrderBookEngine(), 0, set()
    stream = updates(config)
    opening = next(stream)
    engine.apply(opening.sides, opening.prices, opening.quantities)
    for _, sides, prices, quantities in stream:
        for side, price, quantity in zip(sides.tolist(), prices.tolist(), quantities.tolist(), strict=True):
            best = engine.best()
            near += abs(price - (best.bid_price, best.ask_price)[side]) <= 2 * module.NEAR_TICKS
            engine.set_level(side, price, quantity)
            assert not engine.is_crossed()
            assert not engine.is_locked()
            touches.add(engine.best().bid_price)
    assert near / config.rows > 0.7
    assert len(touches) > 20
    assert min(engine.level_count(side) for side in (0, 1)) > 0.6 * config.levels


def test_rows_come_in_blocks_of_whole_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_ROWS", 1_000)
    blocks = list(updates(UpdatesConfig(rows=3_500)))
    assert [len(block.prices) for block in blocks[1:]] == [1_000, 1_000, 1_000, 500]
    for before, after in pairwise(blocks):
        assert after.messages[0] == before.messages[-1] + 1


def test_the_seed_decides() -> None:
    one, same, other = (columns(UpdatesConfig(seed=seed, rows=500)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one.prices, other.prices)
