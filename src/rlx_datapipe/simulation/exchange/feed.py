"""The play: timed messages go to whoever subscribed, at their time, and move the books as they go."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, islice

from rlx_datapipe.simulation.exchange.channels import Batches, Channel, Content, Floor, Listing, Route, Timed
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.playhead import Playhead
from rlx_datapipe.simulation.exchange.session import Session
from rlx_datapipe.simulation.exchange.wire import in_microseconds, in_milliseconds

_SLICE = 256
"""Messages played before what they made is written, and others get their turn."""
_SLEEP_MAX_S = 0.5
_IDLE_S = 0.001
_PATIENCE_S = 1.0
_GRACE_PARTS = 5
_MICRO_DIGITS = 16
_EVENT_TIME = re.compile(rb'"E"\s*:\s*(\d+)')


class Feed:
    """Plays the recording, once or again and again.

    Parameters
    ----------
    floor, batches
        What is listed, and where its messages come from.
    options
        Speed and bounds.
    playhead
        Told how far it has come.
    """

    def __init__(self, floor: Floor, batches: Batches, options: ExchangeOptions, playhead: Playhead) -> None:
        self._floor, self._batches, self._options, self._playhead = floor, batches, options, playhead
        self.sessions: set[Session] = set()
        self._batch: list[Timed] = []
        self._next_batch: list[Timed] = []
        self._at = 0
        self._began_s = 0.0
        self._began_ns = 0
        self._graced: set[Listing] = set()
        self._answered = 0

    def forget_routes(self) -> None:
        """Look up anew who gets what: subscriptions have changed."""
        # A copy: the reader may meet a new channel meanwhile.
        for channel in tuple(self._floor.channels.values()):
            channel.routes = None

    def subscribed(self) -> int:
        """Connections that have subscribed to a stream: some clients begin with a path that names none."""
        return sum(any("@" in name for name in session.subscriptions) for session in self.sessions)

    def upcoming(self, listing: Listing, count: int) -> list[bytes]:
        """Depth messages of a symbol that come next, up to a number, as far as has been read ahead."""
        ahead = (*self._batch[self._at :], *self._next_batch)
        depth = (data for _, channel, data in ahead if channel is listing.depth)
        return list(islice(depth, count))

    async def play(self) -> None:
        """Play everything once, from the beginning."""
        for listing in self._floor.listings.values():
            listing.book.clear()
        loop = asyncio.get_running_loop()
        source = self._batches()
        self._playhead.is_running, self._began_s = True, 0.0
        self._next_batch = await loop.run_in_executor(None, _next, source)
        while self._next_batch:
            self._batch, self._at = self._next_batch, 0
            # Reading overlaps with playing; one batch ahead, no more.
            ahead = loop.run_in_executor(None, _next, source)
            self._next_batch = []
            await self._play_batch()
            self._next_batch = await ahead
        self._release()
        self._playhead.is_running = False
        self._playhead.rounds += 1

    async def _play_batch(self) -> None:
        loop, batch, speed = asyncio.get_running_loop(), self._batch, self._options.speed
        times = list(accumulate((time for time, _, _ in batch), max))
        if not self._began_s:
            self._began_s, self._began_ns = loop.time(), times[0]
        while self._at < len(batch):
            stop = min(self._at + _SLICE, len(batch))
            if speed:
                due_ns = self._began_ns + int((loop.time() - self._began_s) * 1e9 * speed)
                stop = min(stop, bisect_right(times, due_ns))
                if stop <= self._at:
                    wait_s = (times[self._at] - due_ns) / 1e9 / speed
                    await asyncio.sleep(min(max(wait_s, _IDLE_S), _SLEEP_MAX_S))
                    continue
            self._play_some(stop)
            self._playhead.time_ns = times[stop - 1]
            for session in tuple(self.sessions):
                session.flush()
            await asyncio.sleep(0)
            if speed:
                await self._cut_off_slow()
            else:
                await self._wait_for_slow()
                await self._wait_for_snapshots()

    def _play_some(self, stop: int) -> None:
        """Play the next messages up to one: each moves its book when it is sent, not before."""
        sent = 0
        for at in range(self._at, stop):
            _, channel, data = self._batch[at]
            # Before it is routed: a request that is answered between two messages must fit between them.
            if channel.content:
                listing = channel.listing
                if channel.content is Content.SNAPSHOT:
                    if listing is not None:
                        listing.book.stated(data)
                    self._playhead.played += 1
                    continue
                if listing is not None and listing.depth is channel:
                    listing.book.sent(data)
            routes = channel.routes if channel.routes is not None else self._routed(channel, data)
            self._playhead.played += 1
            for session, prefix, rescale in routes:
                told = rescale(data) if rescale is not None else data
                if session.faults is not None:
                    session.faults.offer(channel.name, prefix, told)
                else:
                    session.put(prefix, told)
                sent += 1
        self._at = stop
        self._playhead.sent += sent

    def _routed(self, channel: Channel, data: bytes) -> list[Route]:
        """Who gets a channel now, in what envelope, with what done to the times of its messages."""
        is_micro = _is_in_microseconds(data)
        routes: list[Route] = []
        for session in self.sessions:
            address = session.address
            if address.format != channel.rules.format or not address.delivers(channel.name):
                continue
            rescale = None
            if is_micro != address.is_micro and address.format == "binance-spot":
                rescale = in_microseconds if address.is_micro else in_milliseconds
            for wanted in session.subscriptions:
                if self._floor.carries(channel, wanted):
                    prefix = b'{"stream":"%b","data":' % wanted.encode() if session.is_combined else b""
                    routes.append((session, prefix, rescale))
        channel.routes = routes
        return routes

    async def _cut_off_slow(self) -> None:
        """At a speed nobody is waited for, but that a burst may pass: one that stays behind is cut off."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _PATIENCE_S
        while any(session.is_behind for session in self.sessions) and loop.time() < until_s:
            await asyncio.sleep(_IDLE_S)
        for session in [session for session in self.sessions if session.is_behind]:
            session.sever("slow")

    async def _wait_for_slow(self) -> None:
        """At full speed the slowest client sets the pace; one that does not read at all is cut off."""
        until_s = asyncio.get_running_loop().time() + self._options.slow_s
        for session in [session for session in self.sessions if session.holds_up]:
            try:
                async with asyncio.timeout_at(until_s):
                    await session.connection.drain()
            except TimeoutError:
                session.sever("slow")
            except OSError:
                # It has gone while it was waited for.
                continue

    async def _wait_for_snapshots(self) -> None:
        """At full speed, let a snapshot be asked for, and arrive, where it belongs in the stream."""
        grace_s = self._options.grace_s
        for listing in self._floor.listings.values():
            if listing.depth is not None and listing.depth.routes and listing not in self._graced:
                self._graced.add(listing)
                until_s = asyncio.get_running_loop().time() + grace_s
                while not listing.asked and asyncio.get_running_loop().time() < until_s:
                    await asyncio.sleep(_IDLE_S)
        answered = sum(listing.answered for listing in self._floor.listings.values())
        if answered > self._answered:
            self._answered = answered
            await asyncio.sleep(grace_s / _GRACE_PARTS)

    def _release(self) -> None:
        for session in tuple(self.sessions):
            if session.faults is not None:
                session.faults.release()
            session.flush()


def _next(source: Iterator[list[Timed]]) -> list[Timed]:
    """The next batch that has anything; an empty one at the end."""
    return next((batch for batch in source if batch), [])


def _is_in_microseconds(data: bytes) -> bool:
    """Whether the times of a message, if it has any, are in microseconds."""
    match = _EVENT_TIME.search(data)
    return match is not None and len(match[1]) == _MICRO_DIGITS
