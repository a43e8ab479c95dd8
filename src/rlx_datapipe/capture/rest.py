"""The venue's REST side: one gate that all requests pass, and that stays shut as long as the venue says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from rlx_datapipe.capture.budget import Backoff
from rlx_datapipe.capture.clock import Clock
from rlx_datapipe.capture.connection import retry_after_s
from rlx_datapipe.capture.settings import CaptureSettings

_NS = 1_000_000_000
_MINUTE_NS = 60 * _NS
_WEIGHT_HEADER = "x-mbx-used-weight-1m"
# Waits where the venue names none: its shortest ban is two minutes.
_DEFAULT_WAITS_S = {429: 60.0, 418: 120.0, 403: 300.0}


class Answer(NamedTuple):
    """What came back: status, headers with lower-case names, body, and both clocks when it had come."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    wall_ns: int
    monotonic_ns: int


class UnansweredError(Exception):
    """Raised when no answer came, or none that is taken."""


class Fetch(Protocol):
    """Asks for an address."""

    async def __call__(self, url: str) -> Answer:
        """Ask once.

        Raises
        ------
        UnansweredError
            When nothing comes back in time, or too much.
        """


class HttpFetch:
    """Asks over HTTP; a context manager that holds the connections.

    Parameters
    ----------
    settings
        Longest wait, most bytes.
    clock
        Both clocks, read when the body has come.
    """

    def __init__(self, settings: CaptureSettings, clock: Clock) -> None:
        import httpx

        self._settings, self._clock = settings, clock
        self._client = httpx.AsyncClient(timeout=settings.snapshot_timeout_s, follow_redirects=False)

    async def __call__(self, url: str) -> Answer:
        """Ask once."""
        import httpx

        try:
            async with (
                asyncio.timeout(self._settings.snapshot_timeout_s),
                self._client.stream("GET", url, headers={"X-MBX-TIME-UNIT": "MICROSECOND"}) as response,
            ):
                parts, length = [], 0
                async for part in response.aiter_bytes():
                    length += len(part)
                    if length > self._settings.snapshot_bytes_max:
                        raise UnansweredError(f"more than {self._settings.snapshot_bytes_max} bytes")
                    parts.append(part)
                headers = {name.lower(): value for name, value in response.headers.items()}
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            raise UnansweredError(f"{type(error).__name__}: {error}"[:200]) from error
        body = b"".join(parts)
        return Answer(status, headers, body, self._clock.wall_ns(), self._clock.monotonic_ns())

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()


class Gate:
    """Decides when the venue may be asked again; one for all requests.

    429, 418 and 403 shut it for as long as ``Retry-After`` says; other failures for a while that grows; and
    when a large share of the weight of this minute is spent, by whomever, it stays shut until the next.

    Parameters
    ----------
    clock, settings, dice
        Both clocks; waits; draws the waits.
    weight_per_minute
        What the venue allows.
    """

    def __init__(
        self, clock: Clock, settings: CaptureSettings, dice: random.Random, weight_per_minute: int
    ) -> None:
        self._clock = clock
        self._weight_max = settings.weight_share * weight_per_minute
        self._backoff = Backoff(2 * settings.backoff_s, settings.backoff_max_s, dice)
        self._shut_until_ns = 0
        self.used_weight = 0
        self.why = ""

    def wait_ns(self) -> int:
        """For how long nothing may be asked, in ns; 0 if it is open."""
        return max(0, self._shut_until_ns - self._clock.monotonic_ns())

    def heed(self, answer: Answer) -> bool:
        """Take in what the venue answered; whether it was a good answer."""
        used = answer.headers.get(_WEIGHT_HEADER, "")
        self.used_weight = int(used) if used.isdecimal() and len(used) < 10 else self.used_weight
        if answer.status == 200:
            self._backoff.succeeded()
            if self.used_weight >= self._weight_max:
                # The venue counts by minutes of its own clock; a whole one is always enough.
                self._shut(_MINUTE_NS, "weight")
            return True
        wait_s = retry_after_s(answer.headers.get("retry-after"))
        if answer.status in _DEFAULT_WAITS_S:
            wait_s = wait_s or _DEFAULT_WAITS_S[answer.status]
        else:
            wait_s = max(wait_s, self._backoff.next_s())
        self._shut(int(wait_s * _NS), f"HTTP {answer.status}")
        return False

    def failed(self) -> None:
        """Take in that nothing came back."""
        self._shut(int(self._backoff.next_s() * _NS), "no answer")

    def _shut(self, wait_ns: int, why: str) -> None:
        until_ns = self._clock.monotonic_ns() + wait_ns
        if until_ns > self._shut_until_ns:
            self._shut_until_ns, self.why = until_ns, why
