"""An exchange on this machine, in a thread of its own, that never stops trading."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.capture.socket_exchange import SocketExchange, message, socket_exchange

STREAMS = ("btcusdt@trade", "btcusdt@depth@100ms", "btcusdt@bookTicker")


class Trading:
    """Sends one message of each stream in turn, numbered from 1, to whoever listens."""

    def __init__(self) -> None:
        self.exchange: SocketExchange | None = None
        self.number = 0
        self.is_ready = threading.Event()
        self.is_over = threading.Event()

    async def trade(self) -> None:
        async with socket_exchange() as self.exchange:
            self.exchange.rest = [(200, {}, b'{"lastUpdateId":1000000,"bids":[],"asks":[]}')] * 1_000
            self.is_ready.set()
            while not self.is_over.is_set():
                self.number += 1
                for stream in STREAMS:
                    payload = message(stream, self.number)
                    for connection in list(self.exchange.connections):
                        # A connection that is being closed is none of our business.
                        connection.protocol.send_text(payload) if connection.state == 1 else None
                        connection.send_data()
                await asyncio.sleep(0.002)

    @property
    def listeners(self) -> int:
        """Connections that stand."""
        return len(self.exchange.connections) if self.exchange else 0

    @property
    def addresses(self) -> list[str]:
        """Options that lead a capture here."""
        assert self.exchange is not None
        return ["--ws-url", self.exchange.ws_url, "--rest-url", self.exchange.rest_url, "--ntp-server", ""]


@contextmanager
def trading() -> Iterator[Trading]:
    """Trade while the block runs."""
    market = Trading()
    thread = threading.Thread(target=lambda: asyncio.run(market.trade()))
    thread.start()
    try:
        assert market.is_ready.wait(10)
        yield market
    finally:
        market.is_over.set()
        thread.join(10)
