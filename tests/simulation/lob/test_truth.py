"""The truth folder: what happened, by whom and when, to be joined with the feed by its ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.simulation.lob.markets import rows_of, small

from rlx_datapipe.simulation.lob.episode_kinds import Iceberg, MomentumIgnition, Spoofing
from rlx_datapipe.simulation.lob.hawkes import TYPES, excitation
from rlx_datapipe.simulation.lob.layout import Action, Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import Flow, Modulation, to_parameters
from rlx_datapipe.simulation.lob.residuals import residuals
from rlx_datapipe.simulation.lob.source import play
from rlx_datapipe.simulation.lob.truth import TruthFolder

EPISODES = (
    Spoofing(at_s=1.0, hold_ms=800),
    MomentumIgnition(at_s=2.0, orders=8, size="0.05", rest_ms=100, unwind_ms=200),
    Iceberg(at_s=3.0, side="sell", duration_ms=2_000, size="1", shown="0.05"),
)
PARAMETERS = small(
    episodes=EPISODES, flow=Flow(speed=3.0), modulation=Modulation(deviation=0.4, memory_s=3.0, step_s=0.25)
)
FILES = ["books.parquet", "episodes.parquet", "factors.parquet", "orders.parquet", "truth.json"]


def written(folder: Path, **options: Any) -> Path:
    with TruthFolder(folder) as witness:
        for _ in play(LobMarket(PARAMETERS, **options), witness):
            pass
    return folder


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("market") / "truth")


def test_the_files_are_those_that_are_promised(truth: Path) -> None:
    assert sorted(path.name for path in truth.iterdir()) == FILES


@pytest.mark.parametrize("rows_max", [3, 5_000])
def test_the_bytes_do_not_depend_on_how_much_comes_at_a_time(
    truth: Path, tmp_path: Path, rows_max: int
) -> None:
    again = written(tmp_path / "again", rows_max=rows_max)
    for name in FILES:
        assert (again / name).read_bytes() == (truth / name).read_bytes(), name


def test_the_orders_are_the_events_of_the_market(truth: Path) -> None:
    told, rows = pl.read_parquet(truth / "orders.parquet"), rows_of(PARAMETERS)
    assert len(told) == len(rows)
    for name, column in (
        ("time_ns", Column.TIME),
        ("arrival", Column.ARRIVAL),
        ("order_id", Column.ORDER),
        ("taker_id", Column.TAKER),
        ("price_ticks", Column.PRICE),
        ("lots", Column.LOTS),
        ("level_lots", Column.LEVEL_LOTS),
        ("ask_lots", Column.ASK_LOTS),
        ("episode", Column.EPISODE),
        ("actor", Column.ACTOR),
    ):
        assert np.array_equal(told[name].to_numpy(), rows[:, column]), name
    assert told["action"].to_list() == [Action(action).name.lower() for action in rows[:, Column.ACTION]]
    assert told["side"].to_list() == [("bid", "ask")[side] for side in rows[:, Column.SIDE]]
    assert told["type"].to_list() == [TYPES[one] if one >= 0 else None for one in rows[:, Column.TYPE]]


def test_an_order_event_leads_to_its_messages(truth: Path) -> None:
    told = pl.read_parquet(truth / "orders.parquet")
    messages = [
        json.loads(message.data) | {"sent": message.time_ns}
        for batch in play(LobMarket(PARAMETERS))
        for message in batch
        if "snapshot" not in message.stream
    ]
    fills = told.filter(pl.col("action") == "fill")
    assert fills["trade_id"].to_list() == [one["t"] for one in messages if one.get("e") == "trade"]
    assert told.filter(pl.col("action") != "fill")["trade_id"].unique().to_list() == [-1]
    depths = [one for one in messages if one.get("e") == "depthUpdate"]
    assert told["update_id"].max() == depths[-1]["u"]
    tickers = [one for one in messages if "B" in one]
    joined = told.group_by("update_id").agg(pl.col("time_ns").min())
    times = dict(joined.iter_rows())
    assert all(times[one["u"]] <= one["sent"] for one in tickers)


def test_the_episodes_are_labelled(truth: Path) -> None:
    labels = pl.read_parquet(truth / "episodes.parquet")
    orders = pl.read_parquet(truth / "orders.parquet")
    assert labels["kind"].to_list() == ["spoofing", "momentum_ignition", "iceberg"]
    assert labels["side"].to_list() == ["buy", "buy", "sell"]
    assert [json.loads(one)["at_s"] for one in labels["parameters"]] == [1.0, 2.0, 3.0]
    for row in labels.iter_rows(named=True):
        mine = orders.filter(pl.col("order_id").is_in(row["order_ids"]) & (pl.col("action") == "add"))
        assert mine["episode"].to_list() == [row["episode"]] * len(row["order_ids"])
        if len(mine):
            assert mine["time_ns"].is_between(row["start_ns"], row["end_ns"]).all()
    assert len(labels["taker_ids"][1]) == 16


def test_the_laws_are_told_so_that_anybody_can_check_them(truth: Path) -> None:
    """From the files alone: kernels, radius, intensities, and exponential residuals of the arrivals."""
    told = json.loads((truth / "truth.json").read_text("utf-8"))
    assert to_parameters(told["parameters"]) == PARAMETERS
    process = excitation(PARAMETERS.flow)
    assert np.array_equal(told["branching"], process.branching)
    assert told["spectral_radius"] == process.spectral_radius < 1.0
    assert np.allclose(told["stationary_per_s"], process.stationary_per_s)
    orders = pl.read_parquet(truth / "orders.parquet").filter(pl.col("arrival") >= 0)
    assert sum(told["order_events"].values()) == len(pl.read_parquet(truth / "orders.parquet"))
    arrivals = (
        orders.group_by("arrival").agg(pl.col("time_ns").first(), pl.col("type").first()).sort("arrival")
    )
    types = np.array([TYPES.index(name) for name in arrivals["type"]])
    factors = pl.read_parquet(truth / "factors.parquet").to_numpy()
    found = residuals(process, arrivals["time_ns"].to_numpy(), types, factors, PARAMETERS.start_ns)
    assert len(found) > 3_000
    assert abs(found.mean() - 1.0) < 4.5 / np.sqrt(len(found))


def test_the_books_are_at_their_times(truth: Path) -> None:
    books = pl.read_parquet(truth / "books.parquet")
    assert books["time_ns"].to_list() == [PARAMETERS.start_ns + second * 10**9 for second in range(7)]
    assert books["bid_ticks"].list.len().to_list() == [20] * 7
    assert all(bids[0] < asks[0] for bids, asks in zip(books["bid_ticks"], books["ask_ticks"], strict=True))


def test_nothing_is_published_of_a_market_that_broke_off(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broke off"):
        _break_off(tmp_path / "truth")
    assert list((tmp_path / "truth").iterdir()) == []


def _break_off(folder: Path) -> None:
    with TruthFolder(folder) as witness:
        for _ in play(LobMarket(PARAMETERS), witness):
            raise RuntimeError("broke off")
