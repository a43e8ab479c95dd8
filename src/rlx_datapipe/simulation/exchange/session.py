"""One connected client: its subscriptions, what waits to be written to it, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import Event, State

from rlx_datapipe.simulation.exchange.address import Address
from rlx_datapipe.simulation.exchange.commands import answer
from rlx_datapipe.simulation.exchange.faults import MessageFaults
from rlx_datapipe.simulation.exchange.limits import Window
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.rules import RULES
from rlx_datapipe.simulation.exchange.wire import combined, text_frame

_NO_LIMIT = 1 << 30
_TIMER_S = 0.001


class ExchangeConnection(ServerConnection):
    """A connection that counts what comes in, pings and pongs too, and can be made deaf."""

    is_deaf = False
    heard_frames: Callable[[], None] | None = None

    def process_event(self, event: Event) -> None:
        """As the library does, after counting it."""
        if self.request is not None and self.heard_frames is not None:
            self.heard_frames()
        super().process_event(event)

    def data_received(self, data: bytes) -> None:
        """As the library does; a half-open connection hears nothing."""
        if not self.is_deaf:
            super().data_received(data)


class Session:
    """A client from its handshake to its end.

    Parameters
    ----------
    connection
        Its WebSocket.
    number
        Dense number of the connection, from 1.
    address
        What its path asked for.
    options
        Limits and bounds.
    on_change
        Called when its subscriptions have changed.
    """

    def __init__(
        self,
        connection: ExchangeConnection,
        number: int,
        address: Address,
        options: ExchangeOptions,
        on_change: Callable[[], None],
    ) -> None:
        self.connection, self.number, self.address = connection, number, address
        self._options, self._on_change = options, on_change
        self.rules = RULES[address.format]
        self.streams_max = self.rules.streams_max if options.has_limits else _NO_LIMIT
        self.subscriptions: dict[str, None] = dict.fromkeys(address.streams)
        self.is_combined = address.is_combined
        self.faults: MessageFaults | None = None
        self.reason = ""
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._stalled_until = 0.0
        self._incoming = Window(1.0)
        self._ponged_s = self._loop.time()
        connection.heard_frames = self._count_frame

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent to it."""
        return self.connection.protocol.state is State.OPEN and not self.connection.is_deaf

    @property
    def holds_up(self) -> bool:
        """Whether the exchange should wait for it at full speed: its socket is full, and it hears."""
        return self.connection.paused and self.is_open and not self.connection.transport.is_closing()

    @property
    def is_behind(self) -> bool:
        """Whether more waits to be sent to it than may."""
        return (
            self.is_open and self.connection.transport.get_write_buffer_size() > self._options.slow_bytes_max
        )

    def put(self, prefix: bytes, data: bytes) -> None:
        """Have a message written with the next flush; a ``prefix`` makes it a combined one."""
        frame = text_frame(prefix + data + b"}" if prefix else data)
        self._out.append(frame)
        self._out_bytes += len(frame)

    def say(self, stream: str, data: bytes) -> None:
        """Put a message that is the server's own, in the mode of the connection."""
        frame = text_frame(combined(stream, data) if self.is_combined else data)
        self._out.append(frame)
        self._out_bytes += len(frame)

    def flush(self) -> None:
        """Write what was put, unless the line is stalled."""
        if not self._out:
            return
        transport = self.connection.transport
        if not self.is_open or transport.is_closing():
            self._forget()
            return
        if self._loop.time() >= self._stalled_until:
            transport.write(b"".join(self._out))
            self._forget()
        elif self._out_bytes > self._options.slow_bytes_max:
            self.sever("slow")

    def _forget(self) -> None:
        self._out.clear()
        self._out_bytes = 0

    def stall(self, seconds: float) -> None:
        """Write what was put so far, then nothing for a while."""
        self.flush()
        # A timer may fire a moment early.
        self._stalled_until = self._loop.time() + seconds - _TIMER_S
        self._loop.call_later(seconds, self.flush)

    def hang(self) -> None:
        """Neither write nor hear anything any more, without closing."""
        self.flush()
        self.connection.is_deaf = True

    def sever(self, reason: str = "disconnected") -> None:
        """Cut the connection without a word."""
        self.reason = self.reason or reason
        self._forget()
        self.connection.transport.abort()

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close politely, after what was put; a stall is waited out."""
        self.reason = self.reason or reason
        while self._out and self.is_open and self._loop.time() < self._stalled_until:
            await asyncio.sleep(self._stalled_until - self._loop.time())
        self.flush()
        await self.connection.close(code, reason)

    async def listen(self) -> None:
        """Answer commands until the client is gone."""
        keeper = self._loop.create_task(self._keep_alive())
        try:
            async for message in self.connection:
                reply = answer(message, self)
                # By the same way as messages: an answer stands in the stream where it was given.
                self._out.append(text_frame(reply))
                self.flush()
                self._on_change()
        except ConnectionClosed:
            pass
        finally:
            keeper.cancel()

    def _count_frame(self) -> None:
        now_s = self._loop.time()
        if self._incoming.add(now_s) > self.rules.messages_a_second and self._options.has_limits:
            self.sever("too many messages")

    async def _keep_alive(self) -> None:
        """Ping at the market's pace; a client that does not answer in time is cut off."""
        ping_s = self._options.ping_s or self.rules.ping_s
        pong_s = self._options.pong_s or self.rules.pong_s
        count = 0
        try:
            while True:
                await asyncio.sleep(ping_s)
                if self._loop.time() - self._ponged_s > pong_s:
                    self.sever("no pong")
                    return
                if self.is_open and not self.connection.paused:
                    count += 1
                    pong = await self.connection.ping(f"{self.number}-{count}")
                    asyncio.ensure_future(pong).add_done_callback(self._ponged)
        except ConnectionClosed:
            return

    def _ponged(self, pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._ponged_s = self._loop.time()
