"""A seeded exchange without sockets, with every fault that a connection may show, and its own truth."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.capture.virtual import VirtualClock

from rlx_datapipe.capture.connection import RefusedError, Take
from rlx_datapipe.capture.rest import Answer, UnansweredError


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong: shares of messages, and mean seconds between the others; 0 is never."""

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    late: float = 0.0
    corrupt: float = 0.0
    disconnect_s: float = 0.0
    stall_s: float = 0.0
    mute_s: float = 0.0
    refuse: float = 0.0
    age_s: float = 0.0
    announces: bool = False
    rest_429: float = 0.0
    rest_fails: float = 0.0
    stale: float = 0.0


class Sent(NamedTuple):
    """A message of the market as it is."""

    stream: str
    first: int
    last: int
    payload: bytes


@dataclass(eq=False)
class SimWire:
    """One connection: delivers in order after its own delay, until something happens to it."""

    exchange: Exchange
    streams: frozenset[str]
    delay_s: float
    queue: deque[bytes] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ended: str = ""
    is_started: bool = False
    is_stalled: bool = False
    is_deaf: bool = False
    is_held_up: bool = False
    muted: set[str] = field(default_factory=set)
    kept_back: bytes | None = None
    delivered: int = 0

    async def receive(self, take: Take) -> str:
        while True:
            while self.queue and not self.is_held_up:
                self.exchange.received.add(self.queue[0])
                take(self.queue.popleft())
            if self.ended:
                return self.ended
            self.wake.clear()
            await self.wake.wait()

    async def subscribe(self, streams: Sequence[str]) -> None:
        self.exchange.log["subscribe"] += 1
        if self.is_deaf:
            return
        self.streams |= set(streams)
        self.muted -= set(streams)
        self.arrive(b'{"result":null,"id":1}')

    async def answers(self, timeout_s: float) -> bool:
        if self.is_stalled or self.ended:
            await asyncio.sleep(timeout_s)
            return False
        await asyncio.sleep(2 * self.delay_s)
        return not self.is_stalled

    def abort(self) -> None:
        self.end("aborted")

    async def close(self) -> None:
        await asyncio.sleep(self.delay_s)
        self.end("closed")

    def end(self, reason: str) -> None:
        if not self.ended:
            self.ended = reason
            self.exchange.wires.discard(self)
            self.wake.set()

    def send(self, sent: Sent) -> None:
        """Send one message of the market on its way, with what may happen to it."""
        if sent.stream not in self.streams or sent.stream in self.muted or not self.is_started:
            return
        if self.is_stalled or self.ended:
            return
        dice, faults = self.exchange.dice, self.exchange.faults
        if dice.random() < faults.drop:
            self.exchange.log["drop"] += 1
            return
        payloads = [sent.payload]
        if dice.random() < faults.duplicate:
            payloads.append(sent.payload)
            self.exchange.log["duplicate"] += 1
        if dice.random() < faults.corrupt:
            self.exchange.log["corrupt"] += 1
            at = dice.randrange(len(sent.payload))
            payloads[0] = sent.payload[:at] + bytes([sent.payload[at] ^ 0x80]) + sent.payload[at + 1 :]
        if self.kept_back is not None:
            payloads.append(self.kept_back)
            self.kept_back = None
        elif dice.random() < faults.reorder:
            self.exchange.log["reorder"] += 1
            self.kept_back = payloads.pop()
        for payload in payloads:
            if dice.random() < faults.late:
                self.exchange.log["late"] += 1
                asyncio.get_running_loop().call_later(2.0, self._put, payload)
            else:
                self.arrive(payload)

    def start(self) -> None:
        """Let its streams begin."""
        self.is_started = True

    def hold_up(self, seconds: float) -> None:
        """Let nothing through for a while, then everything; pings are answered all the same."""
        self.is_held_up = True
        asyncio.get_running_loop().call_later(seconds, self._let_through)

    def _let_through(self) -> None:
        self.is_held_up = False
        self.wake.set()

    def arrive(self, payload: bytes) -> None:
        asyncio.get_running_loop().call_later(self.delay_s, self._put, payload)

    def _put(self, payload: bytes) -> None:
        if not self.ended and not self.is_stalled:
            self.delivered += 1
            self.queue.append(payload)
            self.wake.set()


