"""What the venue's markets differ in: paths, limits, pings, weights of depth requests; data, no code."""

from __future__ import annotations

from typing import NamedTuple


class MarketRules(NamedTuple):
    """One market's published rules.

    Attributes
    ----------
    format
        Name of the market's format, as ``binance-spot``.
    label
        First part of a path that names the market when several are served: ``/usdm/ws``.
    api
        First part of its REST paths.
    ping_s, pong_s
        Seconds between the server's pings, and within which a pong must come.
    messages_a_second
        Frames that a client may send, pings and pongs included.
    streams_max
        Streams on one connection.
    connects_max
        Connections of one address in five minutes.
    weight_a_minute
        Request weight of one address.
    depth_limits
        Limits that a depth request may name, each with its weight; a spot limit may be any up to the last.
    any_limit
        Whether other limits than these are good.
    default_limit
        Levels a side where a depth request names no limit.
    """

    format: str
    label: str
    api: str
    ping_s: float
    pong_s: float
    messages_a_second: int
    streams_max: int
    connects_max: int
    weight_a_minute: int
    depth_limits: tuple[tuple[int, int], ...]
    any_limit: bool
    default_limit: int


_SPOT_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
_FUTURES_WEIGHTS = ((5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20))
RULES = {
    rules.format: rules
    for rules in (
        MarketRules(
            "binance-spot", "spot", "/api/v3", 20.0, 60.0, 5, 1024, 300, 6000, _SPOT_WEIGHTS, True, 100
        ),
        MarketRules(
            "binance-usdm",
            "usdm",
            "/fapi/v1",
            180.0,
            600.0,
            10,
            1024,
            300,
            2400,
            _FUTURES_WEIGHTS,
            False,
            500,
        ),
        MarketRules(
            "binance-coinm",
            "coinm",
            "/dapi/v1",
            180.0,
            600.0,
            10,
            200,
            300,
            2400,
            _FUTURES_WEIGHTS,
            False,
            500,
        ),
    )
}
CONNECTS_WINDOW_S = 300.0
WEIGHT_WINDOW_S = 60.0
PUBLIC_CHANNELS = ("depth", "rpiDepth", "bookTicker", "trade")
"""Streams of USD-M that ``/public`` has (their channel begins so); ``/market`` has all others."""


def weight_of(rules: MarketRules, limit: int) -> int:
    """Request weight of a depth request with this limit."""
    return next((weight for most, weight in rules.depth_limits if limit <= most), rules.depth_limits[-1][1])
