"""The feed says what the market did: by the venues' own rules it rebuilds the true book at every message."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.simulation.lob.markets import Notes, Orders, played, small

from rlx_datapipe.simulation.lob.feed import TimedMessage
from rlx_datapipe.simulation.lob.layout import Action, Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import Flow, MarketParameters
from rlx_datapipe.simulation.lob.source import play, recorded

TICK, LOT = Decimal("0.01"), {"spot": Decimal("0.00001"), "usdm": Decimal("0.001")}
TICKS = {"spot": Decimal("0.01"), "usdm": Decimal("0.1")}


class Played(NamedTuple):
    venue: str
    messages: list[TimedMessage]
    notes: Notes

    def of(self, stream: str) -> list[dict[str, Any]]:
        """Data of a kind of stream, with the time of sending."""
        return [
            json.loads(one.data) | {"sent": one.time_ns}
            for one in self.messages
            if one.stream.partition("@")[2].split("@")[0] == stream
        ]


def parameters_of(venue: str, **changes: Any) -> MarketParameters:
    mid = "61837.60"
    return small(venue=f"binance-{venue}", mid_price=mid, flow=Flow(speed=3.0), snapshot_every_s=2, **changes)


@pytest.fixture(scope="module", params=["spot", "usdm"])
def market(request: pytest.FixtureRequest) -> Played:
    return Played(request.param, *played(parameters_of(request.param)))


def in_steps(levels: list[list[str]], venue: str) -> dict[int, int]:
    """Levels as ticks and lots; nothing may be lost on the way."""
    found = {}
    for price, quantity in levels:
        ticks, lots = Decimal(price) / TICKS[venue], Decimal(quantity) / LOT[venue]
        assert ticks == int(ticks)
        assert lots == int(lots)
        found[int(ticks)] = int(lots)
    return found


class Follower:
    """A client of the venue: a snapshot and the depth messages by the published rule, strictly."""

    def __init__(self, snapshot: dict[str, Any], venue: str) -> None:
        self.venue, self.last = venue, int(snapshot["lastUpdateId"])
        self.sides = tuple(in_steps(snapshot[name], venue) for name in ("bids", "asks"))
        self.is_joined = False

    def apply(self, depth: dict[str, Any]) -> bool:
        """Whether the message belongs to the book; a break of the rule is an error."""
        first, last = depth["U"], depth["u"]
        if not self.is_joined:
            if last < self.last or (self.venue == "spot" and last == self.last):
                return False
            assert first <= self.last <= last
            self.is_joined = True
        elif self.venue == "spot":
            assert first == self.last + 1
        else:
            assert depth["pu"] == self.last
        self.last = last
        for side, name in ((0, "b"), (1, "a")):
            for price, lots in in_steps(depth[name], self.venue).items():
                if lots:
                    self.sides[side][price] = lots
                else:
                    self.sides[side].pop(price, None)
        return True


@pytest.mark.parametrize("which", [0, 1, 2])
def test_the_book_that_follows_the_rule_is_the_true_one_at_every_message(market: Played, which: int) -> None:
    follower = Follower(market.of("snapshot")[which], market.venue)
    orders, rows, ids = Orders(), market.notes.events_told.tolist(), market.notes.update_ids.tolist()
    at = followed = 0
    for depth in market.of("depth"):
        while at < len(rows) and ids[at] <= depth["u"]:
            orders.apply(rows[at])
            at += 1
        if follower.apply(depth):
            followed += 1
            assert follower.sides == orders.sides
    assert followed > 50 - 20 * which
    if which == 0:
        assert {row[Column.ACTION] for row in rows[at:]} <= {Action.UNFILLED, Action.VOID}


def test_the_comparison_finds_a_single_lost_level_and_a_lost_message(market: Played) -> None:
    """What the test above would say of a feed with a fault."""
    snapshot, told = market.of("snapshot")[0], market.of("depth")
    whole, torn = Follower(snapshot, market.venue), Follower(snapshot, market.venue)
    told = [depth for depth in told if whole.apply(depth)]
    at = max(at for at, depth in enumerate(told) if Decimal(depth["b"][0][1]))
    for depth in [*told[:at], told[at] | {"b": told[at]["b"][1:]}]:
        torn.apply(depth)
    true = Follower(snapshot, market.venue)
    for depth in told[: at + 1]:
        true.apply(depth)
    assert torn.sides != true.sides
    lost = Follower(snapshot, market.venue)
    lost.apply(told[0])
    with pytest.raises(AssertionError):
        lost.apply(told[2])


def test_each_depth_message_spans_one_window(market: Played) -> None:
    start_ns = parameters_of(market.venue).start_ns
    told = market.notes.events_told
    is_change = ~np.isin(told[:, Column.ACTION], (Action.UNFILLED, Action.VOID))
    ids, times = market.notes.update_ids[is_change], told[is_change, Column.TIME]
    for depth in market.of("depth"):
        assert (depth["sent"] - start_ns) % 100_000_000 == 0
        assert depth["E"] == depth["sent"] // 10**6
        inside = times[(ids >= depth["U"]) & (ids <= depth["u"])]
        assert depth["sent"] - 100_000_000 <= inside.min()
        assert inside.max() < depth["sent"]


def test_every_execution_is_a_trade_with_its_number(market: Played) -> None:
    told = market.notes.events_told
    fills = told[told[:, Column.ACTION] == Action.FILL]
    trades = market.of("trade")
    assert len(trades) == len(fills) > 30
    assert all(two["t"] == one["t"] + 1 for one, two in pairwise(trades))
    for trade, row in zip(trades, fills.tolist(), strict=True):
        ((price, lots),) = in_steps([[trade["p"], trade["q"]]], market.venue).items()
        assert (price, lots) == (row[Column.PRICE], row[Column.LOTS])
        assert trade["m"] == (row[Column.SIDE] == 0), "the buyer is the maker when a bid was filled"
        assert trade["sent"] == row[Column.TIME]
        assert trade["T"] == row[Column.TIME] // 10**6


def test_aggregates_hold_every_trade_once(market: Played) -> None:
    trades = {trade["t"]: trade for trade in market.of("trade")}
    aggregates = market.of("aggTrade")
    assert [one["a"] for one in aggregates] == list(
        range(aggregates[0]["a"], aggregates[0]["a"] + len(aggregates))
    )
    ids = [number for one in aggregates for number in range(one["f"], one["l"] + 1)]
    assert ids == sorted(trades)
    assert len(aggregates) < len(trades)
    for one in aggregates:
        parts = [trades[number] for number in range(one["f"], one["l"] + 1)]
        assert {(part["p"], part["m"]) for part in parts} == {(one["p"], one["m"])}
        assert Decimal(one["q"]) == sum(Decimal(part["q"]) for part in parts)
        assert one["T"] == parts[-1]["T"]


def test_aggregates_come_when_the_venue_sends_them(market: Played) -> None:
    """On spot at once, one taker each; on USD-M at the end of 100 ms, and only what fell into them."""
    start_ns = parameters_of(market.venue).start_ns
    trades = {trade["t"]: trade for trade in market.of("trade")}
    for one in market.of("aggTrade"):
        times = [trades[number]["sent"] for number in range(one["f"], one["l"] + 1)]
        if market.venue == "spot":
            assert set(times) == {one["sent"]}
        else:
            assert (one["sent"] - start_ns) % 100_000_000 == 0
            assert all(one["sent"] - 100_000_000 <= time < one["sent"] for time in times)


def test_neighbouring_aggregates_could_not_be_one(market: Played) -> None:
    told = [(one["sent"], one["p"], one["m"]) for one in market.of("aggTrade")]
    if market.venue == "usdm":
        assert max(len(list(group)) for _, group in groupby(told)) == 1


def test_a_ticker_tells_the_best_prices_after_its_update(market: Played) -> None:
    rows, ids = market.notes.events_told, market.notes.update_ids
    last = {int(update_id): row for update_id, row in zip(ids, rows.tolist(), strict=True)}
    tickers = market.of("bookTicker")
    assert len(tickers) > 500
    before = None
    for ticker in tickers:
        row = last[ticker["u"]]
        quotes = in_steps([[ticker["b"], ticker["B"]], [ticker["a"], ticker["A"]]], market.venue)
        assert [value for pair in quotes.items() for value in pair] == row[Column.BID : Column.ASK_LOTS + 1]
        assert quotes != before, "only what has changed"
        before = quotes


def test_no_change_of_the_best_prices_goes_untold(market: Played) -> None:
    rows = market.notes.events_told[401:]
    ends = np.flatnonzero(np.diff(rows[:, Column.TIME], append=0))
    best = rows[ends][:, Column.BID : Column.ASK_LOTS + 1]
    changes = int(np.any(best[1:] != best[:-1], axis=1).sum())
    assert abs(len(market.of("bookTicker")) - changes) <= 1


def test_messages_come_in_the_order_of_their_times(market: Played) -> None:
    times = [one.time_ns for one in market.messages]
    assert times == sorted(times)
    kinds = Counter(one.stream for one in market.messages)
    depth = "btcusdt@depth@100ms" if market.venue == "spot" else "btcusdt@depth@0ms"
    assert set(kinds) == {
        depth,
        *(f"btcusdt@{kind}" for kind in ("trade", "aggTrade", "bookTicker", "snapshot")),
    }
    assert kinds["btcusdt@snapshot"] == 3


@pytest.mark.parametrize("rows_max", [1, 700])
def test_the_bytes_do_not_depend_on_how_much_comes_at_a_time(market: Played, rows_max: int) -> None:
    again, _ = played(parameters_of(market.venue), rows_max=rows_max)
    assert again == market.messages


def test_the_true_books_are_those_of_the_events(market: Played) -> None:
    orders, rows = Orders(), market.notes.events_told.tolist()
    at = 0
    assert len(market.notes.books) == 6
    for now_ns, sides in market.notes.books:
        while at < len(rows) and rows[at][Column.TIME] < now_ns:
            orders.apply(rows[at])
            at += 1
        for side, (prices, lots) in enumerate(sides):
            assert dict(zip(prices.tolist(), lots.tolist(), strict=True)) == orders.sides[side]


def test_a_recorder_gets_every_message_once_and_its_clock_is_its_own() -> None:
    parameters = parameters_of("spot", skew_ns=-1_270_000_000)
    plain = [line.split(b" ", 1) for line in _lines(parameters_of("spot"))]
    skewed = [line.split(b" ", 1) for line in _lines(parameters)]
    assert [data for _, data in plain] == [data for _, data in skewed]
    assert {int(one) - int(two) for (one, _), (two, _) in zip(plain, skewed, strict=True)} == {1_270_000_000}
    received = [int(time) for time, _ in plain]
    assert all(one < two for one, two in pairwise(received))
    sent = Counter(message.data for batch in play(LobMarket(parameters)) for message in batch)
    got: Counter[bytes] = Counter()
    for _, data in plain:
        body = data.partition(b'"data":')[2][:-1] if data.startswith(b'{"stream"') else data
        got[body] += 1
    assert got == sent


def test_a_recording_does_not_depend_on_how_much_comes_at_a_time() -> None:
    one = LobMarket(parameters_of("usdm"))
    two = LobMarket(parameters_of("usdm"), rows_max=50)
    assert list(recorded(play(one), one)) == list(recorded(play(two), two))


def _lines(parameters: MarketParameters) -> list[bytes]:
    market = LobMarket(parameters)
    return list(recorded(play(market), market))
