"""The exchange: one port for streams and requests, a play behind it, connections that come and go."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from types import TracebackType
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.simulation.exchange.address import Address, read_address
from rlx_datapipe.simulation.exchange.channels import Batches, Floor
from rlx_datapipe.simulation.exchange.fault_plan import AfterTime, FaultPlan
from rlx_datapipe.simulation.exchange.faults import MessageFaults
from rlx_datapipe.simulation.exchange.feed import Feed
from rlx_datapipe.simulation.exchange.limits import Windows
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.playhead import Playhead
from rlx_datapipe.simulation.exchange.rest import Rest
from rlx_datapipe.simulation.exchange.rules import CONNECTS_WINDOW_S, RULES
from rlx_datapipe.simulation.exchange.session import ExchangeConnection, Session
from rlx_datapipe.simulation.exchange.truth import Truth

_INCOMING_BYTES_MAX = 1 << 16
_WRITE_BUFFER_BYTES = 1 << 20
_CLOSE_S = 2.0
_LOOK_S = 0.05
_TURN_S = 0.001
_SHUTDOWN_GRACE_S = 10.0
# Whoever embeds an exchange decides what is heard of its connections; nothing by default.
_LOGGER = logging.getLogger("rlx_datapipe.exchange")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False


class Exchange:
    """An exchange that plays messages, as an asynchronous context.

    Parameters
    ----------
    floor
        What is listed; each listing brings the book behind its snapshots.
    batches
        Begins what is played: a recording, a dataset, or a simulated market.
    options, plan, truth
        Clock and limits; faults, and where they are told.
    host, port
        Where it listens; port 0 takes any free one, see `port`.

    Raises
    ------
    OptionError
        On entering, when it can't listen there.
    """

    def __init__(
        self,
        floor: Floor,
        batches: Batches,
        options: ExchangeOptions | None = None,
        *,
        plan: FaultPlan | None = None,
        truth: Truth | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.floor, self.options = floor, options or ExchangeOptions()
        self.plan, self.truth = plan or FaultPlan(), truth or Truth()
        self.host, self.port = host, port
        self.playhead = Playhead()
        self.feed = Feed(floor, batches, self.options, self.playhead)
        self.endings: Counter[str] = Counter()
        self.connects = 0
        self._rest = Rest(floor, self.playhead, self.feed.upcoming, self.options, self.plan, self.truth)
        self._connects = Windows(CONNECTS_WINDOW_S)
        self._formats = floor.formats()

    @property
    def url(self) -> str:
        """Where it listens, for WebSocket clients; requests go to the same by ``http``."""
        return f"ws://{self.host}:{self.port}"

    async def __aenter__(self) -> Exchange:
        self._changed = asyncio.Event()
        try:
            self._server: Server = await serve(
                self._handle,
                self.host,
                self.port,
                process_request=self._requested,
                create_connection=ExchangeConnection,
                compression=None,
                ping_interval=None,
                open_timeout=None,
                close_timeout=_CLOSE_S,
                max_size=_INCOMING_BYTES_MAX,
                write_limit=_WRITE_BUFFER_BYTES,
                logger=_LOGGER,
            )
        except OSError as error:
            where = f"{self.host}:{self.port}"
            raise OptionError(f"can't listen ({error.strerror or error})", found=where) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._player = asyncio.create_task(self._play())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._player.cancel()
        await asyncio.wait([self._player])
        await self._close()
        self.truth.close()

    async def ended(self) -> None:
        """Wait until everything has been played once; a fault of the source is raised here."""
        if self.options.at_end == "loop":
            while not self.playhead.rounds and not self._player.done():
                await asyncio.wait([self._player], timeout=_LOOK_S)
            return
        await asyncio.shield(self._player)

    async def finished(self) -> None:
        """Wait until it serves no more: for ever, unless it closes at the end or is closed."""
        await asyncio.shield(self._player)
        await self._server.wait_closed()

    def summary(self) -> dict[str, Any]:
        """What it has done so far, for JSON."""
        return {
            "messages_played": self.playhead.played,
            "messages_sent": self.playhead.sent,
            "rounds": self.playhead.rounds,
            "connections": self.connects,
            "endings": dict(sorted(self.endings.items())),
            "faults": dict(sorted(self.truth.counts.items())),
        }

    async def _play(self) -> None:
        while True:
            await self._until_wanted()
            await self.feed.play()
            if self.options.at_end != "loop":
                break
            # Ids begin again: nobody's book may outlive that.
            await self._close_all(CloseCode.SERVICE_RESTART, "the recording begins anew")
        self.playhead.is_ended = True
        if self.options.at_end == "close":
            await self._close_all(CloseCode.GOING_AWAY, "end of the recording")
            self._server.close()

    async def _until_wanted(self) -> None:
        """Wait for those with whom time begins."""
        while self.options.start == "subscribed" and self.feed.subscribed() < self.options.wait_for:
            self._changed.clear()
            await self._changed.wait()

    async def _close_all(self, code: CloseCode, reason: str) -> None:
        sessions = tuple(self.feed.sessions)
        await asyncio.gather(*(session.close(code, reason) for session in sessions if session.is_open))
        for session in sessions:
            if not session.is_open:
                session.sever("end")
        # Not for those who have come back meanwhile.
        while not self.feed.sessions.isdisjoint(sessions):
            await asyncio.sleep(_TURN_S)

    async def _close(self) -> None:
        for session in tuple(self.feed.sessions):
            if not session.is_open:
                session.sever("end")
        self._server.close()
        await self._server.wait_closed()

    async def _requested(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a REST request, or let a WebSocket in."""
        place = connection.remote_address
        client = place[0] if place else ""
        if self._rest.concerns(request.path):
            return await self._rest.answer(request.path, client)
        address = read_address(request.path, self._formats)
        if address is None:
            return connection.respond(404, "no such address on this replay\n")
        now_s = asyncio.get_running_loop().time()
        window, most = self._connects.of(client), RULES[address.format].connects_max
        if window.add(now_s) > most and self.options.has_limits:
            response = connection.respond(429, "too many connections\n")
            response.headers["Retry-After"] = str(int(window.free_after_s(now_s)) + 1)
            return response
        return None

    async def _handle(self, given: ServerConnection) -> None:
        """One client, from its handshake to its end."""
        connection = cast(ExchangeConnection, given)
        assert connection.request is not None  # noqa: S101 (for the type checker: it has shaken hands)
        address: Address | None = read_address(connection.request.path, self._formats)
        assert address is not None  # noqa: S101 (others were not let in)
        self.connects += 1
        session = Session(connection, self.connects, address, self.options, self._subscriptions_changed)
        if self.plan.befalls_messages:
            session.faults = MessageFaults(
                session, self.plan, session.number, self.truth, lambda: self.playhead.played
            )
        self.feed.sessions.add(session)
        self._subscriptions_changed()
        fates = [
            asyncio.create_task(self._befall(session, name, fate))
            for name, fate in (("cut", self.plan.cut), ("shutdown", self.plan.shutdown))
            if fate is not None
        ]
        try:
            await session.listen()
        finally:
            for fate in fates:
                fate.cancel()
            self.feed.sessions.discard(session)
            self._subscriptions_changed()
            self.endings[session.reason or "by the client"] += 1

    def _subscriptions_changed(self) -> None:
        self.feed.forget_routes()
        self._changed.set()

    async def _befall(self, session: Session, name: str, fate: AfterTime) -> None:
        """End a connection at its age, announced where the plan says so."""
        warn_s = fate.warn_s or (_SHUTDOWN_GRACE_S if name == "shutdown" else 0.0)
        is_told = name == "shutdown" or warn_s > 0
        await asyncio.sleep(fate.after_s if name == "shutdown" else max(0.0, fate.after_s - warn_s))
        if is_told:
            self.truth.tell("shutdown", connection=session.number, position=self.playhead.played)
            event = b'{"e":"serverShutdown","E":%d}' % self.playhead.time_ms
            session.say("!serverShutdown", event)
            session.flush()
            await asyncio.sleep(warn_s)
        self.truth.tell("cut", connection=session.number, position=self.playhead.played)
        try:
            await session.close(CloseCode.GOING_AWAY, "")
        except ConnectionClosed:
            return
