"""What the network half of a capture hands to the half that keeps it: one arrival at a time."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from rlx_datapipe.store.frames import RecordKind

NO_ID = -1


class Arrival(NamedTuple):
    """One thing to keep: a message or a snapshot as received, or what happened to the capture itself.

    Attributes
    ----------
    kind
        What it is.
    connection
        Number of the connection in this process, dense from 1; 0 for what came by REST or from ourselves.
    stream
        ``btcusdt@trade``, ``btcusdt@snapshot``; ``!open``, ``!close``, ``!gap`` or ``!note``.
    payload
        The whole message as received (with the envelope of a combined stream), the body of a REST answer, or
        a JSON object of ours.
    wall_ns, monotonic_ns
        Both clocks at receipt, in ns: UTC, and the steady clock of this process.
    first_id, last_id
        The venue's ids that it covers: update ids, or twice the id of a trade; ``NO_ID`` where it has none.
    """

    kind: RecordKind
    connection: int
    stream: str
    payload: bytes
    wall_ns: int
    monotonic_ns: int
    first_id: int = NO_ID
    last_id: int = NO_ID


class Recorder(Protocol):
    """Keeps arrivals in their order. What is missing or doubled is told by those who call it, not by it."""

    def record(self, arrival: Arrival) -> None:
        """Keep one arrival; never drops.

        Raises
        ------
        OutputError
            When the disk refuses.
        """

    async def tick(self) -> None:
        """Sync and rotate what is due; to be called every 50 ms, also when nothing arrives."""

    def close(self) -> None:
        """Seal what is open."""
