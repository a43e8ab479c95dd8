"""One address is never without a connection by plan: the next one is proven before the last one is let go."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from typing import Literal, NamedTuple

from rlx_datapipe.capture.budget import Backoff, ConnectBudget
from rlx_datapipe.capture.clock import Clock
from rlx_datapipe.capture.connection import Dial, RefusedError, Wire
from rlx_datapipe.capture.intake import Intake, Session
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.capture.streams import Address, subscriptions
from rlx_datapipe.capture.watchdog import Watchdog

_NS = 1_000_000_000
_BETWEEN_S = 5.0
"""Planned handovers follow each other no faster than this, or than a tenth of the age if that is less."""
_PATIENCE_MAX = 128
_PROVEN_S = 60.0
"""A connection that lived this long shows that the venue takes us: the next wait is a short one again."""

Why = Literal["start", "reconnect", "age", "serverShutdown", "silent", "lost"]


class Venue(NamedTuple):
    """What all addresses of a capture share: how to reach them, how fast, and where all that comes goes."""

    dial: Dial
    intake: Intake
    budget: ConnectBudget
    clock: Clock
    settings: CaptureSettings
    dice: random.Random
    numbers: count[int]
    requests_per_s: int


class Link:
    """A connection that stands, with the task that receives from it."""

    def __init__(self, wire: Wire, session: Session, settings: CaptureSettings, intake: Intake) -> None:
        self.wire, self.session = wire, session
        self.watchdog = Watchdog(session, settings)
        self.why: Why = "start"
        self.aborted = ""
        self.heard_before: dict[str, int] = {}
        self.pinging: asyncio.Task[bool] | None = None
        self.receiving = asyncio.create_task(wire.receive(lambda payload: intake.take(session, payload)))


class Feed:
    """Keeps one address listened to, until cancelled.

    Parameters
    ----------
    address
        What is listened to.
    venue
        What is shared with other addresses.

    Raises
    ------
    OutputError
        From `run`, when the recorder refuses.
    """

    def __init__(self, address: Address, venue: Venue) -> None:
        self.address = address
        self._venue, self._settings = venue, venue.settings
        self._backoff = Backoff(venue.settings.backoff_s, venue.settings.backoff_max_s, venue.dice)
        self._opening: asyncio.Task[Link] | None = None
        self._arriving: Link | None = None
        self._not_before_ns, self._age_ns = 0, 0
        self._first_wait_s = 0.0
        self._patience = 1
        self._stopping = asyncio.Event()
        self._closing: list[asyncio.Task[None]] = []
        self.active: Link | None = None
        self.coming: Link | None = None
        self.opened = self.handovers = self.losses = self.refused = self.abandoned = 0

    async def run(self) -> None:
        """Listen until cancelled; then close what is open."""
        try:
            while True:
                await self.step()
                await asyncio.sleep(self._settings.tick_ms / 1e3)
        finally:
            await self._let_go()

    async def step(self) -> None:
        """Do what is due."""
        for task in [task for task in self._closing if task.done()]:
            self._closing.remove(task)
            task.result()
        now_ns = self._venue.clock.monotonic_ns()
        self._meet()
        self._bury(now_ns)
        if self.coming is not None:
            self._judge(self.coming, now_ns)
        for link in (self.active, self.coming):
            if link is not None:
                await self._watch(link, now_ns)
        if self.active is not None and self.coming is None and self._opening is None:
            self._plan_next(self.active, now_ns)
        if self.active is None and self.coming is None and self._opening is None:
            self._begin("reconnect" if self.opened else "start")

    def _begin(self, why: Why) -> None:
        self._opening = asyncio.create_task(self._open(why))

    async def _open(self, why: Why) -> Link:
        """Open one more connection, trying until it stands."""
        venue, address = self._venue, self.address
        wait_s, self._first_wait_s = self._first_wait_s, 0.0
        while True:
            await asyncio.sleep(wait_s)
            await venue.budget.take()
            try:
                wire = await venue.dial(address.url)
                break
            except RefusedError as error:
                self.refused += 1
                where = address.url.partition("?")[0]
                venue.intake.note("refused", address=where, reason=error.reason, wait_s=error.wait_s)
                if error.wait_s:
                    venue.budget.pause(error.wait_s)
                wait_s = self._backoff.next_s()
        session = Session(next(venue.numbers), address.streams, venue.clock.monotonic_ns())
        venue.intake.opened(session, address.url, address.streams)
        self._arriving = link = Link(wire, session, self._settings, venue.intake)
        link.why = why
        for bundle in subscriptions(address.subscribed):
            await wire.subscribe(bundle)
            # Few messages a second are allowed, our pongs among them.
            await asyncio.sleep(2 / venue.requests_per_s)
        return link

    def _meet(self) -> None:
        """Take in a connection that has just come to stand."""
        if self._opening is None or not self._opening.done():
            return
        link, self._opening, self._arriving = self._opening.result(), None, None
        self.opened += 1
        if self.active is None:
            self._take_over(link)
        else:
            link.heard_before = {
                stream: self.active.session.of(stream).count for stream in self.address.streams
            }
            self.coming = link
            self._venue.intake.overlap(self.address.streams, is_on=True)

    def _take_over(self, link: Link) -> None:
        self.active = link
        self._no_longer_coming()
        link.watchdog.patience = self._patience
        stagger_s = self._venue.dice.uniform(0, min(self._settings.stagger_s, self._settings.age_s / 2))
        self._age_ns = int((self._settings.age_s - stagger_s) * _NS)

    def _no_longer_coming(self) -> None:
        self.coming = None
        self._venue.intake.overlap(self.address.streams, is_on=False)

    def _bury(self, now_ns: int) -> None:
        """Tell of connections that have ended, and let the next take their place."""
        if self.coming is not None and self.coming.receiving.done():
            self._tell_closed(self.coming)
            self._no_longer_coming()
            self.abandoned += 1
        if self.active is None or not self.active.receiving.done():
            return
        ended, heir = self.active, self.coming
        self._tell_closed(ended)
        self.losses += 1
        if now_ns - ended.session.opened_ns > _PROVEN_S * _NS:
            self._backoff.succeeded()
        else:
            self._first_wait_s = self._backoff.next_s()
        self.active = None
        uncovered = [
            stream for stream in self.address.streams if heir is None or not heir.session.of(stream).count
        ]
        self._venue.intake.broken(uncovered, "disconnected")
        if heir is not None:
            self._take_over(heir)

    def _tell_closed(self, link: Link) -> None:
        # What ended the task by an error, such as a full disk, ends the capture.
        reason = link.receiving.result()
        if link.pinging is not None:
            link.pinging.cancel()
        self._venue.intake.closed(link.session, link.aborted or reason)

    def _judge(self, coming: Link, now_ns: int) -> None:
        """Hand over to the coming connection once it is proven; give it up if it can't be in time."""
        silent = [stream for stream in self.address.streams if not self._is_proven(coming, stream)]
        if not silent:
            self._hand_over(coming, silent)
            return
        active = self.active
        if active is None or now_ns - coming.session.opened_ns < self._settings.prove_s * _NS:
            return
        failed = [s for s in silent if active.session.of(s).count > coming.heard_before.get(s, 0)]
        if failed or not coming.session.total:
            self.abandoned += 1
            self._not_before_ns = now_ns + int(self._settings.prove_s * _NS)
            if coming.why == "silent":
                # A quiet market: ask less often from now on.
                active.watchdog.patience = self._patience = min(2 * self._patience, _PATIENCE_MAX)
            self._venue.intake.note(
                "handover", address=self.address.name, done=False, why=coming.why, unproven=failed or silent
            )
            self._close(coming, "unproven")
            self._no_longer_coming()
        else:
            # Silent on both: there was nothing to bring.
            self._hand_over(coming, silent)

    def _is_proven(self, coming: Link, stream: str) -> bool:
        """Whether the new connection has brought this stream, and nothing before that is still missing."""
        heard = coming.session.of(stream)
        return heard.count > 0 and self._venue.intake.chains[stream].last >= heard.first_id

    def _hand_over(self, coming: Link, unheard: list[str]) -> None:
        old = self.active
        if coming.why == "silent":
            self._patience = 1
        self._take_over(coming)
        between_s = min(_BETWEEN_S, self._settings.age_s / 10)
        self._not_before_ns = self._venue.clock.monotonic_ns() + int(between_s * _NS)
        self.handovers += 1
        self._backoff.succeeded()
        self._venue.intake.note(
            "handover",
            address=self.address.name,
            done=True,
            why=coming.why,
            to=coming.session.number,
            unheard=unheard,
        )
        if old is not None:
            # What is silent may be stalled, and bring later what it owes: that still fills the gap.
            self._close(old, "handover", self._settings.prove_s if coming.why == "silent" else 0.0)

    def _plan_next(self, active: Link, now_ns: int) -> None:
        if not self._may(now_ns):
            return
        if active.session.is_shutting_down:
            self._begin("serverShutdown")
        elif now_ns - active.session.opened_ns >= self._age_ns:
            self._begin("age")

    def _may(self, now_ns: int) -> bool:
        return now_ns >= self._not_before_ns

    async def _watch(self, link: Link, now_ns: int) -> None:
        if link.pinging is not None and link.pinging.done():
            if not link.pinging.result() and link.session.last_ns <= now_ns - self._settings.stall_s * _NS:
                link.aborted = "stalled"
                self._venue.intake.note("stall", connection=link.session.number, address=self.address.name)
                link.wire.abort()
            link.pinging = None
        advice = link.watchdog.look(now_ns)
        if advice is None or link.aborted:
            return
        if advice.word == "ping":
            if link.pinging is None:
                link.pinging = asyncio.create_task(link.wire.answers(self._settings.pong_s))
            return
        self._venue.intake.note(
            "silence" if advice.word == "silent" else "subscription",
            connection=link.session.number,
            streams=list(advice.streams),
            action=advice.word,
        )
        if advice.word == "resubscribe":
            for bundle in subscriptions(advice.streams):
                await link.wire.subscribe(bundle)
        elif self.coming is None and self._opening is None and link is self.active and self._may(now_ns):
            self._begin(advice.word)

    def _close(self, link: Link, reason: str, linger_s: float = 0.0) -> None:
        self._closing.append(asyncio.create_task(self._close_politely(link, reason, linger_s)))

    async def _close_politely(self, link: Link, reason: str, linger_s: float) -> None:
        if link.pinging is not None:
            link.pinging.cancel()
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([stopping, link.receiving], timeout=linger_s, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await link.wire.close()
        link.wire.abort()
        await link.receiving
        self._venue.intake.closed(link.session, reason)

    async def _let_go(self) -> None:
        """Close all that is open, for a bounded time."""
        self._stopping.set()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        for link in (self.active, self.coming, self._arriving):
            if link is not None:
                self._close(link, "stopped")
        self.active = self.coming = self._arriving = None
        if self._closing:
            done, _ = await asyncio.wait(self._closing, timeout=4 * self._settings.close_s)
            for task in done:
                task.result()
