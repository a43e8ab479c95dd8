"""Exchanges to test on: a simulated market's capture, or a few messages, on a free port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.exchange.books import ServedBook, warm_up
from rlx_datapipe.simulation.exchange.channels import Floor, Timed
from rlx_datapipe.simulation.exchange.fault_plan import FaultPlan
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.server import Exchange
from rlx_datapipe.simulation.exchange.truth import Truth
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.venues.binance import MARKETS
from rlx_datapipe.venues.binance_streams import unwrap

APIS = {"binance-spot": "/api/v3", "binance-usdm": "/fapi/v1", "binance-coinm": "/dapi/v1"}
INSTRUMENTS = {
    "binance-spot": Instrument("BINANCE", "BTCUSDT", 8, 8, 1_000_000),
    "binance-usdm": Instrument("BINANCE_FUTURES", "BTCUSDT", 2, 3, 10),
}
Said = list[tuple[int, str, bytes]]
"""Receive times, stream names and messages of a recording."""
EVERYTHING = "btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker"
CLOSE = ExchangeOptions(at_end="close")


@cache
def said(venue: str, duration_s: int = 4, snapshot_every_s: int | None = None) -> Said:
    """The messages of a simulated market, snapshots among them under ``btcusdt@snapshot``."""
    config = MarketConfig(
        venue=venue,
        duration_s=duration_s,
        levels=150,
        snapshot_levels=100,
        orders_per_s=800,
        snapshot_every_s=snapshot_every_s,
    )
    messages = []
    for line in simulate(config):
        received, _, payload = line.partition(b" ")
        stream, data = unwrap(payload)
        messages.append((int(received), stream if stream[0] != "@" else "btcusdt" + stream, data))
    return messages


def exchange_of(
    messages: Said | dict[str, Said],
    options: ExchangeOptions = CLOSE,
    *,
    plan: FaultPlan | None = None,
    truth: Truth | None = None,
    mark_every: int = 0,
) -> Exchange:
    """An exchange that plays these messages, of spot where no market is named."""
    warm_up()
    markets = messages if isinstance(messages, dict) else {"binance-spot": messages}
    floor = Floor()
    for venue in markets:
        book = ServedBook(INSTRUMENTS[venue], MARKETS[venue], mark_every=mark_every)
        floor.enlist(venue, INSTRUMENTS[venue], book)

    def batches() -> Iterator[list[Timed]]:
        timed = [
            (time_ns, floor.channel(venue, stream), data)
            for venue, played in markets.items()
            for time_ns, stream, data in played
        ]
        timed.sort(key=lambda one: one[0])
        for at in range(0, len(timed), 500):
            yield timed[at : at + 500]

    return Exchange(floor, batches, options, plan=plan, truth=truth)


def run(test: Callable[[], Coroutine[Any, Any, None]], limit_s: float = 60.0) -> None:
    """Run an asynchronous test, no longer than a limit."""

    async def bounded() -> None:
        async with asyncio.timeout(limit_s):
            await test()

    asyncio.run(bounded())


def line_to(exchange: Exchange, path: str) -> connect:
    """A client's connection to an address of an exchange."""
    return connect(exchange.url + path, max_size=None, max_queue=None)


async def everything(line: ClientConnection) -> list[bytes]:
    """All that comes until the connection is closed."""
    return [message async for message in _raw(line)]


async def _raw(line: ClientConnection) -> Any:
    from websockets.exceptions import ConnectionClosed

    while True:
        try:
            yield await line.recv(decode=False)
        except ConnectionClosed:
            return


async def ask(line: ClientConnection, **command: Any) -> Any:
    """Send a command; the first answer that is none of the streams'."""
    await line.send(json.dumps(command))
    while True:
        answer = json.loads(await line.recv())
        if "id" in answer or "error" in answer:
            return answer
