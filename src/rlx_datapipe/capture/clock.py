"""The clocks of a capture: both read at receipt, steps seen, the offset asked for, the kernel's word."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from rlx_datapipe.capture.settings import CaptureSettings

STA_UNSYNC = 0x0040
_READINGS = 5


class Clock(Protocol):
    """Both clocks of the machine, in ns."""

    def wall_ns(self) -> int:
        """UTC since 1970; may step."""

    def monotonic_ns(self) -> int:
        """The steady clock of this process; never runs backwards."""


class SystemClock:
    """The clocks of this machine."""

    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class StepWatch:
    """Sees steps of the wall clock: it and the steady clock must advance together.

    Parameters
    ----------
    clock
        Both clocks.
    step_ns
        A change between them that counts as a step, in ns; slower drift is not a step.
    """

    def __init__(self, clock: Clock, step_ns: int) -> None:
        self._clock, self._step_ns = clock, step_ns
        self._difference_ns = clock.wall_ns() - clock.monotonic_ns()
        self.look()

    def look(self) -> int:
        """By how much the wall clock has stepped since the last look, in ns; 0 if it has not."""
        for _ in range(_READINGS):
            before_ns = self._clock.monotonic_ns()
            wall_ns = self._clock.wall_ns()
            took_ns = self._clock.monotonic_ns() - before_ns
            # Whoever was suspended between two readings has seen no step.
            if took_ns < self._step_ns // 10:
                difference_ns = wall_ns - before_ns - took_ns // 2
                step_ns, self._difference_ns = difference_ns - self._difference_ns, difference_ns
                return step_ns if abs(step_ns) >= self._step_ns else 0
        return 0


class _Timex(ctypes.Structure):
    """`struct timex` of Linux, with room for what newer kernels add."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    ]


def kernel_state() -> dict[str, object] | None:
    """Whether the kernel takes its clock for synchronised, and its bound of the error; None if unknown."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        timex = _Timex()
        state = libc.adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return {"synchronised": not timex.status & STA_UNSYNC, "error_bound_ms": timex.maxerror / 1_000}


class NtpAnswer(Protocol):
    """What a time server's answer tells: seconds that the local clock is behind, and of the way there."""

    offset: float
    delay: float
    stratum: int


AskNtp = Callable[[str, float], NtpAnswer]
"""Asks a server, waiting for at most so many seconds; for a thread, since it blocks."""


def ask_ntp(server: str, timeout_s: float) -> NtpAnswer:
    """Ask a time server for the offset of this machine's clock.

    Raises
    ------
    OSError
        When nobody answers.
    ntplib.NTPException
        When the answer is none.
    """
    import ntplib

    answer: NtpAnswer = ntplib.NTPClient().request(server, version=4, timeout=timeout_s)
    return answer


class ClockWatch:
    """Notes what is known of the clock: its offset now and then, its steps, the kernel's word.

    Nothing here ever stops a capture: a server that does not answer is a note.

    Parameters
    ----------
    clock, settings
        Both clocks; whom to ask, how often, and what counts as a step.
    note
        Takes each note: its kind and its facts.
    ask
        Asks a time server.
    """

    def __init__(
        self, clock: Clock, settings: CaptureSettings, note: Callable[..., None], ask: AskNtp = ask_ntp
    ) -> None:
        self._settings, self._note, self._ask = settings, note, ask
        self._steps = StepWatch(clock, settings.step_ms * 1_000_000)
        self.offset_ms: float | None = None
        self.steps = 0

    def look(self) -> None:
        """Look for a step; to be called often."""
        if step_ns := self._steps.look():
            self.steps += 1
            self._note("clock", event="step", step_ms=step_ns / 1e6)

    async def watch(self) -> None:
        """Tell the state at the start and at each interval, until cancelled."""
        while True:
            await self.measure()
            await asyncio.sleep(self._settings.ntp_every_s)

    async def measure(self) -> None:
        """Ask kernel and time server once, and note what they say."""
        facts: dict[str, object] = {"event": "state", "offset_ns": None, "kernel": kernel_state()}
        server = self._settings.ntp_server
        if server:
            try:
                answer = await _asked(self._ask, server, self._settings.ntp_timeout_s)
            except _refusals() as error:
                facts["ntp_failed"] = f"{type(error).__name__}: {error}"[:200]
            else:
                self.offset_ms = answer.offset * 1e3
                facts["offset_ns"] = round(answer.offset * 1e9)
                facts["ntp"] = {
                    "server": server,
                    "delay_ms": round(answer.delay * 1e3, 3),
                    "stratum": answer.stratum,
                }
        self._note("clock", **facts)


async def _asked(ask: AskNtp, server: str, timeout_s: float) -> NtpAnswer:
    """The answer of a time server, asked in a thread that nobody waits for at the end of the process."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[NtpAnswer] = loop.create_future()

    def settle(answer: NtpAnswer | None, error: BaseException | None) -> None:
        if answered.done():
            return
        if answer is not None:
            answered.set_result(answer)
        else:
            answered.set_exception(error or OSError("no answer"))

    def work() -> None:
        found: tuple[NtpAnswer | None, BaseException | None]
        try:
            found = ask(server, timeout_s), None
        except _refusals() as error:
            found = None, error
        # The loop may be gone: then nobody wants to know.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, *found)

    threading.Thread(target=work, name="ntp", daemon=True).start()
    async with asyncio.timeout(2 * timeout_s):
        return await answered


def _refusals() -> tuple[type[Exception], ...]:
    """What asking a time server may raise."""
    usual = (OSError, ValueError, ImportError)
    try:
        import ntplib
    except ImportError:
        return usual
    return (*usual, ntplib.NTPException)
