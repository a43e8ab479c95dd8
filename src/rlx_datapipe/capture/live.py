"""LiveCapture: websockets, snapshots and clocks of one market, joined; what they bring goes to a recorder."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count

from rlx_datapipe.capture.arrival import Recorder
from rlx_datapipe.capture.budget import ConnectBudget
from rlx_datapipe.capture.clock import AskNtp, Clock, ClockWatch, SystemClock, ask_ntp
from rlx_datapipe.capture.connection import Dial, WebSocketDial
from rlx_datapipe.capture.handover import Feed, Venue
from rlx_datapipe.capture.intake import Intake
from rlx_datapipe.capture.progress import Progress, progress_of
from rlx_datapipe.capture.rest import Fetch, Gate, HttpFetch
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.capture.snapshots import Snapshots
from rlx_datapipe.capture.streams import Plan
from rlx_datapipe.core.errors import DatapipeError


class LiveCapture:
    """Captures one market until it is stopped.

    Everything that could not be told twice is injected, so that a simulation can drive the whole of it.

    Parameters
    ----------
    plan
        What is listened to, and where.
    recorder
        Keeps what arrives; closed by `run` at its end.
    settings
        Waits, bounds, paces.
    resumed
        Last ids of streams that an earlier process kept in the same folder: what lies between is missing.
    clock, dial, fetch, ask, dice
        Both clocks, the network, the time server, and what draws the waits.
    on_told
        Called with the kind and the facts of each gap and note.
    """

    def __init__(
        self,
        plan: Plan,
        recorder: Recorder,
        settings: CaptureSettings,
        *,
        resumed: Mapping[str, int] | None = None,
        clock: Clock | None = None,
        dial: Dial | None = None,
        fetch: Fetch | None = None,
        ask: AskNtp = ask_ntp,
        dice: random.Random | None = None,
        on_told: Callable[[str, dict[str, object]], None] = lambda kind, facts: None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._settings, self._recorder, self._plan = settings, recorder, plan
        # Spreads waits, so that many captures do not come back together; no secret.
        dice = dice or random.Random()  # noqa: S311
        self.intake = Intake(plan.streams, recorder, self._clock, settings, self._on_gap, on_told)
        for stream, last_id in (resumed or {}).items():
            if stream in self.intake.chains:
                self.intake.chains[stream].resume(last_id, "restart")
        self._own_fetch = HttpFetch(settings, self._clock) if fetch is None else None
        used_fetch = self._own_fetch if fetch is None else fetch
        assert used_fetch is not None  # noqa: S101
        self.gate = Gate(self._clock, settings, dice, plan.market.weight_per_minute)
        self.snapshots = Snapshots(plan, self.intake, used_fetch, self.gate, self._clock, settings)
        venue = Venue(
            dial=dial or WebSocketDial(settings),
            intake=self.intake,
            budget=ConnectBudget(self._clock, settings),
            clock=self._clock,
            settings=settings,
            dice=dice,
            numbers=count(1),
            requests_per_s=plan.market.requests_per_s,
        )
        self.feeds = [Feed(address, venue) for address in plan.addresses]
        self.clock_watch = ClockWatch(self._clock, settings, self.intake.note, ask)
        self._began_ns, self._ended_ns = self._clock.monotonic_ns(), 0

    async def run(self, stop: asyncio.Event, duration_s: float | None = None) -> None:
        """Capture until ``stop`` is set or so many seconds have passed; then close and seal what is open.

        Raises
        ------
        OutputError
            When the recorder refuses.
        """
        self._began_ns = self._clock.monotonic_ns()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(feed.run()) for feed in self.feeds]
                tasks += [group.create_task(self._tick()), group.create_task(self.snapshots.run())]
                tasks.append(group.create_task(self.clock_watch.watch()))
                group.create_task(self._wait(stop, duration_s, tasks))
        except BaseExceptionGroup as errors:
            told = errors.subgroup(DatapipeError)
            if told is None:
                raise
            raise _first(told) from errors
        finally:
            self._ended_ns = self._clock.monotonic_ns()
            try:
                self.intake.settle(at_once=True)
            finally:
                self._recorder.close()
                if self._own_fetch is not None:
                    await self._own_fetch.close()

    def progress(self) -> Progress:
        """How it goes, or went."""
        until_ns = self._ended_ns or self._clock.monotonic_ns()
        return progress_of(
            seconds=(until_ns - self._began_ns) / 1e9,
            intake=self.intake,
            feeds=self.feeds,
            snapshots=self.snapshots,
            gate=self.gate,
            clock=self.clock_watch,
        )

    async def _wait(
        self, stop: asyncio.Event, duration_s: float | None, tasks: list[asyncio.Task[None]]
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(duration_s):
                await stop.wait()
        for task in tasks:
            task.cancel()

    async def _tick(self) -> None:
        while True:
            self.intake.settle()
            self.clock_watch.look()
            now_ns = self._clock.monotonic_ns()
            for lag in self.intake.lags.values():
                lag.turn(now_ns)
            await self._recorder.tick()
            await asyncio.sleep(self._settings.tick_ms / 1e3)

    def _on_gap(self, stream: str) -> None:
        self.snapshots.want(stream, "resync")


def _first(group: BaseExceptionGroup[DatapipeError]) -> DatapipeError:
    """The first error of a group, however deep."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