class Exchange:
    """A market of some symbols, with a truth of all that it ever sent.

    Parameters
    ----------
    clock
        Virtual clocks of the loop.
    seed
        Decides everything.
    is_futures
        Whether depth updates are linked by ``pu``, with ids left out between them.
    streams
        Names of all streams.
    rate
        Messages a second, over all streams.
    """

    def __init__(
        self,
        clock: VirtualClock,
        seed: int,
        *,
        is_futures: bool,
        streams: Sequence[str],
        faults: Faults,
        rate: float = 50.0,
    ) -> None:
        self.clock, self.dice, self.faults, self.rate = clock, random.Random(seed), faults, rate
        self.is_futures, self.streams = is_futures, tuple(streams)
        self.truth: list[Sent] = []
        self.wires: set[SimWire] = set()
        self.received: set[bytes] = set()
        self.log: Counter[str] = Counter()
        self.is_halted: set[str] = set()
        self.dialled_ns: list[int] = []
        self.banned_until_ns = 0
        self.asked_while_banned = 0
        self._ids = {stream: self.dice.randrange(1_000, 1_000_000) for stream in self.streams}
        self._updates = {stream.partition("@")[0]: 1_000_000 for stream in self.streams}

    async def live(self) -> None:
        """Trade for ever."""
        while True:
            await asyncio.sleep(self.dice.expovariate(self.rate))
            open_streams = [stream for stream in self.streams if stream not in self.is_halted]
            if not open_streams:
                continue
            sent = self._next(self.dice.choice(open_streams))
            self.truth.append(sent)
            for wire in sorted(self.wires, key=lambda wire: wire.delay_s):
                wire.send(sent)

    def _next(self, stream: str) -> Sent:
        symbol, _, kind = stream.partition("@")
        ms, name, dice = self.clock.wall_ns() // 1_000_000, symbol.upper(), self.dice
        if kind.startswith("depth"):
            previous = self._updates[symbol]
            first = previous + 1 + (dice.randrange(5) if self.is_futures else 0)
            last = first + dice.randrange(4)
            self._updates[symbol] = last
            link = f',"pu":{previous}' if self.is_futures else ""
            data = f'"e":"depthUpdate","E":{ms},"s":"{name}","U":{first},"u":{last}{link},"b":[],"a":[]'
            covered = previous + 1
        elif kind == "bookTicker":
            self._updates[symbol] += 0
            self._ids[stream] += 1 + dice.randrange(3)
            covered = last = self._ids[stream]
            data = f'"u":{last},"s":"{name}","b":"1","B":"1","a":"2","A":"1"'
        else:
            self._ids[stream] += 1
            covered = last = self._ids[stream]
            letter = "t" if kind == "trade" else "a"
            data = f'"e":"{kind}","E":{ms},"s":"{name}","{letter}":{last},"p":"1","q":"1"'
        return Sent(stream, covered, last, f'{{"stream":"{stream}","data":{{{data}}}}}'.encode())

    async def dial(self, url: str) -> SimWire:
        """Open a connection, or refuse to."""
        self.dialled_ns.append(self.clock.monotonic_ns())
        await asyncio.sleep(self.dice.uniform(0.01, 0.3))
        if self.dice.random() < self.faults.refuse:
            raise RefusedError("HTTP 503")
        names = parse_qs(urlsplit(url).query)["streams"][0].split("/")
        wire = SimWire(self, frozenset(names), self.dice.uniform(0.001, 0.08))
        self.wires.add(wire)
        loop, faults = asyncio.get_running_loop(), self.faults
        # A connection stands before its streams begin.
        loop.call_later(self.dice.uniform(0.0, 0.5), wire.start)
        if faults.disconnect_s:
            loop.call_later(self.dice.expovariate(1 / faults.disconnect_s), wire.end, "reset by peer")
        if faults.stall_s:
            loop.call_later(self.dice.expovariate(1 / faults.stall_s), self._stall, wire)
        if faults.mute_s:
            loop.call_later(self.dice.expovariate(1 / faults.mute_s), self._mute, wire)
        if faults.age_s:
            loop.call_later(faults.age_s, wire.end, "24 hours")
            if faults.announces:
                shutdown = b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}'
                loop.call_later(faults.age_s / 2, wire.arrive, shutdown)
        return wire

    def stall_all(self) -> None:
        """Let nothing more come from any connection, nor an answer to a ping."""
        for wire in self.wires:
            wire.is_stalled = True

    def hold_up_all(self, seconds: float) -> None:
        """Let nothing through on any connection for a while, then everything."""
        for wire in self.wires:
            wire.hold_up(seconds)

    def slow_down_all(self, delay_s: float) -> None:
        """Let all connections that stand come so much later from now on."""
        for wire in self.wires:
            wire.delay_s = delay_s

    def mute_all(self, stream: str, is_deaf: bool = False) -> None:
        """Lose the subscription of every connection to a stream, and hear no request for it if deaf."""
        for wire in self.wires:
            wire.muted.add(stream)
            wire.is_deaf = is_deaf

    def _stall(self, wire: SimWire) -> None:
        self.log["stall"] += not wire.ended
        wire.is_stalled = True

    def _mute(self, wire: SimWire) -> None:
        self.log["mute"] += not wire.ended
        wire.muted.add(self.dice.choice(sorted(wire.streams)))

    async def fetch(self, url: str) -> Answer:
        """Answer a depth request, or refuse to."""
        if self.clock.monotonic_ns() < self.banned_until_ns:
            self.asked_while_banned += 1
        await asyncio.sleep(self.dice.uniform(0.02, 0.4))
        chance = self.dice.random()
        headers = {"x-mbx-used-weight-1m": "250"}
        if chance < self.faults.rest_429:
            status, wait_s = self.dice.choice([(429, 7), (418, 30)])
            self.log[f"http {status}"] += 1
            self.banned_until_ns = self.clock.monotonic_ns() + wait_s * 1_000_000_000
            headers["retry-after"] = str(wait_s)
            return Answer(status, headers, b"{}", self.clock.wall_ns(), self.clock.monotonic_ns())
        if chance < self.faults.rest_429 + self.faults.rest_fails:
            raise UnansweredError("timed out")
        symbol = parse_qs(urlsplit(url).query)["symbol"][0].lower()
        last = self._updates[symbol]
        if self.dice.random() < self.faults.stale:
            self.log["stale"] += 1
            last = max(1, last - 100_000)
        body = f'{{"lastUpdateId":{last},"bids":[["1","1"]],"asks":[["2","1"]]}}'.encode()
        return Answer(200, headers, body, self.clock.wall_ns(), self.clock.monotonic_ns())
