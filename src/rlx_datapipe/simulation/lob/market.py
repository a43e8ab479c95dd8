"""A seeded market at work: advances in time, tells every order event, and shows its book."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.arrivals import Arrivals
from rlx_datapipe.simulation.lob.episodes import HANDLES, Script, plan
from rlx_datapipe.simulation.lob.hawkes import Float64Array, excitation
from rlx_datapipe.simulation.lob.kernel import (
    DRY,
    OVERFLOW,
    REACHED,
    ROWS_MARGIN,
    WAITING,
    ladder,
    open_book,
    run_market,
)
from rlx_datapipe.simulation.lob.layout import ARRIVAL_AT, CURSOR, ROWS, SCRIPT_AT, empty_book
from rlx_datapipe.simulation.lob.parameters import MarketParameters
from rlx_datapipe.simulation.lob.steps import lots
from rlx_datapipe.simulation.lob.traders import LAWS
from rlx_datapipe.simulation.lob.uniforms import Uniforms

ROWS_MAX = 1 << 16
"""Order events told at a time, unless said otherwise."""
_ARRIVALS_AT_A_TIME = 1 << 15
_ORDERS_MIN = 1 << 16


class LobMarket:
    """One market from its opening on; the same parameters give the same events, however they are asked for.

    Five independent streams of chance come from the seed: arrivals, what they do, episodes, the venue's
    numbering, and the way to a recorder. So the arrivals are the same with and without episodes. Memory does
    not grow with the length of the market.

    Parameters
    ----------
    parameters
        The market.
    rows_max
        Order events told at a time; never changes them.

    Attributes
    ----------
    opening
        Order events of the opening book, all at the first moment, shape (n, COLUMNS).
    excitation, planted
        The process of the arrivals, and the episodes, as they will happen.
    """

    def __init__(self, parameters: MarketParameters, rows_max: int = ROWS_MAX) -> None:
        self.parameters, self.wire_config = parameters, parameters.wire_config()
        self.wire = self.wire_config.wire
        self.excitation = excitation(parameters.flow)
        seeds = np.random.SeedSequence(parameters.seed).spawn(5)
        self.wire_seed, self.path_seed = seeds[3], seeds[4]
        self.planted = plan(parameters, seeds[2])
        self._script = Script(self.planted, self.wire, float(self.excitation.stationary_per_s.sum()))
        self._arrivals = Arrivals(self.excitation, parameters.modulation, seeds[0], parameters.start_ns)
        self._changes = [np.array([[parameters.start_ns, self._arrivals.first_factor]])]
        self._marks = Uniforms(seeds[1])
        self._laws = laws(self)
        self._times = self._types = np.zeros(0, np.int64)
        self._first_arrival = 0
        self._lines = self._script.before(0)
        self._handles = np.full((HANDLES, 2), -1, np.int64)
        deep_orders = parameters.placement.deep_orders
        orders_max = max(_ORDERS_MIN, 8 * deep_orders)
        room = ROWS_MARGIN + max(rows_max, 2 * deep_orders)
        self._book = empty_book(orders_max, room)
        book = self._book
        open_book(
            *book, self._laws, self._marks.pool, self.wire_config.mid_ticks, deep_orders, parameters.start_ns
        )
        self.opening = self._told()
        # What is told at a time is bounded by what was asked for, not by the room that the opening took.
        self._rows = book.rows[: ROWS_MARGIN + rows_max]

    def advance(self, horizon_ns: int) -> Iterator[Int64Array]:
        """Order events before a time, shape (n, COLUMNS), some at a time; then the book is of that time.

        Raises
        ------
        OptionError
            When the book grows beyond all measure.
        """
        book = self._book._replace(rows=self._rows)
        head = book.head
        reason = -1
        while reason != REACHED:
            reason = run_market(
                *book,
                self._laws,
                self._marks.pool,
                self._times,
                self._types,
                len(self._times),
                self._first_arrival,
                self._lines,
                self._handles,
                horizon_ns,
            )
            if reason == OVERFLOW:
                raise OptionError(
                    "the book grows without bound",
                    orders=len(book.orders),
                    remedy="Raise the rates of cancels against those of limit orders, or lower deep_orders",
                )
            if reason == WAITING:
                self._draw_arrivals()
            elif reason == DRY:
                self._marks.refill(int(head[CURSOR]))
                head[CURSOR] = 0
            elif head[ROWS]:
                yield self._told()

    def ladder(self, side: int, levels: int) -> tuple[Int64Array, Int64Array]:
        """The best levels of a side, best first: prices in ticks, and the lots that the venue shows there."""
        prices, sizes = np.empty(levels, np.int64), np.empty(levels, np.int64)
        book = self._book
        count = ladder(book.head, book.levels, book.bits, side, prices, sizes)
        return prices[:count], sizes[:count]

    def take_changes(self) -> Float64Array:
        """Changes of the baselines' factor that were not taken yet: rows of (from when on in ns, factor)."""
        told, self._changes = np.concatenate([np.zeros((0, 2)), *self._changes]), []
        return told

    def _told(self) -> Int64Array:
        head, rows = self._book.head, self._book.rows
        told = rows[: head[ROWS]].copy()
        head[ROWS] = 0
        return told

    def _draw_arrivals(self) -> None:
        head = self._book.head
        self._first_arrival += len(self._times)
        self._times, self._types, changes, until_ns = self._arrivals.draw(_ARRIVALS_AT_A_TIME)
        self._changes.append(changes)
        self._lines = np.concatenate([self._lines[head[SCRIPT_AT] :], self._script.before(until_ns + 1)])
        head[ARRIVAL_AT] = head[SCRIPT_AT] = 0


def laws(market: LobMarket) -> Float64Array:
    """The laws of sizes and places in the order in which the kernels know them, shape (LAWS,).

    Raises
    ------
    OptionError
        When a size is no whole number of lots, or the largest is below the least.
    """
    sizes, placement = market.parameters.sizes, market.parameters.placement
    largest = lots("sizes.largest", sizes.largest, market.wire)
    found: list[float] = []
    for name, tail in (("limit_least", sizes.limit_tail), ("market_least", sizes.market_tail)):
        least = lots(f"sizes.{name}", getattr(sizes, name), market.wire)
        if least >= largest:
            raise OptionError(f"sizes.{name} must be below sizes.largest", found=getattr(sizes, name))
        found += [least, -1.0 / tail, (largest / least) ** -tail]
    scale, tail = placement.deep_scale_ticks, placement.deep_tail
    found += [scale, -1.0 / tail, (1.0 + placement.reach_ticks / scale) ** -tail]
    found += [placement.inside_ticks, placement.touch_orders, float(placement.deep_orders)]
    assert len(found) == LAWS  # noqa: S101 (the kernels index it)
    return np.array(found)
