"""The rebuilt book against the ticker of the same update id, by the venues' published rules; faults show."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from rlx_datapipe.simulation import faults
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate

Level = tuple[Decimal, Decimal]


class DictionaryBook:
    """Applies a capture and compares its best quotes with the last ticker of no later update id."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        frames = [json.loads(line.split(b" ", 1)[1]) for line in lines]
        self.snapshots = [frame for frame in frames if "lastUpdateId" in frame]
        self.data: list[dict[str, Any]] = [frame["data"] for frame in frames if "data" in frame]
        self.depths = [data for data in self.data if data.get("e") == "depthUpdate"]
        self.trades = [data for data in self.data if data.get("e") == "trade"]
        self.tickers = sorted((data for data in self.data if "B" in data), key=lambda data: int(data["u"]))
        self.sides: dict[str, dict[Decimal, Decimal]] = {"b": {}, "a": {}}
        self.applied = self.dropped = self.compared = self.unequal = self.crossed = self.unknown_deletes = 0
        self.gaps: list[int] = []

    def follow(self, snapshot: int = 0) -> DictionaryBook:
        """Rebuild the book from a snapshot by the published rule, counting what goes wrong."""
        start = self.snapshots[snapshot]
        last_id = start["lastUpdateId"]
        for side, name in (("b", "bids"), ("a", "asks")):
            self.sides[side] = {Decimal(price): Decimal(size) for price, size in start[name]}
        previous: int | None = None
        ticker = -1
        for depth in self.depths:
            futures = "pu" in depth
            if previous is None:
                if depth["u"] < last_id if futures else depth["u"] <= last_id:
                    self.dropped += 1
                    continue
                first = depth["U"] <= last_id if futures else depth["U"] <= last_id + 1
                in_order = first
            else:
                in_order = depth["pu"] == previous if futures else depth["U"] == previous + 1
            if not in_order:
                self.gaps.append(depth["u"])
            previous = depth["u"]
            self._apply(depth)
            while ticker + 1 < len(self.tickers) and self.tickers[ticker + 1]["u"] <= depth["u"]:
                ticker += 1
            self._compare(ticker)
        return self

    def best(self) -> tuple[Level, Level]:
        """Best bid and best ask, each with its size."""
        bid, ask = max(self.sides["b"]), min(self.sides["a"])
        return (bid, self.sides["b"][bid]), (ask, self.sides["a"][ask])

    def _apply(self, depth: dict[str, Any]) -> None:
        self.applied += 1
        for side in "ba":
            for price, size in depth[side]:
                if Decimal(size):
                    self.sides[side][Decimal(price)] = Decimal(size)
                elif self.sides[side].pop(Decimal(price), None) is None:
                    self.unknown_deletes += 1

    def _compare(self, ticker: int) -> None:
        (bid, bid_size), (ask, ask_size) = self.best()
        self.crossed += bid >= ask
        if ticker >= 0:
            told = self.tickers[ticker]
            self.compared += 1
            expected = [Decimal(told[field]) for field in "bBaA"]
            self.unequal += expected != [bid, bid_size, ask, ask_size]


@pytest.fixture(scope="module", params=["binance-spot", "binance-usdm"])
def lines(request: pytest.FixtureRequest) -> tuple[bytes, ...]:
    """Five seconds of a market with a snapshot every two."""
    config = MarketConfig(venue=request.param, duration_s=5, orders_per_s=1_500, snapshot_every_s=2, seed=11)
    return tuple(simulate(config))


@pytest.fixture(scope="module")
def market(lines: tuple[bytes, ...]) -> DictionaryBook:
    return DictionaryBook(lines).follow()


def test_the_rebuilt_best_is_the_tickers_at_every_depth_update(market: DictionaryBook) -> None:
    assert market.gaps == []
    assert market.crossed == 0
    assert market.dropped >= 1
    assert market.dropped + market.applied == len(market.depths)
    assert market.compared == market.applied > 45
    assert market.unequal == 0


def test_every_snapshot_starts_a_right_book(lines: tuple[bytes, ...]) -> None:
    for snapshot in range(3):
        book = DictionaryBook(lines).follow(snapshot)
        assert (book.gaps, book.unequal, book.crossed) == ([], 0, 0)
        assert book.dropped > 15 * snapshot


def test_a_later_snapshot_equals_the_rebuilt_book_where_both_know_it(market: DictionaryBook) -> None:
    """Compared are the levels that never changed after the snapshot's own id."""
    snapshot = market.snapshots[1]
    touched = {
        price
        for depth in market.depths
        for side in "ba"
        for price, _ in depth[side]
        if depth["u"] > snapshot["lastUpdateId"]
    }
    known = {price: size for side in "ba" for price, size in market.sides[side].items()}
    still = [(p, q) for side in ("bids", "asks") for p, q in snapshot[side] if p not in touched]
    reached = [(p, q) for p, q in still if Decimal(p) in known]
    assert len(reached) > 1_000
    assert all(known[Decimal(p)] == Decimal(q) for p, q in reached)


def test_the_book_never_crosses_even_between_depth_updates(market: DictionaryBook) -> None:
    assert all(Decimal(one["b"]) < Decimal(one["a"]) for one in market.tickers)
    assert all(Decimal(one["B"]) and Decimal(one["A"]) for one in market.tickers)


def test_levels_beyond_the_snapshot_are_deleted_too(market: DictionaryBook) -> None:
    assert [len(one[side]) for one in market.snapshots for side in ("bids", "asks")] == [1_000] * 6
    assert market.unknown_deletes > 20


def test_ids_and_trades_leave_no_hole(market: DictionaryBook) -> None:
    ids = [trade["t"] for trade in market.trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for earlier, later in pairwise(market.depths):
        assert earlier["u"] < later["U"] <= later["u"]
    assert len({ticker["u"] for ticker in market.tickers}) == len(market.tickers)


def test_trades_walk_levels_and_come_in_clusters(market: DictionaryBook) -> None:
    walks = [(one["T"], one["m"]) for one in market.trades]
    prices: dict[tuple[int, bool], set[str]] = {}
    for key, trade in zip(walks, market.trades, strict=True):
        prices.setdefault(key, set()).add(trade["p"])
    assert any(len(found) >= 3 for found in prices.values())
    counts = [0] * 50
    for time_ms in {one["T"] for one in market.trades}:
        counts[min(49, (time_ms - market.trades[0]["T"]) // 100)] += 1
    mean = sum(counts) / 50
    assert sum((count - mean) ** 2 for count in counts) / 50 > 1.3 * mean


def test_a_dropped_update_is_a_gap(lines: tuple[bytes, ...]) -> None:
    book = DictionaryBook(faults.drop_depth(lines, 20)).follow()
    assert len(book.gaps) == 1


def test_swapped_updates_break_the_chain(lines: tuple[bytes, ...]) -> None:
    book = DictionaryBook(faults.swap_depth(lines, 20)).follow()
    assert len(book.gaps) == 3


def test_a_corrupted_quantity_breaks_no_chain_but_the_book(lines: tuple[bytes, ...]) -> None:
    sound = DictionaryBook(lines).follow()
    last = len(sound.depths) - 1
    book = DictionaryBook(faults.corrupt_quantity(lines, last)).follow()
    assert book.gaps == []
    wrong = [
        (own, sound.sides[side][price])
        for side in "ba"
        for price, own in book.sides[side].items()
        if sound.sides[side][price] != own
    ]
    assert [own - right for own, right in wrong] == [1]
