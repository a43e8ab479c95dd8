"""Snapshots of the book by REST: at the start, after each gap, at an interval; never before they may be."""

from __future__ import annotations

import asyncio
from typing import Literal, NamedTuple

from rlx_datapipe.capture.clock import Clock
from rlx_datapipe.capture.intake import Intake
from rlx_datapipe.capture.rest import Fetch, Gate, UnansweredError
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.capture.streams import Plan
from rlx_datapipe.capture.unheard import Unheard
from rlx_datapipe.venues.binance_ids import NO_ID, kind_of, snapshot_id

_NS = 1_000_000_000
_STALE_AGAIN_NS = 1 * _NS
_REST_S = 600.0
"""Pause after too many tries, where there is no interval."""

Why = Literal["start", "resync", "interval"]


class _Wanted(NamedTuple):
    """A snapshot that is wanted: since when, why, how often it was asked for, and not before when."""

    since_ns: int
    why: Why
    tries: int = 0
    not_before_ns: int = 0


class Snapshots:
    """Asks for the book of each symbol when it is due, the one that has waited longest first.

    By the venue's rule a book begins with a snapshot taken after the first update was received: so one is
    asked for only when updates come, and one that is older than the first of them is asked for again (it is
    kept all the same, with a note). One request at a time; no two of a symbol wait. A symbol that the venue
    refuses is not asked for again.

    Parameters
    ----------
    plan
        Symbols and where they are asked for.
    intake
        Knows the ids that have come; keeps the answers.
    fetch, gate
        How the venue is asked, and when it may be.
    clock, settings
        Both clocks; pace and tries.
    """

    def __init__(
        self, plan: Plan, intake: Intake, fetch: Fetch, gate: Gate, clock: Clock, settings: CaptureSettings
    ) -> None:
        self._plan, self._intake, self._fetch, self._gate = plan, intake, fetch, gate
        self._clock, self._settings = clock, settings
        self._symbols = {
            stream: symbol
            for symbol in plan.symbols
            for stream in plan.streams
            if kind_of(stream) == "depth" and stream.partition("@")[0] == symbol.lower()
        }
        self._streams = {symbol: stream for stream, symbol in self._symbols.items()}
        self._wanted: dict[str, _Wanted] = {}
        self._asked_ns: dict[str, int] = {}
        self._is_shut = False
        self.unheard = Unheard(plan, intake, fetch, gate, clock, settings)
        self.kept = self.stale = self.failed = self.given_up = self.requests = 0
        for stream in self._symbols:
            self.want(stream, "start")

    @property
    def waiting(self) -> int:
        """Snapshots that are wanted and have not come; none of a symbol that is refused."""
        return sum(symbol not in self.unheard.refused for symbol in self._wanted)

    def want(self, stream: str, why: Why) -> None:
        """Ask for the book of this depth stream as soon as may be; other streams have none."""
        symbol = self._symbols.get(stream)
        if symbol is not None and symbol not in self._wanted:
            self._wanted[symbol] = _Wanted(self._clock.monotonic_ns(), why)

    async def run(self) -> None:
        """Ask for what is due, until cancelled.

        Raises
        ------
        OptionError
            When the venue has refused every symbol, and nothing has come.
        """
        while True:
            self._want_by_interval()
            symbol = self._next()
            if symbol is not None:
                await self._ask(symbol)
            elif not await self.unheard.look():
                await asyncio.sleep(self._settings.tick_ms / 1e3)

    def _want_by_interval(self) -> None:
        if not self._settings.snapshot_every_s:
            return
        now_ns = self._clock.monotonic_ns()
        for stream, symbol in self._symbols.items():
            asked_ns = self._asked_ns.get(symbol)
            if asked_ns is not None and now_ns - asked_ns >= self._settings.snapshot_every_s * _NS:
                self.want(stream, "interval")

    def _next(self) -> str | None:
        """The symbol that has waited longest among those that may be asked for now."""
        if self._gate.wait_ns() > 0:
            self._tell_gate()
            return None
        self._is_shut = False
        now_ns = self._clock.monotonic_ns()
        ready = [
            (wanted.since_ns, symbol)
            for symbol, wanted in self._wanted.items()
            if now_ns >= wanted.not_before_ns and self._may_ask(symbol)
        ]
        return min(ready)[1] if ready else None

    def _may_ask(self, symbol: str) -> bool:
        """Whether updates come that a snapshot could fit, with none before them still waited for."""
        if symbol in self.unheard.refused:
            return False
        chain = self._intake.chains[self._streams[symbol]]
        return chain.span_first != NO_ID and not chain.held

    async def _ask(self, symbol: str) -> None:
        wanted = self._wanted[symbol]
        self.requests += 1
        try:
            answer = await self._fetch(self._plan.snapshot_url(symbol))
        except UnansweredError as error:
            self._gate.failed()
            self._again(symbol, wanted, str(error), 0)
            return
        if self.unheard.is_refused(symbol, answer):
            self.failed += 1
            return
        if not self._gate.heed(answer):
            self._again(symbol, wanted, f"HTTP {answer.status}", 0)
            return
        last_id = snapshot_id(answer.body)
        if last_id == NO_ID:
            self._gate.failed()
            self._again(symbol, wanted, "is no snapshot", 0)
            return
        self._intake.snapshot(symbol, answer.body, answer.wall_ns, answer.monotonic_ns, last_id)
        first_id = self._intake.chains[self._streams[symbol]].span_first
        if last_id < first_id:
            self.stale += 1
            self._intake.note("snapshot_stale", symbol=symbol, last_id=last_id, first_id=first_id)
            self._again(symbol, wanted, "is older than the first update", _STALE_AGAIN_NS)
            return
        self.kept += 1
        self._asked_ns[symbol] = self._clock.monotonic_ns()
        del self._wanted[symbol]

    def _again(self, symbol: str, wanted: _Wanted, reason: str, wait_ns: int) -> None:
        """Let it wait again, with its age kept; after too many tries, for an interval."""
        self.failed += 1
        now_ns = self._clock.monotonic_ns()
        facts = {"symbol": symbol, "reason": reason, "why": wanted.why, "tries": wanted.tries + 1}
        self._intake.note("snapshot_failed", **facts)
        if wanted.tries + 1 >= self._settings.snapshot_tries:
            self.given_up += 1
            rest_ns = int((self._settings.snapshot_every_s or _REST_S) * _NS)
            self._wanted[symbol] = _Wanted(now_ns, wanted.why, 0, now_ns + rest_ns)
            return
        self._wanted[symbol] = wanted._replace(tries=wanted.tries + 1, not_before_ns=now_ns + wait_ns)

    def _tell_gate(self) -> None:
        if not self._is_shut and self._wanted:
            self._is_shut = True
            self._intake.note("breaker", reason=self._gate.why, wait_s=self._gate.wait_ns() / _NS)
