"""`rlx bench verdict`: what is told of false alarms and faults, on markets too small to be right."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from tests.depth import deep
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.core.event import Field, Kind
from rlx_datapipe.fidelity.faults import FAULTS, fault_named
from rlx_datapipe.pipeline.bench import verdict as module
from rlx_datapipe.pipeline.bench.verdict import QUICK, Size, measured
from rlx_datapipe.pipeline.bench.verdict_market import simulated
from rlx_datapipe.pipeline.bench.verdict_trials import market_error
from rlx_datapipe.simulation.lob.layout import Action, Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import Flow, MarketParameters

TINY = Size(
    markets=3,
    windows=12,
    window_s=10,
    spoiled=1,
    splits=3,
    trials=2,
    pairs=True,
    named_only=True,
    bins=32,
    permutations=39,
    without=QUICK.without | {"tail_index", "jump_ratio", "jump_activity", "jumps_per_hour"},
)
FEW = ("rows_shuffled", "levels_dropped", "regime_removed")


@deep
def test_the_simulated_stretch_is_the_market(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulated(5, 20, 0.3)
    market = LobMarket(MarketParameters(seed=5, duration_s=20, flow=Flow(speed=0.3)))
    rows = np.concatenate([market.opening, *market.advance(market.parameters.end_ns)])
    fills = rows[rows[:, Column.ACTION] == Action.FILL]
    assert whole.trades.quantity.tolist() == fills[:, Column.LOTS].tolist()
    assert whole.trades.sign.tolist() == (2 * fills[:, Column.SIDE] - 1).tolist()
    quotes = whole.quotes
    at = np.searchsorted(rows[:, Column.TIME], quotes.time_ns, side="right") - 1
    assert np.array_equal(quotes.bid, rows[at, Column.BID])
    assert np.array_equal(quotes.ask_quantity, rows[at, Column.ASK_LOTS])
    assert (np.diff(whole.events[Field.ORDER_TIME]) >= 0).all()
    assert set(np.unique(whole.events[Field.KIND])) == {Kind.TRADE, Kind.BOOK_DELTA}
    assert whole.samples.shape[1:] == (4, 20)


@deep
def test_it_tells_false_alarms_and_the_power_against_each_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tuple(fault_named(name) for name in FEW)
    monkeypatch.setattr(module, "FAULTS", few)
    monkeypatch.setattr("rlx_datapipe.pipeline.bench.verdict_page.FAULTS", few)
    told = measured(small(tmp_path, report=tmp_path / "trust.md"), TINY)
    figures = named(told.figures)
    assert "simulated: one market fails itself" in figures
    assert told.told["same_market"]["trials"] == 3
    assert 0 <= told.told["false_alarm_rate"] <= 1
    assert list(told.told["faults"]) == list(FEW)
    shuffled = told.told["faults"]["rows_shuffled"]
    assert shuffled["strength"] == 1.0
    assert shuffled["paired"][0]["power"] == 1.0, "the same interval, and all rows in another order"
    assert told.told["faults"]["regime_removed"]["paired"] == []
    page = (tmp_path / "trust.md").read_text("utf-8")
    assert "| 100 % of the rows shuffled |" in page
    assert "False alarms" in page
    assert "rlx bench verdict --seed 3 --report docs/trust.md" in page
    unseen = shuffled["power"] < 1.0
    assert bool(told.wrong) == unseen


def test_one_odd_market_widens_the_bounds_of_false_alarms() -> None:
    """Ten alarms of 190 pairs of 20 markets: all by one market, or one each."""
    pairs = np.array(list(combinations(range(20), 2)))
    of_one = np.zeros(190, dtype=np.bool_)
    of_one[np.flatnonzero((pairs == 3).any(axis=1))[:10]] = True
    of_many = np.zeros(190, dtype=np.bool_)
    of_many[[int(np.flatnonzero((pairs == (2 * k, 2 * k + 1)).all(axis=1))[0]) for k in range(10)]] = True
    independent = (10 / 190 * 180 / 190 / 190) ** 0.5
    assert market_error(of_one, pairs) > 2 * independent
    assert market_error(of_many, pairs) < independent


def test_the_sizes_that_are_promised() -> None:
    assert module.FULL.splits >= 200
    assert QUICK.splits >= 200
    assert len(FAULTS) >= 15
    assert module.FULL.markets * (module.FULL.markets - 1) // 2 >= module.FULL.splits
