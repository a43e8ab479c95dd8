"""Planted episodes change the feed as they are defined to, there and nowhere else, and are labelled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.simulation.lob.markets import calm, played, rows_of

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.config import NS_PER_MS, NS_PER_S
from rlx_datapipe.simulation.lob.episode_kinds import (
    Episode,
    Iceberg,
    Layering,
    MomentumIgnition,
    Planting,
    QuoteStuffing,
    Spoofing,
)
from rlx_datapipe.simulation.lob.labels import Labels
from rlx_datapipe.simulation.lob.layout import Action, Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import Flow, MarketParameters, Placement

Episodes = tuple[Episode, ...]
BOTH_SIDES = pytest.mark.parametrize("side", ["buy", "sell"])


def market_with(*episodes: Episode, duration_s: int = 12, **changes: Any) -> MarketParameters:
    """A lively market, with a book of the usual size to be impressed, and none of its baselines changing."""
    placement = Placement()
    return calm(
        duration_s=duration_s, episodes=episodes, flow=Flow(speed=3.0), placement=placement, **changes
    )


def own(rows: Int64Array, episode: int = 0) -> Int64Array:
    """Events of an episode's own resting orders."""
    found: Int64Array = rows[rows[:, Column.EPISODE] == episode]
    return found


def between(rows: Int64Array, start_ns: int, end_ns: int) -> Int64Array:
    times = rows[:, Column.TIME]
    found: Int64Array = rows[(times >= start_ns) & (times < end_ns)]
    return found


@BOTH_SIDES
def test_a_spoof_stands_out_and_is_gone_before_it_is_hit(side: Any) -> None:
    parameters = market_with(Spoofing(at_s=2.0, side=side, hold_ms=1_500, size="60", offset_ticks=3))
    rows = rows_of(parameters)
    start_ns = parameters.start_ns + 2 * NS_PER_S
    book_side = 0 if side == "buy" else 1
    spoof = own(rows)[own(rows)[:, Column.LOTS] == 6_000_000]
    assert spoof[:, Column.ACTION].tolist() == [Action.ADD, Action.CANCEL]
    assert spoof[:, Column.SIDE].tolist() == [book_side] * 2
    assert spoof[0, Column.TIME] == start_ns
    assert start_ns < spoof[1, Column.TIME] <= start_ns + 1_500 * NS_PER_MS
    usual = rows[(rows[:, Column.ACTION] == Action.ADD) & (rows[:, Column.TYPE] >= 0), Column.LOTS]
    assert spoof[0, Column.LOTS] > np.quantile(usual, 0.999)
    before = rows[np.flatnonzero(rows[:, Column.ORDER] == spoof[0, Column.ORDER])[0] - 1]
    best = before[Column.BID] if side == "buy" else before[Column.ASK]
    assert abs(spoof[0, Column.PRICE] - best) == 3
    real = own(rows)[own(rows)[:, Column.SIDE] == 1 - book_side]
    assert real[0, Column.ACTION] == Action.ADD
    assert real[-1, Column.ORDER_LEFT] == 0


def test_spoofs_flee_from_whoever_would_reach_them_however_often() -> None:
    """Close to the touch of a lively market most are chased away before their time; none is filled."""
    episodes = tuple(Spoofing(at_s=0.5 + 0.2 * number, hold_ms=5_000, offset_ticks=1) for number in range(50))
    parameters = market_with(*episodes, duration_s=16)
    rows = rows_of(parameters)
    spoofs = rows[(rows[:, Column.EPISODE] >= 0) & (rows[:, Column.SIDE] == 0)]
    assert not (spoofs[:, Column.ACTION] == Action.FILL).any()
    ends = spoofs[spoofs[:, Column.ACTION] == Action.CANCEL]
    chased = ends[ends[:, Column.TAKER] >= 0]
    assert len(ends) == 50
    assert len(chased) > 0
    assert np.all(chased[:, Column.PRICE] >= chased[:, Column.BID])


@BOTH_SIDES
def test_layers_are_built_one_by_one_and_withdrawn_together(side: Any) -> None:
    layering = Layering(at_s=2.0, side=side, layers=6, gap_ms=50, hold_ms=800, offset_ticks=400, step_ticks=7)
    parameters = market_with(layering)
    rows = own(rows_of(parameters))
    start_ns = parameters.start_ns + 2 * NS_PER_S
    placed, gone = rows[rows[:, Column.ACTION] == Action.ADD], rows[rows[:, Column.ACTION] == Action.CANCEL]
    assert len(rows) == len(placed) + len(gone) == 12, "none is filled"
    assert placed[:, Column.TIME].tolist() == [start_ns + layer * 50 * NS_PER_MS for layer in range(6)]
    assert set(gone[:, Column.TIME].tolist()) == {start_ns + 1_100 * NS_PER_MS}
    assert len(set(placed[:, Column.PRICE].tolist())) == 6
    assert set(placed[:, Column.SIDE].tolist()) == {0 if side == "buy" else 1}


