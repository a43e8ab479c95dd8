"""A busy exchange for `rlx bench capture`, in a process of its own: many messages a second, then silence."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.simulation.exchange.books import ServedBook, warm_up
from rlx_datapipe.simulation.exchange.channels import Channel, Floor, Timed
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.server import Exchange
from rlx_datapipe.venues.binance import MARKETS

FORMAT = "binance-spot"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
START_NS = 1_723_161_570_000_000_000
_BATCH = 1_000
_LEVELS = 20
_FIRST_ID, _FIRST_TRADE = 50_000_000_000, 3_700_000_000
_PATTERN = "D" + "TQQQQ" * 3 + "QQQQ"
"""Of twenty messages one is a depth update, three are trades, sixteen quotes: about as in the recordings."""
_DEPTH = b'{"e":"depthUpdate","E":%d,"s":"%b","U":%d,"u":%d,"b":%b,"a":%b}'
_TRADE = b'{"e":"trade","E":%d,"s":"%b","t":%d,"p":"%d.64","q":"0.00100000","T":%d,"m":true,"M":true}'
_QUOTE = b'{"u":%d,"s":"%b","b":"%d.63000000","B":"3.78826000","a":"%d.64000000","A":"1.60520000"}'


class _Symbol:
    """One symbol, whose ids go on without a hole and whose prices tremble."""

    def __init__(self, floor: Floor, symbol: str) -> None:
        instrument = Instrument("BINANCE", symbol)
        floor.enlist(FORMAT, instrument, ServedBook(instrument, MARKETS[FORMAT]))
        name = symbol.lower()
        self.symbol = symbol.encode()
        self.snapshot_channel = floor.channel(FORMAT, f"{name}@snapshot")
        self._depth = floor.channel(FORMAT, f"{name}@depth@100ms")
        self._trade = floor.channel(FORMAT, f"{name}@trade")
        self._quote = floor.channel(FORMAT, f"{name}@bookTicker")
        self._update_id, self._depth_id = _FIRST_ID, _FIRST_ID
        self._trade_id, self._count = _FIRST_TRADE, 0

    def snapshot(self) -> bytes:
        """The book at first."""
        bids, asks = (_levels(side, 0, 500) for side in (-1, 1))
        return b'{"lastUpdateId":%d,"bids":%b,"asks":%b}' % (self._update_id, bids, asks)

    def next(self, time_ms: int) -> tuple[Channel, bytes]:
        """The next message, of the kind that is due."""
        self._count += 1
        shift, kind = self._count % 50, _PATTERN[self._count % len(_PATTERN)]
        if kind == "D":
            first, self._depth_id = self._depth_id + 1, self._update_id + 1
            self._update_id += 1
            sides = (_levels(-1, shift, _LEVELS), _levels(1, shift, _LEVELS))
            return self._depth, _DEPTH % (time_ms, self.symbol, first, self._depth_id, *sides)
        if kind == "T":
            self._trade_id += 1
            return self._trade, _TRADE % (time_ms, self.symbol, self._trade_id, 61_000 + shift, time_ms)
        self._update_id += 1
        return self._quote, _QUOTE % (self._update_id, self.symbol, 60_999 - shift, 61_001 + shift)


def _levels(side: int, shift: int, count: int) -> bytes:
    prices = (61_000 + side * (1 + shift + level) for level in range(count))
    return b"[" + b",".join(b'["%d.00000000","%d.50000000"]' % (p, 1 + p % 7) for p in prices) + b"]"


def batches(symbols: list[_Symbol], rate: int, messages: int) -> Iterator[list[Timed]]:
    """Timed messages, the symbols in turn, evenly spread."""
    batch: list[Timed] = [(START_NS, one.snapshot_channel, one.snapshot()) for one in symbols]
    for number in range(messages):
        time_ns = START_NS + number * 1_000_000_000 // rate
        batch.append((time_ns, *symbols[number % len(symbols)].next(time_ns // 1_000_000)))
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    yield batch


async def _serve(rate: int, messages: int) -> None:
    floor = Floor()
    symbols = [_Symbol(floor, symbol) for symbol in SYMBOLS]
    options = ExchangeOptions(speed=1.0, has_limits=False)
    async with Exchange(floor, lambda: batches(symbols, rate, messages), options) as exchange:
        sys.stdout.write(exchange.url + "\n")
        sys.stdout.flush()
        # The end of our input tells that nobody needs us any more.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    warm_up()
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
