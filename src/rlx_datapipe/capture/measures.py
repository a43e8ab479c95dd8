"""What a stretch of a capture was like: volume, volatility, spread and latency of each symbol."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import NONE, Field, Int64Array, Kind, Quote
from rlx_datapipe.core.feed import Frames, Parsed
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.store.capture_market import Latency, Measures
from rlx_datapipe.venues import binance

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
SHARES = (0.5, 0.95, 0.99)
"""Of a latency: median, 95th and 99th percentile."""
_KEPT_OF_QUOTES = [Quote.RECEIVED_TIME, Quote.BID_PRICE, Quote.ASK_PRICE]
_TIME, _BID, _ASK = range(3)
_WIRE_DECIMALS = 8
"""No venue of Binance writes more; what it writes is measured here, not kept."""


class Measuring:
    """Measures a stretch by its messages, some at a time; of each only a few numbers are kept.

    Parameters
    ----------
    format
        ``binance-spot``, ``binance-usdm`` or ``binance-coinm``.
    """

    def __init__(self, format: str) -> None:
        self._market = binance.MARKETS[format]
        self._symbols: dict[str, _Symbol] = {}

    def add(self, frames: Frames) -> None:
        """Take messages with their combined-stream envelope, in order of arrival."""
        names, name_of = binance.symbols_of(frames)
        for number, name in enumerate(names):
            symbol = name.decode("ascii", "replace").upper()
            own = frames.take(np.flatnonzero(name_of == number))
            self._symbols.setdefault(symbol, _Symbol(symbol, self._market)).add(own)

    def told(self) -> dict[str, Measures]:
        """The measures of each symbol that was seen, by symbol in capitals."""
        return {symbol: held.told() for symbol, held in sorted(self._symbols.items())}


class _Symbol:
    """What is kept of the messages of one symbol."""

    def __init__(self, symbol: str, market: binance.Market) -> None:
        self._market = market
        self._instrument = Instrument(market.exchange, symbol, _WIRE_DECIMALS, _WIRE_DECIMALS)
        self._from_ns, self._to_ns = NONE, NONE
        self._quantities: dict[str, list[Int64Array]] = {"trade": [], "aggTrade": []}
        self._lags_ns: dict[str, list[Int64Array]] = {"bookTicker": [], "depthUpdate": [], "trade": []}
        self._quotes: list[Int64Array] = [np.zeros((len(_KEPT_OF_QUOTES), 0), dtype=np.int64)]

    def add(self, frames: Frames) -> None:
        self._from_ns = int(frames.received[0]) if self._from_ns == NONE else self._from_ns
        self._to_ns = int(frames.received[-1])
        parsed = self._parse(frames, "trade")
        self._quotes.append(parsed.quotes[_KEPT_OF_QUOTES])
        self._add_lags(parsed)
        # Both kinds tell of the same executions.
        if "set aside:aggTrade" in parsed.counts and not self._quantities["trade"]:
            self._parse(frames, "aggTrade")

    def told(self) -> Measures:
        quantities = [one for kind in ("trade", "aggTrade") if (one := self._quantities[kind])][:1]
        traded = np.concatenate([np.zeros(0, dtype=np.int64), *(each for one in quantities for each in one)])
        volume = float(traded.sum(dtype=float)) / 10**_WIRE_DECIMALS
        duration_ns = self._to_ns - self._from_ns
        quotes = np.concatenate(self._quotes, axis=1)
        lags = {kind: np.concatenate(parts) for kind, parts in self._lags_ns.items() if parts}
        return Measures(
            trades=len(traded),
            duration_s=duration_ns / NS_PER_S,
            volume_per_s=volume * NS_PER_S / duration_ns if duration_ns > 0 else None,
            volatility_bps=_volatility_bps(quotes),
            spread_bps=_spread_bps(quotes),
            latency={kind: latency_of(lag_ns) for kind, lag_ns in lags.items()},
        )

    def _parse(self, frames: Frames, kind: str) -> Parsed:
        """The messages, ``kind`` being the trades among them; their quantities are kept."""
        parsed = binance.parse(frames, "", self._instrument, self._market, kind)
        is_trade = parsed.events[Field.KIND] == Kind.TRADE
        if is_trade.any():
            self._quantities[kind].append(parsed.events[Field.QUANTITY, is_trade])
        return parsed

    def _add_lags(self, parsed: Parsed) -> None:
        events, quotes = parsed.events, parsed.quotes
        # One row for each message, for a depth update has one for each level.
        events = events[:, np.flatnonzero(np.diff(events[Field.MESSAGE], prepend=NONE))]
        quotes = quotes[:, quotes[Quote.ORIGIN_TIME] != NONE]
        lag_ns = events[Field.RECEIVED_TIME] - events[Field.ORIGIN_TIME]
        found = {
            "bookTicker": quotes[Quote.RECEIVED_TIME] - quotes[Quote.ORIGIN_TIME],
            "depthUpdate": lag_ns[events[Field.KIND] == Kind.BOOK_DELTA],
            "trade": lag_ns[events[Field.KIND] == Kind.TRADE],
        }
        for kind, lags in found.items():
            if len(lags):
                self._lags_ns[kind].append(lags)


def _mid(quotes: Int64Array) -> npt.NDArray[np.float64]:
    middle: npt.NDArray[np.float64] = (quotes[_BID] + quotes[_ASK]) / 2
    return middle


def _volatility_bps(quotes: Int64Array) -> float | None:
    # A clock that steps back stands still until it is where it was.
    seconds = np.maximum.accumulate(quotes[_TIME] // NS_PER_S)
    if quotes.shape[1] < 2 or seconds[-1] - seconds[0] < 2:
        return None
    grid = np.arange(seconds[0], seconds[-1] + 1)
    last = np.searchsorted(seconds, grid, side="right") - 1
    returns = np.diff(np.log(_mid(quotes)[last]))
    return float(returns.std() * 1e4)


def _spread_bps(quotes: Int64Array) -> float | None:
    # Where the clock steps back a quote was in force for no time that it could tell.
    held_ns = np.maximum(np.diff(quotes[_TIME]), 0)
    if not held_ns.sum():
        return None
    spread = (quotes[_ASK] - quotes[_BID]) / _mid(quotes)
    return float(np.average(spread[:-1], weights=held_ns) * 1e4)


def latency_of(lags_ns: Int64Array) -> Latency:
    """Count and percentiles: the lags that these shares of all messages do not exceed."""
    p50, p95, p99 = (float(lag) / NS_PER_MS for lag in np.quantile(lags_ns, SHARES, method="inverted_cdf"))
    return Latency(len(lags_ns), p50, p95, p99)