@pytest.mark.parametrize("factor", [4.0, 20.0])
def test_stuffing_raises_the_rate_by_its_factor_in_its_time_and_only_there(factor: float) -> None:
    stuffing = QuoteStuffing(at_s=5.0, duration_ms=2_000, factor=factor)
    parameters, plain = market_with(stuffing), market_with()
    messages, notes = played(parameters)
    rows, ids = notes.events_told, notes.update_ids
    calm_rows = rows_of(plain)
    rate = LobMarket(plain).excitation.stationary_per_s.sum()
    start_ns = parameters.start_ns + 5 * NS_PER_S
    end_ns = start_ns + 2 * NS_PER_S
    inside, outside = between(rows, start_ns, end_ns), between(calm_rows, start_ns, end_ns)
    # What the flow itself brings varies; what is planted on top does not.
    added = (len(inside) - len(outside)) / (2.0 * rate)
    assert added == pytest.approx(factor - 1.0, rel=0.1)
    planted = own(rows)
    assert start_ns <= planted[:, Column.TIME].min()
    assert planted[:, Column.TIME].max() < end_ns
    # The feed shows it: update ids run faster, and tickers come faster, by about as much.
    per_window = np.diff(
        [ids[rows[:, Column.TIME] < parameters.start_ns + ms * 10**6][-1] for ms in range(1_000, 12_000, 500)]
    )
    flood, usual = per_window[8:12], np.concatenate([per_window[:8], per_window[12:]])
    assert flood.min() > 0.5 * factor * usual.mean()
    assert usual.max() < 0.5 * flood.min()
    tickers = np.array([one.time_ns for one in messages if one.stream.endswith("bookTicker")])
    counts = np.histogram(tickers, bins=parameters.start_ns + np.arange(1, 13) * NS_PER_S)[0]
    assert counts[4:6].min() > 2 * np.delete(counts, [4, 5]).max()


@BOTH_SIDES
def test_ignition_moves_the_price_and_the_flow(side: Any) -> None:
    ignition = MomentumIgnition(
        at_s=5.0, side=side, orders=40, burst_ms=400, size="0.3", rest_ms=1_000, unwind_ms=2_000
    )
    parameters, plain = market_with(ignition), market_with()
    rows, calm_rows = rows_of(parameters), rows_of(plain)
    sign = 1 if side == "buy" else -1
    start_ns = parameters.start_ns + 5 * NS_PER_S
    burst_ns = start_ns + 400 * NS_PER_MS
    assert sign * _move(rows, start_ns, burst_ns) > 200
    assert sign * _move(rows, start_ns, burst_ns) > 5 * abs(_move(calm_rows, start_ns, burst_ns))
    # The flow trades as well, by chance: what all bought is told apart from what the episode bought.
    assert sign * _bought(rows, start_ns, burst_ns) > 5 * abs(_bought(calm_rows, start_ns, burst_ns))
    acted = rows[rows[:, Column.ACTOR] == 0]
    assert sign * _bought(acted, start_ns, burst_ns) > 0.95 * 40 * 30_000
    unwind = _bought(acted, burst_ns + NS_PER_S, burst_ns + 3 * NS_PER_S)
    assert -sign * unwind > 0.9 * 40 * 30_000
    assert set(acted[:, Column.ACTION].tolist()) <= {Action.FILL, Action.UNFILLED}
    assert len(np.unique(acted[:, Column.TAKER])) == 80


def _move(rows: Int64Array, start_ns: int, end_ns: int) -> float:
    told = between(rows, start_ns, end_ns)
    return float((told[-1, [Column.BID, Column.ASK]] - told[0, [Column.BID, Column.ASK]]).sum() / 2)


def _bought(rows: Int64Array, start_ns: int, end_ns: int) -> int:
    """Lots bought less lots sold by takers."""
    told = between(rows, start_ns, end_ns)
    fills = told[told[:, Column.ACTION] == Action.FILL]
    return int((np.where(fills[:, Column.SIDE] == 1, 1, -1) * fills[:, Column.LOTS]).sum())


