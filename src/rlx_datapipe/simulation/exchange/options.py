"""How an exchange runs: its clock, its snapshots, its limits; frozen and checked."""

from __future__ import annotations

from typing import Literal

import msgspec

from rlx_datapipe.core.errors import OptionError


class ExchangeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Choices of a run.

    Attributes
    ----------
    speed
        How many times faster than recorded; 0 is as fast as the clients read.
    start
        ``subscribed``: time begins when ``wait_for`` connections have subscribed; ``now``: at once.
    at_end
        ``close`` closes all connections and ends; ``hold`` goes on answering with the last state; ``loop``
        closes all connections, as ids begin again, and plays the recording anew.
    snapshots
        ``book`` answers depth requests with the book at that moment; ``recorded`` with the recording's own
        snapshot, byte for byte, once the stream has come to its place.
    book_wait_s
        How long a depth request waits for the first book.
    join_wait_s
        How long a futures depth request waits for a depth message to be sent: whoever subscribed before then
        holds the one that the snapshot must join, by the published rule.
    grace_s
        How long time stands still, at full speed, after the first depth message of a symbol, for whoever
        follows its book to ask for a snapshot; and for a fifth of that when one was sent, so that it arrives
        in its place. Else it would be minutes of the market late.
    slow_bytes_max
        Unsent bytes beyond which a slow client is cut off, if it stays there for a second.
    slow_s
        How long, at full speed, the exchange waits for a client that does not read.
    ping_s, pong_s
        Instead of the market's own.
    has_limits
        Whether the venue's limits hold: messages and streams of a connection, connects and weight of an
        address.
    """

    speed: float = 0.0
    start: Literal["subscribed", "now"] = "subscribed"
    wait_for: int = 1
    at_end: Literal["close", "hold", "loop"] = "hold"
    snapshots: Literal["book", "recorded"] = "book"
    book_wait_s: float = 10.0
    join_wait_s: float = 0.25
    grace_s: float = 0.5
    slow_bytes_max: int = 64 << 20
    slow_s: float = 60.0
    ping_s: float | None = None
    pong_s: float | None = None
    has_limits: bool = True

    def __post_init__(self) -> None:
        if self.speed < 0:
            raise OptionError("speed must be positive, or max", found=self.speed)
        if self.wait_for < 1:
            raise OptionError("connections to wait for must be at least one", found=self.wait_for)
