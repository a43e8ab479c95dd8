"""A small seeded market as two sides of a comparison, one of them spoiled by as much as asked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window, cut_windows

INSTRUMENT = Instrument(
    exchange="SYNTHETIC", symbol="AAA-BBB", price_decimals=2, quantity_decimals=3, price_step=10
)
START_NS = 1_700_000_000_000_000_000 // 60_000_000_000 * 60_000_000_000
DEPTH = 20
QUOTES_PER_S, CLUSTERS_PER_S, LADDERS_PER_S = 20, 3, 5
_TICK = INSTRUMENT.price_step
_MID_TICKS = 600_000


def synthetic_comparison(
    seed: int, *, noise: float = 0.0, windows: int = 12, window_s: int = 60
) -> Comparison:
    """Golden beside the same market spoiled by ``noise``; equal to the last number when it is 0."""
    golden = synthetic_side(seed, windows=windows, window_s=window_s)
    recon = synthetic_side(seed, noise=noise, name="recon", windows=windows, window_s=window_s)
    return Comparison(golden, recon, is_paired=True, seed=seed)


def synthetic_side(
    seed: int, *, noise: float = 0.0, name: str = "golden", windows: int = 12, window_s: int = 60
) -> MarketSide:
    """A market whose mid wanders with clustered volatility, with clustered trades and 20 levels.

    Parameters
    ----------
    seed
        Of the market; another one is another draw of the same laws.
    noise
        From 0 (none) to 1: quotes go missing, spreads widen, sizes are scaled and blurred, the mid jitters
        and leaps, trades are scattered, enlarged, their sides flipped, the last level is lost, all in that
        measure. It has a generator of its own.
    windows, window_s
        How many windows of how many seconds.
    """
    market, spoiler = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    seconds = windows * window_s
    times, best = _quotes(market, spoiler, seconds, noise)
    trade_times, trades = _trades(market, spoiler, seconds, noise, times, best)
    events, after = _merged(times, best, trade_times, trades, spoiler, noise)
    sample_times, samples = _ladders(market, spoiler, seconds, noise, times, best)
    whole = Window(
        instrument=INSTRUMENT,
        start_ns=START_NS,
        end_ns=START_NS + seconds * 1_000_000_000,
        events=events,
        best=after,
        sample_times=sample_times,
        samples=samples,
    )
    return MarketSide(name, INSTRUMENT, cut_windows(whole, window_s * 1_000_000_000))


def _quotes(
    market: np.random.Generator, spoiler: np.random.Generator, seconds: int, noise: float
) -> tuple[Int64Array, Int64Array]:
    """Times, and best quotes, int64 (4, n)."""
    count = seconds * QUOTES_PER_S
    times = START_NS + np.sort(market.integers(0, seconds * 1_000_000_000, count))
    scale = np.exp(_ar1(market, 0.995, count))
    moves = np.rint(market.standard_normal(count) * scale * 0.7)
    spread = 1 + market.geometric(0.6, count)
    sizes = np.exp(_ar1(market, 0.9, 2 * count).reshape(2, count)) * 1000
    jitter = np.rint(spoiler.standard_normal(count) * 4 * noise)
    spread = spread + spoiler.binomial(4, 0.5 * noise, count)
    sizes = sizes * (1 + noise) ** 2 * np.exp(noise * spoiler.standard_normal((2, count)))
    sizes[0] *= 1 + 2 * noise
    leaps = spoiler.binomial(1, noise / (60 * QUOTES_PER_S), count) * 150
    bid = (_MID_TICKS + np.cumsum(moves + leaps) + jitter).astype(np.int64)
    lots = np.maximum(1, np.rint(sizes)).astype(np.int64)
    best = np.stack([bid * _TICK, lots[0], (bid + spread) * _TICK, lots[1]])
    kept = spoiler.random(count) >= 0.5 * noise
    best[2] = np.where(spoiler.random(count) < 0.005 * noise, best[0] - _TICK, best[2])
    return times[kept], best[:, kept]


def _trades(
    market: np.random.Generator,
    spoiler: np.random.Generator,
    seconds: int,
    noise: float,
    times: Int64Array,
    best: Int64Array,
) -> tuple[Int64Array, Int64Array]:
    """Times, and side, price and quantity of trades, int64 (3, n): clusters that follow one aggressor."""
    span = seconds * 1_000_000_000
    parents = np.sort(market.integers(0, span, seconds * CLUSTERS_PER_S))
    sizes = market.geometric(0.4, len(parents))
    offsets = market.exponential(4e6, int(sizes.sum())) * (market.random(int(sizes.sum())) < 0.8)
    at = np.minimum(np.repeat(parents, sizes) + offsets.astype(np.int64), span - 1)
    # The aggressor tends to know: he buys before the mid rises.
    ahead = np.searchsorted(times, START_NS + at)
    rises = best[0, np.minimum(ahead + QUOTES_PER_S, len(times) - 1)] - best[0, np.maximum(ahead - 1, 0)]
    leaning = np.repeat(market.random(len(parents)), sizes) < 1 / (1 + np.exp(-rises / (10.0 * _TICK)))
    lots = np.maximum(1, np.rint(np.exp(market.standard_normal(len(at))) * 100)).astype(np.int64)
    lots = np.where(market.random(len(at)) < 0.3, 100, lots)
    scattered = spoiler.random(len(at)) < noise
    at = np.where(scattered, spoiler.integers(0, span, len(at)), at)
    sells = leaning ^ (spoiler.random(len(at)) < 0.5 * noise) ^ True
    lots = np.maximum(1, np.rint(lots ** (1 + noise / 2))).astype(np.int64)
    order = np.argsort(at, kind="stable")
    at, sells, lots = START_NS + at[order], sells[order], lots[order]
    now = np.maximum(np.searchsorted(times, at, side="right") - 1, 0)
    price = np.where(sells, best[0, now], best[2, now])
    return at, np.stack([sells.astype(np.int64), price, lots])


def _merged(
    times: Int64Array,
    best: Int64Array,
    trade_times: Int64Array,
    trades: Int64Array,
    spoiler: np.random.Generator,
    noise: float,
) -> tuple[Int64Array, Int64Array]:
    """Events of quotes and trades in the order of time, and the best quotes after each."""
    every = np.concatenate([trade_times, times])
    order = np.argsort(every, kind="stable")
    is_trade = order < len(trade_times)
    events = empty_events(len(order))
    for name in (Field.ORDER_TIME, Field.ORIGIN_TIME, Field.RECEIVED_TIME):
        events[name] = every[order]
    events[Field.KIND] = np.where(is_trade, Kind.TRADE, Kind.BOOK_DELTA)
    for row, name in enumerate((Field.SIDE, Field.PRICE, Field.QUANTITY)):
        delta = best[row - 1] if row else np.zeros(len(times), dtype=np.int64)
        events[name] = np.concatenate([trades[row], delta])[order]
    events[Field.FLAGS] = Flag.GROUP_END
    # Some events are told late, and numbers of trades are left out, as often as noise has it.
    lag = 2e6 + spoiler.exponential(20e6 * noise, len(order))
    events[Field.RECEIVED_TIME] += lag.astype(np.int64)
    steps = 1 + spoiler.binomial(1, 0.5 * noise, int(is_trade.sum()))
    events[Field.TRADE_ID, is_trade] = np.cumsum(steps)
    standing = np.cumsum(~is_trade) - 1
    return events, np.where(standing >= 0, best[:, np.maximum(standing, 0)], NONE)


def _ladders(
    market: np.random.Generator,
    spoiler: np.random.Generator,
    seconds: int,
    noise: float,
    times: Int64Array,
    best: Int64Array,
) -> tuple[Int64Array, Int64Array]:
    """Sampled tops: the touch, and behind it levels a tick or more apart, of sizes like their neighbours."""
    at = START_NS + np.arange(1, seconds * LADDERS_PER_S) * (1_000_000_000 // LADDERS_PER_S)
    now = np.searchsorted(times, at, side="right") - 1
    at, now = at[now >= 0], now[now >= 0]
    shape = (len(at), 2, DEPTH)
    gaps = market.geometric(0.7, shape) + spoiler.binomial(2, 0.5 * noise, shape)
    gaps[:, :, 0] = 0
    away = np.cumsum(gaps, axis=2) * _TICK
    sizes = np.exp(_ar1(market, 0.8, int(np.prod(shape))).reshape(shape)) * 1000
    sizes = sizes * (1 + noise) ** 2 * np.exp(noise * spoiler.standard_normal(shape))
    sizes[:, 0] *= 1 + 2 * noise
    lots = np.maximum(1, np.rint(sizes)).astype(np.int64)
    lots[:, :, 0] = best[1::2, now].T
    bid, ask = (best[row, now][:, None] for row in (0, 2))
    samples = np.stack([bid - away[:, 0], lots[:, 0], ask + away[:, 1], lots[:, 1]], axis=1)
    samples[spoiler.random(len(at)) < 0.5 * noise, :, -1] = NONE
    return at, samples.astype(np.int64)


def _ar1(rng: np.random.Generator, phi: float, count: int) -> npt.NDArray[np.float64]:
    """AR(1) noise of deviation 0.5, from one block of draws, by doubling: no loop over values."""
    series = rng.standard_normal(count) * 0.5 * np.sqrt(1 - phi * phi)
    step, weight = 1, phi
    while step < count and weight > 1e-12:
        series[step:] = series[step:] + weight * series[:-step]
        step, weight = 2 * step, weight * weight
    return np.asarray(series, dtype=np.float64)
