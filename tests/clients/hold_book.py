"""Books held by clients that no one here wrote: each prints its book after every so many updates.

    python hold_book.py CLIENT URL FORMAT SYMBOL EVERY BOOKS

One JSON object a line: the update id, and bids and asks as the client holds them. Run by `test_clients.py` in
an environment that has the clients (dependency group ``clients``); it imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

Levels = list[tuple[str, str]]
Held = tuple[int, Levels, Levels]
API = {"binance-spot": "/api/v3", "binance-usdm": "/fapi/v1", "binance-coinm": "/dapi/v1"}
LEVELS = 1000


async def python_binance(url: str, format: str, symbol: str) -> AsyncIterator[Held]:
    """The depth cache of python-binance: spot only, its futures cache keeps no book."""
    from binance import AsyncClient
    from binance.ws.depthcache import DepthCacheManager
    from binance.ws.streams import BinanceSocketManager

    assert format == "binance-spot"
    AsyncClient.API_URL = url.replace("ws://", "http://") + "/api"
    BinanceSocketManager.STREAM_URL = url + "/"
    client = await AsyncClient.create()
    manager = DepthCacheManager(client, symbol, limit=LEVELS, conv_type=Decimal, ws_interval=100)
    async with manager:
        while True:
            cache = await manager.recv()
            if isinstance(cache, dict):
                return
            yield manager._last_update_id, _texts(cache.get_bids()), _texts(cache.get_asks())


async def ccxt_pro(url: str, format: str, symbol: str) -> AsyncIterator[Held]:
    """The order book of ccxt.pro."""
    import ccxt.pro

    web = url.replace("ws://", "http://")
    kinds = {"binance-spot": "spot", "binance-usdm": "linear", "binance-coinm": "inverse"}
    kind = kinds[format]
    exchange = ccxt.pro.binance(
        {"options": {"fetchMarkets": {"types": [kind]}, "fetchCurrencies": False, "defaultType": kind}}
    )
    exchange.urls["api"] |= {
        "public": f"{web}/api/v3",
        "fapiPublic": f"{web}/fapi/v1",
        "dapiPublic": f"{web}/dapi/v1",
    }
    # Later versions say linear and inverse, earlier ones future and delivery.
    names = ("spot", "linear", "inverse", "future", "delivery")
    exchange.urls["api"]["ws"] |= dict.fromkeys(names, f"{url}/ws")
    try:
        await exchange.load_markets()
        name = next(market["symbol"] for market in exchange.markets.values() if market["id"] == symbol)
        while True:
            book = await exchange.watch_order_book(name, LEVELS)
            yield book["nonce"], _texts(book["bids"]), _texts(book["asks"])
    finally:
        await exchange.close()


async def unicorn(url: str, format: str, symbol: str) -> AsyncIterator[Held]:
    """The cache of unicorn-binance-local-depth-cache, which keeps it in threads of its own."""
    from unicorn_binance_local_depth_cache import BinanceLocalDepthCacheManager
    from unicorn_binance_rest_api import BinanceRestApiManager

    _redirect_requests(url.replace("ws://", "http://"))
    exchange = {"binance-spot": "binance.com", "binance-usdm": "binance.com-futures"}[format]
    requests = BinanceRestApiManager(exchange=exchange, warn_on_update=False, disable_colorama=True)
    manager = BinanceLocalDepthCacheManager(
        exchange=exchange,
        depth_cache_update_interval=100,
        init_interval=0.1,
        ubra_manager=requests,
        warn_on_update=False,
        disable_colorama=True,
    )
    manager.ubwa.websocket_base_uri = f"{url}/"
    manager.create_depthcache(symbol)
    books: queue.SimpleQueue[Held] = queue.SimpleQueue()
    manager.depth_caches[symbol.lower()] = _Watched(manager.depth_caches[symbol.lower()], books)
    until_s = time.monotonic() + 90
    try:
        while time.monotonic() < until_s:
            await asyncio.sleep(0.01)
            while not books.empty():
                yield books.get()
    finally:
        manager.stop_manager()


class _Watched(dict[str, Any]):
    """A cache of UBLDC that tells its book when its id is set: its asks and bids change before, in turn."""

    def __init__(self, cache: dict[str, Any], books: queue.SimpleQueue[Held]) -> None:
        super().__init__(cache)
        self._books = books

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        if name == "last_update_id" and value is not None and self["is_synchronized"]:
            bids, asks = (
                [(str(price), str(quantity)) for price, quantity in self[side].items()]
                for side in ("bids", "asks")
            )
            self._books.put((value, bids, asks))


def _redirect_requests(web: str) -> None:
    """Send every request of the library `requests` to another host: UBRA's addresses can't be overridden.

    They are set by its constructor, which also uses them at once.
    """
    import requests

    send = requests.Session.request

    def redirected(self: Any, method: str, url: str, **given: Any) -> Any:
        path = "/" + url.split("//", 1)[1].partition("/")[2]
        return send(self, method, web + path, **given)

    requests.Session.request = redirected


async def cryptofeed(url: str, format: str, symbol: str) -> AsyncIterator[Held]:
    """The level-2 book of cryptofeed."""
    import cryptofeed.connection
    from cryptofeed import FeedHandler
    from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
    from cryptofeed.defines import L2_BOOK
    from cryptofeed.exchanges import Binance, BinanceDelivery, BinanceFutures

    kind = {"binance-spot": Binance, "binance-usdm": BinanceFutures, "binance-coinm": BinanceDelivery}[format]
    # It refuses an address that is not wss, so its connect is told the other scheme.
    secure_connect = cryptofeed.connection.connect
    cryptofeed.connection.connect = lambda address, **given: secure_connect(
        address.replace("wss://", "ws://"), **given
    )
    secure = url.replace("ws://", "wss://")
    kind.websocket_endpoints = [WebsocketEndpoint(secure, options={"compression": None})]
    api = API[format]
    routes = Routes(f"{api}/exchangeInfo", l2book=f"{api}/depth?symbol={{}}&limit={{}}")
    kind.rest_endpoints = [RestEndpoint(url.replace("ws://", "http://"), routes=routes)]
    books: asyncio.Queue[Held] = asyncio.Queue()

    async def on_book(book: Any, _: float) -> None:
        bids, asks = book.book.bids.to_dict(), book.book.asks.to_dict()
        await books.put((book.sequence_number, _texts(bids.items()), _texts(asks.items())))

    name = next(name for name, told in kind.symbol_mapping().items() if told == symbol)
    handler = FeedHandler()
    handler.add_feed(kind(symbols=[name], channels=[L2_BOOK], callbacks={L2_BOOK: on_book}))
    handler.run(start_loop=False, install_signal_handlers=False)
    while True:
        yield await books.get()


def _texts(levels: Any) -> Levels:
    """Levels with quantity as texts; a float as the shortest text that is that float."""
    return [(str(level[0]), str(level[1])) for level in levels if Decimal(str(level[1]))]


CLIENTS = {
    "python-binance": python_binance,
    "ccxt": ccxt_pro,
    "unicorn-binance-local-depth-cache": unicorn,
    "cryptofeed": cryptofeed,
}


async def main(name: str, url: str, format: str, symbol: str, every: int, books: int) -> None:
    """Print the client's book after every so many updates until there are so many books."""
    count = printed = 0
    async for update_id, bids, asks in CLIENTS[name](url, format, symbol):
        count += 1
        if count % every == 0:
            told = {"u": update_id, "b": bids, "a": asks}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            printed += 1
        if printed >= books:
            break


if __name__ == "__main__":
    client, url, format, symbol, every, books = sys.argv[1:]
    asyncio.run(main(client, url, format, symbol, int(every), int(books)))
