"""One websocket connection: opened with bounds on everything, received from, aborted or closed."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.core.errors import OptionError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

Take = Callable[[bytes], None]

_LOG = logging.getLogger("rlx_datapipe.capture.connection")
_REASON_CHARACTERS = 200


def require_network() -> None:
    """See that what reaches the venue is installed.

    Raises
    ------
    OptionError
        When it is not; the sentence has the command that installs it.
    """
    try:
        import httpx  # noqa: F401
        import ntplib  # noqa: F401
        import websockets  # noqa: F401
    except ModuleNotFoundError as error:
        raise OptionError(
            "live capture needs the extra 'capture'",
            remedy="Run: pip install 'rlx-datapipe[capture]' (or: uv run --extra capture rlx ...)",
        ) from error


class RefusedError(Exception):
    """Raised when no connection comes about; ``wait_s`` is how long the venue asks us to wait."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.wait_s = reason[:_REASON_CHARACTERS], wait_s


class Wire(Protocol):
    """A connection that stands."""

    async def receive(self, take: Take) -> str:
        """Call ``take`` with each message as it comes, until the connection ends; the reason of that."""

    async def subscribe(self, streams: Sequence[str]) -> None:
        """Ask for streams, also such as are subscribed to already."""

    async def answers(self, timeout_s: float) -> bool:
        """Whether the other end answers a ping in time."""

    def abort(self) -> None:
        """Let go at once, without a word: the other end may be gone."""

    async def close(self) -> None:
        """Close politely, for a bounded time, then let go."""


class Dial(Protocol):
    """Opens connections."""

    async def __call__(self, url: str) -> Wire:
        """Open one.

        Raises
        ------
        RefusedError
            When none comes about.
        """


class WebSocketDial:
    """Opens real connections.

    Nothing is compressed unless asked, certificates are always verified, and no wait or buffer is unbounded.

    Parameters
    ----------
    settings
        Bounds and waits.
    """

    def __init__(self, settings: CaptureSettings) -> None:
        self._settings = settings

    async def __call__(self, url: str) -> Wire:
        """Open one."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidStatus, WebSocketException

        settings = self._settings
        try:
            connection = await connect(
                url,
                compression="deflate" if settings.compression else None,
                open_timeout=settings.open_s,
                close_timeout=settings.close_s,
                # We watch messages, and ping when there are none.
                ping_interval=None,
                max_size=settings.message_bytes_max,
                max_queue=settings.queue_messages,
                logger=_LOG,
            )
        except InvalidStatus as error:
            response = error.response
            raise RefusedError(
                f"HTTP {response.status_code}", retry_after_s(response.headers.get("Retry-After"))
            ) from error
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            raise RefusedError(_why(error, url)) from error
        return WebSocketWire(connection, settings)


def _why(error: Exception, url: str) -> str:
    """What stood against a connection; where it broke off at the TLS handshake, what may be the cause."""
    name, told = type(error).__name__, str(error)
    is_broken_off = isinstance(error, (ConnectionResetError, ssl.SSLError, EOFError))
    if url.startswith("wss:") and is_broken_off and "CERTIFICATE" not in told:
        hint = "if the port speaks no TLS, write ws:// instead of wss://"
        return f"{name} at the TLS handshake ({hint})"
    return f"{name}: {told}" if told else name


class WebSocketWire:
    """A websocket connection that stands.

    Parameters
    ----------
    connection
        As `websockets` gives it.
    settings
        Waits.
    """

    def __init__(self, connection: ClientConnection, settings: CaptureSettings) -> None:
        self._connection, self._settings = connection, settings
        self._asked = 0

    async def receive(self, take: Take) -> str:
        """Call ``take`` with each message until the connection ends."""
        from websockets.exceptions import ConnectionClosed

        recv = self._connection.recv
        try:
            while True:
                take(await recv(decode=False))
        except ConnectionClosed as error:
            return f"{error}"[:_REASON_CHARACTERS]

    async def subscribe(self, streams: Sequence[str]) -> None:
        """Ask for streams."""
        from websockets.exceptions import ConnectionClosed

        self._asked += 1
        request = {"method": "SUBSCRIBE", "params": list(streams), "id": self._asked}
        try:
            async with asyncio.timeout(self._settings.close_s):
                await self._connection.send(json.dumps(request, separators=(",", ":")))
        except (ConnectionClosed, TimeoutError):
            # That it has ended is told where it is received from.
            return

    async def answers(self, timeout_s: float) -> bool:
        """Whether the other end answers a ping in time."""
        from websockets.exceptions import ConnectionClosed

        try:
            async with asyncio.timeout(timeout_s):
                await (await self._connection.ping())
        except (ConnectionClosed, TimeoutError):
            return False
        return True

    def abort(self) -> None:
        """Let go at once."""
        self._connection.transport.abort()

    async def close(self) -> None:
        """Close politely, for a bounded time."""
        try:
            async with asyncio.timeout(2 * self._settings.close_s):
                await self._connection.close()
        except TimeoutError:
            self.abort()


def retry_after_s(header: str | None) -> float:
    """Seconds that a ``Retry-After`` header asks for; 0 if it is not there or no number of seconds."""
    if header is None or not header.strip().isdecimal():
        return 0.0
    return float(min(int(header), 7 * 24 * 3600))
