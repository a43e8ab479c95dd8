"""What a segment of a capture says of the market in it: its measures, and the regime that they make it."""

from __future__ import annotations

from typing import Literal

import msgspec

Regime = Literal["high", "normal", "low", "special", "unknown"]


class Latency(msgspec.Struct, frozen=True):
    """Receive time minus exchange time of messages with one, in ms; negative where our clock is behind."""

    messages: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Measures(msgspec.Struct, frozen=True):
    """One symbol over one stretch of a capture; None where too little was seen to tell.

    Attributes
    ----------
    trades, duration_s
        Trades seen, and seconds from the first message to the last.
    volume_per_s
        Quantity traded a second, in units of the base (contracts for futures quoted in them).
    volatility_bps
        Standard deviation of the log return of the mid price over a second, in basis points, from its last
        value in each second; a second without a quote repeats the one before.
    spread_bps
        Time-weighted mean of the spread over the mid price, in basis points.
    latency
        By kind of message: ``depthUpdate``, ``trade``, ``bookTicker``; those that have an exchange time.
    """

    trades: int
    duration_s: float
    volume_per_s: float | None
    volatility_bps: float | None
    spread_bps: float | None
    latency: dict[str, Latency]


class Market(msgspec.Struct, frozen=True):
    """One symbol in one segment of a capture."""

    regime: Regime
    measures: Measures
