"""What metrics are given: windows of a market side, as arrays of ticks, lots and nanoseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.fidelity.distances import FloatArray

_STEPS_NS = tuple(10**power for power in range(9, 2, -1))
_LOOK_BACK = 1_024
_FLOAT_DUST_NS = 512
"""Times that once passed through float64 seconds are off by up to this."""


@dataclass(frozen=True)
class Quotes:
    """Best quotes in the order of time, each with the time for which it stood; all int64 of shape (n,).

    Prices and quantities are scaled integers, bid below ask or equal or crossed as published. Stretches
    without a trustworthy book are left out: ``hold_ns`` ends where they begin.
    """

    time_ns: Int64Array
    hold_ns: Int64Array
    bid: Int64Array
    bid_quantity: Int64Array
    ask: Int64Array
    ask_quantity: Int64Array
    run: Int64Array
    """Number of the unbroken stretch that each quote lies in; changes are taken within one only."""


@dataclass(frozen=True)
class Trades:
    """Trades in the order of events, all int64 (n,): scaled price and quantity, sign 1 bought, -1 sold."""

    time_ns: Int64Array
    price: Int64Array
    quantity: Int64Array
    sign: Int64Array


@dataclass(frozen=True)
class Ladders:
    """Sampled tops of the book, in the order of time.

    ``levels`` is int64 (k, 4, depth): bid prices, bid quantities, ask prices, ask quantities, best first,
    NONE where a side has no such level. ``time_ns`` and ``hold_ns`` are int64 (k,).
    """

    time_ns: Int64Array
    hold_ns: Int64Array
    levels: Int64Array


@dataclass(frozen=True)
class Window:
    """A stretch of one side of the market, the unit of replication of every verdict.

    Parameters
    ----------
    instrument
        Scales of all prices and quantities.
    start_ns, end_ns
        The stretch, [start, end), ns UTC.
    events
        int64 (FIELDS, n), rows as `core.event.Field`, in the total order.
    best
        int64 (4, n): best bid price and quantity, best ask price and quantity after each event, or NONE.
    opening
        int64 (4,): the best quotes that stand at the start, NONE where none is known.
    sample_times, samples
        int64 (k,) and int64 (k, 4, depth): tops of the book; see `Ladders`.
    resolution_ns
        Step of the exchange's stamps.
    is_aggregated
        Whether trades are aggregated by taker order.
    """

    instrument: Instrument
    start_ns: int
    end_ns: int
    events: Int64Array
    best: Int64Array
    opening: Int64Array = field(default_factory=lambda: np.full(4, NONE, dtype=np.int64))
    sample_times: Int64Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    samples: Int64Array = field(default_factory=lambda: np.zeros((0, 4, 0), dtype=np.int64))
    resolution_ns: int = 1
    is_aggregated: bool = False

    @property
    def tick(self) -> int:
        """Price step in scaled units."""
        return self.instrument.price_step

    @property
    def units(self) -> float:
        """How many scaled units make a whole one of quantity."""
        return 10.0**self.instrument.quantity_decimals

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def event_count(self) -> int:
        """Events of the market in it; of a dataset only the ends of groups are in ``events``."""
        counted = self.events[Field.MESSAGE, [0, -1]] if self.events.shape[1] else np.full(2, NONE)
        return int(counted[1] - counted[0]) + 1 if (counted != NONE).all() else self.events.shape[1]

    @cached_property
    def quotes(self) -> Quotes:
        """Best quotes as published at the end of each atomic group."""
        flags = self.events[Field.FLAGS]
        rows = np.flatnonzero((flags & Flag.GROUP_END != 0) & (self.events[Field.KIND] != Kind.TRADE))
        times = np.concatenate([[self.start_ns], self.events[Field.ORDER_TIME, rows]]).astype(np.int64)
        best = np.concatenate([self.opening[:, None], self.best[:, rows]], axis=1)
        known = (best != NONE).all(axis=0)
        known[1:] &= flags[rows] & Flag.BOOK_INVALID == 0
        hold = np.diff(times, append=self.end_ns)
        run = np.cumsum(~known)
        return Quotes(*(row[known] for row in (times, hold, *best, run)))

    @cached_property
    def trades(self) -> Trades:
        """Trades of the market: neither liquidations at other prices nor fund transfers."""
        flags = self.events[Field.FLAGS]
        rows = np.flatnonzero((self.events[Field.KIND] == Kind.TRADE) & (flags & Flag.NOT_MARKET == 0))
        times, prices, quantities, sides = (
            self.events[name, rows] for name in (Field.ORDER_TIME, Field.PRICE, Field.QUANTITY, Field.SIDE)
        )
        return Trades(times, prices, quantities, 1 - 2 * sides)

    @cached_property
    def ladders(self) -> Ladders:
        """Sampled tops of the book with the time for which each stood."""
        return Ladders(self.sample_times, np.diff(self.sample_times, append=self.end_ns), self.samples)

    @cached_property
    def aggregated_trades(self) -> Trades:
        """Trades with neighbours of one time, price and side put together, as aggregated streams do."""
        trades = self.trades
        if self.is_aggregated or not len(trades.time_ns):
            return trades
        keys = np.stack([trades.time_ns, trades.price, trades.sign])
        starts = np.flatnonzero(np.concatenate([[True], (keys[:, 1:] != keys[:, :-1]).any(axis=0)]))
        sums = np.add.reduceat(trades.quantity, starts)
        return Trades(trades.time_ns[starts], trades.price[starts], sums, trades.sign[starts])

    def mids(self, step_ns: int) -> FloatArray:
        """Mid price in ticks at each step from the start, the last one known, float64 (steps,).

        NaN before the first quote, and where no quote stands.
        """
        quotes = self.quotes
        grid = np.arange(self.start_ns, self.end_ns, step_ns, dtype=np.int64)
        at = np.searchsorted(quotes.time_ns, grid, side="right") - 1
        inside = at >= 0
        if not len(quotes.time_ns):
            return np.full(len(grid), np.nan)
        at = np.maximum(at, 0)
        stands = inside & (grid < quotes.time_ns[at] + quotes.hold_ns[at])
        return np.where(stands, (quotes.bid[at] + quotes.ask[at]) / (2.0 * self.tick), np.nan)

    def returns(self, step_ns: int) -> FloatArray:
        """Logarithmic returns of the mid over each step, float64, without those that touch a NaN."""
        logs = np.log(self.mids(step_ns))
        steps = np.diff(logs)
        return np.asarray(steps[~np.isnan(steps)], dtype=np.float64)

    def cut(self, start_ns: int, end_ns: int) -> Window:
        """The part of it in [start, end)."""
        times = self.events[Field.ORDER_TIME]
        low, high = np.searchsorted(times, [start_ns, end_ns])
        opening = (
            self.opening if low == 0 else _standing(self.events[:, :low], self.best[:, :low], self.opening)
        )
        first, last = np.searchsorted(self.sample_times, [start_ns, end_ns])
        return replace(
            self,
            start_ns=start_ns,
            end_ns=end_ns,
            events=self.events[:, low:high],
            best=self.best[:, low:high],
            opening=opening,
            sample_times=self.sample_times[first:last],
            samples=self.samples[first:last],
        )


@dataclass(frozen=True)
class MarketSide:
    """One side of a comparison: golden or recon, as windows in the order of time."""

    name: str
    instrument: Instrument
    windows: Sequence[Window]

    @property
    def resolution_ns(self) -> int:
        """Step of the stamps, the coarsest of its windows."""
        return max((window.resolution_ns for window in self.windows), default=1)


@dataclass(frozen=True)
class Comparison:
    """What a metric is given: both sides, and whether their windows are the same stretches of time.

    Parameters
    ----------
    golden, recon
        The sides, in one scale (`scales.in_one_scale`).
    is_paired
        Whether window k of both is the same interval of the same market.
    seed
        From which every metric that needs chance has its generator.
    results
        What the dependencies of a metric came to, by name.
    """

    golden: MarketSide
    recon: MarketSide
    is_paired: bool = False
    seed: int = 0
    results: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        golden, recon = (
            (one.price_decimals, one.quantity_decimals, one.price_step)
            for one in (self.golden.instrument, self.recon.instrument)
        )
        if golden != recon:
            remedy = "Bring them to one scale first: scales.in_one_scale"
            raise OptionError("the two sides have other scales", found=recon, expected=golden, remedy=remedy)
        if self.is_paired:
            spans = [[(w.start_ns, w.end_ns) for w in side.windows] for side in (self.golden, self.recon)]
            if spans[0] != spans[1]:
                raise OptionError("paired sides need the same windows")

    @property
    def resolution_ns(self) -> int:
        """Step of the stamps, the coarser of both."""
        return max(self.golden.resolution_ns, self.recon.resolution_ns)

    @property
    def sides(self) -> tuple[MarketSide, MarketSide]:
        """Golden and recon."""
        return self.golden, self.recon

    def generator(self, name: str) -> np.random.Generator:
        """The generator of one metric: the same for the same seed and name, whatever else runs."""
        return np.random.default_rng([self.seed, crc32(name.encode())])

    def trades(self, window: Window) -> Trades:
        """Trades of a window; aggregated if those of any window are, for like is compared with like."""
        windows = (*self.golden.windows, *self.recon.windows)
        return window.aggregated_trades if any(one.is_aggregated for one in windows) else window.trades


def cut_windows(whole: Window, length_ns: int, gaps: Int64Array | None = None) -> list[Window]:
    """Windows of one length on the clock (multiples of it since the epoch) that lie in a stretch.

    Parameters
    ----------
    whole
        The stretch. Windows that begin before it or end after it are left out.
    length_ns
        Length of a window, above 0.
    gaps
        int64 (g, 2): intervals of which something is missing. A window that touches one is left out.
    """
    if length_ns < 1:
        raise OptionError("a window has a length above 0", found=length_ns)
    first = -(-whole.start_ns // length_ns) * length_ns
    starts = range(first, whole.end_ns - length_ns + 1, length_ns)
    masked = np.zeros((0, 2), dtype=np.int64) if gaps is None else gaps
    return [
        whole.cut(start, start + length_ns)
        for start in starts
        if not ((masked[:, 0] < start + length_ns) & (masked[:, 1] >= start)).any()
    ]


def stamp_resolution(times_ns: Int64Array) -> int:
    """Step of stamps, ns: the coarsest of 1 s to 1 us on which all but one in a thousand lie; 1 otherwise.

    Stamps that passed through float64 seconds lie beside the step by up to 512 ns; they count as on it.
    """
    times = times_ns[times_ns != NONE]
    if not len(times):
        return 1
    for step in _STEPS_NS:
        beside = times % step
        dust = min(_FLOAT_DUST_NS, step // 4)
        on: npt.NDArray[np.bool_] = (beside <= dust) | (beside >= step - dust)
        if on.mean() >= 0.999:
            return int(step)
    return 1


def _standing(events: Int64Array, best: Int64Array, opening: Int64Array) -> Int64Array:
    """The best quotes after the last group of these events; NONE when the book is invalid there."""
    end, look = events.shape[1], _LOOK_BACK
    while end > 0:
        # From the end back, in growing steps: to go through all that came before costs a day's square.
        start = max(0, end - look)
        flags, kinds = events[Field.FLAGS, start:end], events[Field.KIND, start:end]
        rows = np.flatnonzero((flags & Flag.GROUP_END != 0) & (kinds != Kind.TRADE))
        if len(rows):
            last = start + int(rows[-1])
            is_invalid = events[Field.FLAGS, last] & Flag.BOOK_INVALID
            return np.full(4, NONE, dtype=np.int64) if is_invalid else np.array(best[:, last])
        end, look = start, 2 * look
    return opening
