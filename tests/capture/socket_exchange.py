"""A small scripted exchange over real sockets: it sends what it is told to, and misbehaves on command."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.http11 import Request, Response


def message(stream: str, number: int, time_ms: int = 1_760_000_000_000) -> bytes:
    """A trade or an update of a stream, by its number."""
    symbol, _, kind = stream.partition("@")
    name = symbol.upper()
    if kind.startswith("depth"):
        data = f'"e":"depthUpdate","E":{time_ms},"s":"{name}","U":{number},"u":{number},"b":[],"a":[]'
    elif kind == "bookTicker":
        data = f'"u":{number},"s":"{name}","b":"1","B":"1","a":"2","A":"1"'
    else:
        letter = "t" if kind == "trade" else "a"
        data = f'"e":"{kind}","E":{time_ms},"s":"{name}","{letter}":{number},"p":"1","q":"1"'
    return f'{{"stream":"{stream}","data":{{{data}}}}}'.encode()


class SocketExchange:
    """Connections that stand, the paths they asked for, and what is answered by REST."""

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []
        self.paths: list[str] = []
        self.received: list[dict[str, Any]] = []
        self.rest: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[str] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.server: Server | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self.server is not None
        return int(next(iter(self.server.sockets)).getsockname()[1])

    @property
    def ws_url(self) -> str:
        """Scheme and host of the streams."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def rest_url(self) -> str:
        """Scheme and host of REST."""
        return f"http://127.0.0.1:{self.port}"

    async def send(self, payloads: Iterable[bytes], *, only: ServerConnection | None = None) -> None:
        """Send text messages to every connection, or to one."""
        for payload in payloads:
            for connection in [only] if only else list(self.connections):
                with suppress(ConnectionClosed):
                    await connection.send(payload, text=True)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """A plain request gets the next scripted answer; others become connections unless refused."""
        if "depth" in urlsplit(request.path).path:
            self.asked.append(request.path)
            status, headers, body = self.rest.pop(0) if self.rest else (500, {}, b"")
            told = Headers({"Content-Length": str(len(body)), "Connection": "close", **headers})
            return Response(status, HTTPStatus(status).phrase, told, body)
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return Response(
                status, "", Headers({"Content-Length": "0", "Connection": "close", **headers}), b""
            )
        return None

    async def serve(self, connection: ServerConnection) -> None:
        """Hold one connection."""
        assert connection.request is not None
        self.paths.append(connection.request.path)
        self.connections.append(connection)
        try:
            async for text in connection:
                request = json.loads(text)
                self.received.append(request)
                await connection.send(json.dumps({"result": None, "id": request["id"]}))
        except ConnectionClosedError:
            # As a killed client leaves it.
            pass
        finally:
            self.connections.remove(connection)

    def streams(self) -> list[str]:
        """Streams that the last connection asked for in its address."""
        return parse_qs(urlsplit(self.paths[-1]).query)["streams"][0].split("/")


@asynccontextmanager
async def socket_exchange(
    tls: ssl.SSLContext | None = None, *, is_compressing: bool = False
) -> AsyncIterator[SocketExchange]:
    """An exchange on a free port of this machine."""
    exchange = SocketExchange()
    async with serve(
        exchange.serve,
        "127.0.0.1",
        0,
        ssl=tls,
        process_request=exchange.answer,
        compression="deflate" if is_compressing else None,
    ) as server:
        exchange.server = server
        yield exchange


async def until(is_so: object, timeout_s: float = 10.0) -> None:
    """Wait until a condition holds."""
    assert callable(is_so)
    async with asyncio.timeout(timeout_s):
        while not is_so():
            await asyncio.sleep(0.01)
