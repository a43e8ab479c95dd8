"""A proxy that stands before a store and does to its answers what networks do; it counts what it sends."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

Fault = Literal["busy", "reset", "truncated", "short", "delayed", "flipped", "skewed"]

_BUSY = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"
)
_SKEWED = b"<?xml version='1.0'?><Error><Code>RequestTimeTooSkewed</Code><Message>x</Message></Error>"
_STEP = 16 * 1024
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d+)", re.IGNORECASE)
_TAG = re.compile(
    rb"((?:etag: |<ETag>)(?:\"|&quot;|&#34;)?)([0-9a-f]{32})((?:\"|&quot;|&#34;)?)", re.IGNORECASE
)
_IF_MATCH = re.compile(rb"(if-match: \")([0-9a-f]{32})(\")", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """One answer to a GET of a range: which bytes were asked for, how many were sent, what befell it."""

    path: str
    start: int
    end: int
    sent: int
    fault: str


@dataclass
class FaultProxy:
    """What befalls answers, and what was sent.

    Attributes
    ----------
    chances
        Fault -> its chance, at each GET of a range below ``within``.
    script
        Faults of the first GETs of ranges, before chance decides; "" for none.
    own_tags
        Whether tags are those of a store that encrypts: they look like MD5s, and are none.
    on_sent
        Called with the bytes of bodies sent so far, after each step of at most 16 KiB.
    """

    upstream: tuple[str, int]
    seed: int = 1
    chances: dict[Fault, float] = field(default_factory=dict)
    script: list[Fault | Literal[""]] = field(default_factory=list)
    within: str = ".parquet"
    own_tags: bool = False
    on_sent: Callable[[int], None] = lambda _: None
    answers: list[Answer] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._active = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def faults(self) -> dict[str, int]:
        """How often each fault befell an answer."""
        kinds = [answer.fault for answer in self.answers if answer.fault]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def settle(self) -> None:
        """Wait until no answer is on its way: those of a client that died are only then entered."""
        deadline = time.monotonic() + 20
        while self._active:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self._active += 1
                try:
                    if not await self._answer(head, writer):
                        break
                finally:
                    self._active -= 1
        with suppress(ConnectionError, RuntimeError):
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stands."""
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        path = unquote(target.partition("?")[0])
        self.heads.append(head.decode("latin-1"))
        match = _RANGE.search(head)
        start, end = (int(match[1]), int(match[2]) + 1) if match else (0, 0)
        is_ours = method == "GET" and match is not None and self.within in path
        fault = self._fault() if is_ours else ""
        if fault in ("busy", "skewed"):
            body, status = (_BUSY, b"503 Slow Down") if fault == "busy" else (_SKEWED, b"403 Forbidden")
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
            await writer.drain()
            self.answers.append(Answer(path, start, end, 0, fault))
            return True
        if fault == "delayed":
            await asyncio.sleep(0.2)
        up_reader, up_writer = await asyncio.open_connection(*self.upstream)
        try:
            if self.own_tags:
                head = _IF_MATCH.sub(lambda found: found[1] + found[2][::-1] + found[3], head)
            up_writer.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            answer = await up_reader.readuntil(b"\r\n\r\n")
            length = int(found[1]) if (found := _LENGTH.search(answer)) else None
            answer = re.sub(rb"\r\nconnection: close", b"", answer, flags=re.IGNORECASE)
            if self.own_tags:
                answer = _TAG.sub(lambda found: found[1] + found[2][::-1] + found[3], answer)
            sent, stands = 0, True
            try:
                if method == "HEAD" or length is None:
                    writer.write(answer)
                    if length is None and method != "HEAD":
                        writer.write(await up_reader.read())
                        stands = False
                    await writer.drain()
                else:
                    has_bytes = answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 206", b"HTTP/1.0 20"))
                    fault = fault if has_bytes else ""
                    async for step in self._body(up_reader, writer, answer, length, fault):
                        sent += step
                        if is_ours and has_bytes:
                            self.sent_bytes += step
                            self.on_sent(self.sent_bytes)
                    stands = fault not in ("reset", "truncated")
            finally:
                if is_ours:
                    self.answers.append(Answer(path, start, end, sent if is_ours else 0, fault))
        finally:
            up_writer.close()
        if not stands and fault == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        return stands

    async def _body(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: bytes,
        length: int,
        fault: str,
    ) -> AsyncIterator[int]:
        """Send head and body; gives the bytes of each step."""
        ends = self._dice.randrange(length) if fault in ("reset", "truncated", "short") and length else length
        if fault == "short":
            head = _LENGTH.sub(b"\r\nContent-Length: %d" % ends, head)
        flips = self._dice.randrange(length) if fault == "flipped" and length > 1_000 else -1
        writer.write(head)
        at = 0
        while at < ends:
            step = await reader.read(min(_STEP, ends - at))
            if not step:
                raise ConnectionResetError
            if at <= flips < at + len(step):
                changed = bytearray(step)
                changed[flips - at] ^= 1
                step = bytes(changed)
            if self.own_tags and b"<ETag>" in step:
                step = _TAG.sub(lambda found: found[1] + found[2][::-1] + found[3], step)
            writer.write(step)
            await writer.drain()
            at += len(step)
            yield len(step)

    def _fault(self) -> str:
        if self.script:
            return self.script.pop(0)
        dice = self._dice.random()
        for fault, chance in self.chances.items():
            dice -= chance
            if dice < 0:
                return fault
        return ""


@contextmanager
def proxied(proxy: FaultProxy) -> Iterator[FaultProxy]:
    """Let it stand on a port of this machine while the block runs."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def listen() -> asyncio.Server:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        return server

    def work() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(listen())
        ready.set()
        loop.run_forever()
        server.close()
        # One that was accepted just now begins a turn later, and what is closed is gone a turn later.
        quiet = 0
        while quiet < 6:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(asyncio.sleep(0.02))
            quiet = 0 if tasks else quiet + 1
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
