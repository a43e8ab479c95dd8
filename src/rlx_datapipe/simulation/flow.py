"""Order flow that looks alive: clustered market orders, power-law limit orders, cancels, a moving value."""

from math import exp, sqrt, tanh
from typing import Final

import numpy as np

from rlx_datapipe.simulation.config import NS_PER_S, MarketConfig
from rlx_datapipe.simulation.draws import exponentials, normals, uniforms
from rlx_datapipe.simulation.orders import ASK, BID, OrderBook

_BRANCHING: Final = 0.6
_DECAY_PER_S: Final = 20.0
_REGIME_S: Final = 8.0
_WILD: Final = 3.5
_PLACEMENT_TAIL: Final = 0.75
_SIZE_TAIL: Final = 1.4


class OrderFlow:
    """Traders of one simulated market, acting on its book one at a time.

    Market orders arrive as a Hawkes process (each calls forth 0.6 more within a fraction of a second) and
    take limit orders and cancels along in their bursts. A hidden value moves as a random walk with calm and
    wild regimes; quotes that it has passed are taken or withdrawn, so the mid follows it.

    Attributes
    ----------
    now_ns
        Exchange time of the event that ``advance`` has drawn.
    """

    def __init__(self, config: MarketConfig, book: OrderBook, rng: np.random.Generator) -> None:
        self.now_ns = config.start_ns
        self._config = config
        self._book = book
        self._uniform = uniforms(rng).__next__
        self._exponential = exponentials(rng).__next__
        self._normal = normals(rng).__next__
        self._order_ids: list[int] = []
        self._value_ticks = float(config.mid_ticks)
        self._spacing_ticks = max(2.0, config.mid_ticks * 5e-6)
        self._span_ticks = max(config.mid_ticks // 10, 2 * config.levels)
        self._excitement = 0.0
        self._wild = False
        self._market_next = False
        self._last_taken = ASK
        self._market_rate = 0.01 * config.orders_per_s

    def fill_book(self) -> None:
        """Place the orders that rest before the first moment, ``levels`` prices a side."""
        config = self._config
        mid = config.mid_ticks
        for side, sign in ((BID, -1), (ASK, 1)):
            price = mid if side == BID else mid + 1
            for rank in range(config.levels):
                self._rest(side, price)
                gap = 0.5 * self._spacing_ticks * (1 + 2 * rank / config.levels)
                price += sign * (1 + int(gap * self._exponential()))

    def advance(self) -> None:
        """Draw the time and the kind of the next event, by thinning, and move the hidden value there."""
        passive = float(self._config.orders_per_s)
        per_child = 0.3 * passive * (1 - _BRANCHING) / (_BRANCHING * self._market_rate)
        rate = self._market_rate
        while True:
            bound = 0.7 * passive + (1 + per_child) * self._excitement + rate
            step_ns = 1 + int(self._exponential() / bound * NS_PER_S)
            step_s = step_ns / NS_PER_S
            self.now_ns += step_ns
            self._excitement *= exp(-_DECAY_PER_S * step_s)
            self._move_value(step_s)
            draw = self._uniform() * bound
            taking = rate + self._excitement
            if draw < taking + 0.7 * passive + per_child * self._excitement:
                self._market_next = draw < taking
                return

    def act(self) -> None:
        """Carry out the event that ``advance`` has drawn."""
        if self._market_next:
            self._excitement += _BRANCHING * _DECAY_PER_S
            self._take()
            return
        book = self._book
        best_bid, best_ask = book.best
        value, slack = self._value_ticks, 0.5 * self._spacing_ticks
        stale = ASK if value > best_ask + slack else BID if value < best_bid - slack else None
        if stale is not None and self._uniform() < 0.5:
            book.cancel(book.front(stale))
        elif self._uniform() * (1 + self._fullness() ** 3) < 1:
            self._place()
        else:
            self._cancel()

    def _fullness(self) -> float:
        """Price levels in the book, as a share of those at the start."""
        bids, asks = self._book.sizes
        return 0.5 * (len(bids) + len(asks)) / self._config.levels

    def _move_value(self, step_s: float) -> None:
        """Let the hidden value drift and tremble for a step; the regime may switch."""
        config = self._config
        bps_ticks = config.mid_ticks * 1e-4
        if self._uniform() < step_s / _REGIME_S:
            self._wild = not self._wild
        deviation = config.volatility_bps * (_WILD if self._wild else 1.0) * sqrt(step_s)
        value = self._value_ticks + bps_ticks * (deviation * self._normal() + config.drift_bps * step_s)
        self._value_ticks = min(max(value, 0.5 * config.mid_ticks), 2.0 * config.mid_ticks)

    def _take(self) -> None:
        """Send one market order; the side follows the last one or the hidden value."""
        book = self._book
        best_bid, best_ask = book.best
        side = self._last_taken
        if self._uniform() < 0.6:
            pull = tanh((self._value_ticks - 0.5 * (best_bid + best_ask)) / (2 * self._spacing_ticks))
            side = ASK if self._uniform() < 0.5 + 0.45 * pull else BID
        self._last_taken = side
        lots = self._lots() * (20 if self._uniform() < 0.05 else 1)
        reach = int(20 * self._spacing_ticks)
        book.take(side, lots, best_ask + reach if side == ASK else best_bid - reach)

    def _place(self) -> None:
        """Send one limit order: deep on a thin side, else into the spread, at the best price, or behind."""
        best_bid, best_ask = best = self._book.best
        bids, asks = map(len, self._book.sizes)
        side = BID if self._uniform() * (bids + asks) < asks else ASK
        behind = -1 if side == BID else 1
        if self._uniform() * self._config.levels > (bids, asks)[side]:
            reach = self._config.levels * self._spacing_ticks
            self._rest(side, best[side] + behind * int(reach * self._uniform() ** 2), patient=True)
            return
        rising = 2 * self._value_ticks >= best_bid + best_ask
        into = 0.35 if best_ask == best_bid + 1 else 0.7
        kind = self._uniform()
        if kind < into and rising == (side == BID):
            self._rest(side, best[1 - side] + behind)
        elif kind < into + 0.1:
            self._rest(side, best[side])
        else:
            self._rest(side, best[side] + behind * self._distance())

    def _rest(self, side: int, price: int, *, patient: bool = False) -> None:
        """Submit a limit order; a patient one goes among the old orders, which are seldom cancelled."""
        ids = self._order_ids
        order_id = self._book.submit(side, max(1, price), self._lots())
        if order_id is None:
            return
        ids.append(order_id)
        if patient:
            other = int(self._uniform() * len(ids))
            ids[other], ids[-1] = ids[-1], ids[other]

    def _cancel(self) -> None:
        """Withdraw one order, mostly a young one."""
        ids, book = self._order_ids, self._book
        if len(ids) > 1_000 + 4 * len(book):
            ids[:] = [order_id for order_id in ids if order_id in book]
        for _ in range(20):
            if not ids:
                return
            young = min(len(ids), 600) if self._uniform() < 0.85 else len(ids)
            chosen = len(ids) - 1 - int(self._uniform() * young)
            order_id = ids[chosen]
            ids[chosen] = ids[-1]
            ids.pop()
            if order_id in book:
                if not book.cancel(order_id):
                    ids.append(order_id)
                return

    def _distance(self) -> int:
        """Draw a distance from the best price, in ticks, with a power-law tail."""
        draw = 1.0 - self._uniform()
        return min(self._span_ticks, int(self._spacing_ticks * (draw ** (-1 / _PLACEMENT_TAIL) - 1.0)))

    def _lots(self) -> int:
        """Draw an order size in lots, with a power-law tail."""
        draw = 1.0 - self._uniform()
        return 1 + int(self._config.typical_lots * min(draw ** (-1 / _SIZE_TAIL) - 1.0, 200.0))
