"""Small markets for the tests, and the truth of them as plain Python holds it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.feed import TimedMessage
from rlx_datapipe.simulation.lob.layout import Action, Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import MarketParameters, Modulation, Placement
from rlx_datapipe.simulation.lob.source import play

Side = dict[int, int]


def small(**changes: Any) -> MarketParameters:
    """Six seconds with a small book, whole in each snapshot."""
    facts: dict[str, Any] = {"duration_s": 6, "placement": Placement(deep_orders=200)}
    return MarketParameters(**(facts | changes))


def calm(**changes: Any) -> MarketParameters:
    """A market whose baselines never change."""
    return small(modulation=Modulation(deviation=0.0), **changes)


class Notes:
    """A witness that keeps everything."""

    def __init__(self) -> None:
        self.rows: list[Int64Array] = []
        self.ids: list[Int64Array] = []
        self.books: list[tuple[int, list[tuple[Int64Array, Int64Array]]]] = []

    def open(self, market: LobMarket) -> None:
        self.opening = market.opening

    def events(self, rows: Int64Array, update_ids: Int64Array) -> None:
        self.rows.append(rows)
        self.ids.append(update_ids)

    def book(self, market: LobMarket, now_ns: int) -> None:
        self.books.append((now_ns, [market.ladder(side, 100_000) for side in (0, 1)]))

    def close(self, market: LobMarket) -> None:
        self.events_told = np.concatenate([self.opening, *self.rows])
        before = np.full(len(self.opening), market.wire.first_update_id - 1)
        self.update_ids = np.concatenate([before, *self.ids])


def played(parameters: MarketParameters, **options: Any) -> tuple[list[TimedMessage], Notes]:
    """All messages of a market, and all that a witness was told."""
    notes = Notes()
    market = LobMarket(parameters, **options)
    return [message for batch in play(market, notes) for message in batch], notes


def rows_of(parameters: MarketParameters, **options: Any) -> Int64Array:
    """All order events of a market, with those of its opening."""
    market = LobMarket(parameters, **options)
    return np.concatenate([market.opening, *market.advance(parameters.end_ns)])


class Orders:
    """The resting orders by what the events say of each, apart from what they say of levels."""

    def __init__(self) -> None:
        self.left: dict[int, tuple[int, int, int]] = {}
        self.sides: tuple[Side, Side] = ({}, {})

    def apply(self, row: list[int]) -> None:
        """One order event."""
        action, order, side, price, lots = (
            row[column] for column in (Column.ACTION, Column.ORDER, Column.SIDE, Column.PRICE, Column.LOTS)
        )
        if action in (Action.UNFILLED, Action.VOID):
            return
        if action in (Action.ADD, Action.REFILL):
            assert order not in self.left or self.left[order][2] == 0
            self.left[order] = (side, price, lots)
            step = lots
        else:
            assert self.left[order][:2] == (side, price)
            assert lots <= self.left[order][2]
            self.left[order] = (side, price, self.left[order][2] - lots)
            step = -lots
        level = self.sides[side].get(price, 0) + step
        assert level == row[Column.LEVEL_LOTS]
        if level:
            self.sides[side][price] = level
        else:
            del self.sides[side][price]

    def best(self) -> list[int]:
        """Bid, its lots, ask, its lots."""
        bid, ask = max(self.sides[0]), min(self.sides[1])
        return [bid, self.sides[0][bid], ask, self.sides[1][ask]]
