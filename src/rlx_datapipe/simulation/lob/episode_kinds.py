"""The kinds of episodes that can be planted in a market, each with its parameters."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Side = Literal["buy", "sell"]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=600_000)]
PerHour = Annotated[float, msgspec.Meta(ge=0.0, le=1_000.0)]


class _Episode(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What all have: when it begins, in seconds from the start of the market, and the side of its orders."""

    at_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    side: Side = "buy"


class Spoofing(_Episode, frozen=True, tag="spoofing"):
    """One large order near the touch, meant to be seen, not to be filled; a small real one on the other side.

    It is withdrawn after ``hold_ms``, or in the moment in which an order would reach it. The small one is
    withdrawn with it, if it was not filled.
    """

    hold_ms: Milliseconds = 3_000
    size: str = "20"
    offset_ticks: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 5
    real_size: str = "0.1"


class Layering(_Episode, frozen=True, tag="layering"):
    """Several orders on one side, a step apart, built up one by one and withdrawn together, never filled."""

    hold_ms: Milliseconds = 3_000
    layers: Annotated[int, msgspec.Meta(ge=2, le=32)] = 8
    gap_ms: Milliseconds = 20
    size: str = "4"
    offset_ticks: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 3
    step_ticks: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 4


class QuoteStuffing(_Episode, frozen=True, tag="quote_stuffing"):
    """A flood: one order placed at the best price and withdrawn, over and over, evenly in time.

    For ``duration_ms`` there are ``factor`` times as many order events as the flow alone would bring by its
    stationary rate.
    """

    duration_ms: Milliseconds = 2_000
    factor: Annotated[float, msgspec.Meta(gt=1.0, le=1_000.0)] = 10.0
    size: str = "0.1"


class MomentumIgnition(_Episode, frozen=True, tag="momentum_ignition"):
    """A burst of market orders of one side that moves the price; as many of the other unwind it."""

    orders: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 40
    burst_ms: Milliseconds = 400
    size: str = "0.2"
    rest_ms: Milliseconds = 2_000
    unwind_ms: Milliseconds = 3_000


class Iceberg(_Episode, frozen=True, tag="iceberg"):
    """One order that shows a part of its size, and refills it from a hidden rest when that is filled.

    A refill loses its place in the queue. Every ``follow_ms`` an order that the price has moved away from is
    withdrawn, and what is left of it placed anew, as a new order (0: it stays where it is). The rest goes
    after ``duration_ms``.
    """

    duration_ms: Milliseconds = 30_000
    size: str = "20"
    shown: str = "0.5"
    offset_ticks: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    follow_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] = 1_000


Episode = Spoofing | Layering | QuoteStuffing | MomentumIgnition | Iceberg


class Planting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Episodes planted by chance, beside those that are listed: how many an hour of each kind, on average.

    Their times and sides are drawn by the seed; their other parameters are the defaults of their kind.
    """

    spoofing: PerHour = 0.0
    layering: PerHour = 0.0
    quote_stuffing: PerHour = 0.0
    momentum_ignition: PerHour = 0.0
    iceberg: PerHour = 0.0


KINDS: dict[str, type[Episode]] = {
    "spoofing": Spoofing,
    "layering": Layering,
    "quote_stuffing": QuoteStuffing,
    "momentum_ignition": MomentumIgnition,
    "iceberg": Iceberg,
}
