"""What a stretch of a capture was like: volume, volatility, spread and latency of each symbol."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import NONE, Field, Int64Array, Kind, Quote
from rlx_datapipe.core.feed import Frames, Parsed
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.venues import binance

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
SHARES = (0.5, 0.95, 0.99)
"""Of a latency: median, 95th and 99th percentile."""
_WIRE_DECIMALS = 8
"""No venue of Binance writes more; what it writes is measured here, not kept."""


class Latency(msgspec.Struct, frozen=True):
    """Receive time minus exchange time of messages with one, in ms; negative where our clock is behind."""

    messages: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Measures(msgspec.Struct, frozen=True):
    """One symbol over one stretch of a capture; None where too little was seen to tell.

    Attributes
    ----------
    trades, duration_s
        Trades seen, and seconds from the first message to the last.
    volume_per_s
        Quantity traded a second, in units of the base (contracts for futures quoted in them).
    volatility_bps
        Standard deviation of the log return of the mid price over a second, in basis points, from its last
        value in each second; a second without a quote repeats the one before.
    spread_bps
        Time-weighted mean of the spread over the mid price, in basis points.
    latency
        By kind of message: ``depthUpdate``, ``trade``, ``bookTicker``; those that have an exchange time.
    """

    trades: int
    duration_s: float
    volume_per_s: float | None
    volatility_bps: float | None
    spread_bps: float | None
    latency: dict[str, Latency]


def measure(frames: Frames, format: str) -> dict[str, Measures]:
    """What the messages of a stretch tell of each symbol in them, by symbol in capitals.

    Parameters
    ----------
    frames
        Messages with their combined-stream envelope, in order of arrival.
    format
        ``binance-spot``, ``binance-usdm`` or ``binance-coinm``.
    """
    names, name_of = binance.symbols_of(frames)
    told = {}
    for number, name in sorted(enumerate(names), key=lambda pair: pair[1]):
        own = frames.take(np.flatnonzero(name_of == number))
        symbol = name.decode("ascii", "replace").upper()
        told[symbol] = _measure_symbol(own, symbol, format)
    return told


def _measure_symbol(frames: Frames, symbol: str, format: str) -> Measures:
    market = binance.MARKETS[format]
    instrument = Instrument(market.exchange, symbol, _WIRE_DECIMALS, _WIRE_DECIMALS)
    parsed = binance.parse(frames, "", instrument, market, "trade")
    if "trade" not in parsed.counts:
        parsed = binance.parse(frames, "", instrument, market, "aggTrade")
    duration_ns = int(frames.received[-1] - frames.received[0])
    trades = parsed.events[:, parsed.events[Field.KIND] == Kind.TRADE]
    volume = trades[Field.QUANTITY].sum(dtype=float) / 10**_WIRE_DECIMALS
    return Measures(
        trades=trades.shape[1],
        duration_s=duration_ns / NS_PER_S,
        volume_per_s=float(volume) * NS_PER_S / duration_ns if duration_ns > 0 else None,
        volatility_bps=_volatility_bps(parsed.quotes),
        spread_bps=_spread_bps(parsed.quotes),
        latency=_latencies(parsed),
    )


def _mid(quotes: Int64Array) -> npt.NDArray[np.float64]:
    middle: npt.NDArray[np.float64] = (quotes[Quote.BID_PRICE] + quotes[Quote.ASK_PRICE]) / 2
    return middle


def _volatility_bps(quotes: Int64Array) -> float | None:
    # A clock that steps back stands still until it is where it was.
    seconds = np.maximum.accumulate(quotes[Quote.RECEIVED_TIME] // NS_PER_S)
    if quotes.shape[1] < 2 or seconds[-1] - seconds[0] < 2:
        return None
    grid = np.arange(seconds[0], seconds[-1] + 1)
    last = np.searchsorted(seconds, grid, side="right") - 1
    returns = np.diff(np.log(_mid(quotes)[last]))
    return float(returns.std() * 1e4)


def _spread_bps(quotes: Int64Array) -> float | None:
    held_ns = np.diff(quotes[Quote.RECEIVED_TIME])
    # Where the clock steps back a quote was in force for no time that it could tell.
    held_ns = np.maximum(held_ns, 0)
    if not held_ns.sum():
        return None
    spread = (quotes[Quote.ASK_PRICE] - quotes[Quote.BID_PRICE]) / _mid(quotes)
    return float(np.average(spread[:-1], weights=held_ns) * 1e4)


def _latencies(parsed: Parsed) -> dict[str, Latency]:
    events, quotes = parsed.events, parsed.quotes
    # One row for each message, for a depth update has one for each level.
    first = np.flatnonzero(np.diff(events[Field.MESSAGE], prepend=NONE))
    kinds = events[Field.KIND, first]
    lag_ns = (events[Field.RECEIVED_TIME] - events[Field.ORIGIN_TIME])[first]
    found = {
        "bookTicker": _quote_lags(quotes),
        "depthUpdate": lag_ns[kinds == Kind.BOOK_DELTA],
        "trade": lag_ns[kinds == Kind.TRADE],
    }
    return {name: _latency(lags) for name, lags in found.items() if len(lags)}


def _quote_lags(quotes: Int64Array) -> Int64Array:
    timed = quotes[:, quotes[Quote.ORIGIN_TIME] != NONE]
    lags: Int64Array = timed[Quote.RECEIVED_TIME] - timed[Quote.ORIGIN_TIME]
    return lags


def _latency(lags: Int64Array | Sequence[int]) -> Latency:
    p50, p95, p99 = (float(share) / NS_PER_MS for share in np.quantile(lags, SHARES, method="higher"))
    return Latency(len(lags), p50, p95, p99)
