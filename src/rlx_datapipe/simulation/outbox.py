"""The way from the venue to the recorder: latency, stalls, clock skew, and the order of arrival."""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final

import numpy as np

from rlx_datapipe.simulation.config import NS_PER_MS
from rlx_datapipe.simulation.draws import uniforms

DEPTH: Final = 0
TICKER: Final = 1
TRADE: Final = 2

_BASE_NS: Final = (1_900_000, 1_300_000, 1_500_000)
_JITTER_NS: Final = 900_000
_STALL_CHANCE: Final = 1 / 20_000
_STALL_NS: Final = 40 * NS_PER_MS
_LEAST_GAP_NS: Final = 500


class Outbox:
    """Holds messages under way and gives them out in the order in which they arrive.

    Each stream keeps its own order; between streams a ticker may overtake a trade and the other way round,
    as it happens on the real feed. No two arrivals share a nanosecond. It holds only what is under way.
    """

    def __init__(self, skew_ns: int, rng: np.random.Generator) -> None:
        self._skew_ns = skew_ns
        self._uniform = uniforms(rng).__next__
        self._under_way: list[tuple[int, int, str]] = []
        self._latest_ns = [0, 0, 0]
        self._stalled_until_ns = 0
        self._last_ns = 0
        self._count = 0

    def send(self, stream: int, now_ns: int, message: str) -> int:
        """Put a message on its stream; its arrival in true time, ns."""
        draw = self._uniform()
        arrival_ns = now_ns + _BASE_NS[stream] + int(_JITTER_NS * draw * draw)
        if draw < _STALL_CHANCE:
            self._stalled_until_ns = arrival_ns + _STALL_NS
        arrival_ns = max(arrival_ns, self._stalled_until_ns, self._latest_ns[stream] + _LEAST_GAP_NS)
        self._latest_ns[stream] = arrival_ns
        self.deliver(arrival_ns, message)
        return arrival_ns

    def deliver(self, arrival_ns: int, message: str) -> None:
        """Let a message arrive at a given true time, outside the streams (the REST answer)."""
        self._count += 1
        heappush(self._under_way, (arrival_ns, self._count, message))

    def arrived(self, now_ns: int | None = None) -> Iterator[bytes]:
        """Lines that have arrived by a true time, or all that are under way."""
        under_way = self._under_way
        while under_way and (now_ns is None or under_way[0][0] <= now_ns):
            arrival_ns, _, message = heappop(under_way)
            self._last_ns = max(arrival_ns, self._last_ns + 100)
            yield f"{self._last_ns + self._skew_ns} {message}".encode()
