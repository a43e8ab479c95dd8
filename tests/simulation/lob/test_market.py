"""The market keeps its laws: nothing crosses or is lost, sizes and places have tails, the seed is all."""

from __future__ import annotations

import numpy as np
import pytest
from tests.simulation.lob.markets import Orders, calm, rows_of, small

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.episode_kinds import Iceberg, QuoteStuffing, Spoofing
from rlx_datapipe.simulation.lob.hawkes import TYPES
from rlx_datapipe.simulation.lob.layout import Action, Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import (
    Branching,
    Children,
    Flow,
    Kinds,
    MarketParameters,
    Placement,
    Sizes,
)

DEVIATIONS = 4.5


@pytest.fixture(scope="module")
def rows() -> Int64Array:
    return rows_of(calm(duration_s=20, flow=Flow(speed=5.0)))


@pytest.fixture(scope="module")
def long() -> Int64Array:
    """A quarter of a million arrivals on a book of the usual size."""
    return rows_of(MarketParameters(duration_s=150, flow=Flow(speed=5.0)))


def test_each_event_follows_from_those_before(rows: Int64Array) -> None:
    """Conservation: what was added is filled, withdrawn or there; levels are the sums of their orders."""
    orders = Orders()
    for at, row in enumerate(rows.tolist()):
        orders.apply(row)
        if at > 400:
            assert orders.best() == row[Column.BID : Column.ASK_LOTS + 1]
    left = sum(lots for _, _, lots in orders.left.values())
    by_action = {action: int(rows[rows[:, Column.ACTION] == action, Column.LOTS].sum()) for action in Action}
    added = by_action[Action.ADD] + by_action[Action.REFILL]
    gone = by_action[Action.FILL] + by_action[Action.CANCEL] + by_action[Action.EXPIRE]
    assert added == gone + left
    assert min(by_action[action] for action in (Action.ADD, Action.FILL, Action.CANCEL)) > 0


def test_a_market_order_is_filled_or_told_to_be_unfilled(rows: Int64Array) -> None:
    takers = rows[(rows[:, Column.TYPE] >= 0) & (rows[:, Column.TYPE] < 2)]
    ends = np.flatnonzero(np.diff(takers[:, Column.ARRIVAL], append=-1))
    assert set(takers[:, Column.ACTION].tolist()) <= {Action.FILL, Action.UNFILLED}
    assert np.all(np.diff(takers[ends, Column.TAKER]) > 0), "each has its own number"


def test_the_book_is_never_crossed_nor_empty(long: Int64Array) -> None:
    settled = long[1_800:]
    assert np.all(settled[:, Column.BID] < settled[:, Column.ASK])
    assert np.all(settled[:, Column.BID_LOTS] > 0)
    assert np.all(settled[:, Column.ASK_LOTS] > 0)


def test_every_arrival_does_something_and_in_order(rows: Int64Array) -> None:
    arrivals = rows[rows[:, Column.ARRIVAL] >= 0, Column.ARRIVAL]
    assert np.array_equal(np.unique(arrivals), np.arange(arrivals[-1] + 1))
    assert np.all(np.diff(arrivals) >= 0)
    assert np.all(np.diff(rows[:, Column.TIME]) >= 0)


def test_the_price_wanders_and_the_book_keeps_its_size(long: Int64Array) -> None:
    bids = long[1_800:, Column.BID]
    assert bids.max() - bids.min() > 100
    steps = np.isin(long[:, Column.ACTION], (Action.ADD,)).astype(int)
    full = np.isin(long[:, Column.ACTION], (Action.CANCEL, Action.EXPIRE)).astype(int)
    gone = full + ((long[:, Column.ACTION] == Action.FILL) & (long[:, Column.ORDER_LEFT] == 0))
    resting = np.cumsum(steps - gone)[10_000:]
    assert resting.min() > 1_200
    assert resting.max() < 2_400, "about 800 a side"


def _survivors(values: Int64Array, bound: float) -> tuple[float, float]:
    """Share of the values at or above a bound, and the standard error of such a share."""
    share = float(np.mean(values >= bound))
    return share, float(np.sqrt(max(share, 1e-9) * (1.0 - share) / len(values)))


@pytest.mark.parametrize("bound", [2_001, 2_500, 4_000, 10_000, 40_000, 200_000])
def test_sizes_have_the_tail_that_is_said(long: Int64Array, bound: int) -> None:
    told = long[1_800:]
    sizes = told[(told[:, Column.ACTION] == Action.ADD) & (told[:, Column.TYPE] >= 0), Column.LOTS]
    least, largest, tail = 2_000, 1_000_000, Sizes().limit_tail
    floor = (largest / least) ** -tail
    expected = ((bound / least) ** -tail - floor) / (1.0 - floor)
    share, error = _survivors(sizes, bound)
    assert abs(share - expected) < DEVIATIONS * error
    assert abs(share - expected * 1.1) > DEVIATIONS * error or bound > 20_000, "the test has power"