@BOTH_SIDES
def test_an_iceberg_refills_and_shows_no_more_than_its_part(side: Any) -> None:
    iceberg = Iceberg(at_s=1.0, side=side, duration_ms=9_000, size="3", shown="0.05", follow_ms=500)
    parameters = market_with(iceberg)
    rows = own(rows_of(parameters))
    assert rows[0, Column.ACTION] == Action.ADD
    assert rows[:, Column.ORDER_LEFT].max() == 5_000
    fills, refills = (
        rows[rows[:, Column.ACTION] == Action.FILL],
        rows[rows[:, Column.ACTION] == Action.REFILL],
    )
    assert len(refills) >= 3
    last = rows[-1, Column.ACTION]
    assert last in (Action.CANCEL, Action.FILL)
    assert fills[:, Column.LOTS].sum() <= 300_000
    for at in np.flatnonzero(rows[:, Column.ACTION] == Action.REFILL).tolist():
        assert rows[at - 1, Column.ACTION] == Action.FILL
        assert rows[at - 1, Column.ORDER_LEFT] == 0
        assert rows[at - 1, Column.TIME] == rows[at, Column.TIME]


def test_an_iceberg_that_follows_keeps_what_it_has_left() -> None:
    """Each time that it moves, the new order goes on where the old one was; the hidden rest is not lost."""
    size, shown = 60_000, 5_000
    iceberg = Iceberg(at_s=1.0, duration_ms=10_500, size="0.6", shown="0.05", follow_ms=250)
    rows = own(rows_of(market_with(iceberg, duration_s=14)))
    assert len(np.unique(rows[:, Column.ORDER])) > 3
    taken = 0
    for row in rows.tolist():
        if row[Column.ACTION] == Action.FILL:
            taken += row[Column.LOTS]
        if row[Column.ACTION] in (Action.ADD, Action.REFILL):
            assert 0 < row[Column.LOTS] <= min(shown, size - taken)
    assert taken == size, "it is filled to the last lot"


def test_labels_name_every_order_of_an_episode_and_no_other() -> None:
    episodes: Episodes = (
        Spoofing(at_s=1.0, hold_ms=500),
        Layering(at_s=2.0, hold_ms=500),
        MomentumIgnition(at_s=3.0, orders=5, rest_ms=200, unwind_ms=500),
        Iceberg(at_s=4.0, duration_ms=2_000),
    )
    parameters = market_with(*episodes, duration_s=16)
    market = LobMarket(parameters)
    rows = rows_of(parameters)
    labels = Labels()
    labels.note(rows)
    told = [labels.row(planted) for planted in market.planted]
    assert [row[1] for row in told] == ["spoofing", "layering", "momentum_ignition", "iceberg"]
    assert [len(row[5]) for row in told[:3]] == [2, 8, 0]
    assert len(told[3][5]) >= 1
    assert [len(row[6]) for row in told] == [0, 0, 10, 0]
    planted = rows[(rows[:, Column.EPISODE] >= 0) & (rows[:, Column.ACTION] == Action.ADD), Column.ORDER]
    assert sorted(order for row in told for order in row[5]) == sorted(planted.tolist())
    assert np.all(rows[np.isin(rows[:, Column.ORDER], planted), Column.EPISODE] >= 0)
    for row, episode in zip(told, episodes, strict=True):
        assert row[3] == parameters.start_ns + round(episode.at_s * NS_PER_S)
        acts = rows[(rows[:, Column.EPISODE] == row[0]) | (rows[:, Column.ACTOR] == row[0]), Column.TIME]
        assert row[3] <= acts.min()
        assert acts.max() <= row[4]


def test_chance_plants_by_seed_and_rate() -> None:
    planting = Planting(spoofing=60.0, layering=30.0, iceberg=10.0)
    parameters = MarketParameters(duration_s=36_000, planting=planting)
    market = LobMarket(parameters)
    kinds = [type(planted.episode).__name__ for planted in market.planted]
    for kind, expected in (("Spoofing", 600), ("Layering", 300), ("Iceberg", 100), ("QuoteStuffing", 0)):
        assert abs(kinds.count(kind) - expected) <= 4.5 * expected**0.5
    begins = [planted.start_ns for planted in market.planted]
    assert begins == sorted(begins)
    assert {planted.episode.side for planted in market.planted} == {"buy", "sell"}
    assert market.planted == LobMarket(parameters).planted
    assert market.planted != LobMarket(MarketParameters(duration_s=36_000, planting=planting, seed=8)).planted


def test_overlapping_episodes_keep_to_their_own_orders() -> None:
    flood = tuple(
        QuoteStuffing(at_s=2.0 + 0.1 * number, duration_ms=1_000, factor=3.0) for number in range(5)
    )
    rows = rows_of(market_with(*flood, Layering(at_s=2.5, hold_ms=500, offset_ticks=300)))
    for number in range(6):
        mine = own(rows, number)
        placed, gone = (
            int((mine[:, Column.ACTION] == action).sum()) for action in (Action.ADD, Action.CANCEL)
        )
        filled = int(((mine[:, Column.ACTION] == Action.FILL) & (mine[:, Column.ORDER_LEFT] == 0)).sum())
        assert placed == gone + filled > 0
