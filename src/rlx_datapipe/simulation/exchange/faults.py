"""Faults of a connection: what befalls its messages, each decided by the seed and told as truth."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Protocol

from rlx_datapipe.simulation.exchange.chance import Chance
from rlx_datapipe.simulation.exchange.fault_plan import MESSAGE_FAULTS, FaultPlan, OnMessages
from rlx_datapipe.simulation.exchange.truth import Truth, ids_of

_SYMBOL = re.compile(rb'"s":"[^"]*"')
_DIGIT = re.compile(rb'(?<=\.)\d(?=\d*"])')
STRANGER = b'"s":"LUNAUSDT"'
"""Symbol that a message gets whose symbol is wrong."""


class Line(Protocol):
    """The connection that the faults befall."""

    def put(self, prefix: bytes, data: bytes) -> None:
        """Send a message."""

    def flush(self) -> None:
        """Write what was put."""

    def stall(self, seconds: float) -> None:
        """Say nothing for a while."""

    def hang(self) -> None:
        """Say nothing any more, and hear nothing."""

    def sever(self) -> None:
        """Cut the connection without a word."""


class MessageFaults:
    """Sends the messages of one connection as the plan spoils them.

    Parameters
    ----------
    line
        The connection.
    plan, connection, truth
        What happens, by which number of a connection, and where it is told.
    position
        Gives how many messages the exchange has played, for the truth.
    """

    def __init__(
        self, line: Line, plan: FaultPlan, connection: int, truth: Truth, position: Callable[[], int]
    ) -> None:
        self._line, self._plan, self._truth, self._position = line, plan, truth, position
        self._connection = connection
        self._chances: list[tuple[str, OnMessages, Chance]] = []
        for name in MESSAGE_FAULTS:
            fault = getattr(plan, name)
            if fault is not None:
                chance = Chance(fault.rate, fault.at, f"{plan.seed}/{connection}/{name}")
                self._chances.append((name, fault, chance))
        self._held: dict[str, tuple[bytes, bytes]] = {}
        self._late: dict[int, tuple[asyncio.TimerHandle, bytes, bytes]] = {}

    def offer(self, stream: str, prefix: bytes, data: bytes) -> None:
        """Send a message, or what a fault makes of it."""
        met: tuple[str, Chance] | None = None
        for name, fault, chance in self._chances:
            if fault.streams in stream and chance.happens() and met is None:
                met = name, chance
        if met is None:
            self._line.put(prefix, data)
        else:
            self._truth.tell(
                met[0],
                connection=self._connection,
                stream=stream,
                position=self._position(),
                **ids_of(data),
            )
            self._spoil(met[0], met[1], stream, prefix, data)
        if (met is None or met[0] != "reorder") and stream in self._held:
            self._line.put(*self._held.pop(stream))

    def release(self) -> None:
        """Send what waits to be late or out of order: no more will come."""
        for timer, prefix, data in self._late.values():
            timer.cancel()
            self._line.put(prefix, data)
        self._late.clear()
        for prefix, data in self._held.values():
            self._line.put(prefix, data)
        self._held.clear()

    def _spoil(self, name: str, chance: Chance, stream: str, prefix: bytes, data: bytes) -> None:
        line, plan = self._line, self._plan
        if name == "duplicate":
            line.put(prefix, data)
            line.put(prefix, data)
        elif name == "reorder":
            if stream in self._held:
                line.put(*self._held.pop(stream))
            self._held[stream] = prefix, data
        elif name == "delay" and plan.delay is not None:
            number = self._position()
            timer = asyncio.get_running_loop().call_later(plan.delay.delay_ms / 1000, self._send_late, number)
            self._late[number] = timer, prefix, data
        elif name == "corrupt" and plan.corrupt is not None:
            broken = _changed(data, chance) if plan.corrupt.what == "value" else data[: len(data) // 2]
            line.put(prefix, broken)
        elif name == "wrong_symbol":
            line.put(prefix, _SYMBOL.sub(STRANGER, data, count=1))
        elif name == "oversized" and plan.oversized is not None:
            padding = b"x" * max(0, plan.oversized.size_bytes - len(data))
            line.put(prefix, data[:-1] + b',"pad":"' + padding + b'"}')
        elif name == "stall" and plan.stall is not None:
            line.stall(plan.stall.stall_ms / 1000)
            line.put(prefix, data)
        elif name == "half_open":
            line.hang()
        elif name == "disconnect":
            line.flush()
            line.sever()

    def _send_late(self, number: int) -> None:
        _, prefix, data = self._late.pop(number)
        self._line.put(prefix, data)
        self._line.flush()


def _changed(data: bytes, chance: Chance) -> bytes:
    """A message with another digit in one of its quantities."""
    found = list(_DIGIT.finditer(data))
    if not found:
        return data[: len(data) // 2]
    at = found[chance.below(len(found))].start()
    digit = (data[at] - ord("0") + 1 + chance.below(9)) % 10
    return data[:at] + b"%d" % digit + data[at + 1 :]