@pytest.mark.parametrize("ticks", [2, 100, 1_000, 5_000, 20_000, 45_000])
def test_deep_orders_stand_where_the_law_puts_them(long: Int64Array, ticks: int) -> None:
    before, told = long[1_799:-1], long[1_800:]
    law, found = Placement(), []
    for side, sign, column in ((0, 1, Column.BID), (1, -1, Column.ASK)):
        own = told[:, Column.TYPE] == TYPES.index("deep_limit_buy") + side
        found.append(sign * (before[own, column] - told[own, Column.PRICE]))
    share, error = _survivors(np.concatenate(found), ticks)
    floor = (1.0 + law.reach_ticks / law.deep_scale_ticks) ** -law.deep_tail
    beyond = (1.0 + (ticks - 1) / law.deep_scale_ticks) ** -law.deep_tail
    assert abs(share - (beyond - floor) / (1.0 - floor)) < DEVIATIONS * error


def test_limit_orders_close_the_spread(long: Int64Array) -> None:
    """The wider the spread, the likelier an order goes inside, by the law of `inside_ticks`."""
    before, told = long[1_799:-1], long[1_800:]
    is_limit = np.isin(told[:, Column.TYPE], (2, 3)) & (told[:, Column.ACTION] == Action.ADD)
    room = (before[:, Column.ASK] - before[:, Column.BID] - 1)[is_limit]
    told, before = told[is_limit], before[is_limit]
    side = told[:, Column.SIDE]
    own = np.where(side == 0, before[:, Column.BID], before[:, Column.ASK])
    is_inside = told[:, Column.PRICE] != own
    assert not is_inside[room == 0].any()
    for low, high in ((1, 2), (5, 6), (20, 40)):
        chosen = (room >= low) & (room < high)
        expected = np.mean(1.0 - np.exp(-room[chosen] / Placement().inside_ticks))
        error = np.sqrt(expected * (1 - expected) / chosen.sum())
        assert abs(is_inside[chosen].mean() - expected) < DEVIATIONS * error


@pytest.mark.parametrize("rows_max", [1, 100, 5_000])
def test_events_do_not_depend_on_how_many_come_at_a_time(rows: Int64Array, rows_max: int) -> None:
    again = rows_of(calm(duration_s=20, flow=Flow(speed=5.0)), rows_max=rows_max)
    assert np.array_equal(again, rows)


def test_events_do_not_depend_on_when_the_market_is_looked_at() -> None:
    parameters = small(episodes=(QuoteStuffing(at_s=1.0, duration_ms=500),))
    market = LobMarket(parameters)
    parts = [market.opening]
    for step in range(1, 101):
        parts += market.advance(parameters.start_ns + step * (parameters.end_ns - parameters.start_ns) // 100)
        assert parts[-1][-1, Column.TIME] < parameters.end_ns
    assert np.array_equal(np.concatenate(parts), rows_of(parameters))


def test_the_seed_decides() -> None:
    one, two = rows_of(small(seed=1)), rows_of(small(seed=2))
    assert np.array_equal(one, rows_of(small(seed=1)))
    assert one.shape != two.shape or not np.array_equal(one, two)


def test_episodes_do_not_change_the_arrivals() -> None:
    plain = rows_of(small())
    planted = rows_of(small(episodes=(Spoofing(at_s=1.0, hold_ms=500), Iceberg(at_s=2.0, duration_ms=900))))
    columns = [Column.TIME, Column.ARRIVAL, Column.TYPE]
    told = [np.unique(one[one[:, Column.ARRIVAL] >= 0][:, columns], axis=0) for one in (plain, planted)]
    assert np.array_equal(told[0], told[1])


def test_a_book_that_grows_without_bound_is_refused() -> None:
    only_adding = Branching(
        limit=Children(), deep_limit=Children(), cancel=Children(), deep_cancel=Children()
    )
    rates = Kinds(market=0.1, limit=5_000.0, deep_limit=5_000.0, cancel=0.0, deep_cancel=0.0)
    parameters = small(flow=Flow(baseline_per_s=rates, branching=only_adding))
    with pytest.raises(OptionError, match="grows without bound"):
        rows_of(parameters)


def test_a_ladder_is_best_first() -> None:
    parameters = small()
    market = LobMarket(parameters)
    for _ in market.advance(parameters.end_ns):
        pass
    bids, asks = market.ladder(0, 1_000)[0], market.ladder(1, 1_000)[0]
    assert np.all(np.diff(bids) < 0)
    assert np.all(np.diff(asks) > 0)
    assert bids[0] < asks[0]
    assert len(market.ladder(0, 3)[0]) == 3


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (small(sizes=Sizes(limit_least="0.000001")), "limit_least"),
        (small(sizes=Sizes(largest="0.01")), "below sizes.largest"),
        (small(mid_price="100.00"), "more ticks than placement.reach_ticks"),
        (small(symbol="bad symbol"), "symbol must be upper case"),
        (small(episodes=(Spoofing(at_s=99.0),)), "begins after the end"),
        (small(episodes=(Spoofing(size="none"),)), "size of an episode"),
        (small(episodes=(QuoteStuffing(duration_ms=600_000, factor=900.0),)), "too many orders"),
        (small(episodes=(Iceberg(size="1", shown="2"),)), "can't show more"),
    ],
)
def test_a_market_that_can_not_be_is_refused_with_one_sentence(
    parameters: MarketParameters, sentence: str
) -> None:
    with pytest.raises(OptionError, match=sentence):
        LobMarket(parameters)
